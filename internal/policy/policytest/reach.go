package policytest

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/netzero-dev/netzero/internal/enforce"
	"github.com/netzero-dev/netzero/internal/enforce/enforcetest"
	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// Reach compares what policies let a subject reach with their verdicts.
type Reach struct {
	Reach   policy.Reach
	Subject policy.Workload
	Scope   policy.Scope
	// Verdict returns the verdict of the subject's egress.
	Verdict func(flow.Flow) policy.Verdict
	// Node says that the dialect distinguishes processes of the node from pods.
	Node bool
	// Denies says that a rule denies. The kernel then refuses protocols without a name that another rule allows.
	Denies bool
}

// ReachCoverage counts the comparisons by their kind and result.
type ReachCoverage map[string]int

// Check fails a test that compared no destination of some kind.
func (c ReachCoverage) Check(t *testing.T) {
	t.Helper()
	for _, kind := range []string{"address", "name", "lookup", "workload", "API server"} {
		for _, result := range []string{" allowed", " denied"} {
			if c[kind+result] == 0 {
				t.Errorf("no %s was%s: %v", kind, result, c)
			}
		}
	}
	if c["unrestricted"] == 0 {
		t.Error("no subject was unrestricted")
	}
}

func (c ReachCoverage) add(kind string, allowed bool) {
	if allowed {
		c[kind+" allowed"]++
	} else {
		c[kind+" denied"]++
	}
}

// Check compares drawn destinations of every kind at drawn ports.
func (r Reach) Check(t *testing.T, draw Draw, covered ReachCoverage) {
	t.Helper()
	if r.Reach.Unrestricted {
		covered["unrestricted"]++
		if v := r.verdict(At("203.0.113.9"), probe{flow.TCP, 443}); v.Outcome != policy.Unprotected {
			t.Errorf("%s is unrestricted, and its flows are %s", r.Subject.Name, v.Outcome)
		}
		return
	}
	addresses, workloads, hosts := r.addresses(), r.workloads(), r.hosts()
	r.checkEveryName(t, addresses)
	for range 200 {
		p, addr, host := Pick(draw, probes...), Pick(draw, addresses...), Pick(draw, probedHosts...)
		if r.Denies && !p.protocol.HasPorts() && !p.protocol.IsICMP() {
			continue
		}
		if draw.IntN(3) == 0 {
			addr = netip.MustParseAddr(Pick(draw, "203.0.113.9", "198.51.100.1", "10.9.0.1", "2001:db8::7"))
		}
		if len(hosts) > 0 && draw.IntN(3) == 0 {
			host, p = nearName(draw, Pick(draw, hosts...), p)
		}
		r.checkAddress(t, addr, p, covered)
		r.checkHost(t, host, addr, p, covered)
		r.checkEndpoint(t, Pick(draw, workloads...), p, covered)
		r.checkLookup(t, host, covered)
	}
}

// hosts returns the entries for names outside of the cluster.
func (r Reach) hosts() []enforce.Name {
	return slices.DeleteFunc(slices.Clone(r.Reach.Names), func(n enforce.Name) bool {
		return !slices.ContainsFunc([]string{"example", ".com", ".test"}, func(end string) bool {
			return strings.HasSuffix(n.Host, end)
		})
	})
}

// nearName draws a host that an entry stands for, and one of its ports if it has any.
func nearName(draw Draw, n enforce.Name, p probe) (string, probe) {
	host := n.Host
	if n.Match != enforce.Exact {
		host = strings.TrimSuffix(Pick(draw, "x.", "x.y.")+n.Host, ".")
	}
	if len(n.Ports) > 0 {
		if ports := Pick(draw, n.Ports...); ports.Protocol.HasPorts() {
			p = probe{ports.Protocol, Pick(draw, ports.First, ports.Last)}
		}
	}
	return host, p
}

// probe is a port of a protocol, or a type of ICMP.
type probe struct {
	protocol flow.Protocol
	port     uint16
}

// probes are ports at and around those of drawn policies.
var probes = func() []probe {
	all := []probe{
		{flow.ICMP, 8}, {flow.ICMP, 13}, {flow.ICMP, 17}, {flow.ICMPv6, 128}, {flow.ICMPv6, 139},
		{47, 0}, {flow.UDPLite, 0}, {flow.UDPLite, 9},
	}
	for _, protocol := range []flow.Protocol{flow.TCP, flow.UDP, flow.SCTP} {
		for _, port := range []uint16{
			0, 1, 2, 53, 79, 80, 81, 82, 442, 443, 444, 636, 853, 5353, 5431, 5432, 5433, 6443, 8080, 8443, 65534, 65535,
		} {
			all = append(all, probe{protocol, port})
		}
	}
	return all
}()

