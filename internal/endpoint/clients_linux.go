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

// peersOf returns the inodes of what is connected to sockets whose path matches.
func peersOf(match func(string) bool) (map[uint64]bool, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_SOCK_DIAG)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	const established = 1
	request := make([]byte, unix.NLMSG_HDRLEN+24)
	order := binary.NativeEndian
	order.PutUint32(request[0:], uint32(len(request)))
	order.PutUint16(request[4:], unix.SOCK_DIAG_BY_FAMILY)
	order.PutUint16(request[6:], unix.NLM_F_REQUEST|unix.NLM_F_DUMP)
	body := request[unix.NLMSG_HDRLEN:]
	body[0] = unix.AF_UNIX
	order.PutUint32(body[4:], 1<<established)
	order.PutUint32(body[12:], showName|showPeer)
	if err := unix.Sendto(fd, request, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return nil, err
	}
	peers := make(map[uint64]bool)
	buffer := make([]byte, 64<<10)
	for {
		n, _, err := unix.Recvfrom(fd, buffer, 0)
		if err != nil {
			return nil, err
		}
		for rest := buffer[:n]; len(rest) >= unix.NLMSG_HDRLEN; {
			length := int(order.Uint32(rest))
			if length < unix.NLMSG_HDRLEN || length > len(rest) {
				return nil, fmt.Errorf("a message of %d bytes in %d", length, len(rest))
			}
			message := rest[unix.NLMSG_HDRLEN:length]
			switch order.Uint16(rest[4:]) {
			case unix.NLMSG_DONE:
				return peers, nil
			case unix.NLMSG_ERROR:
				if len(message) >= 4 {
					return nil, unix.Errno(-int32(order.Uint32(message)))
				}
				return nil, fmt.Errorf("an error without a number")
			}
			if path, peer := describe(message); peer != 0 && path != "" && match(path) {
				peers[peer] = false
			}
			rest = rest[min(len(rest), (length+3)&^3):]
		}
	}
}

// describe returns the path of a socket and the inode of its peer, as far as a message has them.
func describe(message []byte) (path string, peer uint64) {
	const header = 16
	order := binary.NativeEndian
	for rest := message[min(len(message), header):]; len(rest) >= 4; {
		length := int(order.Uint16(rest))
		if length < 4 || length > len(rest) {
			return "", 0
		}
		value := rest[4:length]
		switch kind := order.Uint16(rest[2:]); {
		case kind == hasName:
			path = strings.TrimRight(string(value), "\x00")
		case kind == hasPeer && len(value) >= 4:
			peer = uint64(order.Uint32(value))
		}
		rest = rest[min(len(rest), (length+3)&^3):]
	}
	return path, peer
}
