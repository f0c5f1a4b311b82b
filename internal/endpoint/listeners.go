package endpoint

import (
	"net/netip"
	"slices"

	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// listening is the result for one address. The zero value means that no process listens.
type listening struct {
	Owners  []Owner  // sorted by PID; several with fork, descriptor passing and SO_REUSEPORT
	Unknown bool     // a socket listens there without a visible owner: another user's, a hidden process, or the kernel
	Hidden  []uint64 // the inodes of these sockets
}

// listenerTable has the reachable sockets of one network namespace at the time of reading, for a batch of flows. It
// finds owners on demand, and reads the descriptors of each process at most once. It is not safe for concurrent use.
type listenerTable struct {
	pid      int
	tcp, udp socketTable
	owners   map[uint64][]int // processes by the inode of a socket that they have open
	scanned  map[int]bool     // the processes with their descriptors in owners
}

// readListeners reads the sockets of a process's network namespace, or of this process's if that process is gone. pid 0
// is this process.
func readListeners(pid int) (*listenerTable, error) {
	tcp, udp, err := readSockets(pid)
	if err != nil {
		return nil, err
	}
	return &listenerTable{pid: pid, tcp: tcp, udp: udp, owners: make(map[uint64][]int), scanned: make(map[int]bool)}, nil
}

// At returns the listeners at an address of TCP or UDP; none for other protocols. For UDP, bound sockets listen.
//
// It checks the likely processes first, and all others only for sockets that no likely process has open: for a socket
// that likely and other processes share it returns the likely ones only.
func (l *listenerTable) At(protocol flow.Protocol, addr netip.Addr, port uint16, likely ...int) listening {
	inodes := l.table(protocol).reachedAt(normal(addr), port)
	if len(inodes) == 0 {
		return listening{}
	}
	for _, pid := range likely {
		l.scan(pid)
	}
	if l.anyUnowned(inodes) {
		all, _ := processes() // a missing process leaves a socket without an owner: Unknown
		for _, pid := range all {
			l.scan(pid)
		}
	}
	var found listening
	for _, pid := range l.ownersOf(inodes) {
		// A process that has ended since has no name and listens no more.
		if name, err := processName(pid); err == nil {
			found.Owners = append(found.Owners, Owner{pid, name})
		}
	}
	if found.Unknown = len(found.Owners) == 0 && l.stillReached(protocol, inodes); found.Unknown {
		found.Hidden = inodes
	}
	return found
}

func (l *listenerTable) table(protocol flow.Protocol) socketTable {
	switch protocol {
	case flow.TCP:
		return l.tcp
	case flow.UDP:
		return l.udp
	}
	return nil
}

// scan records the sockets of a process, once.
func (l *listenerTable) scan(pid int) {
	if pid == 0 || l.scanned[pid] {
		return
	}
	l.scanned[pid] = true
	for _, inode := range socketsOf(pid) {
		if !slices.Contains(l.owners[inode], pid) { // a process may have several descriptors of one socket
			l.owners[inode] = append(l.owners[inode], pid)
		}
	}
}

func (l *listenerTable) anyUnowned(inodes []uint64) bool {
	return slices.ContainsFunc(inodes, func(inode uint64) bool { return len(l.owners[inode]) == 0 })
}

func (l *listenerTable) ownersOf(inodes []uint64) []int {
	var pids []int
	for _, inode := range inodes {
		pids = append(pids, l.owners[inode]...)
	}
	slices.Sort(pids)
	return slices.Compact(pids)
}

// stillReached distinguishes a socket with an invisible owner from one that was closed before its owner was looked up.
func (l *listenerTable) stillReached(protocol flow.Protocol, inodes []uint64) bool {
	tcp, udp, err := readSockets(l.pid)
	if err != nil {
		return true
	}
	now := (&listenerTable{tcp: tcp, udp: udp}).table(protocol)
	for _, sockets := range now {
		if slices.ContainsFunc(sockets, func(s socket) bool { return slices.Contains(inodes, s.inode) }) {
			return true
		}
	}
	return false
}
