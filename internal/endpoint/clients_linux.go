package endpoint

import (
	"encoding/binary"
	"fmt"
	"maps"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Client is a process with a connection to a Unix socket that has a path.
type Client struct {
	PID   int    // 0 if the process, or its open files, are not visible
	Inode uint64 // of its end of the connection
	Name  string // of its end of the connection, with the prefix "@" if it is abstract; usually empty
}

// Clients returns the processes that are connected to Unix sockets with a matching path, in the network namespace of
// this process, according to sock_diag(7). A connection that several processes have open is listed for each of them,
// unless this process has all connections open: then it is listed alone. A connection that a process is closing is not
// listed.
func Clients(match func(path string) bool) ([]Client, error) {
	return clients(match, seesAllProcesses())
}

// clients is Clients. If all processes are visible, a connection that none of them has open is being closed.
func clients(match func(path string) bool, allVisible bool) ([]Client, error) {
	peers, err := peersOf(match)
	if err != nil {
		return nil, fmt.Errorf("list clients of Unix sockets: %w", err)
	}
	if len(peers) == 0 {
		return nil, nil
	}
	self := os.Getpid()
	all := peers.heldBy(self)
	if peers.areHeld() {
		return all, nil // a search through all processes of the machine takes milliseconds
	}
	pids, err := processes()
	if err != nil {
		return nil, fmt.Errorf("list clients of Unix sockets: %w", err)
	}
	for _, pid := range pids {
		if pid != self {
			all = append(all, peers.heldBy(pid)...)
		}
	}
	maps.DeleteFunc(peers, func(_ uint64, p peer) bool { return p.held })
	if len(peers) == 0 || allVisible {
		return all, nil
	}
	open, err := peersOf(match)
	if err != nil {
		return nil, fmt.Errorf("list clients of Unix sockets: %w", err)
	}
	for inode, p := range peers {
		if _, still := open[inode]; still { // else its process has closed it during the search
			all = append(all, Client{0, inode, p.name})
		}
	}
	return all, nil
}

// seesAllProcesses reports whether this process sees the open files of every process: it is in the initial pid
// namespace and may read those of the first process.
func seesAllProcesses() bool {
	const initial = "pid:[4026531836]" // PROC_PID_INIT_INO of the kernel's linux/proc_ns.h
	namespace, err := os.Readlink(procPath(0, "ns/pid"))
	if err != nil || namespace != initial {
		return false
	}
	_, err = os.ReadDir(procPath(1, "fd"))
	return err == nil
}

// From the kernel's linux/unix_diag.h.
const (
	showName = 1
	showPeer = 4
	hasName  = 0
	hasPeer  = 2
)

// peer is the other end of a connection.
type peer struct {
	name string
	held bool // by a visible process
}

// peersByInode are the other ends of connections.
type peersByInode map[uint64]peer

// heldBy returns the connections that a process has open, and marks them.
func (p peersByInode) heldBy(pid int) (clients []Client) {
	dir := procPath(pid, "fd")
	fds, err := os.ReadDir(dir)
	if err != nil {
		return nil
	}
	for _, fd := range fds {
		to, _ := os.Readlink(dir + "/" + fd.Name())
		inode, ok := strings.CutPrefix(strings.TrimSuffix(to, "]"), "socket:[")
		if !ok {
			continue
		}
		n, err := strconv.ParseUint(inode, 10, 64)
		if end, is := p[n]; is && err == nil {
			p[n] = peer{end.name, true}
			clients = append(clients, Client{pid, n, end.name})
		}
	}
	return clients
}

// areHeld reports whether each connection was found in a process.
func (p peersByInode) areHeld() bool {
	for _, end := range p {
		if !end.held {
			return false
		}
	}
	return true
}

// peersOf returns the peers of the sockets with a matching path, by inode. The kernel continues a dump by counting
// sockets. If an earlier socket is closed meanwhile, the kernel silently skips one. So the dump is repeated until it
// has no new peer.
func peersOf(match func(string) bool) (peersByInode, error) {
	const established = 1
	request := make([]byte, 24)
	request[0] = unix.AF_UNIX
	binary.NativeEndian.PutUint32(request[4:], 1<<established)
	binary.NativeEndian.PutUint32(request[12:], showName|showPeer)
	found, names := make(peersByInode), make(map[uint64]string)
	for pass := range maxPasses {
		before := len(found)
		err := dump(unix.NETLINK_SOCK_DIAG, unix.SOCK_DIAG_BY_FAMILY, request, func() {}, func(message []byte) {
			name, inode, other := describe(message)
			if name != "" {
				names[inode] = name
			}
			if other != 0 && name != "" && match(name) {
				found[other] = peer{}
			}
		})
		if err != nil {
			return nil, err
		}
		if pass > 0 && len(found) == before {
			break
		}
	}
	for inode := range found {
		found[inode] = peer{name: names[inode]}
	}
	return found, nil
}

// describe returns the name of a socket, its inode and its peer's inode. A result that the message lacks is zero.
func describe(message []byte) (name string, inode, peer uint64) {
	const header = 16
	if len(message) >= header {
		inode = uint64(binary.NativeEndian.Uint32(message[4:]))
	}
	eachAttribute(message, header, func(kind uint16, value []byte) {
		switch {
		case kind == hasName:
			name = strings.TrimRight(string(value), "\x00")
			if abstract, is := strings.CutPrefix(name, "\x00"); is {
				name = "@" + abstract
			}
		case kind == hasPeer && len(value) >= 4:
			peer = uint64(binary.NativeEndian.Uint32(value))
		}
	})
	return name, inode, peer
}
