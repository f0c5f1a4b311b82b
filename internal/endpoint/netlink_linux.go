package endpoint

import (
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// errInterrupted means that the dumped list changed meanwhile, so that entries may be missing.
var errInterrupted = errors.New("it changes faster than it can be read")

// The maximum number of attempts.
const maxDumps = 100

// dump requests a list from the kernel (netlink(7)), and calls add with each message of it, without its header. If the
// kernel reports an interrupted dump, dump calls restart and tries again. An error means that entries may be missing.
func dump(protocol int, kind uint16, request []byte, restart func(), add func(message []byte)) error {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, protocol)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	order := binary.NativeEndian
	message := make([]byte, unix.NLMSG_HDRLEN, unix.NLMSG_HDRLEN+len(request))
	order.PutUint32(message[0:], uint32(unix.NLMSG_HDRLEN+len(request)))
	order.PutUint16(message[4:], kind)
	order.PutUint16(message[6:], unix.NLM_F_REQUEST|unix.NLM_F_DUMP)
	message = append(message, request...)
	for range maxDumps {
		if err := unix.Sendto(fd, message, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
			return err
		}
		if err := readDump(func(b []byte) (n, flags int, err error) {
			n, _, flags, _, err = unix.Recvmsg(fd, b, nil, 0)
			return n, flags, err
		}, add); !errors.Is(err, errInterrupted) {
			return err
		}
		restart()
	}
	return errInterrupted
}

// readDump reads the messages of one dump to its end.
func readDump(receive func([]byte) (n, flags int, err error), add func(message []byte)) error {
	order := binary.NativeEndian
	buffer := make([]byte, 64<<10)
	interrupted := false
	for {
		n, flags, err := receive(buffer)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return err
		}
		if flags&unix.MSG_TRUNC != 0 {
			return fmt.Errorf("messages of more than %d bytes", len(buffer))
		}
		for rest := buffer[:n]; len(rest) >= unix.NLMSG_HDRLEN; {
			length := int(order.Uint32(rest))
			if length < unix.NLMSG_HDRLEN || length > len(rest) {
				return fmt.Errorf("a message of %d bytes in %d", length, len(rest))
			}
			message := rest[unix.NLMSG_HDRLEN:length]
			interrupted = interrupted || order.Uint16(rest[6:])&unix.NLM_F_DUMP_INTR != 0
			switch order.Uint16(rest[4:]) {
			case unix.NLMSG_DONE, unix.NLMSG_ERROR: // the end of a dump may contain an error, too
				switch code := statusOf(message); {
				case code < 0:
					return unix.Errno(-code)
				case interrupted:
					return errInterrupted
				}
				return nil
			}
			add(message)
			rest = rest[min(len(rest), (length+3)&^3):]
		}
	}
}

// statusOf returns the number at the start of a dump's last message: 0, or a negative errno.
func statusOf(message []byte) int32 {
	if len(message) < 4 {
		return -int32(unix.EBADMSG)
	}
	return int32(binary.NativeEndian.Uint32(message))
}

// eachAttribute calls do with each attribute of a message, after the message's header.
func eachAttribute(message []byte, header int, do func(kind uint16, value []byte)) {
	order := binary.NativeEndian
	for rest := message[min(len(message), header):]; len(rest) >= 4; {
		length := int(order.Uint16(rest))
		if length < 4 || length > len(rest) {
			return
		}
		do(order.Uint16(rest[2:]), rest[4:length])
		rest = rest[min(len(rest), (length+3)&^3):]
	}
}
