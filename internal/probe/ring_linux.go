package probe

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// ring reads the kernel's ring buffer from one goroutine, and avoids a wakeup for every event.
//
// A wakeup costs the program, and so the test's system call, several microseconds. The kernel wakes the reader if a
// record is the first uncommitted one. So while the reader is awake, it leaves the last record that it has read
// uncommitted, and polls for more. Before it sleeps it commits that record too, and polls once more. Either it sees a
// record that arrives in between, or the writer sees that everything is committed, and wakes it.
type ring struct {
	events    *ebpf.Map
	consumer  []byte // page with our position
	producer  []byte // page with the kernel's position; then the data, mapped twice
	data      []byte
	at        uintptr       // position of the next record
	idlePolls int           // number of polls without a record
	interval  time.Duration // between polls, if the kernel does not wake the reader; else 0
	flushing  atomic.Bool
	stopping  atomic.Bool

	mu     sync.Mutex
	wakeFD int // an eventfd; -1 once closed
}

var errFlushed = errors.New("ring buffer flushed")

const (
	ringHeader  = 8
	ringBusy    = 1 << 31
	ringDiscard = 1 << 30
)

func newRing(events *ebpf.Map) (*ring, error) {
	page, size := os.Getpagesize(), int(events.MaxEntries())
	r := &ring{events: events, wakeFD: -1}
	var err error
	if r.consumer, err = unix.Mmap(events.FD(), 0, page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED); err != nil {
		return nil, fmt.Errorf("map consumer's page: %w", err)
	}
	if r.producer, err = unix.Mmap(events.FD(), int64(page), page+2*size, unix.PROT_READ, unix.MAP_SHARED); err != nil {
		return nil, errors.Join(fmt.Errorf("map data: %w", err), r.close())
	}
	if r.wakeFD, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		return nil, errors.Join(fmt.Errorf("make eventfd: %w", err), r.close())
	}
	r.data = r.producer[page:]
	return r, nil
}

// flush makes next return errFlushed after all records that were written before the call.
func (r *ring) flush() error {
	r.flushing.Store(true)
	return r.wake()
}

// stop makes next return os.ErrClosed.
func (r *ring) stop() error {
	r.stopping.Store(true)
	return r.wake()
}

// wake makes a waiting next return from its poll.
func (r *ring) wake() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.wakeFD < 0 {
		return os.ErrClosed
	}
	var once [8]byte
	binary.NativeEndian.PutUint64(once[:], 1)
	if _, err := unix.Write(r.wakeFD, once[:]); err != nil {
		return fmt.Errorf("write eventfd: %w", err)
	}
	return nil
}

// close releases the resources of newRing. No goroutine may call next anymore.
func (r *ring) close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	var errs []error
	for _, mapped := range [][]byte{r.consumer, r.producer} {
		if mapped != nil {
			errs = append(errs, unix.Munmap(mapped))
		}
	}
	if r.wakeFD >= 0 {
		errs = append(errs, unix.Close(r.wakeFD))
		r.wakeFD = -1
	}
	return errors.Join(errs...)
}

// How often next polls. Events that follow each other within 8 × 50 µs cost no wakeup, an idle reader takes no CPU
// time, and a record waits for at most 50 µs, because the process that it is about may soon end.
const (
	ringPollInterval = 50 * time.Microsecond
	ringIdlePolls    = 8                     // before the reader sleeps
	ringBusyInterval = 10 * time.Microsecond // while a program writes a record, which takes microseconds
)

// next waits for a record. The record is valid until the next call.
func (r *ring) next() ([]byte, error) {
	for {
		if r.stopping.Load() {
			return nil, os.ErrClosed
		}
		flushing := r.flushing.Load() // before the poll
		var err error
		switch {
		case r.written() != r.at:
			head := r.head()
			if head&ringBusy != 0 {
				err = r.wait(ringBusyInterval)
				break
			}
			r.commit() // all records before this one
			r.idlePolls = 0
			if record := r.advance(head); record != nil {
				return record, nil
			}
		case flushing:
			r.flushing.Store(false)
			return nil, errFlushed
		case r.interval != 0:
			r.commit()
			err = r.wait(r.interval)
		case r.idlePolls < ringIdlePolls:
			r.idlePolls++
			err = r.wait(ringPollInterval)
		default:
			r.commit() // all records: from here on the kernel wakes the reader
			if r.written() == r.at {
				err = r.sleep()
			}
		}
		if err != nil {
			return nil, fmt.Errorf("poll ring buffer: %w", err)
		}
	}
}

// unread returns the next record without waiting for one, or nil if there is none. The record is valid until commit. No
// goroutine may call next.
func (r *ring) unread() ([]byte, error) {
	for r.written() != r.at {
		head := r.head()
		if head&ringBusy != 0 {
			if err := r.wait(ringBusyInterval); err != nil {
				return nil, fmt.Errorf("poll ring buffer: %w", err)
			}
			continue
		}
		if record := r.advance(head); record != nil {
			return record, nil
		}
	}
	return nil, nil
}

// head returns the first word of the next record: its length and flags.
func (r *ring) head() uint32 {
	return atomic.LoadUint32((*uint32)(unsafe.Pointer(&r.data[r.at%uintptr(len(r.data)/2)])))
}

// advance moves past the next record, whose first word is head. It returns nil if the program has discarded the record.
func (r *ring) advance(head uint32) []byte {
	start, length := r.at%uintptr(len(r.data)/2), uintptr(head&^(ringBusy|ringDiscard))
	r.at += ringHeader + (length+7)&^7
	if head&ringDiscard != 0 {
		return nil
	}
	return r.data[start+ringHeader:][:length]
}

// written returns the kernel's position. This load and the store in commit are sequentially consistent, as the kernel's
// own accesses are.
func (r *ring) written() uintptr {
	return atomic.LoadUintptr((*uintptr)(unsafe.Pointer(&r.producer[0])))
}

// commit frees the space of all records before at.
func (r *ring) commit() {
	atomic.StoreUintptr((*uintptr)(unsafe.Pointer(&r.consumer[0])), r.at)
}

// wait returns after a timeout, or after wake.
func (r *ring) wait(d time.Duration) error {
	timeout := unix.NsecToTimespec(int64(d))
	return r.poll([]unix.PollFd{{Fd: int32(r.wakeFD), Events: unix.POLLIN}}, &timeout)
}

// sleep returns after the kernel has written a record, or after wake.
func (r *ring) sleep() error {
	return r.poll([]unix.PollFd{
		{Fd: int32(r.wakeFD), Events: unix.POLLIN},
		{Fd: int32(r.events.FD()), Events: unix.POLLIN},
	}, nil)
}

// poll waits until one of the descriptors is readable. The first one is wakeFD: it is reset.
func (r *ring) poll(fds []unix.PollFd, timeout *unix.Timespec) error {
	if _, err := unix.Ppoll(fds, timeout, nil); err != nil && err != unix.EINTR {
		return err
	}
	if fds[0].Revents != 0 {
		var n [8]byte
		if _, err := unix.Read(r.wakeFD, n[:]); err != nil && err != unix.EAGAIN && err != unix.EINTR {
			return err
		}
	}
	return nil
}
