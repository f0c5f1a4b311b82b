package probe

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/netzero-dev/netzero/bpf"
	"github.com/netzero-dev/netzero/internal/dns"
	"github.com/netzero-dev/netzero/internal/enforce"
	"github.com/netzero-dev/netzero/internal/goroutine"
	"github.com/netzero-dev/netzero/internal/testenv"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// newEnforcingRig is a rig that enforces rules for tasks of no recording.
func newEnforcingRig(t *testing.T, rules Rules) *rig {
	t.Helper()
	r := newRig(t, Sizes{})
	check(t, r.EnableEnforcement())
	r.enforce(r.leaf.ID, 0, rules)
	return r
}

func (r *rig) enforce(cgroup uint64, recording goroutine.ID, rules Rules) PolicyID {
	r.t.Helper()
	id, err := r.NewPolicy(rules)
	check(r.t, err)
	check(r.t, r.Enforce(cgroup, recording, id))
	return id
}

// addresses returns rules for addresses: "127.0.0.0/8 TCP 80-90", "127.1.0.0/16" for none.
func addresses(t *testing.T, lines ...string) Rules {
	t.Helper()
	rules := Rules{Addresses: make(map[netip.Prefix][]enforce.PortRange)}
	for _, line := range lines {
		prefix, ports, _ := strings.Cut(line, " ")
		rules.Addresses[netip.MustParsePrefix(prefix)] = portRanges(t, ports)
	}
	return rules
}

// portRanges reads "TCP 80-90 UDP 53-53".
func portRanges(t *testing.T, text string) (ranges []enforce.PortRange) {
	t.Helper()
	protocols := map[string]flow.Protocol{"TCP": flow.TCP, "UDP": flow.UDP, "ICMP": flow.ICMP}
	for fields := strings.Fields(text); len(fields) >= 2; fields = fields[2:] {
		r := enforce.PortRange{Protocol: protocols[fields[0]]}
		_, err := fmt.Sscanf(fields[1], "%d-%d", &r.First, &r.Last)
		check(t, err)
		ranges = append(ranges, r)
	}
	return ranges
}

// refused returns the refused flows: "TCP 127.0.0.1:80 x3". For ICMP the port is the type.
func (r *rig) refused() map[string]uint64 {
	r.t.Helper()
	found := make(map[string]uint64)
	for _, e := range seen[*FlowEvent](r) {
		n, err := r.Refused(e.Key)
		check(r.t, err)
		if n > 0 {
			found[fmt.Sprintf("%s %s:%d", e.Protocol, e.Addr, e.Port+uint16(e.ICMPType))] += n
		}
	}
	return found
}

// connect returns the error of a TCP connect.
func connect(to string) error {
	addr := netip.MustParseAddrPort(to)
	family, sa := unix.AF_INET, unix.Sockaddr(&unix.SockaddrInet4{Port: int(addr.Port())})
	if addr.Addr().Is6() {
		family, sa = unix.AF_INET6, &unix.SockaddrInet6{Port: int(addr.Port()), Addr: addr.Addr().As16()}
	} else {
		sa.(*unix.SockaddrInet4).Addr = addr.Addr().As4()
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.Connect(fd, sa)
}

func TestEnforce_Addresses(t *testing.T) {
	testenv.Recorded(t, "Enforce: undeclared TCP connections are refused")
	r := newEnforcingRig(t, addresses(t,
		"127.0.0.0/8 TCP 100-200", "127.1.0.0/16", "127.1.2.0/24 TCP 100-200 TCP 300-300", "127.1.2.3/32",
		"::1/128 TCP 7-7", "::/0 TCP 99-99",
	))
	for to, want := range map[string]error{
		"127.0.0.1:100": unix.ECONNREFUSED, // allowed; nobody listens
		"127.0.0.1:200": unix.ECONNREFUSED,
		"127.0.0.1:99":  unix.EPERM,
		"127.0.0.1:201": unix.EPERM,
		"127.1.0.1:100": unix.EPERM, // an exception
		"127.1.2.1:100": unix.ECONNREFUSED,
		"127.1.2.1:300": unix.ECONNREFUSED,
		"127.1.2.1:250": unix.EPERM,
		"127.1.2.3:300": unix.EPERM,
		"[::1]:7":       unix.ECONNREFUSED,
		"[::1]:8":       unix.EPERM,
	} {
		if err := connect(to); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", to, err, want)
		}
	}
	want := map[string]uint64{
		"TCP 127.0.0.1:99": 1, "TCP 127.0.0.1:201": 1, "TCP 127.1.0.1:100": 1, "TCP 127.1.2.1:250": 1, "TCP 127.1.2.3:300": 1,
		"TCP ::1:8": 1,
	}
	if diff := cmp.Diff(want, r.refused()); diff != "" {
		t.Errorf("refused (-want +got):\n%s", diff)
	}
	if flows := r.flows(); len(flows) != 11 {
		t.Errorf("%d flows are recorded, want all 11: %q", len(flows), flows)
	}
	r.mustLoseNothing()
}

