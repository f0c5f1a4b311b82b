package escapes

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"golang.org/x/sys/unix"
)

// way is one way out of a process, and a row of docs/escapes.md.
type way struct {
	name string // unique
	// want is the expected recording: the targets of all flows in order, such as "host:443/TCP". The word host means
	// the addresses of the row's host. Empty: no flow.
	want string
	// why is the reason for no flow, if want is empty; otherwise it is a remark.
	why string
	// failure is the expected failure message. For a row with early, it applies if early ran before the first recording of
	// the process. The row passes otherwise.
	failure string
	// unseenBefore is the reason for no flow if early ran before the first recording of the process.
	unseenBefore string
	// endedFailure is the expected failure message if early ran in an earlier test: the flow belongs to that test's
	// recording.
	endedFailure string
	// passes is the reason why Enforce does not refuse the flows. Empty: it refuses them. What is not recorded is never
	// refused.
	passes string
	// allowed: the policy that Enforce gets allows the row's host at 443/TCP. Otherwise it allows nothing.
	allowed bool
	// silent: a refused call returns no error.
	silent bool
	// capability is the way's row in docs/kernels.md, if some kernels lack the feature.
	capability string
	// inside: no packet leaves the machine. partial: packets leave, but arrive nowhere.
	inside, partial bool

	// open opens the flow. It returns errNone if this kernel lacks the feature.
	open func(to host) error
	// early replaces open if a part runs before the recording starts. It returns the rest.
	early func(to host) (open func() error, err error)
}

// group contains the ways of one kind: a section of docs/escapes.md, and a row of docs/kernels.md.
type group struct {
	name       string
	capability string // its row in docs/kernels.md
	container  bool   // the group needs Docker; it then has no capability
	ways       []way
}

// groups are all groups, in the order of docs/escapes.md.
var groups = []group{
	{name: "TCP", capability: "ways out: TCP", ways: tcpWays},
	{name: "UDP", capability: "ways out: UDP", ways: udpWays},
	{name: "Raw packets and ICMP", capability: "ways out: Raw packets and ICMP", ways: rawWays},
	{name: "io_uring", capability: "ways out: io_uring", ways: uringWays},
	{name: "Earlier sockets", capability: "ways out: Earlier sockets", ways: earlierWays},
	{name: "Answers", capability: "ways out: Answers", ways: answerWays},
	{name: "Sockets of other processes", capability: "ways out: Sockets of other processes", ways: passedWays},
	{name: "Processes", capability: "ways out: Processes", ways: processWays},
	{name: "Network namespaces", capability: "ways out: Network namespaces", ways: namespaceWays},
	{name: "Containers", container: true, ways: containerWays},
	{name: "Outside IP sockets", capability: "ways out: Outside IP sockets", ways: otherWays},
}

// notYet has the rows with a known wrong result, and the defects. A row in it that passes fails the test. Then remove
// it.
var notYet = map[string]string{}

// host is the destination of a row's traffic. Servers echo at its ports 443/TCP and 8125/UDP.
type host struct {
	v4, v6 netip.Addr
}

// hostOf returns the host of a row.
func hostOf(name string) host {
	n, inDocker := 20, 21
	for _, g := range groups {
		for _, w := range g.ways {
			switch {
			case w.name == name && g.container: // in the network that containers reach
				return host{netip.AddrFrom4([4]byte{198, 51, 100, byte(inDocker)}), addressV6(0x200 + inDocker)}
			case w.name == name:
				return host{netip.AddrFrom4([4]byte{203, 0, 113, byte(n)}), addressV6(0x100 + n)}
			case g.container:
				inDocker++
			default:
				n++
			}
		}
	}
	panic(fmt.Sprintf("no host for %q", name))
}

func addressV6(n int) netip.Addr { return netip.MustParseAddr(fmt.Sprintf("2001:db8::%x", n)) }

func allWays() (all []way) {
	for _, g := range groups {
		all = append(all, g.ways...)
	}
	return all
}

// findWay returns the row with a name.
func findWay(name string) way {
	for _, w := range allWays() {
		if w.name == name {
			return w
		}
	}
	panic(fmt.Sprintf("there is no way %q", name))
}

// start runs the part before the recording, and returns the rest.
func (w way) start(to host) (open func() error, err error) {
	if w.early != nil {
		return w.early(to)
	}
	return func() error { return w.open(to) }, nil
}

// destinations returns the addresses to which the row's packets go: the first flow's if the row names one, else its
// host's.
func (w way) destinations() []netip.Addr {
	first, _, _ := strings.Cut(w.want, "/")
	if literal, err := netip.ParseAddrPort(first); err == nil {
		return []netip.Addr{literal.Addr()}
	}
	to := hostOf(w.name)
	return []netip.Addr{to.v4, to.v6}
}

func (h host) tcp4() netip.AddrPort { return netip.AddrPortFrom(h.v4, 443) }
func (h host) tcp6() netip.AddrPort { return netip.AddrPortFrom(h.v6, 443) }
func (h host) udp4() netip.AddrPort { return netip.AddrPortFrom(h.v4, 8125) }
func (h host) udp6() netip.AddrPort { return netip.AddrPortFrom(h.v6, 8125) }

// asHost replaces the host's addresses in a target with the word host.
func (h host) asHost(target string) string {
	return strings.NewReplacer("["+h.v6.String()+"]", "host", h.v6.String(), "host", h.v4.String(), "host").Replace(target)
}

// errNone reports that this kernel lacks a feature.
type errNone struct{ reason string }

func (e errNone) Error() string { return e.reason }

// none returns the error for a feature that is not built in. All such features have the same reason.
func none() error { return errNone{"the kernel does not support it"} }

// lacks turns the errors that kernels return for missing features into that of none.
func lacks(err error, more ...unix.Errno) error {
	for _, e := range append(more, unix.EPROTONOSUPPORT, unix.EAFNOSUPPORT, unix.ESOCKTNOSUPPORT, unix.EOPNOTSUPP,
		unix.ENOSYS) {
		if errors.Is(err, e) {
			return none()
		}
	}
	return err
}
