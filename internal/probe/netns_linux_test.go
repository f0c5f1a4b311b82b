package probe

import (
	"net"
	"runtime"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/netzero-dev/netzero/internal/testenv"
)

// Addresses outside of loopback in the namespace of enterNetns. Port 0 selects a free port.
const (
	netnsAddr4 = "198.18.0.1:0"
	netnsAddr6 = "[2001:db8::1]:0"
)

// enterNetns moves the test's goroutine into a network namespace of its own until the test ends. There 198.18.0.0/15
// and 2001:db8::1 are local: the programs do not read payload to servers on loopback. Goroutines that the test starts
// stay behind.
func enterNetns(t testing.TB) {
	t.Helper()
	testenv.RequireRoot(t)
	runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
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
	for address, mask := range map[string]net.IPMask{
		"198.18.0.1": net.CIDRMask(15, 32), "2001:db8::1": net.CIDRMask(128, 128),
	} {
		local := &net.IPNet{IP: net.ParseIP(address), Mask: mask}
		check(netlink.AddrAdd(lo, &netlink.Addr{IPNet: local, Flags: unix.IFA_F_NODAD}))
	}
}
