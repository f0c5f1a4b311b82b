package probe

import (
	"net"
	"runtime"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/netzero-dev/netzero/internal/testenv"
)

// Addresses of no loopback, where away has moved to. Servers there are listened at by port 0 as elsewhere.
const (
	netnsAddr4 = "198.18.0.1:0"
	netnsAddr6 = "[2001:db8::1]:0"
)

// enterNetns moves the test's goroutine into a network namespace of its own, to the test's end, in which 198.18.0.0/15 and 2001:db8::1 are
// its own addresses: what clients call a server on loopback is nothing that the programs listen to. Goroutines that the
// test starts are not moved.
func enterNetns(t testing.TB) {
	t.Helper()
	testenv.RequireRoot(t)
	runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	check(unix.Unshare(unix.CLONE_NEWNET))
	lo, err := netlink.LinkByName("lo")
	check(err)
	check(netlink.LinkSetUp(lo))
	for address, mask := range map[string]net.IPMask{"198.18.0.1": net.CIDRMask(15, 32), "2001:db8::1": net.CIDRMask(128, 128)} {
		own := &net.IPNet{IP: net.ParseIP(address), Mask: mask}
		check(netlink.AddrAdd(lo, &netlink.Addr{IPNet: own, Flags: unix.IFA_F_NODAD}))
	}
}
