package probe

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os/exec"
	"runtime"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/netzero-dev/netzero/internal/testenv"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

const ipprotoMPTCP = 262

// inNetns runs a function on a thread of its own, in a new network namespace, and returns the namespace.
func inNetns(t *testing.T, f func() error) (namespace int) {
	t.Helper()
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		err := unix.Unshare(unix.CLONE_NEWNET)
		if err == nil {
			namespace, err = unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
		}
		if err == nil {
			err = f()
		}
		done <- err
	}()
	check(t, <-done)
	t.Cleanup(func() { unix.Close(namespace) })
	return namespace
}

func run(name string, args ...string) error {
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %q: %w\n%s", name, args, err, out)
	}
	return nil
}

// A kernel worker connects to each address that the peer announces. The program makes no call for that, but it is the
// program's traffic.
func TestMPTCP_AdditionalAddresses(t *testing.T) {
	testenv.RequireCommand(t, "ip", "iproute2")
	r := newStreamRig(t, Sizes{})
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, ipprotoMPTCP)
	if err == unix.EINVAL || err == unix.EPROTONOSUPPORT || err == unix.ENOPROTOOPT {
		t.Skip("the kernel has no MPTCP, or it is switched off")
	}
	check(t, err)
	unix.Close(fd)

	var listener net.Listener
	far := inNetns(t, func() (err error) {
		config := net.ListenConfig{}
		config.SetMultipathTCP(true)
		listener, err = config.Listen(context.Background(), "tcp4", "0.0.0.0:0")
		return err
	})
	defer listener.Close()
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			go io.Copy(c, c)
		}
	}()
	runtime.LockOSThread() // never unlocked: the thread ends with the test
	check(t, unix.Unshare(unix.CLONE_NEWNET))
	attributes := netlink.NewLinkAttrs()
	attributes.Name = "near"
	check(t, netlink.LinkAdd(&netlink.Veth{LinkAttrs: attributes, PeerName: "far", PeerNamespace: netlink.NsFd(far)}))
	check(t, run("ip", "address", "add", "198.18.0.2/15", "dev", "near"))
	check(t, run("ip", "link", "set", "near", "up"))
	check(t, run("ip", "mptcp", "limits", "set", "subflows", "2", "add_addr_accepted", "2"))
	own, err := unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	check(t, err)
	defer unix.Close(own)
	check(t, unix.Setns(far, unix.CLONE_NEWNET))
	for _, args := range [][]string{
		{"address", "add", "198.18.0.1/15", "dev", "far"},
		{"address", "add", "198.19.0.1/15", "dev", "far"},
		{"link", "set", "far", "up"},
		{"mptcp", "limits", "set", "subflows", "2"},
		{"mptcp", "endpoint", "add", "198.19.0.1", "dev", "far", "signal"},
	} {
		check(t, run("ip", args...))
	}
	check(t, unix.Setns(own, unix.CLONE_NEWNET))

	port := listener.Addr().(*net.TCPAddr).AddrPort().Port()
	r.clear()
	fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, ipprotoMPTCP)
	check(t, err)
	defer unix.Close(fd)
	check(t, unix.Connect(fd, &unix.SockaddrInet4{Port: int(port), Addr: [4]byte{198, 18, 0, 1}}))
	want := []string{
		text(flow.TCP, netip.AddrPortFrom(netip.MustParseAddr("198.18.0.1"), port), 1),
		text(flow.TCP, netip.AddrPortFrom(netip.MustParseAddr("198.19.0.1"), port), 1),
	}
	var got []string
	deadline := time.Now().Add(patience)
	for ; len(got) < len(want) && time.Now().Before(deadline); got = r.flows() {
		_, err = unix.Write(fd, []byte("x"))
		check(t, err)
		_, err = unix.Read(fd, make([]byte, 1))
		check(t, err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("flows (-want +got):\n%s", diff)
	}
	for _, addr := range []string{"198.18.0.1", "198.19.0.1"} {
		if why, err := r.Unread(netip.MustParseAddr(addr), port); err != nil || why != StreamMPTCP {
			t.Errorf("%s: unread because of %d, %v", addr, why, err)
		}
	}
	if s := r.to(port); len(s) > 0 {
		t.Errorf("%d paths are read, want none", len(s))
	}
	r.mustLoseNothing()
}
