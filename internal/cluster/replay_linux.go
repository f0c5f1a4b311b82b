package cluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"

	"github.com/netzero-dev/netzero/internal/recording"
)

const (
	// A connection that a policy denies gets no answer, so this is its time limit. An expected connection may take
	// longer, because its packets are sent again.
	silence  = 500 * time.Millisecond
	patience = 8 * time.Second
)

// recorded is the reason for a recorded flow. Such a flow passes, whatever the model says about its neighbours.
const recorded = "recorded"

// A probe is a connection and its expected result.
type probe struct {
	from   *Pod
	to     Target
	passes bool
	why    string
}

func (p probe) String() string {
	from := p.from.Namespace + "/" + p.from.Name
	return fmt.Sprintf("%s -> %s (%s)", strings.TrimPrefix(from, "/"), p.to, p.why)
}

// A Report contains the results of a scenario's probes.
type Report struct {
	Passed, Denied int      // probes with the expected verdict
	Wrong          []string // probes with another verdict, in a line each
	NotMade        []string // flows without a probe
}

// Replay runs a scenario. It deploys the workloads and repeats every flow, and the neighbours of each flow (see
// [deployment.probes]). Without policies, all of these connections have to pass; otherwise the test would prove
// nothing. With the scenario's policies above one that denies everything, the flows pass and the neighbours are denied.
// The same applies after a rollout that replaces all pods by two replicas of another release. Replay ends at the first
// wrong step.
func (c *Cluster) Replay(ctx context.Context, s Scenario) (report Report, err error) {
	d, err := c.deploy(ctx, s)
	if err != nil {
		return report, err
	}
	defer func() { err = errors.Join(err, d.remove(ctx)) }()
	probes, notMade, err := d.probes()
	if err != nil {
		return report, err
	}
	report.NotMade = notMade
	for i := range probes {
		probes[i].passes, probes[i].why = true, "without policies"
	}
	if err := report.run(ctx, probes, patience); err != nil {
		return report, err
	}
	report.Passed = 0
	if len(report.Wrong) > 0 {
		return report, fmt.Errorf("without policies, so this cluster is wrong: %s", strings.Join(report.Wrong, "\n"))
	}
	if err := d.enforce(ctx); err != nil {
		return report, err
	}
	for _, replicas := range []int{1, 2} {
		if replicas > 1 {
			if err := d.roll(ctx, replicas); err != nil {
				return report, err
			}
		}
		if probes, _, err = d.probes(); err != nil {
			return report, err
		}
		if err := report.run(ctx, probes, c.patience); err != nil || len(report.Wrong) > 0 {
			return report, err
		}
	}
	return report, nil
}

// run makes all connections at once. Expected connections get more time.
func (r *Report) run(ctx context.Context, probes []probe, patience time.Duration) error {
	var mu sync.Mutex
	var all sync.WaitGroup
	var failed error
	for _, p := range probes {
		all.Go(func() {
			within := silence
			if p.passes {
				within = patience
			}
			reached, err := p.from.Reaches(ctx, p.to, within)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err != nil:
				failed = errors.Join(failed, fmt.Errorf("%s: %w", p, err))
			case reached != p.passes:
				r.Wrong = append(r.Wrong, fmt.Sprintf("%s: passed %t, want %t", p, reached, p.passes))
			case reached:
				r.Passed++
			default:
				r.Denied++
			}
		})
	}
	all.Wait()
	slices.Sort(r.Wrong)
	return failed
}

// probes returns the connections of all flows and of their neighbours: the next port, the other protocol, another pod,
// the same pod in another namespace, another host, the API server and DNS. At a destination, other callers are
// neighbours too.
func (d *deployment) probes() (probes []probe, notMade []string, err error) {
	b := &builder{deployment: d, seen: make(map[string]bool)}
	for _, f := range d.scenario.Flows {
		switch {
		case f.Lookup:
			b.addLookup(f)
		case !canBeMade(f):
			notMade = append(notMade, f.Protocol+" to "+cmp.Or(f.Destination.Name, f.Destination.Addr))
		default:
			b.addFlow(f)
		}
	}
	b.addServers()
	return b.probes, notMade, b.err
}