var probedHosts = []string{
	"api.stripe.com", "hooks.slack.com", "ldap.corp.example", "a_b.example", "shard-1.db.example", "eu.shard-2.db.example",
	"telemetry.vendor.test", "a b.vendor.test", "x.vendor.test", "x.y.vendor.test", "vendor.test", "mail", "corp.example",
	"www.api.stripe.com", "unlisted.example", "x.corp.example", "a.b.corp.example", "stripe.com",
}

// flow returns a flow of the subject.
func (r Reach) flow(to flow.Endpoint, p probe) flow.Flow {
	f := flow.Flow{
		Source: WorkloadIn(r.Subject.Namespace, r.Subject.Name), Destination: to, Protocol: p.protocol, Count: 1,
	}
	if p.protocol.IsICMP() {
		f.ICMPType = uint8(p.port)
	} else {
		f.Port = p.port
	}
	return f
}

func (r Reach) verdict(to flow.Endpoint, p probe) policy.Verdict { return r.Verdict(r.flow(to, p)) }

// lookup returns the verdict of a lookup that got no address.
func (r Reach) lookup(host string) policy.Verdict {
	f := r.flow(Host(host), probe{})
	f.Lookup = true
	return r.Verdict(f)
}

// allows reports whether the policies allow a flow. One that no policy decides is allowed.
func (r Reach) allows(to flow.Endpoint, p probe) bool {
	outcome := r.verdict(to, p).Outcome
	return outcome == policy.Allowed || outcome == policy.Unprotected
}

// addresses returns addresses at and around the ends of all ranges, and some others.
func (r Reach) addresses() []netip.Addr {
	var all []netip.Addr
	for _, text := range slices.Concat(private, []string{
		"203.0.113.9", "198.51.100.1", "2001:db8::7", "2001:db8:1::7", "8.8.8.8", "10.0.0.1", "fd00::a",
	}) {
		all = append(all, netip.MustParseAddr(text).WithZone(""))
	}
	for p := range r.Reach.Addresses {
		first, last := p.Addr(), lastOf(p)
		for _, addr := range []netip.Addr{first.Prev(), first, last, last.Next()} {
			if addr.IsValid() {
				all = append(all, addr)
			}
		}
	}
	return all
}

func lastOf(p netip.Prefix) netip.Addr {
	bytes := p.Addr().AsSlice()
	for bit := p.Bits(); bit < len(bytes)*8; bit++ {
		bytes[bit/8] |= 0x80 >> (bit % 8)
	}
	addr, _ := netip.AddrFromSlice(bytes)
	return addr
}

// checkAddress checks that the table allows an address if the policies allow it.
func (r Reach) checkAddress(t *testing.T, addr netip.Addr, p probe, covered ReachCoverage) {
	t.Helper()
	to := flow.Endpoint{Kind: flow.Address, Addr: addr}
	got, want := enforcetest.Address(r.Reach.Table, addr, p.protocol, p.port), r.allows(to, p)
	covered.add("address", want)
	if got != want {
		t.Fatalf("%s is allowed: %v, evaluated: %s", r.flow(to, p).Target(), got, r.verdict(to, p).Reason)
	}
}

// checkHost checks that the table allows a host if the policies allow it. By its name it allows no other. By its
// address it allows what clients of the address itself may reach, which checkAddress checks.
func (r Reach) checkHost(t *testing.T, host string, addr netip.Addr, p probe, covered ReachCoverage) {
	t.Helper()
	isResolver := func(place policy.Resolver) bool { return place.Addresses.IsValid() && place.Addresses.Contains(addr) }
	if !policy.IsHost(host) || slices.ContainsFunc(r.Scope.Resolvers, isResolver) {
		return // its address counts, or no host has it
	}
	byName := enforcetest.Named(r.Reach.Table, host, p.protocol, p.port)
	covered.add("name", byName)
	if byName && !r.allows(Host(host), p) {
		t.Fatalf("%s is allowed by its name, evaluated: %s", r.flow(Host(host), p).Target(), r.verdict(Host(host), p).Reason)
	}
	to := flow.Endpoint{Kind: flow.External, Name: host, Addr: addr}
	if !r.allows(to, p) {
		return
	}
	if !enforcetest.Lookup(r.Reach.Table, host) && r.isOpenToHosts(addr) {
		t.Fatalf("%s at %s is refused its lookup, evaluated: %s", host, addr, r.verdict(to, p).Reason)
	}
	if !byName && !enforcetest.Address(r.Reach.Table, addr, p.protocol, p.port) {
		t.Fatalf("%s at %s is refused, evaluated: %s", r.flow(to, p).Target(), addr, r.verdict(to, p).Reason)
	}
}

