package endpoint

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// readSockets reads the tables of a process's network namespace, or of this process's if that process is gone.
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
		if err := table.readWhole(f, isUDP); err != nil {
			return nil, nil, fmt.Errorf("read listeners: %s: %w", f.Name(), err)
		}
	}
	return tcp, udp, nil
}

// networkOf identifies the network namespace of a process, so that each namespace is read only once. A process that may
// not be inspected is taken to have its own.
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

// openTables opens all tables of a /proc/<pid>/net/, without those of IPv6 if the kernel has none.
func openTables(dir string) (tables, error) {
	open := make(tables)
	// tcp comes last: it always exists, so it distinguishes a namespace without IPv6 from a process that just ended.
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

// The maximum number of times that a table is read.
const maxPasses = 10

// readWhole reads a table until a pass shows nothing new. The kernel prints it page by page, and counts rows to
// continue. If an earlier socket is closed meanwhile, the next page skips a row.
func (t socketTable) readWhole(r io.ReadSeeker, udp bool) error {
	seen := make(map[socketRow]bool)
	for pass := range maxPasses {
		if _, err := r.Seek(0, io.SeekStart); err != nil {
			return err
		}
		before := len(seen)
		if err := t.read(r, udp, seen); err != nil {
			return err
		}
		if pass > 0 && len(seen) == before {
			return nil
		}
	}
	return nil // new sockets appear all the time; no pass misses all of the older ones
}

// socketRow identifies one row of a table.
type socketRow struct {
	local netip.AddrPort
	inode uint64
}

// read adds the rows of a table that are new.
func (t socketTable) read(r io.Reader, udp bool, seen map[socketRow]bool) error {
	rows := bufio.NewScanner(r)
	rows.Buffer(make([]byte, 64<<10), 64<<10)
	for rows.Scan() {
		s, ok, err := parseSocket(rows.Text(), udp)
		if err != nil {
			return err
		}
		if row := (socketRow{s.local, s.inode}); ok && !seen[row] {
			seen[row] = true
			t[s.local.Port()] = append(t[s.local.Port()], s)
		}
	}
	return rows.Err()
}

// socketsOf returns the inodes of the sockets of a process: none if it is gone or may not be inspected.
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
