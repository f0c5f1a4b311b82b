package testnet

import (
	"fmt"
	"net/netip"
	"os"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// JoinBridge connects the lab's hosts to a bridge of the calling process's network, such as that of a Docker network:
// members of the bridge reach hosts in the network of address, which is the lab's own address there. Docker must not
// give that address and the hosts' to containers. The connection ends with the lab. It needs hosts in a separate
// namespace ([Lab.Wire] is not Loopback).
func (l *Lab) JoinBridge(bridge string, address netip.Prefix) error {
	if l.wire.kind == Loopback {
		return fmt.Errorf("join bridge %s: the lab's hosts have no network of their own", bridge)
	}
	master, err := netlink.LinkByName(bridge)
	if err != nil {
		return fmt.Errorf("join bridge %s: %w", bridge, err)
	}
	pair := &netlink.Veth{
		LinkAttrs: netlink.LinkAttrs{Name: fmt.Sprintf("nzlab%d", os.Getpid()), MasterIndex: master.Attrs().Index,
			Flags: unix.IFF_UP},
		PeerName:      "bridge0",
		PeerNamespace: netlink.NsFd(l.wire.outsideNS.file.Fd()),
	}
	if err := netlink.LinkAdd(pair); err != nil {
		return fmt.Errorf("join bridge %s: create veth pair: %w", bridge, err)
	}
	if err := netlink.LinkSetUp(pair); err != nil {
		return fmt.Errorf("join bridge %s: set link up: %w", bridge, err)
	}
	plug, err := l.wire.outsideLinks.LinkByName(pair.PeerName)
	if err != nil {
		return fmt.Errorf("join bridge %s: find plug: %w", bridge, err)
	}
	if err := l.wire.outsideLinks.LinkSetUp(plug); err != nil {
		return fmt.Errorf("join bridge %s: set plug up: %w", bridge, err)
	}
	return addAddress(l.wire.outsideLinks, plug, address)
}