func TestEnforce_Datagrams(t *testing.T) {
	testenv.Recorded(t, "Enforce: undeclared datagrams are refused")
	allowed, denied := silent(t, "udp4", "127.0.0.1:0"), silent(t, "udp4", "127.0.0.2:0")
	received := silentConn(t, "127.0.0.3:0")
	r := newEnforcingRig(t, addresses(t, "127.0.0.1/32 UDP 0-65535"))
	for what, send := range map[string]func(to netip.AddrPort) error{
		"sendto": sendTo, "connected": sendConnected,
	} {
		if err := send(allowed); err != nil {
			t.Errorf("%s to the allowed address: %v", what, err)
		}
		if err := send(denied); !errors.Is(err, unix.EPERM) {
			t.Errorf("%s: %v, want EPERM", what, err)
		}
		if err := send(received.addr); !errors.Is(err, unix.EPERM) {
			t.Errorf("%s: %v, want EPERM", what, err)
		}
	}
	if received.any() {
		t.Error("a refused datagram arrived")
	}
	want := map[string]uint64{"UDP " + denied.String(): 2, "UDP " + received.addr.String(): 2}
	if diff := cmp.Diff(want, r.refused()); diff != "" {
		t.Errorf("refused (-want +got):\n%s", diff)
	}
	if flows := r.flows(); len(flows) != 3 {
		t.Errorf("flows %q, want three", flows)
	}
	r.mustLoseNothing()
}

func sendTo(to netip.AddrPort) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.Sendto(fd, []byte("x"), 0, &unix.SockaddrInet4{Addr: to.Addr().As4(), Port: int(to.Port())})
}

func sendConnected(to netip.AddrPort) error {
	c, err := net.Dial("udp4", to.String())
	if err != nil {
		return err
	}
	defer c.Close()
	_, err = c.Write([]byte("x"))
	return err
}

// inbox is a UDP socket.
type inbox struct {
	fd   int
	addr netip.AddrPort
}

func silentConn(t *testing.T, address string) inbox {
	t.Helper()
	at := netip.MustParseAddrPort(address)
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	check(t, err)
	t.Cleanup(func() { unix.Close(fd) })
	check(t, unix.Bind(fd, &unix.SockaddrInet4{Addr: at.Addr().As4(), Port: int(at.Port())}))
	bound, err := unix.Getsockname(fd)
	check(t, err)
	return inbox{fd, netip.AddrPortFrom(at.Addr(), uint16(bound.(*unix.SockaddrInet4).Port))}
}

// any reports whether a datagram has arrived. On loopback it arrives before sendto returns.
func (b inbox) any() bool {
	_, _, err := unix.Recvfrom(b.fd, make([]byte, 16), 0)
	return err == nil
}

func TestEnforce_ICMP(t *testing.T) {
	r := newEnforcingRig(t, addresses(t, "127.0.0.1/32 ICMP 8-8"))
	echo, timestamp := []byte{8, 0, 0xf7, 0xfd, 0, 1, 0, 1}, []byte{13, 0, 0xf2, 0xfd, 0, 1, 0, 1}
	if err := sendICMP(netip.MustParseAddr("127.0.0.1"), echo); err != nil {
		t.Errorf("allowed echo: %v", err)
	}
	if err := sendICMP(netip.MustParseAddr("127.0.0.1"), timestamp); !errors.Is(err, unix.EPERM) {
		t.Errorf("timestamp: %v, want EPERM", err)
	}
	if err := sendICMP(netip.MustParseAddr("127.0.0.2"), echo); !errors.Is(err, unix.EPERM) {
		t.Errorf("echo: %v, want EPERM", err)
	}
	want := map[string]uint64{"ICMP 127.0.0.1:13": 1, "ICMP 127.0.0.2:8": 1}
	if diff := cmp.Diff(want, r.refused()); diff != "" {
		t.Errorf("refused (-want +got):\n%s", diff)
	}
}

