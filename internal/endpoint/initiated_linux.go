package endpoint

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
)

// The states of a TCP socket that sends no more (FIN_WAIT2, TIME_WAIT, CLOSE), and those of a connection that arrives.
const stateSilent = "03 05 06 07 0C"

// MayHaveConnected reports whether the network namespace of a process has TCP connections that may have been opened
// there: those whose local port has no listener. Every user may read that, but not which process has a connection. It
// returns false for a process that is gone.
func MayHaveConnected(pid int) (bool, error) {
	rows := make(map[string]bool)
	for range maxPasses { // as socketTable.readWhole
		before := len(rows)
		for _, name := range []string{"tcp", "tcp6"} {
			err := readRows(procPath(pid, "net/"+name), rows)
			switch {
			case !alive(pid):
				return false, nil
			case err != nil && (name == "tcp" || !errors.Is(err, fs.ErrNotExist)): // the kernel may lack IPv6
				return false, fmt.Errorf("read connections: %w", err)
			}
		}
		if before == len(rows) {
			break
		}
	}
	listens := make(map[uint16]bool)
	var connected []uint16
	for row := range rows {
		f := strings.Fields(row)
		local, err := parseSocketAddr(f[0])
		if err != nil {
			return false, fmt.Errorf("read connections: %w", err)
		}
		switch state := f[1]; {
		case state == stateListen:
			listens[local.Port()] = true
		case !strings.Contains(stateSilent, state):
			connected = append(connected, local.Port())
		}
	}
	for _, port := range connected {
		if !listens[port] {
			return true, nil
		}
	}
	return false, nil
}

// readRows adds the local address, the state and the remote address of each row of a table.
func readRows(path string, rows map[string]bool) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	r := bufio.NewReader(f)
	for {
		line, err := r.ReadString('\n')
		if f := strings.Fields(line); len(f) > 3 && f[0] != "sl" {
			rows[f[1]+" "+f[3]+" "+f[2]] = true
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
