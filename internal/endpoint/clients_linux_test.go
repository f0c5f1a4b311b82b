package endpoint

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

func TestClients_UnixSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "engine.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	of := func() []Client {
		clients, err := Clients(func(p string) bool { return p == path })
		if err != nil {
			t.Fatal(err)
		}
		return clients
	}
	if got := of(); got != nil {
		t.Errorf("clients of a socket that has none: %v", got)
	}
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	server, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	if got := of(); len(got) != 1 || got[0].PID != os.Getpid() || got[0].Inode == 0 || got[0].Name != "" {
		t.Errorf("one that was accepted: %v", got)
	}
	const name = "@netzero-test-client"
	d := net.Dialer{LocalAddr: &net.UnixAddr{Name: name, Net: "unix"}}
	named, err := d.DialContext(t.Context(), "unix", path)
	if err != nil {
		t.Fatal(err)
	}
	other, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if got := of(); len(got) != 2 || !slices.ContainsFunc(got, func(c Client) bool { return c.Name == name }) {
		t.Errorf("one with a name: %v", got)
	}
	named.Close()
	c.Close()
	if got := of(); got != nil {
		t.Errorf("one that is gone: %v", got)
	}
}

// A child of this process inherits its connections. It is listed only if this process does not have all connections.
func TestClients_Inherited(t *testing.T) {
	path, c := dialEngine(t)
	f, err := c.(*net.UnixConn).File()
	if err != nil {
		t.Fatal(err)
	}
	child, err := tryStart(t, testBinary(t), func(cmd *exec.Cmd) { cmd.ExtraFiles = []*os.File{f} }, "wait")
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	pids := func() (all []int) {
		clients, err := clients(func(p string) bool { return p == path }, true)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range clients {
			all = append(all, c.PID)
		}
		return all
	}
	if got, want := pids(), []int{os.Getpid()}; !slices.Equal(got, want) {
		t.Errorf("clients while this process has the connection: %v, want %v", got, want)
	}
	c.Close()
	if got, want := pids(), []int{child.pid}; !slices.Equal(got, want) {
		t.Errorf("clients while only the child has the connection: %v, want %v", got, want)
	}
}

// A client that ends between the list of connections and the search for their processes does not wait for an answer. It
// is not a client that is invisible.
func TestClients_EndsDuringSearch(t *testing.T) {
	for _, allVisible := range []bool{true, false} {
		path, c := dialEngine(t)
		asked := 0
		got, err := clients(func(p string) bool {
			if p == path {
				if asked++; asked == 2 { // the first list is complete
					c.Close()
				}
			}
			return p == path
		}, allVisible)
		if err != nil || len(got) != 0 {
			t.Errorf("all visible %v: %v, %v", allVisible, got, err)
		}
	}
}

// A process that exits has no open files while the kernel still closes its sockets. A socket that is on its way to
// another process has no process either, and is as open.
func TestClients_WithoutProcess(t *testing.T) {
	path, c := dialEngine(t)
	f, err := c.(*net.UnixConn).File()
	if err != nil {
		t.Fatal(err)
	}
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(pair[0])
	defer unix.Close(pair[1])
	if err := unix.Sendmsg(pair[0], nil, unix.UnixRights(int(f.Fd())), nil, 0); err != nil {
		t.Fatal(err)
	}
	f.Close()
	c.Close()
	for allVisible, want := range map[bool]int{true: 0, false: 1} {
		got, err := clients(func(p string) bool { return p == path }, allVisible)
		if err != nil || len(got) != want {
			t.Errorf("all visible %v: %v, %v", allVisible, got, err)
		}
	}
}

// dialEngine returns the path of a Unix socket and a client that its server has accepted. The server's end of the
// connection stays open until the end of the test.
func dialEngine(t *testing.T) (path string, c net.Conn) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "engine.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	if c, err = net.Dial("unix", path); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	server, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	return path, c
}
