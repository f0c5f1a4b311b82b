package probe

import (
	"encoding/binary"
	"runtime"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// From linux/userfaultfd.h.
const (
	uffdioAPI      = 0xc018aa3f
	uffdioRegister = 0xc020aa00
	uffdioZeropage = 0xc020aa04
	uffdAPI        = 0xaa
	uffdMissing    = 1
	uffdMessageLen = 32
)

// A stalledPage is memory that stops its readers, also within a system call, until release.
type stalledPage struct {
	t    *testing.T
	fd   int
	page []byte
}

func newStalledPage(t *testing.T) *stalledPage {
	t.Helper()
	fd, _, errno := unix.Syscall(unix.SYS_USERFAULTFD, unix.O_CLOEXEC, 0, 0)
	if errno != 0 {
		t.Fatalf("userfaultfd: %v", errno)
	}
	p := &stalledPage{t: t, fd: int(fd)}
	t.Cleanup(func() { unix.Close(p.fd) }) // releases all readers
	var err error
	p.page, err = unix.Mmap(-1, 0, unix.Getpagesize(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	check(t, err)
	t.Cleanup(func() { unix.Munmap(p.page) })
	api := [3]uint64{uffdAPI}
	p.ioctl(uffdioAPI, unsafe.Pointer(&api))
	at, length := uint64(uintptr(unsafe.Pointer(&p.page[0]))), uint64(len(p.page))
	register := [4]uint64{at, length, uffdMissing}
	p.ioctl(uffdioRegister, unsafe.Pointer(&register))
	return p
}

func (p *stalledPage) ioctl(request uintptr, argument unsafe.Pointer) {
	p.t.Helper()
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(p.fd), request, uintptr(argument)); errno != 0 {
		p.t.Fatalf("ioctl %#x of a userfaultfd: %v", request, errno)
	}
}

// await returns once a reader is stopped.
func (p *stalledPage) await() {
	p.t.Helper()
	message := make([]byte, uffdMessageLen)
	for {
		_, err := unix.Read(p.fd, message)
		if err == unix.EINTR {
			continue
		}
		check(p.t, err)
		break
	}
	at, page := binary.NativeEndian.Uint64(message[16:]), uint64(uintptr(unsafe.Pointer(&p.page[0])))
	if at&^uint64(len(p.page)-1) != page {
		p.t.Fatalf("stopped at %#x, not at the page", at)
	}
}

// release lets the stopped reader continue. The page reads as zeros.
func (p *stalledPage) release() {
	p.t.Helper()
	zero := [4]uint64{uint64(uintptr(unsafe.Pointer(&p.page[0]))), uint64(len(p.page))}
	p.ioctl(uffdioZeropage, unsafe.Pointer(&zero))
}

// sendLate makes another thread send one byte to an address, and returns once the thread has named the address. leave
// makes the byte leave, and returns afterwards.
func sendLate(t *testing.T, fd int, to unix.Sockaddr) (leave func()) {
	t.Helper()
	p := newStalledPage(t)
	sent := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // so that no other goroutine makes calls on it
		defer runtime.UnlockOSThread()
		sent <- unix.Sendto(fd, p.page[:1], 0, to)
	}()
	p.await()
	return func() {
		t.Helper()
		p.release()
		check(t, <-sent)
	}
}
