package endpoint

import (
	"net"
	"os"
	"path/filepath"
	"testing"
)

func TestClientsOfAUnixSocketAreKnown(t *testing.T) {
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
	if got := of(); len(got) != 1 || got[0].PID != os.Getpid() || got[0].Inode == 0 {
		t.Errorf("one that was accepted: %v", got)
	}
	c.Close()
	if got := of(); got != nil {
		t.Errorf("one that is gone: %v", got)
	}
}
