package probe

import (
	"errors"
	"io"
	"net"
	"syscall"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/netzero-dev/netzero/internal/testenv"
)

// A segment that exceeds IP's own limit (BIG TCP) exceeds what the programs read of one. The rest counts as lost, not
// as empty. The connection is older than the rig: other recordings on this machine would track a new cgroup, and would
// be incomplete too.
func TestLoss_OversizedDNSSegment(t *testing.T) {
	const size = 190 << 10
	testenv.RequireRoot(t)
	var client, server net.Conn
	inNetns(t, func() error {
		lo, err := netlink.LinkByName("lo")
		if err != nil {
			return err
		}
		if err := netlink.LinkSetGSOMaxSize(lo, size); errors.Is(err, unix.EINVAL) {
			return nil
		} else if err != nil {
			return err
		}
		if err := netlink.LinkSetGROMaxSize(lo, size); err != nil {
			return err
		}
		if err := netlink.LinkSetUp(lo); err != nil {
			return err
		}
		listenConfig, dialer := net.ListenConfig{Control: roomy}, net.Dialer{Control: roomy}
		l, err := listenConfig.Listen(t.Context(), "tcp6", "[::1]:53")
		if err != nil {
			return err
		}
		defer l.Close()
		if client, err = dialer.Dial("tcp6", "[::1]:53"); err != nil {
			return err
		}
		server, err = l.Accept()
		return err
	})
	if client == nil {
		t.Skip("before Linux 5.19 no packet is longer than 64 KiB")
	}
	defer client.Close()
	defer server.Close()
	r := newRig(t, Sizes{})
	r.trackOwnSockets()
	for _, row := range []struct {
		reason   string
		from, to net.Conn
	}{
		{"questions", client, server},
		{"answers", server, client},
	} {
		before, err := r.Lost()
		check(t, err)
		sent := make(chan error, 1)
		go func() {
			_, err := row.from.Write(make([]byte, 4<<20))
			sent <- err
		}()
		_, err = io.CopyN(io.Discard, row.to, 4<<20)
		check(t, err)
		check(t, <-sent)
		after, err := r.Lost()
		check(t, err)
		if after.Packets == before.Packets {
			t.Errorf("%s: nothing was lost", row.reason)
		}
	}
}

// roomy sets socket buffers for several of the longest segments.
func roomy(_, _ string, raw syscall.RawConn) error {
	var err error
	if controlErr := raw.Control(func(fd uintptr) {
		err = errors.Join(unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 8<<20),
			unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, 8<<20))
	}); controlErr != nil {
		return controlErr
	}
	return err
}
