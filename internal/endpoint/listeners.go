package endpoint

import (
	"net/netip"
	"slices"

	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// Listening says who listens at one address. The zero value is nobody.
type Listening struct {
	Owners  []Owner // sorted by PID; several with fork, descriptor passing and SO_REUSEPORT
	Unknown bool    // a socket listens there, of which no owner was found: another user's, a hidden one, or the kernel's
}

// Listeners are the sockets of one network namespace that could be reached when they were read, for a batch of flows.
// It finds out whose they are as it is asked, and reads the descriptors of no process twice. It is not safe for
// concurrent use.
type Listeners struct {
	pid      int
	tcp, udp socketTable
	owners   map[uint64][]int // processes by the inode of a socket that they hold
	scanned  map[int]bool     // the processes whose descriptors are in owners
}

// ReadListeners reads the sockets of a process's network namespace, or of this process's where that process is gone.
// pid 0 is this process.
func ReadListeners(pid int) (*Listeners, error) {
	tcp, udp, err := readSockets(pid)
	if err != nil {
		return nil, err
	}
	return &Listeners{pid: pid, tcp: tcp, udp: udp, owners: make(map[uint64][]int), scanned: make(map[int]bool)}, nil
}

// At returns who listens at an address of TCP or UDP; nobody does of other protocols. For UDP, who is bound listens.
//
// It looks at the likely processes first, and at all others only for sockets that none of the likely ones holds: a
// socket that likely and other processes share shows the likely ones only.
func (l *Listeners) At(protocol flow.Protocol, addr netip.Addr, port uint16, likely ...int) Listening {
	inodes := l.table(protocol).reachedAt(normal(addr), port)
	if len(inodes) == 0 {
		return Listening{}
	}
	for _, pid := range likely {
		l.scan(pid)
	}
	if l.anyUnowned(inodes) {
		all, _ := processes() // one that is missing leaves a socket without an owner: Unknown
		for _, pid := range all {
			l.scan(pid)
		}
	}
	var found Listening
	for _, pid := range l.ownersOf(inodes) {
		// One that ended since then has no name, and listens no more.
		if name, err := processName(pid); err == nil {
			found.Owners = append(found.Owners, Owner{pid, name})
		}
	}
	found.Unknown = len(found.Owners) == 0 && l.stillReached(protocol, inodes)
	return found
}

func (l *Listeners) table(protocol flow.Protocol) socketTable {
	switch protocol {
	case flow.TCP:
		return l.tcp
	case flow.UDP:
		return l.udp
	}
	return nil
}

// scan notes which sockets a process holds, once.
func (l *Listeners) scan(pid int) {
	if pid == 0 || l.scanned[pid] {
		return
	}
	l.scanned[pid] = true
	for _, inode := range socketsOf(pid) {
		if !slices.Contains(l.owners[inode], pid) { // one may hold a socket by several descriptors
			l.owners[inode] = append(l.owners[inode], pid)
		}
	}
}

func (l *Listeners) anyUnowned(inodes []uint64) bool {
	return slices.ContainsFunc(inodes, func(inode uint64) bool { return len(l.owners[inode]) == 0 })
}

func (l *Listeners) ownersOf(inodes []uint64) []int {
	var pids []int
	for _, inode := range inodes {
		pids = append(pids, l.owners[inode]...)
	}
	slices.Sort(pids)
	return slices.Compact(pids)
}

// stillReached tells a socket whose owner cannot be seen from one that was closed before its owner was looked for.
func (l *Listeners) stillReached(protocol flow.Protocol, inodes []uint64) bool {
	tcp, udp, err := readSockets(l.pid)
	if err != nil {
		return true
	}
	now := (&Listeners{tcp: tcp, udp: udp}).table(protocol)
	for _, sockets := range now {
		if slices.ContainsFunc(sockets, func(s socket) bool { return slices.Contains(inodes, s.inode) }) {
			return true
		}
	}
	return false
}