// canBeMade reports whether this machine and the enforcer support the protocol of a flow.
func canBeMade(f recording.Flow) bool {
	return f.Protocol == string(corev1.ProtocolTCP) || f.Protocol == string(corev1.ProtocolUDP)
}

// A builder makes the probes of a deployment.
type builder struct {
	*deployment
	probes []probe
	seen   map[string]bool
	err    error
}

// A place is the address at which a connection arrives, behind its Service if there is one.
type place struct {
	workload *workload // the pod's workload; nil if the address is not a pod's
	isAPI    bool
	addr     netip.Addr
	port     uint16
	protocol corev1.Protocol
}

// add adds a probe, unless it exists.
func (b *builder) add(from *Pod, to Target, passes bool, why string) {
	if key := fmt.Sprint(from.Namespace, from.Name, to); !b.seen[key] {
		b.seen[key] = true
		b.probes = append(b.probes, probe{from, to, passes, why})
	}
}

// reach adds a probe to an address, and a server there.
func (b *builder) reach(from *Pod, source *workload, at place, why string) {
	if !at.isAPI || at.port != apiServerPort || at.protocol != corev1.ProtocolTCP {
		b.err = errors.Join(b.err, b.cluster.serveAt(at.addr, at.protocol, at.port))
	}
	to := Target{Addr: at.addr, Port: at.port, Protocol: at.protocol}
	b.add(from, to, why == recorded || b.allowsEgress(source, at) && b.allowsIngress(source, at), why)
}

// allowsEgress is the model of egress. It reports whether the policies may let a source reach a place.
func (b *builder) allowsEgress(source *workload, at place) bool {
	if source == nil || !source.isolates[networkingv1.PolicyTypeEgress] {
		return true
	}
	return slices.ContainsFunc(b.scenario.Flows, func(f recording.Flow) bool {
		if b.workloadOf(f.Source) != source || f.Lookup {
			return false
		}
		samePort := f.Port == at.port && f.Protocol == string(at.protocol)
		switch f.Destination.Kind {
		case recording.KindWorkload:
			if f.Destination.HostNetwork {
				return samePort // no selector selects it, so the port is open to all
			}
			return samePort && b.workloadOf(f.Destination) == at.workload && at.workload != nil
		case recording.KindExternal:
			return samePort && isPublic(at.addr)
		case recording.KindAddress:
			return samePort && f.Destination.Addr == at.addr.String()
		case recording.KindAPIServer:
			isItsPort := at.port == apiServerPort && at.protocol == corev1.ProtocolTCP
			return isItsPort && (at.isAPI || len(b.apiServers()) == 0) // no selector selects it either
		}
		return false
	})
}

// allowsIngress is the model of ingress. It reports whether the policies may let a source call a pod.
func (b *builder) allowsIngress(source *workload, at place) bool {
	if at.workload == nil || !at.workload.isolates[networkingv1.PolicyTypeIngress] {
		return true
	}
	return slices.ContainsFunc(b.scenario.Flows, func(f recording.Flow) bool {
		isHere := b.workloadOf(f.Destination) == at.workload && f.Port == at.port && f.Protocol == string(at.protocol)
		switch {
		case !isHere:
			return false
		case f.Source.Kind == recording.KindAnyone, f.Source.HostNetwork:
			return true
		}
		return source != nil && b.workloadOf(f.Source) == source
	})
}

// allowsDNS reports whether the policies allow DNS queries from a source.
func (b *builder) allowsDNS(source *workload) bool {
	if source == nil || !source.isolates[networkingv1.PolicyTypeEgress] {
		return true
	}
	return slices.ContainsFunc(b.scenario.Flows, func(f recording.Flow) bool {
		hasName := f.Destination.Kind != recording.KindAddress || f.Destination.Name != ""
		return b.workloadOf(f.Source) == source && hasName
	})
}

// isPublic reports whether an address is outside of the private, shared, link-local and loopback ranges.
func isPublic(addr netip.Addr) bool {
	shared := netip.MustParsePrefix("100.64.0.0/10") // carrier-grade NAT (RFC 6598)
	return !addr.IsPrivate() && !addr.IsLoopback() && !addr.IsLinkLocalUnicast() && !shared.Contains(addr)
}