// isOpenToHosts reports whether a range of addresses is open to hosts of any name: it is not a single address, and the
// policies list no names.
func (r Reach) isOpenToHosts(addr netip.Addr) bool {
	_, single := r.Reach.Addresses[netip.PrefixFrom(addr, addr.BitLen())]
	return !single && len(r.Reach.Names) == 0
}

// unknownHost is in no policy.
const unknownHost = "any.host.invalid"

// checkEveryName checks that a table only allows the lookup of every name if some address is allowed to every name.
func (r Reach) checkEveryName(t *testing.T, addresses []netip.Addr) {
	t.Helper()
	host := Host(unknownHost)
	if !enforcetest.Lookup(r.Reach.Table, host.Name) || r.lookup(host.Name).Outcome != policy.Denied {
		return
	}
	for _, host.Addr = range addresses {
		if slices.ContainsFunc(probes, func(p probe) bool { return r.allows(host, p) }) {
			return
		}
	}
	if !slices.ContainsFunc(probes, func(p probe) bool {
		return enforcetest.Named(r.Reach.Table, host.Name, p.protocol, p.port)
	}) {
		t.Errorf("every name may be looked up, and no rule allows an unknown one: %+v", r.Reach.Table)
	}
}

// checkLookup checks that the table allows the lookups that the policies allow, and no others unless the policies allow
// some address of every host.
func (r Reach) checkLookup(t *testing.T, host string, covered ReachCoverage) {
	t.Helper()
	v := r.lookup(host)
	want := v.Outcome == policy.Allowed || v.Outcome == policy.Unprotected
	got := enforcetest.Lookup(r.Reach.Table, host)
	covered.add("lookup", got)
	isNeeded := func() bool {
		return enforcetest.Lookup(r.Reach.Table, unknownHost) || slices.ContainsFunc(probes, func(p probe) bool {
			return enforcetest.Named(r.Reach.Table, host, p.protocol, p.port)
		})
	}
	if want && !got || got && !want && !isNeeded() {
		t.Fatalf("the lookup of %s is allowed: %v, evaluated: %s", host, got, v.Reason)
	}
}

// checkEndpoint checks the ports of a workload, of the API server and of the node.
func (r Reach) checkEndpoint(t *testing.T, w flow.Endpoint, p probe, covered ReachCoverage) {
	t.Helper()
	check := func(kind string, to flow.Endpoint, ports []enforce.PortRange) {
		t.Helper()
		got, want := enforcetest.Holds(ports, p.protocol, p.port), r.allows(to, p)
		covered.add(kind, want)
		if got != want {
			t.Fatalf("%s %s is allowed: %v, evaluated: %s", kind, r.flow(to, p).Target(), got, r.verdict(to, p).Reason)
		}
	}
	check("workload", w, r.Reach.Ports(w))
	if r.allows(w, p) && !enforcetest.Holds(r.Reach.Workloads, p.protocol, p.port) {
		t.Fatalf("%s is allowed, and its port to no workload", r.flow(w, p).Target())
	}
	w.HostNetwork = true
	check("workload of the host's network", w, r.Reach.Ports(w))
	check("API server", flow.ClusterAPIServer, r.Reach.APIServer)
	if r.Node {
		node := Node("statsd")
		check("node", node, r.Reach.Ports(node))
		if r.allows(node, p) && !enforcetest.Holds(r.Reach.Host, p.protocol, p.port) {
			t.Fatalf("%s is allowed, and its port not to the node", r.flow(node, p).Target())
		}
	}
	if p.protocol.HasPorts() && p.port == 0 {
		return // the dialects differ at a port that no server has
	}
	server := flow.ClusterAPIServer
	for _, server.Addr = range []netip.Addr{netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("fd00::a")} {
		check("API server at an address", server, r.Reach.Ports(server))
	}
}

// workloads returns the known workloads, and others.
func (r Reach) workloads() []flow.Endpoint {
	all := []flow.Endpoint{
		Workload("nowhere"), WorkloadIn("data", "nowhere"), Workload("mail"), WorkloadIn("infra", "node-exporter"),
		WorkloadIn("data", "cache"), Workload("orders-db"),
	}
	for _, s := range r.Scope.Subjects {
		all = append(all, WorkloadIn(s.Namespace, s.Name))
	}
	for _, w := range r.Scope.Peers {
		all = append(all, WorkloadIn(w.Namespace, w.Name))
	}
	return all
}
