package testnet

import (
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// readyWithin is generous: unless the machine is very busy, well under 10 ms suffice.
const readyWithin = 10 * time.Second

// awaitAddress waits until the kernel accepts packets to a new address.
//
// A kernel worker inserts the route that makes an IPv6 address local, even without duplicate address detection. Until
// then a server can listen there, but packets to it fall into the blackhole.
func awaitAddress(links *netlink.Handle, address netip.Addr) error {
	for start := time.Now(); time.Since(start) < readyWithin; time.Sleep(100 * time.Microsecond) {
		routes, err := links.RouteGet(address.AsSlice()) // the blackhole is an error here
		if err == nil && len(routes) == 1 && routes[0].Type == unix.RTN_LOCAL {
			return nil
		}
	}
	return fmt.Errorf("await address %s: it did not become local within %s", address, readyWithin)
}

// awaitLink waits until a datagram has crossed the wire in both directions.
//
// The end that comes up first transmits only after a kernel worker has noticed its carrier, and drops packets until
// then: a test's first SYN would be lost and repeated only a second later.
func (w *wire) awaitLink() error {
	listen := func(on netip.Prefix) (conn *net.UDPConn, err error) {
		return net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(on.Addr(), 0)))
	}
	var near, far *net.UDPConn
	if err := w.outside(func() (err error) { far, err = listen(outsideAddresses[0]); return err }); err != nil {
		return fmt.Errorf("await link: %w", err)
	}
	defer far.Close()
	if err := w.inside(func() (err error) { near, err = listen(insideAddresses[0]); return err }); err != nil {
		return fmt.Errorf("await link: %w", err)
	}
	defer near.Close()

	start := time.Now()
	for time.Since(start) < readyWithin {
		if crosses(near, far) && crosses(far, near) {
			return nil
		}
	}
	return fmt.Errorf("await link: no datagram crossed the wire within %s", readyWithin)
}

// crosses reports whether a datagram from one socket reaches the other at once.
func crosses(from, to *net.UDPConn) bool {
	if _, err := from.WriteToUDPAddrPort([]byte{0}, to.LocalAddr().(*net.UDPAddr).AddrPort()); err != nil {
		return false
	}
	if err := to.SetReadDeadline(time.Now().Add(2 * time.Millisecond)); err != nil {
		return false
	}
	_, _, err := to.ReadFromUDPAddrPort(make([]byte, 1))
	return err == nil
}