// addFlow adds the connections of a flow and its neighbours.
func (b *builder) addFlow(f recording.Flow) {
	source := b.workloadOf(f.Source)
	callers := []*Pod{b.cluster.internet}
	if source != nil {
		callers = source.pods
	}
	for _, from := range callers {
		if f.Destination.Kind == recording.KindResolver {
			b.addDNS(from, source)
			continue
		}
		places := b.placesOf(f, from)
		for _, at := range places {
			b.reach(from, source, at, recorded)
			next, other := at, at
			next.port = b.nextPort(at.port)
			b.reach(from, source, next, "next port")
			other.protocol = corev1.ProtocolUDP
			if at.protocol == corev1.ProtocolUDP {
				other.protocol = corev1.ProtocolTCP
			}
			b.reach(from, source, other, "other protocol")
		}
		if name, port := b.nameOf(f); name != "" && len(places) > 0 {
			to := Target{Name: name, Port: port, Protocol: places[0].protocol}
			b.add(from, to, true, recorded+", by name")
		}
		if source != nil {
			b.addNeighbours(f, from, source)
		}
	}
}

// addLookup adds the DNS query of a lookup that got no answer in the test.
func (b *builder) addLookup(f recording.Flow) {
	if source := b.workloadOf(f.Source); source != nil && f.Destination.Kind == recording.KindExternal {
		for _, from := range source.pods {
			b.addDNS(from, source)
		}
	}
}

// otherHosts are addresses that no recording has: public, private, link-local.
var otherHosts = []netip.Addr{
	netip.MustParseAddr("198.51.100.200"), netip.MustParseAddr("2001:db8::200"), netip.MustParseAddr("10.66.0.7"),
	netip.MustParseAddr("192.168.66.7"), netip.MustParseAddr("169.254.66.7"), netip.MustParseAddr("fd00:66::7"),
}

// addNeighbours adds other destinations at the flow's port, the API server and DNS.
func (b *builder) addNeighbours(f recording.Flow, from *Pod, source *workload) {
	to := func(w *workload, addr netip.Addr, why string) {
		b.reach(from, source, place{workload: w, addr: addr, port: portOf(f), protocol: corev1.Protocol(f.Protocol)}, why)
	}
	for _, p := range b.unrelated {
		to(nil, p.Addr4, "other pod")
		to(nil, p.Addr6, "other pod")
	}
	for _, w := range b.workloads {
		for _, p := range w.pods {
			if w != source {
				to(w, p.Addr4, "other workload")
			}
		}
	}
	if destination := b.workloadOf(f.Destination); destination != nil && b.twins[destination.String()] != nil {
		to(nil, b.twins[destination.String()].Addr4, "other namespace")
	}
	for _, addr := range otherHosts {
		to(nil, addr, "other host")
	}
	api := place{isAPI: true, addr: b.cluster.apiServers[0].Addr(), port: apiServerPort, protocol: corev1.ProtocolTCP}
	b.add(from, Target{Addr: apiService, Port: 443, Protocol: api.protocol}, b.allowsEgress(source, api), "the API server")
	b.addDNS(from, source)
}

// addDNS adds a query to the cluster's DNS over UDP, and a TCP connection, which long answers need.
func (b *builder) addDNS(from *Pod, source *workload) {
	b.add(from, Target{Name: "kubernetes.default.svc." + clusterDomain}, b.allowsDNS(source), "DNS")
	overTCP := Target{Addr: b.cluster.resolver, Port: 53, Protocol: corev1.ProtocolTCP}
	b.add(from, overTCP, b.allowsDNS(source), "DNS over TCP")
}

// addServers adds other callers of a workload's ports.
func (b *builder) addServers() {
	for _, f := range b.scenario.Flows {
		destination := b.workloadOf(f.Destination)
		if destination == nil || f.Lookup || !canBeMade(f) || destination.hostNetwork {
			continue
		}
		callers := []*Pod{b.cluster.internet, b.unrelated[destination.namespace]}
		if source := b.workloadOf(f.Source); source != nil && b.twins[source.String()] != nil {
			callers = append(callers, b.twins[source.String()])
		}
		for _, p := range destination.pods {
			for _, from := range callers {
				at := place{workload: destination, addr: p.Addr4, port: f.Port, protocol: corev1.Protocol(f.Protocol)}
				source, why := (*workload)(nil), "other caller"
				if from == b.twins[b.keyOf(f.Source)] && f.Source.Namespace == "" && f.Destination.Namespace != "" {
					// The recording has no namespace for the caller.
					source, why = b.workloadOf(f.Source), "the caller, in any namespace"
				}
				b.add(from, Target{Addr: at.addr, Port: at.port, Protocol: at.protocol}, b.allowsIngress(source, at), why)
			}
		}
	}
}

