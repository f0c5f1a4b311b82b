package probe

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/netzero-dev/netzero/bpf"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// States of a TCP socket, from include/net/tcp_states.h of the kernel.
const (
	tcpEstablished = 1
	tcpSynSent     = 2
	tcpCloseWait   = 8
)

// isInitiator reports whether a TCP socket has connected, rather than accepted, and may still send.
//
// The kernel counts acknowledged bytes, and includes the SYN of a socket that connects (RFC 4898,
// tcpEStatsAppHCThruOctetsAcked). So they exceed the payload that was sent and acknowledged by one.
func isInitiator(fd int) bool {
	for range maxReadings {
		before, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
		if err != nil {
			return false
		}
		switch {
		case before.State == tcpSynSent:
			return true
		case before.State != tcpEstablished && before.State != tcpCloseWait && before.Notsent_bytes == 0:
			return false
		}
		queued, err := unix.IoctlGetInt(fd, unix.SIOCOUTQ) // not acknowledged, sent or not
		if err != nil {
			return false
		}
		after, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
		if err != nil {
			return false
		}
		if before.Bytes_acked == after.Bytes_acked && before.Bytes_sent == after.Bytes_sent &&
			before.Bytes_retrans == after.Bytes_retrans && before.Notsent_bytes == after.Notsent_bytes {
			inFlight := uint64(queued) - uint64(before.Notsent_bytes)
			return before.Bytes_acked+inFlight != before.Bytes_sent-before.Bytes_retrans
		}
	}
	return true // it never pauses: better one flow too many than one too few
}

// maxReadings limits the attempts to read a socket's counters without a change in between.
const maxReadings = 1000

// TrackConnections is [Probe.TrackSockets] for the TCP connections that a process initiated, without its other sockets.
func (p *Probe) TrackConnections(pid int, cgroup, netns uint64, initiator Initiator) error {
	err := eachSocket(pid, func(fd int) error {
		protocol, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PROTOCOL)
		if err != nil || protocol != int(flow.TCP) {
			return nil
		}
		return p.trackConnection(fd, cgroup, netns, initiator, ebpf.UpdateNoExist)
	})
	if err != nil {
		return fmt.Errorf("track earlier connections: %w", err)
	}
	return nil
}

// trackConnection makes an earlier TCP connection of the process a flow once it sends.
func (p *Probe) trackConnection(
	fd int, cgroup, netns uint64, initiator Initiator, update ebpf.MapUpdateFlags,
) error {
	if !isInitiator(fd) {
		return nil
	}
	key := Key{Cgroup: cgroup, Netns: netnsOf(fd, netns), Protocol: flow.TCP}
	if name, err := unix.Getpeername(fd); err == nil { // else it is connecting, and its packets have the address
		if remote, ok := addrPort(name); ok {
			key.Addr, key.Port = remote.Addr(), remote.Port()
		}
	}
	c := bpf.RecordConnection{Key: keyTo(key), Pid: uint32(initiator.PID)}
	err := p.objects.Connections.Update(int32(fd), c, update)
	if err != nil && !errors.Is(err, ebpf.ErrKeyExist) {
		return err
	}
	return nil
}

// Connections returns the TCP connections that a process holds and that tasks in scope opened; none if the process has
// exited.
func (p *Probe) Connections(pid int) ([]Connection, error) {
	var found []Connection
	err := eachSocket(pid, func(fd int) error {
		protocol, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PROTOCOL)
		if err != nil || protocol != int(flow.TCP) {
			return nil
		}
		var c bpf.RecordConnection
		if err := p.objects.Connections.Lookup(int32(fd), &c); errors.Is(err, ebpf.ErrKeyNotExist) {
			return nil
		} else if err != nil {
			return fmt.Errorf("look up connection: %w", err)
		}
		cookie, err := unix.GetsockoptUint64(fd, unix.SOL_SOCKET, unix.SO_COOKIE)
		if err != nil {
			return fmt.Errorf("read cookie of connection: %w", err)
		}
		found = append(found, Connection{ID: cookie, Key: keyOf(c.Key), Hint: c.Hint, PID: int(c.Pid)})
		return nil
	})
	return found, err
}
