package endpoint

import (
	"net"
	"os"
	"path/filepath"
	"slices"
	"testing"
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
