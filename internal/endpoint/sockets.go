package endpoint

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// socket is one row of the kernel's table of reachable sockets: a listening one (TCP) or a bound one (UDP).
type socket struct {
	local     netip.AddrPort // never IPv4-mapped
	connected bool           // UDP only: it receives from one peer
	inode     uint64
}

// The states of /proc/net/{tcp,udp}, from the kernel's include/net/tcp_states.h.
const (
	stateEstablished = "01" // a connected UDP socket
	stateClose       = "07" // an unconnected UDP socket
	stateListen      = "0A"
)

// parseSocket parses a row of /proc/net/{tcp,tcp6,udp,udp6}. ok is false for the heading and for a socket that is not
// reachable, such as an established connection.
//
//	sl  local_address rem_address   st tx_queue:rx_queue tr:tm->when retrnsmt uid timeout inode …
//	 0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000   0       0 26217 …
func parseSocket(row string, udp bool) (s socket, ok bool, err error) {
	f := strings.Fields(row)
	if len(f) < 10 {
		return socket{}, false, fmt.Errorf("parse socket row %q: %d columns instead of 10 or more", row, len(f))
	}
	switch state := f[3]; {
	case f[0] == "sl":
		return socket{}, false, nil
	case !udp && state != stateListen, udp && state != stateEstablished && state != stateClose:
		return socket{}, false, nil
	}
	if s.local, err = parseSocketAddr(f[1]); err != nil {
		return socket{}, false, fmt.Errorf("parse socket row %q: local address: %w", row, err)
	}
	remote, err := parseSocketAddr(f[2])
	if err != nil {
		return socket{}, false, fmt.Errorf("parse socket row %q: remote address: %w", row, err)
	}
	s.connected = remote.Port() != 0 || !remote.Addr().IsUnspecified()
	if s.inode, err = strconv.ParseUint(f[9], 10, 64); err != nil {
		return socket{}, false, fmt.Errorf("parse socket row %q: inode: %w", row, err)
	}
	return s, true, nil
}

// parseSocketAddr parses "0100007F:1F90". The kernel keeps the address in network order, and prints each 32-bit word of
// it as a number in the machine's order. The port is a plain number.
func parseSocketAddr(s string) (netip.AddrPort, error) {
	words, port, _ := strings.Cut(s, ":")
	raw, err := hex.DecodeString(words)
	if err != nil {
		return netip.AddrPort{}, err
	}
	if len(raw) != 4 && len(raw) != 16 {
		return netip.AddrPort{}, fmt.Errorf("%q has %d bytes", words, len(raw))
	}
	for i := 0; i < len(raw); i += 4 {
		binary.NativeEndian.PutUint32(raw[i:], binary.BigEndian.Uint32(raw[i:]))
	}
	n, err := strconv.ParseUint(port, 16, 16)
	if err != nil {
		return netip.AddrPort{}, err
	}
	addr, _ := netip.AddrFromSlice(raw)
	return netip.AddrPortFrom(addr.Unmap(), uint16(n)), nil
}

// socketTable contains the sockets of one protocol by port.
type socketTable map[uint16][]socket

// reachedAt returns the inodes of the sockets that a packet to the address reaches according to the table: all that are
// bound to the best-matching address, several with SO_REUSEPORT. The kernel prefers an exact address to a wildcard. The
// table does not show IPV6_V6ONLY, so [::] is taken to serve IPv4 too if no IPv4 socket does. Only its peer reaches a
// connected UDP socket, so it comes last.
func (t socketTable) reachedAt(addr netip.Addr, port uint16) []uint64 {
	best, inodes := 0, []uint64(nil)
	for _, s := range t[port] {
		rank := s.match(addr)
		if rank == 0 || rank < best {
			continue
		}
		if rank > best {
			best, inodes = rank, nil
		}
		inodes = append(inodes, s.inode)
	}
	return inodes
}

// match ranks how well a socket's address matches a destination; 0 for not at all.
func (s socket) match(addr netip.Addr) int {
	var rank int
	switch local := s.local.Addr(); {
	case local == addr:
		rank = 3
	case local.IsUnspecified() && local.Is4() == addr.Is4():
		rank = 2
	case local.IsUnspecified() && addr.Is4():
		rank = 1
	default:
		return 0
	}
	if s.connected {
		return rank
	}
	return rank + 3
}
