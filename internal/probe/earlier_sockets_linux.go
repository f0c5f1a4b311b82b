package probe

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"strings"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/netzero-dev/netzero/bpf"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// TrackSockets adds the sockets that a process opened before its cgroup was in scope. A socket that is not a TCP stream
// belongs to the cgroup in which it was created, so it is put in scope, with its destination if it is connected. Bound
// datagram sockets and TCP listeners are delivered as [BindEvent]. A TCP connection that the process initiated becomes
// a flow once it sends (see [Key.Connection]). netns is the cookie of the process's network namespace, used if the
// kernel does not return the socket's.
func (p *Probe) TrackSockets(pid int, cgroup, netns uint64, initiator Initiator) error {
	return p.trackSockets(pid, cgroup, netns, initiator, ebpf.UpdateNoExist)
}

// RenewSockets is TrackSockets for a process that was in scope before: what the programs know about its sockets is
// replaced.
func (p *Probe) RenewSockets(pid int, cgroup, netns uint64, initiator Initiator) error {
	return p.trackSockets(pid, cgroup, netns, initiator, ebpf.UpdateAny)
}

func (p *Probe) trackSockets(
	pid int, cgroup, netns uint64, initiator Initiator, update ebpf.MapUpdateFlags,
) error {
	err := eachSocket(pid, func(fd int) error { return p.trackSocket(fd, cgroup, netns, initiator, update) })
	if err != nil {
		return fmt.Errorf("track earlier sockets: %w", err)
	}
	return nil
}

// eachSocket calls do with a descriptor of every socket that a process holds, and closes the descriptor afterwards. It
// does nothing if the process has exited.
func eachSocket(pid int, do func(fd int) error) error {
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ESRCH) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read sockets of process %d: %w", pid, err)
	}
	process, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read sockets of process %d: %w", pid, err)
	}
	defer unix.Close(process)
	for _, entry := range entries {
		number, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		to, err := os.Readlink(dir + "/" + entry.Name())
		if errors.Is(err, os.ErrPermission) { // root without CAP_SYS_PTRACE may list descriptors and not follow them
			return fmt.Errorf("read sockets of process %d: %w", pid, err)
		}
		if !strings.HasPrefix(to, "socket:") {
			continue
		}
		fd, err := unix.PidfdGetfd(process, number, 0)
		if errors.Is(err, unix.EBADF) || errors.Is(err, unix.ESRCH) {
			continue // closed in between
		}
		if err != nil {
			return fmt.Errorf("read socket %d of process %d: %w", number, pid, err)
		}
		err = do(fd)
		unix.Close(fd)
		if err != nil {
			return fmt.Errorf("socket %d of process %d: %w", number, pid, err)
		}
	}
	return nil
}

// trackSocket adds one socket, if it is an IP socket.
func (p *Probe) trackSocket(
	fd int, cgroup, netns uint64, initiator Initiator, update ebpf.MapUpdateFlags,
) error {
	number, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PROTOCOL)
	if err != nil {
		return nil // closed in between, or not a socket
	}
	family, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DOMAIN)
	if err != nil || family != unix.AF_INET && family != unix.AF_INET6 { // other families have other protocol numbers
		return nil
	}
	kind, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
	if err != nil {
		return nil
	}
	protocol := flow.Protocol(number)
	if kind == unix.SOCK_RAW || protocol.IsICMP() || protocol == flow.SCTP {
		return p.putInScope(fd, bpf.RecordSocket{Cgroup: cgroup}, update)
	}
	switch protocol {
	case flow.TCP:
		if listens, _ := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN); listens != 0 {
			p.reportBind(fd, cgroup, netns, protocol, initiator)
			return nil
		}
		const resolver = 53 // queries on the stream are read
		if name, err := unix.Getpeername(fd); err == nil {
			if remote, ok := addrPort(name); ok && remote.Port() == resolver {
				if err := p.trackConnected(fd, cgroup, netns, protocol, initiator, update); err != nil {
					return err
				}
			}
		}
		return p.trackConnection(fd, cgroup, netns, initiator, update)
	case flow.UDP, flow.UDPLite:
		p.reportBind(fd, cgroup, netns, protocol, initiator)
		return p.trackConnected(fd, cgroup, netns, protocol, initiator, update)
	}
	return nil
}

// reportBind delivers the event that the bind hook would have sent.
func (p *Probe) reportBind(fd int, cgroup, netns uint64, protocol flow.Protocol, initiator Initiator) {
	name, err := unix.Getsockname(fd)
	if err != nil {
		return
	}
	local, ok := addrPort(name)
	if !ok || local.Port() == 0 {
		return
	}
	p.queue.add(&BindEvent{
		Key:       Key{Cgroup: cgroup, Netns: netnsOf(fd, netns), Addr: local.Addr(), Port: local.Port(), Protocol: protocol},
		Initiator: initiator,
	})
}

// netnsOf returns the cookie of a socket's network namespace. Before Linux 5.14 the kernel does not return it: then it
// is that of the process that holds the socket.
func netnsOf(fd int, ofProcess uint64) uint64 {
	if cookie, err := unix.GetsockoptUint64(fd, unix.SOL_SOCKET, unix.SO_NETNS_COOKIE); err == nil {
		return cookie
	}
	return ofProcess
}

// trackConnected puts a socket in scope, with the destination to which it is connected, if any.
func (p *Probe) trackConnected(
	fd int, cgroup, netns uint64, protocol flow.Protocol, initiator Initiator, update ebpf.MapUpdateFlags,
) error {
	s := bpf.RecordSocket{Cgroup: cgroup}
	if name, err := unix.Getpeername(fd); err == nil {
		remote, ok := addrPort(name)
		if !ok {
			return nil
		}
		s.Connected = keyTo(Key{
			Cgroup: cgroup, Netns: netnsOf(fd, netns), Addr: remote.Addr(), Port: remote.Port(), Protocol: protocol,
		})
		s.ConnectedBy.Pid = uint32(initiator.PID)
		copy(s.ConnectedBy.Comm[:len(s.ConnectedBy.Comm)-1], initiator.Comm)
		copy(s.ConnectedBy.Executable[:len(s.ConnectedBy.Executable)-1], initiator.Executable)
	}
	return p.putInScope(fd, s, update)
}

// putInScope assigns a socket to a cgroup. With [ebpf.UpdateNoExist] it does nothing if the programs have done so.
func (p *Probe) putInScope(fd int, s bpf.RecordSocket, update ebpf.MapUpdateFlags) error {
	if err := p.objects.Sockets.Update(int32(fd), s, update); err != nil && !errors.Is(err, ebpf.ErrKeyExist) {
		return err
	}
	return nil
}

// addrPort returns the address of an IP socket, unmapped.
func addrPort(s unix.Sockaddr) (netip.AddrPort, bool) {
	switch s := s.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(s.Addr), uint16(s.Port)), true
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(s.Addr).Unmap(), uint16(s.Port)), true
	}
	return netip.AddrPort{}, false
}
