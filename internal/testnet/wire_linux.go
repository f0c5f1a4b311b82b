package testnet

import (
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// wire is the two namespaces and the link between them.
type wire struct {
	kind                string // as returned by [Lab.Wire]
	insideNS, outsideNS *namespace
	outsideLinks        *netlink.Handle
	lo                  netlink.Link // of the outside, with the hosts' addresses
	watcher             *watcher
}

// The ends know each other's hardware address from the start, so that no first packet waits for ARP or neighbour
// discovery.
var (
	insideMAC  = net.HardwareAddr{0x02, 0, 0, 0, 0, 0x02}
	outsideMAC = net.HardwareAddr{0x02, 0, 0, 0, 0, 0x01}
)

// newWire makes the best wire for which this kernel has a driver.
func newWire() (w *wire, err error) {
	for _, kind := range []string{Veth, Netkit, Loopback} {
		if w, err = newWireOf(kind); !errors.Is(err, unix.EOPNOTSUPP) {
			break
		}
	}
	return w, err
}

// newWireOf makes a wire of one kind. The error is [unix.EOPNOTSUPP] if the kernel has no driver for it.
func newWireOf(kind string) (_ *wire, err error) {
	w := &wire{kind: kind}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.endProcesses(), w.close())
		}
	}()
	if w.insideNS, err = newNamespace(); err != nil {
		return nil, err
	}
	if kind == Loopback {
		w.outsideNS, err = w.insideNS.again()
	} else {
		w.outsideNS, err = newNamespace()
	}
	if err != nil {
		return nil, err
	}
	if w.watcher, err = startWatcher(w.insideNS); err != nil {
		return nil, err
	}
	insideLinks, err := netlink.NewHandleAt(netns.NsHandle(w.insideNS.file.Fd()), unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("open netlink inside: %w", err)
	}
	defer insideLinks.Close()
	if w.outsideLinks, err = netlink.NewHandleAt(netns.NsHandle(w.outsideNS.file.Fd()),
		unix.NETLINK_ROUTE); err != nil {
		return nil, fmt.Errorf("open netlink outside: %w", err)
	}
	connect := w.connect
	if kind == Loopback {
		connect = w.connectAlone
	}
	if err := connect(insideLinks); err != nil {
		return nil, err
	}
	if err := w.awaitLink(); err != nil {
		return nil, err
	}
	return w, w.watcher.await()
}

// connect makes the pair inside, with its peer outside from the start: the machine's own namespace never sees either
// end.
func (w *wire) connect(insideLinks *netlink.Handle) error {
	if err := insideLinks.LinkAdd(w.pair()); err != nil {
		return fmt.Errorf("create %s pair: %w", w.kind, err)
	}
	inside, _, err := configure(insideLinks, insideAddresses, outsideAddresses, outsideMAC)
	if err != nil {
		return fmt.Errorf("configure inside: %w", err)
	}
	if _, w.lo, err = configure(w.outsideLinks, outsideAddresses, insideAddresses, insideMAC); err != nil {
		return fmt.Errorf("configure outside: %w", err)
	}
	for _, hosts := range hostRanges {
		gateway := outsideAddresses[0].Addr()
		if hosts.Addr().Is6() {
			gateway = outsideAddresses[1].Addr()
		}
		route := &netlink.Route{LinkIndex: inside.Attrs().Index, Dst: ipNet(hosts), Gw: gateway.AsSlice()}
		if err := insideLinks.RouteAdd(route); err != nil {
			return fmt.Errorf("add route to %s: %w", hosts, err)
		}
		// Hosts' own addresses are local and precede this route.
		blackhole := &netlink.Route{Dst: ipNet(hosts), Type: unix.RTN_BLACKHOLE}
		if err := w.outsideLinks.RouteAdd(blackhole); err != nil {
			return fmt.Errorf("add blackhole for %s: %w", hosts, err)
		}
	}
	return nil
}

