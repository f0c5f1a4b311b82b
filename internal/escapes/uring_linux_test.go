package escapes

import (
	"fmt"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// From linux/io_uring.h.
const (
	uringSetupSQPoll = 1 << 1

	uringOpSendmsg = 9
	uringOpConnect = 16
	uringOpSend    = 26

	uringFixedFile = 1 << 0
	uringAsync     = 1 << 4

	uringEnterGetEvents = 1 << 0
	uringEnterWakeUp    = 1 << 1
	uringNeedsWakeUp    = 1 << 0
	uringRegisterFiles  = 2

	uringOffsetCQ  = 0x8000000
	uringOffsetSQE = 0x10000000
)

type uringParams struct {
	sqEntries, cqEntries, flags, cpu, idle, features, workQueue uint32
	_                                                           [3]uint32
	sq                                                          struct {
		head, tail, mask, entries, flags, dropped, array, _ uint32
		_                                                   uint64
	}
	cq struct {
		head, tail, mask, entries, overflow, cqes, flags, _ uint32
		_                                                   uint64
	}
}

type uringSQE struct {
	op, flags     uint8
	_             uint16
	fd            int32
	offset, addr  uint64
	length, opArg uint32
	userData      uint64
	_             [3]uint64
}

type uringCQE struct {
	userData uint64
	result   int32
	flags    uint32
}

// uring is an io_uring for a few requests, one at a time. Its files are registered, because a kernel thread before
// Linux 5.11 accepts no others.
type uring struct {
	fd           int
	flags        uint32
	params       uringParams
	sq, cq, sqes []byte
}

// newUring makes an io_uring with one registered file.
func newUring(flags uint32, file int) (*uring, error) {
	u := &uring{flags: flags}
	u.params.flags, u.params.idle = flags, 1000
	fd, _, errno := unix.Syscall(unix.SYS_IO_URING_SETUP, 4, uintptr(unsafe.Pointer(&u.params)), 0)
	switch errno {
	case 0:
	case unix.ENOSYS:
		return nil, none()
	case unix.EPERM:
		return nil, errNone{"it is switched off (kernel.io_uring_disabled)"}
	default:
		return nil, fmt.Errorf("make io_uring: %w", errno)
	}
	u.fd = int(fd)
	p := &u.params
	var err error
	for _, area := range []struct {
		where  *[]byte
		offset int64
		size   uint32
	}{
		{&u.sq, 0, p.sq.array + p.sqEntries*4},
		{&u.cq, uringOffsetCQ, p.cq.cqes + p.cqEntries*uint32(unsafe.Sizeof(uringCQE{}))},
		{&u.sqes, uringOffsetSQE, p.sqEntries * uint32(unsafe.Sizeof(uringSQE{}))},
	} {
		*area.where, err = unix.Mmap(u.fd, area.offset, int(area.size), unix.PROT_READ|unix.PROT_WRITE,
			unix.MAP_SHARED|unix.MAP_POPULATE)
		if err != nil {
			u.close()
			return nil, fmt.Errorf("map io_uring: %w", err)
		}
	}
	files := int32(file)
	if _, _, errno := unix.Syscall6(unix.SYS_IO_URING_REGISTER, fd, uringRegisterFiles, uintptr(unsafe.Pointer(&files)), 1,
		0, 0); errno != 0 {
		u.close()
		return nil, fmt.Errorf("register file: %w", errno)
	}
	return u, nil
}

func (u *uring) close() {
	for _, area := range [][]byte{u.sq, u.cq, u.sqes} {
		if area != nil {
			_ = unix.Munmap(area)
		}
	}
	_ = unix.Close(u.fd)
}

func at(area []byte, offset uint32) *uint32 { return (*uint32)(unsafe.Pointer(&area[offset])) }

// do submits one request, waits until it ends and returns its result.
func (u *uring) do(sqe uringSQE) (int, error) {
	tail := at(u.sq, u.params.sq.tail)
	index := *tail & *at(u.sq, u.params.sq.mask)
	sqe.flags |= uringFixedFile
	sqe.fd = 0 // an index of the registered files
	*(*uringSQE)(unsafe.Pointer(&u.sqes[index*uint32(unsafe.Sizeof(sqe))])) = sqe
	*at(u.sq, u.params.sq.array+index*4) = index
	atomic.AddUint32(tail, 1)
	submit, flags := uintptr(1), uintptr(uringEnterGetEvents)
	if u.flags&uringSetupSQPoll != 0 {
		submit = 0
		if atomic.LoadUint32(at(u.sq, u.params.sq.flags))&uringNeedsWakeUp != 0 {
			flags |= uringEnterWakeUp
		}
	}
	head := at(u.cq, u.params.cq.head)
	for atomic.LoadUint32(at(u.cq, u.params.cq.tail)) == *head {
		_, _, errno := unix.Syscall6(unix.SYS_IO_URING_ENTER, uintptr(u.fd), submit, 1, flags, 0, 0)
		if errno != 0 && errno != unix.EINTR {
			return 0, fmt.Errorf("enter io_uring: %w", errno)
		}
		submit = 0
	}
	cqe := (*uringCQE)(unsafe.Pointer(&u.cq[u.params.cq.cqes+(*head&*at(u.cq,
		u.params.cq.mask))*uint32(unsafe.Sizeof(uringCQE{}))]))
	result := cqe.result
	atomic.AddUint32(head, 1)
	if result < 0 {
		return 0, unix.Errno(-result)
	}
	return int(result), nil
}
