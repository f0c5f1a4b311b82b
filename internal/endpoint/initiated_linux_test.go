package endpoint

import (
	"io"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/netzero-dev/netzero/internal/testenv"
)

// A connection that was accepted does not count, nor does one that both ends have closed.
func TestMayHaveConnected(t *testing.T) {
	testenv.RequireRoot(t)
	unshared := func(args ...string) child {
		t.Helper()
		c, err := tryStart(t, testBinary(t), unshare(syscall.CLONE_NEWNET), "connect", args...)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	for _, row := range []struct {
		reason string
		keep   string
		want   bool
	}{
		{"a listener", "listener", false},
		{"an accepted connection, whose other end is closed", "server", false},
		{"both ends", "both", true},
		{"none", "nothing", false},
	} {
		c := unshared(row.keep)
		got, err := MayHaveConnected(c.pid)
		for deadline := time.Now().Add(10 * time.Second); got && !row.want && time.Now().Before(deadline); {
			got, err = MayHaveConnected(c.pid) // the kernel may not have closed the other end yet
		}
		if got != row.want || err != nil {
			t.Errorf("%s: %v, %v", row.reason, got, err)
		}
		c.stop()
		if got, err := MayHaveConnected(c.pid); got || err != nil {
			t.Errorf("%s, of a process that is gone: %v, %v", row.reason, got, err)
		}
	}
}

// connect brings the loopback interface up, connects, and closes all sockets but some.
func connect(keep string) (open []io.Closer, err error) {
	if err := raiseLoopback(); err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	client, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		return nil, err
	}
	server, err := l.Accept()
	if err != nil {
		return nil, err
	}
	switch keep {
	case "listener":
		server.Close()
		client.Close()
		return []io.Closer{l}, nil
	case "server":
		client.Close()
		return []io.Closer{l, server}, nil
	case "both":
		return []io.Closer{l, server, client}, nil
	}
	server.Close()
	client.Close()
	return nil, l.Close()
}
