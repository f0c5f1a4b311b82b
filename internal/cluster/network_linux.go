package cluster

import (
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// The addresses of the cluster. A test with other addresses in its manifests gives them to the control plane with
// [Cluster.ServeAPIAt].
var (
	podRange4    = netip.MustParsePrefix("10.244.0.0/16")
	podRange6    = netip.MustParsePrefix("fd00:10:244::/64")
	serviceRange = netip.MustParsePrefix("10.96.0.0/16")
	nodeRange    = netip.MustParsePrefix("172.31.0.0/16") // other nodes; pods on the host network have these addresses
	apiService   = netip.MustParseAddr("10.96.0.1")       // the API server gives Service kubernetes the first address
	dnsService   = netip.MustParseAddr("10.96.0.10")
	// The source addresses of callers on the internet.
	internetAddrs  = []netip.Addr{netip.MustParseAddr("198.51.100.254"), netip.MustParseAddr("2001:db8::254")}
	apiServerAddr  = netip.MustParseAddr("172.30.0.2")
	gateway4       = netip.MustParseAddr("169.254.1.1") // of every pod, as in other pod networks
	internetGate   = netip.MustParseAddr("fe80::2")     // of the internet, for the node
	gateway6       = netip.MustParseAddr("fe80::1")
	anyone4        = netip.MustParsePrefix("0.0.0.0/0")
	anyone6        = netip.MustParsePrefix("::/0")
	apiServerPort  = uint16(6443)
	netfilterQueue = 100
)

// A network is the node, its links, and the namespaces of the control plane and the internet.
type network struct {
	node, control, internet *namespace
	plugs                   int
}

func newNetwork() (*network, error) {
	n := new(network)
	for _, ns := range []**namespace{&n.node, &n.control, &n.internet} {
		made, err := newNamespace()
		if err != nil {
			return n, err
		}
		*ns = made
	}
	err := n.node.sysctl("net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1",
		"net.ipv4.conf.all.rp_filter=0", "net.ipv4.conf.default.rp_filter=0", "net.ipv6.conf.default.accept_dad=0")
	if err != nil {
		return n, err
	}
	lo, err := n.node.links.LinkByName("lo")
	if err != nil {
		return n, err
	}
	if err := n.node.links.AddrAdd(lo, addressOf(gateway4)); err != nil {
		return n, fmt.Errorf("give the node its address: %w", err)
	}
	if _, err := n.plug(n.control, apiServerAddr); err != nil {
		return n, err
	}
	link, err := n.plug(n.internet)
	if err != nil {
		return n, err
	}
	end, err := n.internet.links.LinkByName("eth0")
	if err != nil {
		return n, err
	}
	for _, addr := range internetAddrs {
		if err := n.addAddress(n.internet, end, link, addr); err != nil {
			return n, err
		}
	}
	if err := n.internet.links.AddrAdd(end, addressOf(internetGate)); err != nil {
		return n, err
	}
	// A UDP answer has to come from the queried address, so a server has to listen there.
	if err := n.internet.sysctl("net.ipv4.ip_nonlocal_bind=1", "net.ipv6.ip_nonlocal_bind=1"); err != nil {
		return n, err
	}
	return n, n.connectInternet(link)
}

// connectInternet routes all other addresses to the internet, which owns all of them.
func (n *network) connectInternet(link netlink.Link) error {
	lo, err := n.internet.links.LinkByName("lo")
	if err != nil {
		return err
	}
	for _, everything := range []netip.Prefix{anyone4, anyone6} {
		route := routeTo(everything, link)
		if everything == anyone6 { // neighbour discovery does not find addresses that are only routed
			route.Scope, route.Gw = netlink.SCOPE_UNIVERSE, internetGate.AsSlice()
		}
		if err := n.node.links.RouteAdd(route); err != nil {
			return fmt.Errorf("route to the internet: %w", err)
		}
		// The route is in the main table, so that the more specific one back to the pods comes first.
		own := &netlink.Route{
			Dst: ipNet(everything), LinkIndex: lo.Attrs().Index, Table: unix.RT_TABLE_MAIN,
			Type: unix.RTN_LOCAL, Scope: netlink.SCOPE_HOST,
		}
		if err := n.internet.links.RouteReplace(own); err != nil {
			return fmt.Errorf("give the internet its addresses: %w", err)
		}
	}
	return nil
}

// plug connects a namespace with the node by a veth pair, and returns the node's end. The namespace gets the addresses
// and reaches pods and Services through the node. If it has addresses, it reaches everything through the node.
func (n *network) plug(ns *namespace, addrs ...netip.Addr) (netlink.Link, error) {
	n.plugs++
	name := fmt.Sprintf("port%d", n.plugs)
	pair := &netlink.Veth{
		LinkAttrs: netlink.LinkAttrs{Name: name}, PeerName: "eth0", PeerNamespace: netlink.NsFd(int(ns.handle)),
	}
	if err := n.node.links.LinkAdd(pair); err != nil {
		return nil, fmt.Errorf("connect a namespace with the node: %w", err)
	}
	nodeEnd, err := n.node.links.LinkByName(name)
	if err != nil {
		return nil, err
	}
	ownEnd, err := ns.links.LinkByName("eth0")
	if err != nil {
		return nil, err
	}
	if err := ns.sysctl("net.ipv6.conf.eth0.accept_dad=0", "net.ipv4.conf.all.rp_filter=0"); err != nil {
		return nil, err
	}
	if err := n.node.links.LinkSetUp(nodeEnd); err != nil {
		return nil, err
	}
	if err := n.node.links.AddrAdd(nodeEnd, addressOf(gateway6)); err != nil {
		return nil, fmt.Errorf("give the node its address: %w", err)
	}
	if err := ns.links.LinkSetUp(ownEnd); err != nil {
		return nil, err
	}
	for _, addr := range addrs {
		if err := n.addAddress(ns, ownEnd, nodeEnd, addr); err != nil {
			return nil, err
		}
	}
	return nodeEnd, n.routeByNode(ns, ownEnd, len(addrs) > 0)
}

// addAddress adds an address to a namespace, and a route to it on the node.
func (n *network) addAddress(ns *namespace, ownEnd, nodeEnd netlink.Link, addr netip.Addr) error {
	if err := ns.links.AddrAdd(ownEnd, addressOf(addr)); err != nil {
		return fmt.Errorf("add address %s: %w", addr, err)
	}
	route := routeTo(netip.PrefixFrom(addr, addr.BitLen()), nodeEnd)
	if err := n.node.links.RouteReplace(route); err != nil {
		return fmt.Errorf("route to %s: %w", addr, err)
	}
	return nil
}

// routeByNode makes the node a namespace's gateway, to everything or to pods and Services only.
func (n *network) routeByNode(ns *namespace, ownEnd netlink.Link, everything bool) error {
	reached := []netip.Prefix{podRange4, nodeRange, serviceRange, podRange6}
	if everything {
		reached = []netip.Prefix{anyone4, anyone6}
	}
	at := netip.PrefixFrom(gateway4, gateway4.BitLen())
	if err := ns.links.RouteAdd(routeTo(at, ownEnd)); err != nil {
		return fmt.Errorf("route to the node: %w", err)
	}
	for _, prefix := range reached {
		route := routeTo(prefix, ownEnd)
		route.Scope = netlink.SCOPE_UNIVERSE
		route.Gw = gateway4.AsSlice()
		if prefix.Addr().Is6() {
			route.Gw = gateway6.AsSlice()
		}
		if err := ns.links.RouteAdd(route); err != nil {
			return fmt.Errorf("route to %s by the node: %w", prefix, err)
		}
	}
	return nil
}

func (n *network) close() {
	for _, ns := range []*namespace{n.internet, n.control, n.node} {
		if ns != nil {
			_ = ns.close() // at the latest, the kernel ends it with the process
		}
	}
}

func addressOf(addr netip.Addr) *netlink.Addr {
	flags := 0
	if addr.Is6() {
		flags = unix.IFA_F_NODAD
	}
	return &netlink.Addr{IPNet: ipNet(netip.PrefixFrom(addr, addr.BitLen())), Flags: flags}
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

func routeTo(prefix netip.Prefix, link netlink.Link) *netlink.Route {
	return &netlink.Route{Dst: ipNet(prefix), LinkIndex: link.Attrs().Index, Scope: netlink.SCOPE_LINK}
}
