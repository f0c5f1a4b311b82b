package endpoint

import (
	"encoding/binary"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Client is a process with a connection to a Unix socket that has a path.
type Client struct {
	PID   int    // 0 where the process cannot be seen
	Inode uint64 // of its end of the connection
}

// Clients returns who is connected to Unix sockets whose path matches, in the network namespace of this process, as the kernel
// tells (sock_diag(7)). A connection that several processes hold is each one's.
func Clients(match func(path string) bool) ([]Client, error) {
	peers, err := peersOf(match)
	if err != nil {
		return nil, fmt.Errorf("list clients of Unix sockets: %w", err)
	}
	if len(peers) == 0 {
		return nil, nil
	}
	pids, err := processes()
	if err != nil {
		return nil, fmt.Errorf("list clients of Unix sockets: %w", err)
	}
	var all []Client
	for _, pid := range pids {
		dir := procPath(pid, "fd")
		fds, err := os.ReadDir(dir)
		if err != nil {
			continue
		}
		for _, fd := range fds {
			to, _ := os.Readlink(dir + "/" + fd.Name())
			inode, ok := strings.CutPrefix(strings.TrimSuffix(to, "]"), "socket:[")
			if !ok {
				continue
			}
			if n, err := strconv.ParseUint(inode, 10, 64); err == nil {
				if _, is := peers[n]; is {
					peers[n] = true
					all = append(all, Client{pid, n})
				}
			}
		}
	}
	for inode, found := range peers {
		if !found {
			all = append(all, Client{0, inode})
		}
	}
	return all, nil
}

// What the kernel's linux/unix_diag.h says.
const (
	showName = 1
	showPeer = 4
	hasName  = 0
	hasPeer  = 2
)

// peersOf returns the inodes of what is connected to sockets whose path matches. The kernel counts sockets to find the next one,
// and does not say where one before it is closed meanwhile: so it is asked until it names nobody new.
func peersOf(match func(string) bool) (map[uint64]bool, error) {
	const established = 1
	request := make([]byte, 24)
	request[0] = unix.AF_UNIX
	binary.NativeEndian.PutUint32(request[4:], 1<<established)
	binary.NativeEndian.PutUint32(request[12:], showName|showPeer)
	peers := make(map[uint64]bool)
	for pass := range maxPasses {
		before := len(peers)
		err := dump(unix.NETLINK_SOCK_DIAG, unix.SOCK_DIAG_BY_FAMILY, request, func() {}, func(message []byte) {
			if path, peer := describe(message); peer != 0 && path != "" && match(path) {
				peers[peer] = false
			}
		})
		if err != nil {
			return nil, err
		}
		if pass > 0 && len(peers) == before {
			break
		}
	}
	return peers, nil
}

// describe returns the path of a socket and the inode of its peer, as far as a message has them.
func describe(message []byte) (path string, peer uint64) {
	const header = 16
	eachAttribute(message, header, func(kind uint16, value []byte) {
		switch {
		case kind == hasName:
			path = strings.TrimRight(string(value), "\x00")
		case kind == hasPeer && len(value) >= 4:
			peer = uint64(binary.NativeEndian.Uint32(value))
		}
	})
	return path, peer
}
