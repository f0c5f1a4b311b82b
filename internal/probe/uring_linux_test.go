package probe

import (
	"fmt"
	"net/netip"
	"runtime"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// Of io_uring(7), linux/io_uring.h.
const (
	uringConnect    = 16 // IORING_OP_CONNECT
	uringSend       = 26 // IORING_OP_SEND
	uringGetEvents  = 1  // IORING_ENTER_GETEVENTS
	uringWakeup     = 2  // IORING_ENTER_SQ_WAKEUP
	uringPolls      = 2  // IORING_SETUP_SQPOLL
	uringAsync      = 16 // IOSQE_ASYNC
	uringEntries    = 0x10000000
	uringCompletion = 0x8000000
)

type uringParams struct {
	entries, completions, flags, cpu, idle, features, wq uint32
	reserved                                             [3]uint32
	sq                                                   struct {
		head, tail, mask, entries, flags, dropped, array, reserved uint32
		user                                                       uint64
	}
	cq struct {
		head, tail, mask, entries, overflow, cqes, flags, reserved uint32
		user                                                       uint64
	}
}

type uringEntry struct {
	opcode, flags   uint8
	priority        uint16
	fd              int32
	offset, address uint64
	length, options uint32
	user            uint64
	_               [3]uint64
}

// uring runs one operation by io_uring: on a polling kernel thread, on a worker, or in the call itself.
func uring(setup uint32, e uringEntry) (result int32, err error) {
	p := uringParams{flags: setup, idle: 1000}
	fd, _, errno := unix.Syscall(unix.SYS_IO_URING_SETUP, 2, uintptr(unsafe.Pointer(&p)), 0)
	if errno != 0 {
		return 0, errno
	}
	defer unix.Close(int(fd))
	read := unix.PROT_READ | unix.PROT_WRITE
	sq, err := unix.Mmap(int(fd), 0, int(p.sq.array+p.entries*4), read, unix.MAP_SHARED|unix.MAP_POPULATE)
	if err != nil {
		return 0, err
	}
	defer unix.Munmap(sq)
	const shared = unix.MAP_SHARED | unix.MAP_POPULATE
	cq, err := unix.Mmap(int(fd), uringCompletion, int(p.cq.cqes+p.completions*16), read, shared)
	if err != nil {
		return 0, err
	}
	defer unix.Munmap(cq)
	entries, err := unix.Mmap(int(fd), uringEntries, int(p.entries)*64, read, unix.MAP_SHARED|unix.MAP_POPULATE)
	if err != nil {
		return 0, err
	}
	defer unix.Munmap(entries)
	word := func(b []byte, at uint32) *uint32 { return (*uint32)(unsafe.Pointer(&b[at])) }
	*(*uringEntry)(unsafe.Pointer(&entries[0])) = e
	*word(sq, p.sq.array) = 0
	atomic.AddUint32(word(sq, p.sq.tail), 1)
	flags, submit := uintptr(uringGetEvents), uintptr(1)
	if setup&uringPolls != 0 {
		flags |= uringWakeup
	}
	for deadline := time.Now().Add(patience); atomic.LoadUint32(word(cq, p.cq.tail)) == 0; submit = 0 {
		_, _, errno := unix.Syscall6(unix.SYS_IO_URING_ENTER, fd, submit, 1, flags, 0, 0)
		if errno != 0 && errno != unix.EINTR {
			return 0, errno
		}
		if time.Now().After(deadline) {
			return 0, fmt.Errorf("io_uring: no completion")
		}
	}
	return *(*int32)(unsafe.Pointer(&cq[p.cq.cqes+8])), nil
}

// The sending task may be a worker or a polling thread.
func TestIOUring_SubmissionsAreFlows(t *testing.T) {
	r := newRig(t, Sizes{})
	others := r.sibling("others")
	release, err := Release()
	check(t, err)
	version, _ := parseRelease(release)
	inProcess := !version.Less(Version{5, 12}) // its threads belong to the process, no longer to the kernel
	for _, row := range []struct {
		reason string
		setup  uint32
		flags  uint8
	}{
		{"in the call", 0, 0},
		{"by a worker", 0, uringAsync},
		{"by a thread that polls", uringPolls, 0},
		{"by a worker of a thread that polls", uringPolls, uringAsync},
	} {
		t.Run(row.reason, func(t *testing.T) {
			do := func(e uringEntry) {
				t.Helper()
				e.flags = row.flags
				result, err := uring(row.setup, e)
				if err == unix.ENOSYS || err == unix.EPERM || result == -int32(unix.EBADF) && row.setup == uringPolls {
					t.Skip("the kernel has no io_uring, or polls for registered files only, as before 5.11")
				}
				check(t, err)
				if result < 0 {
					t.Fatalf("operation %d: %v", e.opcode, unix.Errno(-result))
				}
			}
			expect := func(want string) {
				t.Helper()
				if diff := cmp.Diff([]string{want}, r.flows()); diff != "" {
					t.Errorf("flows (-want +got):\n%s", diff)
				}
			}
			_, err := r.NextGeneration()
			check(t, err)
			payload := echoRequest
			send := func(fd int) {
				do(uringEntry{opcode: uringSend, fd: int32(fd), length: uint32(len(payload)),
					address: uint64(uintptr(unsafe.Pointer(&payload[0])))})
			}
			fd, ok, err := socketKinds[0].open()
			if err != nil || !ok {
				t.Fatal(err)
			}
			defer unix.Close(fd)
			r.clear()
			send(fd)
			expect(socketKinds[0].want)

			if row.setup == 0 && row.flags == 0 || inProcess {
				given, _ := others.given("raw-icmp")
				check(t, unix.Connect(given, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
				r.clear()
				send(given)
				expect("ICMP 127.0.0.1:8 x1")
			}

			to := listen(t, "tcp4", "127.0.0.1:0")
			stream, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
			check(t, err)
			defer unix.Close(stream)
			address := &unix.RawSockaddrInet4{Family: unix.AF_INET, Port: to.Port()<<8 | to.Port()>>8, Addr: to.Addr().As4()}
			var pinner runtime.Pinner
			pinner.Pin(address)
			defer pinner.Unpin()
			r.clear()
			do(uringEntry{opcode: uringConnect, fd: int32(stream), address: uint64(uintptr(unsafe.Pointer(address))),
				offset: uint64(unsafe.Sizeof(*address))})
			expect(text(flow.TCP, netip.AddrPortFrom(to.Addr(), to.Port()), 1))
		})
	}
	r.mustLoseNothing()
}
