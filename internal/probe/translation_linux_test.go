package probe

import (
	"net/netip"
	"os/exec"
	"runtime"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/netzero-dev/netzero/internal/flow"
	"github.com/netzero-dev/netzero/internal/testenv"
)

// In a network namespace of its own, whose kernel sends what goes to one address to another one.
func TestDestinationIsTheOneBeforeAddressTranslation(t *testing.T) {
	testenv.RequireCommand(t, "iptables", "iptables")
	testenv.RequireCommand(t, "ip", "iproute2")
	r := newRig(t, Sizes{})
	runtime.LockOSThread() // and never unlocked: the thread ends with the test
	check(t, unix.Unshare(unix.CLONE_NEWNET))
	for _, args := range [][]string{
		{"ip", "link", "set", "lo", "up"},
		{"iptables", "-w", "-t", "nat", "-A", "OUTPUT", "-d", "127.0.0.2", "-j", "DNAT", "--to-destination", "127.0.0.3"},
	} {
		if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%q: %v\n%s", args, err, out)
		}
	}
	server, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	check(t, err)
	defer unix.Close(server)
	check(t, unix.Bind(server, &unix.SockaddrInet4{Port: 99, Addr: [4]byte{127, 0, 0, 3}}))

	named := &unix.SockaddrInet4{Port: 99, Addr: [4]byte{127, 0, 0, 2}}
	want := text(flow.UDP, netip.MustParseAddrPort("127.0.0.2:99"), 2)
	for _, row := range []struct {
		reason string
		send   func(fd int)
	}{
		{"connected", func(fd int) {
			check(t, unix.Connect(fd, named))
			check(t, unix.Send(fd, []byte("x"), 0))
		}},
		{"unconnected", func(fd int) { check(t, unix.Sendto(fd, []byte("x"), 0, named)) }},
	} {
		_, err := r.NextGeneration()
		check(t, err)
		r.forget()
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		check(t, err)
		defer unix.Close(fd)
		for range 2 { // the second time the peer has answered
			row.send(fd)
			b := make([]byte, 10)
			_, from, err := unix.Recvfrom(server, b, 0)
			check(t, err)
			check(t, unix.Sendto(server, b, 0, from))
			_, from, err = unix.Recvfrom(fd, b, 0)
			check(t, err)
			if got := from.(*unix.SockaddrInet4).Addr; got != named.Addr {
				t.Fatalf("%s: the answer comes from %v: nothing was translated", row.reason, got)
			}
		}
		if diff := cmp.Diff([]string{want}, r.flows()); diff != "" {
			t.Errorf("%s: flows (-want +got):\n%s", row.reason, diff)
		}
	}
	if i := slices.IndexFunc(seen[*FlowEvent](r), func(e *FlowEvent) bool { return e.Netns == r.self.Netns }); i >= 0 {
		t.Error("the flow seems to be in the namespace of the process")
	}
}
