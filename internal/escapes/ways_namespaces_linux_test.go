package escapes

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

var namespaceWays = []way{
	{name: "new network namespace (unshare)", want: "host:8125/UDP",
		capability: "way out: new network namespace (unshare)", open: func(to host) error {
			return run(self("unshare", to))
		}},
	{name: "network namespace of another process (setns)", want: "host:8125/UDP",
		capability: "way out: network namespace of another process (setns)", open: func(to host) error {
			return inThread(func() error {
				if err := unshareNet(); err != nil {
					return err
				}
				holder, err := os.Open("/proc/thread-self/ns/net")
				if err != nil {
					return err
				}
				defer holder.Close()
				return inThread(func() error { // a thread in the process's network namespace
					if err := unix.Setns(int(holder.Fd()), unix.CLONE_NEWNET); err != nil {
						return err
					}
					return udpSendTo(to.udp4())
				})
			})
		}},
	{name: "address of the test's network namespace, in another one", want: viaTCP, inside: true,
		open: func(to host) error {
			return inThread(func() error { return addressOfTwo(to) })
		}},
}

// otherWays leave without an IP socket, or do not leave at all.
var otherWays = []way{
	{name: "packet socket (AF_PACKET)", why: "it passes below IP", open: packetSocket},
	{name: "TUN device", why: "to the kernel it is an incoming packet, which it forwards",
		capability: "way out: TUN device", open: throughTUN},
	{name: "an unrelated process sends for the test",
		why: "traffic of another process is its own, even on behalf of the test", open: sendByLender},
	{name: "multicast group, joined (IGMP)", why: "the message is the kernel's own", inside: true, open: joinGroup},
	{name: "vsock", why: "it has no IP address", inside: true, capability: "way out: vsock", open: throughVsock},
	{name: "Unix socket", why: "it does not leave the machine; flows of the process at the other end are its own",
		inside: true, open: throughUnix},
	{name: "netlink socket", why: "it does not leave the kernel", inside: true, open: throughNetlink},
}

func init() {
	children["unshare"] = func(to host) error {
		return inThread(func() error {
			if err := unshareNet(); err != nil {
				return err
			}
			return udpSendTo(to.udp4())
		})
	}
}

// inThread calls fn on a thread that ends after fn.
func inThread(fn func() error) error {
	ended := make(chan error)
	go func() {
		runtime.LockOSThread()
		ended <- fn()
	}()
	return <-ended
}

// unshareNet moves the calling thread to a new network namespace. The process's namespace forwards its packets. Answers
// have no route back.
func unshareNet() error {
	home, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		return err
	}
	defer home.Close()
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("unshare: %w", err)
	}
	name := fmt.Sprintf("escape%d", unix.Gettid()%100000)
	nearMAC, farMAC := net.HardwareAddr{0x02, 0, 0, 0, 1, 2}, net.HardwareAddr{0x02, 0, 0, 0, 1, 1}
	pair := &netlink.Veth{
		LinkAttrs: netlink.LinkAttrs{Name: "eth0", HardwareAddr: nearMAC},
		PeerName:  name, PeerHardwareAddr: farMAC, PeerNamespace: netlink.NsFd(home.Fd()),
	}
	if err := netlink.LinkAdd(pair); err != nil {
		return lacks(fmt.Errorf("make veth pair: %w", err))
	}
	const near, far = "198.18.7.2/24", "198.18.7.1/24" // in a network for tests (RFC 2544)
	gateway := net.IPv4(198, 18, 7, 1)
	if err := withAddress("eth0", near); err != nil {
		return err
	}
	back, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		return err
	}
	defer back.Close()
	if err := unix.Setns(int(home.Fd()), unix.CLONE_NEWNET); err != nil {
		return err
	}
	if err := withAddress(name, far); err != nil {
		return err
	}
	if err := unix.Setns(int(back.Fd()), unix.CLONE_NEWNET); err != nil {
		return err
	}
	link, err := awaitUp("eth0")
	if err != nil {
		return err
	}
	// The namespace may end right after the packet was sent, so sending must not wait for ARP.
	neighbour := &netlink.Neigh{LinkIndex: link.Attrs().Index, State: netlink.NUD_PERMANENT, IP: gateway,
		HardwareAddr: farMAC}
	return errors.Join(netlink.NeighSet(neighbour), netlink.RouteAdd(&netlink.Route{Gw: gateway}))
}

// awaitUp waits until an interface of the thread's namespace can transmit.
func awaitUp(name string) (netlink.Link, error) {
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		link, err := netlink.LinkByName(name)
		if err != nil || link.Attrs().OperState == netlink.OperUp {
			return link, err
		}
		if time.Now().After(end) {
			return nil, fmt.Errorf("%s does not come up", name)
		}
	}
}

// withAddress adds an address to an interface of the thread's namespace, and sets the interface up.
func withAddress(name, address string) error {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return err
	}
	a, err := netlink.ParseAddr(address)
	if err != nil {
		return err
	}
	return errors.Join(netlink.AddrReplace(link, a), netlink.LinkSetUp(link))
}