// portOf returns the port at which a flow arrives in the cluster.
func portOf(f recording.Flow) uint16 {
	if f.Destination.Kind == recording.KindAPIServer {
		return apiServerPort
	}
	return f.Port
}

// serveAt starts a server at a port of the host or pod that has the address.
func (c *Cluster) serveAt(addr netip.Addr, protocol corev1.Protocol, port uint16) error {
	for _, p := range c.pods {
		if p.Addr4 == addr || p.Addr6 == addr {
			return p.Serve(protocol, port)
		}
	}
	if slices.ContainsFunc(c.apiServers, func(at netip.AddrPort) bool { return at.Addr() == addr }) {
		return c.apiHost.serve(protocol, netip.AddrPortFrom(addr, port), "the API server's host")
	}
	return c.ServeInternet(protocol, netip.AddrPortFrom(addr, port))
}

// placesOf returns the places of a flow's destination.
func (b *builder) placesOf(f recording.Flow, from *Pod) []place {
	var all []place
	add := func(w *workload, addr netip.Addr) {
		isAPI := f.Destination.Kind == recording.KindAPIServer
		all = append(all,
			place{workload: w, isAPI: isAPI, addr: addr, port: portOf(f), protocol: corev1.Protocol(f.Protocol)})
	}
	switch d := f.Destination; d.Kind {
	case recording.KindWorkload:
		w := b.workloadOf(d)
		for _, p := range w.pods {
			if p == from {
				continue
			}
			add(w, p.Addr4)
			if !w.hostNetwork {
				add(w, p.Addr6)
			}
		}
	case recording.KindExternal:
		add(nil, b.cluster.AddHost(d.Name))
	case recording.KindAddress:
		add(nil, netip.MustParseAddr(d.Addr))
	case recording.KindAPIServer:
		for _, at := range b.cluster.apiServers {
			add(nil, at.Addr())
		}
	}
	return all
}

// nameOf returns the name and the port that a service dials in the cluster to reach the flow's destination.
func (b *builder) nameOf(f recording.Flow) (string, uint16) {
	switch d := f.Destination; d.Kind {
	case recording.KindWorkload:
		w := b.workloadOf(d)
		for _, p := range w.servicePorts {
			if p.Target == f.Port && p.Protocol == corev1.Protocol(f.Protocol) {
				return w.service + "." + w.namespace + ".svc." + clusterDomain, p.Port
			}
		}
	case recording.KindExternal:
		return d.Name, f.Port
	case recording.KindAPIServer:
		return "kubernetes.default.svc." + clusterDomain, 443
	}
	return "", 0
}

// nextPort returns the first port above a given one without a flow. If the policies may be wider, they do not contain
// it either. There is always a free port below the last one, because recordings never use all ports.
func (b *builder) nextPort(port uint16) uint16 {
	next := port + 1
	for b.isTaken(next) {
		next++
	}
	return next
}

func (b *builder) isTaken(port uint16) bool {
	if port == 0 || slices.ContainsFunc(b.scenario.Flows, func(f recording.Flow) bool { return portOf(f) == port }) {
		return true
	}
	return b.scenario.Wider && slices.ContainsFunc(b.portsOfPolicies(), func(p networkingv1.NetworkPolicyPort) bool {
		if p.Port == nil {
			return false
		}
		last := p.Port.IntVal
		if p.EndPort != nil {
			last = *p.EndPort
		}
		return p.Port.IntVal <= int32(port) && int32(port) <= last
	})
}

func (b *builder) portsOfPolicies() []networkingv1.NetworkPolicyPort {
	var all []networkingv1.NetworkPolicyPort
	for _, p := range b.policies {
		for _, rule := range p.Spec.Egress {
			all = append(all, rule.Ports...)
		}
		for _, rule := range p.Spec.Ingress {
			all = append(all, rule.Ports...)
		}
	}
	return all
}