// A server may answer whoever asks it.
func TestEnforce_RepliesPass(t *testing.T) {
	r := newEnforcingRig(t, addresses(t, "127.0.0.2/32 UDP 0-65535"))
	server := echo(t, "udp4", "127.0.0.2:0")
	c, err := net.DialUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 3)}, net.UDPAddrFromAddrPort(server))
	check(t, err)
	defer c.Close()
	_, err = c.Write([]byte("ping"))
	check(t, err)
	if _, err := c.Read(make([]byte, 16)); err != nil {
		t.Errorf("no reply: %v", err)
	}
	if got := r.refused(); len(got) > 0 {
		t.Errorf("refused %v", got)
	}
}

func TestEnforce_Recordings(t *testing.T) {
	testenv.Recorded(t, "Enforce: each parallel test has its own policy")
	const tests, each = 64, 20
	r := newAttributionRig(t)
	check(t, r.EnableEnforcement())
	var wait sync.WaitGroup
	for i := range tests {
		id := goroutine.NewID()
		r.enforce(r.leaf.ID, id, addresses(t, fmt.Sprintf("127.1.%d.0/24 TCP 9-9 UDP 9-9", i)))
		wait.Go(func() {
			defer goroutine.Mark(id)()
			for n := range each {
				for _, other := range []int{i, (i + 1 + n) % tests} {
					to, want := fmt.Sprintf("127.1.%d.%d:9", other, n), unix.ECONNREFUSED
					if other != i {
						want = unix.EPERM
					}
					if err := connect(to); err != want {
						t.Errorf("test %d: connect to %s: %v, want %v", i, to, err, want)
					}
					if err := sendTo(netip.MustParseAddrPort(to)); (err == unix.EPERM) != (other != i) {
						t.Errorf("test %d: send to %s: %v", i, to, err)
					}
				}
			}
		})
	}
	wait.Wait()
	r.mustLoseNothing()
}

func TestEnforce_RemovePolicy(t *testing.T) {
	r := newRig(t, Sizes{})
	check(t, r.EnableEnforcement())
	id := r.enforce(r.leaf.ID, 0, Rules{
		Addresses: addresses(t, "127.0.0.0/8 TCP 80-80").Addresses, Names: []enforce.Name{{Host: "db.test"}},
	})
	if err := connect("127.0.0.1:9"); err != unix.EPERM {
		t.Errorf("with a policy: %v, want EPERM", err)
	}
	check(t, r.RemovePolicy(id))
	if err := connect("127.0.0.1:9"); err != unix.ECONNREFUSED {
		t.Errorf("without a policy: %v, want ECONNREFUSED", err)
	}
	for name, m := range map[string]*ebpf.Map{
		"enforced": r.enforcement.maps.Enforced, "names": r.enforcement.maps.AllowedNames,
		"addresses": r.enforcement.maps.AllowedAddresses,
	} {
		var key [64]byte
		if err := m.NextKey(nil, key[:m.KeySize()]); !errors.Is(err, ebpf.ErrKeyNotExist) {
			t.Errorf("%s: entries are left: %v", name, err)
		}
	}
}

