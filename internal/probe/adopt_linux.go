package probe

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/netzero-dev/netzero/bpf"
	"github.com/netzero-dev/netzero/internal/flow"
)

// AdoptSockets puts the UDP sockets in scope that a process had before its cgroup came into scope: those belong to the
// cgroup in which they were made, and what they are connected to was told before anybody listened. opener is who is
// said to use them.
func (p *Probe) AdoptSockets(pid int, cgroup uint64, opener Opener) error {
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("adopt sockets of process %d: %w", pid, err)
	}
	process, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("adopt sockets of process %d: %w", pid, err)
	}
	defer unix.Close(process)
	for _, entry := range entries {
		number, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		if to, _ := os.Readlink(dir + "/" + entry.Name()); !strings.HasPrefix(to, "socket:") {
			continue
		}
		fd, err := unix.PidfdGetfd(process, number, 0)
		if errors.Is(err, unix.EBADF) || errors.Is(err, unix.ESRCH) {
			continue // closed meanwhile
		}
		if err != nil {
			return fmt.Errorf("adopt socket %d of process %d: %w", number, pid, err)
		}
		err = p.adopt(fd, cgroup, opener)
		unix.Close(fd)
		if err != nil {
			return fmt.Errorf("adopt socket %d of process %d: %w", number, pid, err)
		}
	}
	return nil
}

// adopt puts a socket in scope, if it is one of UDP over IP.
func (p *Probe) adopt(fd int, cgroup uint64, opener Opener) error {
	protocol, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PROTOCOL)
	if err != nil || flow.Protocol(protocol) != flow.UDP && flow.Protocol(protocol) != flow.UDPLite {
		return nil
	}
	s := bpf.RecordSocket{Cgroup: cgroup}
	remote, err := unix.Getpeername(fd)
	if err == nil {
		var port int
		switch remote := remote.(type) {
		case *unix.SockaddrInet4:
			s.Connected.Addr = [16]byte{10: 0xff, 11: 0xff, 12: remote.Addr[0], 13: remote.Addr[1], 14: remote.Addr[2], 15: remote.Addr[3]}
			port = remote.Port
		case *unix.SockaddrInet6:
			s.Connected.Addr = remote.Addr
			port = remote.Port
		default:
			return nil
		}
		s.Connected.Cgroup = cgroup
		s.Connected.Port = uint16(port)
		s.Connected.Protocol = uint8(protocol)
		s.Connected.Family = 6
		if isIPv4(s.Connected.Addr) {
			s.Connected.Family = 4
		}
		s.ConnectedBy.Pid = uint32(opener.PID)
		copy(s.ConnectedBy.Comm[:len(s.ConnectedBy.Comm)-1], opener.Comm)
	}
	if err := p.objects.Sockets.Update(int32(fd), s, ebpf.UpdateNoExist); err != nil && !errors.Is(err, ebpf.ErrKeyExist) {
		return err
	}
	return nil
}

func isIPv4(addr [16]byte) bool {
	return [12]byte(addr[:12]) == [12]byte{10: 0xff, 11: 0xff}
}