func (w *wire) pair() netlink.Link {
	near := netlink.LinkAttrs{Name: "eth0", HardwareAddr: insideMAC}
	far := netlink.LinkAttrs{Name: "eth0", HardwareAddr: outsideMAC, Namespace: netlink.NsFd(w.outsideNS.file.Fd())}
	if w.kind == Netkit {
		pair := &netlink.Netkit{LinkAttrs: near, Mode: netlink.NETKIT_MODE_L2}
		pair.SetPeerAttrs(&far)
		return pair
	}
	return &netlink.Veth{LinkAttrs: near, PeerName: far.Name, PeerHardwareAddr: far.HardwareAddr,
		PeerNamespace: far.Namespace}
}

// configure sets up one end: its addresses, the addresses of the other end as neighbours, both links up.
func configure(links *netlink.Handle, own, others []netip.Prefix, otherMAC net.HardwareAddr) (
	eth0, lo netlink.Link, err error,
) {
	if lo, err = links.LinkByName("lo"); err != nil {
		return nil, nil, fmt.Errorf("find lo: %w", err)
	}
	if eth0, err = links.LinkByName("eth0"); err != nil {
		return nil, nil, fmt.Errorf("find eth0: %w", err)
	}
	for _, link := range []netlink.Link{lo, eth0} {
		if err := links.LinkSetUp(link); err != nil {
			return nil, nil, fmt.Errorf("set link up: %w", err)
		}
	}
	for _, address := range own {
		if err := addAddress(links, eth0, address); err != nil {
			return nil, nil, err
		}
	}
	for _, address := range others {
		neighbour := &netlink.Neigh{
			LinkIndex:    eth0.Attrs().Index,
			State:        netlink.NUD_PERMANENT,
			IP:           address.Addr().AsSlice(),
			HardwareAddr: otherMAC,
		}
		if err := links.NeighSet(neighbour); err != nil {
			return nil, nil, fmt.Errorf("add neighbour %s: %w", address.Addr(), err)
		}
	}
	return eth0, lo, nil
}

func addAddress(links *netlink.Handle, link netlink.Link, address netip.Prefix) error {
	entry := &netlink.Addr{IPNet: ipNet(address)}
	if address.Addr().Is6() {
		entry.Flags = unix.IFA_F_NODAD // otherwise the address is unusable for a second
	}
	if err := links.AddrAdd(link, entry); err != nil {
		return fmt.Errorf("add address %s: %w", address, err)
	}
	return awaitAddress(links, address.Addr())
}

func (w *wire) addAddress(address netip.Addr) error {
	if w.kind == Loopback {
		return w.addLocalRoute(address)
	}
	return addAddress(w.outsideLinks, w.lo, netip.PrefixFrom(address, address.BitLen()))
}

func (w *wire) inside(fn func() error) error  { return w.insideNS.do(fn) }
func (w *wire) outside(fn func() error) error { return w.outsideNS.do(fn) }

// endProcesses closes the way in and kills the processes that still run inside.
func (w *wire) endProcesses() error {
	var errs []error
	if w.insideNS != nil {
		// First, so that a command that is about to enter finds it closed: see stillOpen.
		errs = append(errs, w.insideNS.close())
	}
	if w.watcher != nil {
		errs = append(errs, w.watcher.finish())
	}
	return errors.Join(errs...)
}

// close removes everything that endProcesses leaves.
func (w *wire) close() error {
	if w.outsideLinks != nil {
		w.outsideLinks.Close()
	}
	if w.outsideNS != nil {
		return w.outsideNS.close()
	}
	return nil
}

func ipNet(prefix netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: prefix.Addr().AsSlice(), Mask: net.CIDRMask(prefix.Bits(), prefix.Addr().BitLen())}
}

// shutdownRead stops receiving on a socket for all processes that share it; a listening socket stops listening
// (shutdown(2)).
func shutdownRead(fd uintptr) error { return unix.Shutdown(int(fd), unix.SHUT_RD) }