// addressOfTwo connects, in a separate namespace of the thread, to an address that the process's namespace has. In the
// thread's namespace it belongs to another machine, which a route to lo simulates.
func addressOfTwo(to host) error {
	if err := withAddress("lo", to.v4.String()+"/32"); err != nil {
		return err
	}
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("unshare: %w", err)
	}
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return err
	}
	if err := netlink.LinkSetUp(lo); err != nil {
		return err
	}
	route := &netlink.Route{
		LinkIndex: lo.Attrs().Index, Dst: netlink.NewIPNet(to.v4.AsSlice()), Src: net.IPv4(127, 0, 0, 1),
		Type: unix.RTN_LOCAL, Table: unix.RT_TABLE_LOCAL, Scope: netlink.SCOPE_HOST,
	}
	if err := netlink.RouteAdd(route); err != nil {
		return fmt.Errorf("add route: %w", err)
	}
	return onSocket(unix.AF_INET, unix.SOCK_STREAM, 0,
		func(fd int) error { return refused(connect(fd, sockaddr(to.tcp4()))) })
}

// outsideMAC is the MAC address that package testnet gives to the lab's other end.
var outsideMAC = net.HardwareAddr{0x02, 0, 0, 0, 0, 0x01}

func packetSocket(to host) error {
	device, err := insideDevice()
	if err != nil {
		return err
	}
	destination := outsideMAC
	if len(device.HardwareAddr) == 0 {
		destination = nil
	}
	frame, err := rawFrame(destination, device.HardwareAddr, ipPacket(to, unix.IPPROTO_UDP, 0, udpPacket(8125)))
	if err != nil {
		return err
	}
	return onSocket(unix.AF_PACKET, unix.SOCK_RAW, 0, func(fd int) error {
		return sendTo(fd, frame, &unix.SockaddrLinklayer{Protocol: 0x0008, Ifindex: device.Index, Halen: 6,
			Addr: [8]byte(append(append([]byte{}, frame[:6]...), 0, 0))})
	})
}

// throughTUN writes a packet with another source address to a device, so that the kernel forwards it.
func throughTUN(to host) error {
	device, err := os.OpenFile("/dev/net/tun", os.O_RDWR, 0)
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ENODEV) {
		return none()
	}
	if err != nil {
		return err
	}
	defer device.Close()
	request, err := unix.NewIfreq("escapes0")
	if err != nil {
		return err
	}
	request.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
	if err := unix.IoctlIfreq(int(device.Fd()), unix.TUNSETIFF, request); err != nil {
		return lacks(fmt.Errorf("make TUN device: %w", err), unix.EBADFD, unix.ENOTTY)
	}
	if err := withAddress("escapes0", "198.18.8.1/24"); err != nil {
		return err
	}
	packet := ipPacket(to, unix.IPPROTO_UDP, 0, udpPacket(8125))
	copy(packet[12:], []byte{198, 18, 8, 2})
	packet[10], packet[11] = 0, 0
	sum := checksum(packet[:20])
	packet[10], packet[11] = byte(sum>>8), byte(sum)
	_, err = device.Write(packet)
	return err
}

// sendByLender makes the lender send.
func sendByLender(to host) error {
	conn, err := net.Dial("unix", os.Getenv(lenderVariable))
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := fmt.Fprintf(conn, "%s send\n", to.v4); err != nil {
		return err
	}
	_, err = conn.Read(make([]byte, 100))
	return err
}

func joinGroup(host) error {
	return onSocket(unix.AF_INET, unix.SOCK_DGRAM, 0, func(fd int) error {
		device, err := insideDevice()
		if err != nil {
			return err
		}
		group := &unix.IPMreqn{Multiaddr: [4]byte{239, 7, 7, 8}, Ifindex: int32(device.Index)}
		return unix.SetsockoptIPMreqn(fd, unix.IPPROTO_IP, unix.IP_ADD_MEMBERSHIP, group)
	})
}

// throughVsock calls the machine that runs this one. The test does not need an answer.
func throughVsock(host) error {
	err := onSocket(unix.AF_VSOCK, unix.SOCK_STREAM|unix.SOCK_NONBLOCK, 0, func(fd int) error {
		_ = unix.Connect(fd, &unix.SockaddrVM{CID: unix.VMADDR_CID_HOST, Port: 443})
		return nil
	})
	return lacks(err)
}

func throughUnix(host) error {
	file := filepath.Join(os.TempDir(), fmt.Sprintf("escapes-%d", os.Getpid()))
	listener, err := net.Listen("unix", file)
	if err != nil {
		return err
	}
	defer listener.Close()
	conn, err := net.DialTimeout("unix", file, time.Second)
	if err != nil {
		return err
	}
	defer conn.Close()
	_, err = conn.Write(payload)
	return err
}

func throughNetlink(host) error {
	_, err := netlink.LinkList()
	return err
}