// A container's cgroup does not exist before the container runs, but its parent does.
func TestEnforce_Below(t *testing.T) {
	testenv.Recorded(t, "Enforce: containers are refused from their first packet on")
	r := newRig(t, Sizes{})
	check(t, r.TrackNewCgroups(r.leaf.ID))
	r.untrackDescendants() // a container's processes are none
	check(t, r.EnableEnforcement())
	parent := r.sibling("parent")
	level := strings.Count(strings.TrimPrefix(parent.dir, r.tree.Root), "/")
	id, err := r.NewPolicy(addresses(t, "127.0.0.1/32 TCP 9-9"))
	check(t, err)
	check(t, r.EnforceBelow(parent.id, level, id))
	container := newGroup(t, parent.dir+"/container")
	for to, want := range map[string]string{
		"127.0.0.1:9": "connection refused", "127.0.0.2:9": "operation not permitted",
	} {
		if text := container.fails("tcp " + to); !strings.Contains(text, want) {
			t.Errorf("first connect to %s: %q, want %q", to, text, want)
		}
	}
	first := newGroup(t, parent.dir+"/second") // its first packet is a datagram
	if text := first.fails("udp 127.0.0.2:9"); !strings.Contains(text, "operation not permitted") {
		t.Errorf("first datagram: %q", text)
	}
	outside := r.sibling("outside")
	if text := outside.fails("tcp 127.0.0.2:9"); !strings.Contains(text, "connection refused") {
		t.Errorf("another cgroup: %q", text)
	}
}

// fails runs an act in the cgroup and returns the error that it prints.
func (g group) fails(act string) string {
	g.t.Helper()
	cmd, done := g.command([]string{act})
	defer done()
	var text strings.Builder
	cmd.Stderr = &text
	if err := cmd.Run(); err == nil {
		g.t.Errorf("%s: no error", act)
	}
	return text.String()
}

func TestEnforce_Names(t *testing.T) {
	testenv.Recorded(t, "Enforce: undeclared DNS names are refused")
	r := newEnforcingRig(t, Rules{
		Addresses: addresses(t, "127.53.0.53/32 UDP 53-53").Addresses,
		Names: []enforce.Name{
			{Host: "api.test", Ports: portRanges(t, "TCP 9-9")},
			{Host: "one.test", Match: enforce.OneLabel, Ports: portRanges(t, "TCP 9-9")},
			{Host: "any.test", Match: enforce.AnyLabels, Ports: portRanges(t, "TCP 9-9")},
			{Host: "lookup.test"},
		},
	})
	server := newResolver(t)
	for i, test := range []struct {
		name          string
		asked, opened bool
	}{
		{name: "api.test.", asked: true, opened: true},
		{name: "API.test.", asked: true, opened: true},
		{name: "x.api.test.", asked: false},
		{name: "test.", asked: false},
		{name: "a.one.test.", asked: true, opened: true},
		{name: "a.b.one.test.", asked: false},
		{name: "one.test.", asked: false},
		{name: "a.any.test.", asked: true, opened: true},
		{name: "a.b.c.d.e.any.test.", asked: true, opened: true},
		{name: "any.test.", asked: false},
		{name: "xany.test.", asked: false},
		{name: "lookup.test.", asked: true},
	} {
		addr := fmt.Sprintf("127.9.0.%d", i+1)
		if err := connect(addr + ":9"); err != unix.EPERM {
			t.Errorf("%s: before its lookup: %v, want EPERM", test.name, err)
		}
		if err := server.tryAnswer(message(t, test.name, test.name+" A "+addr)); (err == nil) != test.asked {
			t.Errorf("%s: question: %v", test.name, err)
		}
		want := unix.EPERM
		if test.opened {
			want = unix.ECONNREFUSED
		}
		if err := connect(addr + ":9"); err != want {
			t.Errorf("%s: after its lookup: %v, want %v", test.name, err, want)
		}
		if err := connect(addr + ":10"); err != unix.EPERM {
			t.Errorf("%s: other port: %v, want EPERM", test.name, err)
		}
	}
	for name, want := range map[string]uint64{"one.test": 1, "api.test": 0} {
		if n, err := r.RefusedQuestions(r.leaf.ID, 0, dns.Hash(name)); err != nil || n != want {
			t.Errorf("%s: %d refused questions, %v; want %d", name, n, err, want)
		}
	}
	r.mustLoseNothing()
}

// tryAnswer is answer, but returns the error of the question.
func (s *resolver) tryAnswer(payload []byte) error {
	s.t.Helper()
	c, err := net.Dial("udp4", resolverAddr)
	check(s.t, err)
	defer c.Close()
	if _, err = c.Write(questionOf(payload)); err != nil {
		return err
	}
	_, from, err := s.udp.ReadFrom(make([]byte, 1000))
	check(s.t, err)
	_, err = s.udp.WriteTo(payload, from)
	check(s.t, err)
	_, err = c.Read(make([]byte, 65536))
	check(s.t, err)
	return nil
}

