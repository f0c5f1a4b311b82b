package testnet

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os/exec"
	"strings"
	"sync"
	"time"
)

// The addresses of the two ends of the wire, and the ranges for hosts.
var (
	insideAddresses  = []netip.Prefix{netip.MustParsePrefix("192.0.2.2/24"), netip.MustParsePrefix("2001:db8:1::2/64")}
	outsideAddresses = []netip.Prefix{netip.MustParsePrefix("192.0.2.1/24"), netip.MustParsePrefix("2001:db8:1::1/64")}
	hostRanges       = []netip.Prefix{
		netip.MustParsePrefix("203.0.113.0/24"),
		netip.MustParsePrefix("198.51.100.0/24"),
		netip.MustParsePrefix("2001:db8::/32"),
		netip.MustParsePrefix("169.254.169.254/32"), // the metadata service of a cloud
	}
)

// The links between inside and outside, the best first.
const (
	Veth     = "veth"
	Netkit   = "netkit" // a pair like veth, for kernels from 6.7 on that have veth only as a module
	Loopback = "lo"     // no pair: inside and outside are one namespace
)

// Lab is a running lab. It is safe for concurrent use.
type Lab struct {
	wire  *wire
	close func() error // once

	mu        sync.Mutex
	hosts     map[netip.Addr]bool
	servers   []*Server
	resolvers []netip.AddrPort // the DNS servers in the order of their start
	search    []string
	ndots     int
	timeout   time.Duration // 0: the resolver's default
	authority *authority    // made for the first certificate
}

// Open builds an empty lab: two namespaces, one wire. It needs root on Linux and returns [errors.ErrUnsupported]
// elsewhere. Tests call [New] instead.
func Open() (*Lab, error) {
	wire, err := newWire()
	if errors.Is(err, fs.ErrPermission) {
		return nil, fmt.Errorf("open lab, which needs root: %w", err)
	}
	if err != nil {
		return nil, fmt.Errorf("open lab: %w", err)
	}
	return newLab(wire), nil
}

func newLab(wire *wire) *Lab {
	lab := &Lab{wire: wire, hosts: map[netip.Addr]bool{}}
	lab.close = sync.OnceValue(lab.shut)
	return lab
}

// Wire returns the link between inside and outside: [Veth], [Netkit] or [Loopback].
func (l *Lab) Wire() string { return l.wire.kind }

// Close kills the processes that still run inside, stops the servers and removes the namespaces. Later calls return the
// result of the first one.
func (l *Lab) Close() error { return l.close() }

func (l *Lab) shut() error {
	l.mu.Lock()
	servers := l.servers
	l.mu.Unlock()

	// The processes end first: if a server ended before them, they would see unexpected errors.
	errs := []error{l.wire.endProcesses()}
	for _, server := range servers {
		errs = append(errs, server.Close())
	}
	errs = append(errs, l.wire.close())
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("close lab: %w", err)
	}
	return nil
}

// Host adds a host with these addresses outside. The servers' addresses need no call, so Host is for a machine without
// servers: its ports refuse. Adding an address twice is no error.
func (l *Lab) Host(addresses ...string) error {
	for _, text := range addresses {
		address, err := netip.ParseAddr(text)
		if err != nil {
			return fmt.Errorf("add host: %w", err)
		}
		if err := l.addHost(address); err != nil {
			return fmt.Errorf("add host: %w", err)
		}
	}
	return nil
}

func (l *Lab) addHost(address netip.Addr) error {
	if !canBeHost(address) {
		const ranges = "203.0.113.0/24, 198.51.100.0/24, 2001:db8::/32 without 2001:db8:1::/64; or 169.254.169.254"
		return fmt.Errorf("address %s is not in a documentation range (%s)", address, ranges)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.hosts[address] {
		return nil
	}
	if err := l.wire.addAddress(address); err != nil {
		return err
	}
	l.hosts[address] = true
	return nil
}

func canBeHost(address netip.Addr) bool {
	if address.Zone() != "" {
		return false
	}
	for _, prefix := range insideAddresses {
		if prefix.Masked().Contains(address) {
			return false
		}
	}
	for _, prefix := range hostRanges {
		if prefix.Contains(address) {
			return true
		}
	}
	return false
}

// Search sets the search list of the resolver inside, for commands made from now on.
func (l *Lab) Search(domains ...string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.search = domains
}

// Ndots sets how many dots a name needs to be looked up without the search list first, for commands made from now on. 0
// means the resolver's default, 1.
func (l *Lab) Ndots(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ndots = n
}

// ResolverTimeout sets how long resolvers wait for an answer, in whole seconds, for commands made from now on: on a
// busy machine the default of 5 seconds may be too short.
func (l *Lab) ResolverTimeout(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.timeout = d
}

// ResolvConf returns the content of /etc/resolv.conf for a command. The file cannot name servers on another port than
// 53.
func (l *Lab) ResolvConf() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var b strings.Builder
	// Without a nameserver line resolvers query 127.0.0.1, which has no server inside: lookups fail at once.
	b.WriteString("# written by testnet\n")
	for _, address := range l.resolvers {
		if address.Port() == 53 {
			fmt.Fprintf(&b, "nameserver %s\n", address.Addr())
		}
	}
	if len(l.search) > 0 {
		fmt.Fprintf(&b, "search %s\n", strings.Join(l.search, " "))
	}
	if l.ndots > 0 {
		fmt.Fprintf(&b, "options ndots:%d\n", l.ndots)
	}
	if l.timeout > 0 {
		fmt.Fprintf(&b, "options timeout:%d\n", l.timeout/time.Second)
	}
	return b.String()
}

// Command returns a command that will run inside the lab. It is an ordinary [exec.Cmd]: set Env, Dir and the streams,
// add ExtraFiles and SysProcAttr, start it and wait for it. Its process id is that of the program. Only Path and Args
// must not change, and SysProcAttr must not drop root (let the program itself do so).
//
// The command has its own network, /etc/resolv.conf, hosts line of /etc/nsswitch.conf, and its mounts are private.
// Later mounts of the machine still show up inside. Exit code 125 with a line that starts with "testnet:" means that
// the command could not enter the lab.
//
// The search list and the DNS servers are those at the time of the call. [Lab.Close] kills processes that the program
// leaves behind.
func (l *Lab) Command(ctx context.Context, name string, args ...string) *exec.Cmd {
	return l.wire.command(ctx, l.ResolvConf(), name, args...)
}

// Run calls fn on the calling goroutine, on a thread that is inside the lab until fn returns. Sockets that fn itself
// opens are inside. Goroutines that fn starts are not: this includes a net.Dial that resolves a name or tries several
// addresses at once; use [Lab.DialContext]. Processes that fn starts have the network of inside, but the machine's
// /etc/resolv.conf; use [Lab.Command].
func (l *Lab) Run(fn func() error) error { return l.wire.inside(fn) }

// RunOutside is [Lab.Run] for the outside: a host sends the packets of sockets that fn opens.
func (l *Lab) RunOutside(fn func() error) error { return l.wire.outside(fn) }
