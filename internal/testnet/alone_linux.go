package testnet

import (
	"fmt"
	"net/netip"
	"os"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// connectAlone uses only lo, which then has the addresses of both ends.
func (w *wire) connectAlone(links *netlink.Handle) (err error) {
	if w.lo, err = links.LinkByName("lo"); err != nil {
		return fmt.Errorf("find lo: %w", err)
	}
	if err := links.LinkSetUp(w.lo); err != nil {
		return fmt.Errorf("set link up: %w", err)
	}
	for _, address := range slices.Concat(insideAddresses, outsideAddresses) {
		if err := addAddress(links, w.lo, netip.PrefixFrom(address.Addr(), address.Addr().BitLen())); err != nil {
			return err
		}
	}
	// the kernel adds none to lo; a route that is not local would make it reject packets to it
	groups := &netlink.Route{
		LinkIndex: w.lo.Attrs().Index,
		Dst:       ipNet(netip.MustParsePrefix("ff00::/8")),
		Type:      unix.RTN_LOCAL,
		Table:     unix.RT_TABLE_LOCAL,
	}
	if err := links.RouteAdd(groups); err != nil {
		return fmt.Errorf("add route to multicast groups of IPv6: %w", err)
	}
	// Only with this setting may an IPv6 server bind an address that no interface has. The file is that of the thread's
	// namespace.
	return w.inside(func() error {
		if err := os.WriteFile("/proc/sys/net/ipv6/ip_nonlocal_bind", []byte("1"), 0); err != nil {
			return fmt.Errorf("allow servers at addresses of routes: %w", err)
		}
		return nil
	})
}

// addLocalRoute makes this namespace accept packets for an address that no interface has: a program that reads the
// interfaces sees another machine's address.
func (w *wire) addLocalRoute(address netip.Addr) error {
	source := insideAddresses[0].Addr()
	if address.Is6() {
		source = insideAddresses[1].Addr()
	}
	route := &netlink.Route{
		LinkIndex: w.lo.Attrs().Index,
		Dst:       ipNet(netip.PrefixFrom(address, address.BitLen())),
		Src:       source.AsSlice(),
		Type:      unix.RTN_LOCAL,
		Table:     unix.RT_TABLE_LOCAL,
		Scope:     netlink.SCOPE_HOST,
	}
	if err := w.outsideLinks.RouteAdd(route); err != nil {
		return fmt.Errorf("add local route to %s: %w", address, err)
	}
	return awaitAddress(w.outsideLinks, address)
}
