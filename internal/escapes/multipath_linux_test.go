package escapes

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// From linux/mptcp_pm.h.
const (
	multipathAddAddress = 1
	multipathSetLimits  = 5

	multipathAddress        = 1
	multipathAcceptedOffers = 2
	multipathSubflows       = 3

	multipathFamily    = 1
	multipathInet4     = 3
	multipathFlags     = 6
	multipathFlagOffer = 1
)

// offered is the address that the outside offers to MPTCP clients that follow offers.
var offered = netip.MustParseAddr("203.0.113.8")

// multipathOffered connects, and waits until the kernel has opened a second subflow to the address that the peer
// offers.
func multipathOffered(to host) error {
	if err := multipathLimits(4); err != nil {
		return lacks(err, unix.ENOENT)
	}
	err := onSocket(unix.AF_INET, unix.SOCK_STREAM, protocolMPTCP, func(fd int) error {
		if err := connect(fd, sockaddr(to.tcp4())); err != nil {
			return err
		}
		for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
			if err := exchange(fd); err != nil {
				return err
			}
			if open, err := connectedTo(netip.AddrPortFrom(offered, 443)); open || err != nil {
				return err
			}
			if time.Now().After(end) {
				return fmt.Errorf("the kernel opens nothing to %s", offered)
			}
		}
	})
	return lacks(errors.Join(err, multipathLimits(0)), unix.EINVAL)
}

// connectedTo reports whether this network namespace has a TCP connection to an address.
func connectedTo(to netip.AddrPort) (bool, error) {
	text, err := os.ReadFile("/proc/thread-self/net/tcp")
	if err != nil {
		return false, err
	}
	a := to.Addr().As4()
	const established = "01"
	entry := fmt.Sprintf("%02X%02X%02X%02X:%04X %s", a[3], a[2], a[1], a[0], to.Port(), established)
	return strings.Contains(string(text), entry), nil
}

// multipathLimits sets the number of offers that this network namespace follows.
func multipathLimits(n uint32) error {
	number := make([]byte, 4)
	binary.NativeEndian.PutUint32(number, n)
	return multipathCommand(multipathSetLimits, nl.NewRtAttr(multipathAcceptedOffers, number),
		nl.NewRtAttr(multipathSubflows, number))
}

// multipathOffer makes this network namespace offer an address.
func multipathOffer(a netip.Addr) error {
	family, flags := make([]byte, 2), make([]byte, 4)
	binary.NativeEndian.PutUint16(family, unix.AF_INET)
	binary.NativeEndian.PutUint32(flags, multipathFlagOffer)
	address := nl.NewRtAttr(multipathAddress|unix.NLA_F_NESTED, nil)
	address.AddRtAttr(multipathFamily, family)
	address.AddRtAttr(multipathInet4, a.AsSlice())
	address.AddRtAttr(multipathFlags, flags)
	return multipathCommand(multipathAddAddress, address)
}

func multipathCommand(command uint8, attributes ...*nl.RtAttr) error {
	family, err := netlink.GenlFamilyGet("mptcp_pm")
	if err != nil {
		return fmt.Errorf("find MPTCP's path manager: %w", err)
	}
	request := nl.NewNetlinkRequest(int(family.ID), unix.NLM_F_ACK)
	request.AddData(&nl.Genlmsg{Command: command, Version: 1})
	for _, a := range attributes {
		request.AddData(a)
	}
	if _, err := request.Execute(unix.NETLINK_GENERIC, 0); err != nil {
		return fmt.Errorf("configure MPTCP's path manager: %w", err)
	}
	return nil
}