// Both names have the address, but only one of them is declared.
func TestEnforce_NamesShareAddress(t *testing.T) {
	r := newAttributionRig(t)
	check(t, r.EnableEnforcement())
	server := newResolver(t)
	ids := map[string]goroutine.ID{"a.test": goroutine.NewID(), "b.test": goroutine.NewID()}
	for name, id := range ids {
		r.enforce(r.leaf.ID, id, Rules{
			Addresses: addresses(t, "127.53.0.53/32 UDP 53-53").Addresses,
			Names:     []enforce.Name{{Host: name, Ports: portRanges(t, "TCP 9-9")}},
		})
	}
	r.runLabelled(ids["a.test"], func() {
		server.answer(message(t, "a.test.", "a.test. A 127.9.0.1"))
		if err := server.tryAnswer(message(t, "b.test.", "b.test. A 127.9.0.1")); !errors.Is(err, unix.EPERM) {
			t.Errorf("undeclared name: %v, want EPERM", err)
		}
		if err := connect("127.9.0.1:9"); err != unix.ECONNREFUSED {
			t.Errorf("declared name: %v", err)
		}
	})
	r.runLabelled(ids["b.test"], func() {
		if err := connect("127.9.0.1:9"); err != unix.EPERM {
			t.Errorf("name of another recording: %v, want EPERM", err)
		}
	})
	// A resolver in the process asks once for all: the answer counts for every recording that declares the name.
	r.enforce(r.leaf.ID, ids["b.test"], Rules{Names: []enforce.Name{{Host: "a.test", Ports: portRanges(t, "TCP 9-9")}}})
	r.runLabelled(ids["b.test"], func() {
		if err := connect("127.9.0.1:9"); err != unix.ECONNREFUSED {
			t.Errorf("answer for another recording: %v", err)
		}
	})
}

func TestEnforce_StackOfLookup(t *testing.T) {
	r := newAttributionRig(t)
	check(t, r.EnableEnforcement())
	server := newResolver(t)
	id := goroutine.NewID()
	r.enforce(r.leaf.ID, id, addresses(t, "127.53.0.53/32 UDP 53-53"))
	for _, name := range []string{"a.test.", "b.test."} { // the flow to the resolver is known the second time
		r.runLabelled(id, func() {
			if err := server.tryAnswer(message(t, name, name+" A 127.9.0.1")); !errors.Is(err, unix.EPERM) {
				t.Errorf("%s: %v, want EPERM", name, err)
			}
		})
	}
	questions := seen[*QuestionEvent](r)
	if len(questions) != 2 {
		t.Fatalf("%d lookups, want 2", len(questions))
	}
	for _, q := range questions {
		if q.Stack == nil || !hasFrame(q.Stack, "probe.(*resolver).tryAnswer") {
			t.Errorf("%q: stack %v, want one from here", q.Name, q.Stack)
		}
	}
}

func TestEnforce_TooManyPorts(t *testing.T) {
	r := newRig(t, Sizes{})
	check(t, r.EnableEnforcement())
	ports := make([]enforce.PortRange, enforce.MaxPorts+1)
	if _, err := r.NewPolicy(Rules{Names: []enforce.Name{{Host: "api.test", Ports: ports}}}); err == nil {
		t.Error("no error")
	}
	if n := len(r.enforcement.declared); n != 0 {
		t.Errorf("%d names are left", n)
	}
}

// The programs that refuse use the global variables of those that record.
func TestEnforce_SameVariables(t *testing.T) {
	record, err := bpf.LoadRecord()
	check(t, err)
	enforcing, err := bpf.LoadEnforce()
	check(t, err)
	for name, variable := range record.Variables {
		if variable.SectionName != variables {
			continue // a constant
		}
		other := enforcing.Variables[name]
		if other == nil || other.Offset != variable.Offset || other.Size() != variable.Size() {
			t.Errorf("%s: %v in one object, %v in the other", name, variable, other)
		}
	}
	if got, want := enforcing.Maps[variables].ValueSize, record.Maps[variables].ValueSize; got != want {
		t.Errorf("%d bytes of variables, want %d", got, want)
	}
}
