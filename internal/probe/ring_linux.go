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

// ring reads the kernel's ring buffer, by one goroutine, and keeps the kernel from waking that for every event.
//
// To wake somebody costs the program, and so the test's system call, several microseconds. The kernel does it where a
// record is the first one that the reader has not given back. So as long as the reader is awake it keeps the last one that
// it has read, and looks for more from time to time; before it sleeps it gives that back too, and then looks once more:
// either it sees a record that comes now, or who writes that sees that nothing is left, and wakes it.
type ring struct {
	events    *ebpf.Map
	consumer  []byte // the page that holds how far we have read
	producer  []byte // the one that holds how far the kernel has written, and the data, twice
	data      []byte
	at        uintptr // which record is the next one
	idlePolls int     // how often nothing was there
	flushing  atomic.Bool
	stopping  atomic.Bool

	mu     sync.Mutex
	wakeFD int // an eventfd; -1 once it is closed
}

var errFlushed = errors.New("ring buffer flushed")

const (
	ringHeader       = 8
	ringBusy         = 1 << 31
	ringDiscard      = 1 << 30
	ringPollInterval = 50 * time.Microsecond // between looks
	ringIdlePolls    = 8                     // after which nothing is to be expected
	ringBusyInterval = 10 * time.Microsecond // in which a program gets a record done
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

// flush makes next return errFlushed once all that was written before the call has been read.
func (r *ring) flush() error {
	r.flushing.Store(true)
	return r.wake()
}

// stop makes next return os.ErrClosed.
func (r *ring) stop() error {
	r.stopping.Store(true)
	return r.wake()
}

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

// close gives back what newRing took, when nobody calls next any more.
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

// next waits for a record, which stays where it is until the next call.
func (r *ring) next() ([]byte, error) {
	for {
		if r.stopping.Load() {
			return nil, os.ErrClosed
		}
		flushing := r.flushing.Load() // before we look
		var err error
		switch {
		case r.written() != r.at:
			start := r.at % uintptr(len(r.data)/2)
			head := atomic.LoadUint32((*uint32)(unsafe.Pointer(&r.data[start])))
			if head&ringBusy != 0 {
				err = r.wait(ringBusyInterval)
				break
			}
			length := uintptr(head &^ (ringBusy | ringDiscard))
			r.commit() // all before this one
			r.at += ringHeader + (length+7)&^7
			r.idlePolls = 0
			if head&ringDiscard == 0 {
				return r.data[start+ringHeader:][:length], nil
			}
		case flushing:
			r.flushing.Store(false)
			return nil, errFlushed
		case r.idlePolls < ringIdlePolls:
			r.idlePolls++
			err = r.wait(ringPollInterval)
		default:
			r.commit() // all: from here on the kernel wakes us
			if r.written() == r.at {
				err = r.sleep()
			}
		}
		if err != nil {
			return nil, fmt.Errorf("poll ring buffer: %w", err)
		}
	}
}

// written returns where the kernel writes next. This and commit are ordered as the kernel's own accesses are, each of
// them against all others.
func (r *ring) written() uintptr {
	return atomic.LoadUintptr((*uintptr)(unsafe.Pointer(&r.producer[0])))
}

// commit lets the kernel have the room of all records before at.
func (r *ring) commit() {
	atomic.StoreUintptr((*uintptr)(unsafe.Pointer(&r.consumer[0])), r.at)
}

// wait returns after some time, or when the bell rings.
func (r *ring) wait(d time.Duration) error {
	timeout := unix.NsecToTimespec(int64(d))
	return r.poll([]unix.PollFd{{Fd: int32(r.wakeFD), Events: unix.POLLIN}}, &timeout)
}

// sleep returns when the kernel has written, or the bell rings.
func (r *ring) sleep() error {
	return r.poll([]unix.PollFd{
		{Fd: int32(r.wakeFD), Events: unix.POLLIN},
		{Fd: int32(r.events.FD()), Events: unix.POLLIN},
	}, nil)
}

func (r *ring) poll(wakeFDFirst []unix.PollFd, timeout *unix.Timespec) error {
	if _, err := unix.Ppoll(wakeFDFirst, timeout, nil); err != nil && err != unix.EINTR {
		return err
	}
	if wakeFDFirst[0].Revents != 0 {
		var n [8]byte
		if _, err := unix.Read(r.wakeFD, n[:]); err != nil && err != unix.EAGAIN && err != unix.EINTR {
			return err
		}
	}
	return nil
}
