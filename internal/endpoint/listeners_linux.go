package endpoint

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// readSockets reads the tables of a process's network namespace, or of this process's where that process is gone.
func readSockets(pid int) (tcp, udp socketTable, err error) {
	files, err := openTables(procPath(pid, "net/"))
	if err != nil && pid != 0 {
		files, err = openTables(procPath(0, "net/"))
	}
	if err != nil {
		return nil, nil, fmt.Errorf("read listeners: %w", err)
	}
	defer files.close()
	tcp, udp = make(socketTable), make(socketTable)
	for name, f := range files {
		table, isUDP := tcp, strings.HasPrefix(name, "udp")
		if isUDP {
			table = udp
		}
		if err := table.read(f, isUDP); err != nil {
			return nil, nil, fmt.Errorf("read listeners: %s: %w", f.Name(), err)
		}
	}
	return tcp, udp, nil
}

// networkOf names the network namespace of a process, so that it is read once for all processes in it. One that may not
// be looked at is taken to have its own.
func networkOf(pid int) string {
	dir := procPath(pid, "ns/net")
	if link, err := os.Readlink(dir); err == nil {
		return link
	}
	return dir
}

// tables are open files of /proc/<pid>/net by name. They keep their network namespace alive.
type tables map[string]*os.File

func (t tables) close() {
	for _, f := range t {
		f.Close()
	}
}

// openTables opens all tables of a /proc/<pid>/net/, without those of IPv6 where the kernel has none.
func openTables(dir string) (tables, error) {
	open := make(tables)
	// tcp comes last: it always exists, so it tells a namespace without IPv6 from a process that just ended.
	for _, name := range []string{"tcp6", "udp6", "udp", "tcp"} {
		f, err := os.Open(dir + name)
		switch {
		case err == nil:
			open[name] = f
		case name != "tcp" && errors.Is(err, fs.ErrNotExist):
		default:
			open.close()
			return nil, err
		}
	}
	return open, nil
}

func (t socketTable) read(r io.Reader, udp bool) error {
	rows := bufio.NewScanner(r)
	rows.Buffer(make([]byte, 64<<10), 64<<10)
	for rows.Scan() {
		s, ok, err := parseSocket(rows.Text(), udp)
		if err != nil {
			return err
		}
		if ok {
			t[s.local.Port()] = append(t[s.local.Port()], s)
		}
	}
	return rows.Err()
}

// socketsOf returns the inodes of the sockets that a process holds: none where it is gone or may not be looked at.
func socketsOf(pid int) []uint64 {
	dir, err := os.Open(procPath(pid, "fd"))
	if err != nil {
		return nil
	}
	defer dir.Close()
	fds, _ := dir.Readdirnames(-1)
	var inodes []uint64
	var link [64]byte
	dirfd := int(dir.Fd())
	for _, fd := range fds {
		n, err := unix.Readlinkat(dirfd, fd, link[:])
		if err != nil {
			continue // closed since the directory was read
		}
		number, ok := strings.CutPrefix(string(link[:n]), "socket:[")
		if !ok {
			continue
		}
		if inode, err := strconv.ParseUint(strings.TrimSuffix(number, "]"), 10, 64); err == nil {
			inodes = append(inodes, inode)
		}
	}
	return inodes
}
