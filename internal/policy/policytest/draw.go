// Package policytest has what the tests of both dialects share: short constructors of flows, scopes and policies,
// random ones for property tests, edits that people make, and comparisons.
//
// It draws only flows, names and labels that netzerotest accepts, and the policies that package policy generates from
// them. Hand-written policies are drawn by [Draw.AddCilium] and by each test.
//
// It cannot import the dialects, because the tests inside their packages import it.
package policytest

import (
	"maps"
	"math/rand/v2"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/netzero-dev/netzero/internal/cilium"
	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// Seed returns the seed of a test: the time, or the number in the environment variable NETZERO_TEST_SEED. It logs the
// seed, so that a failure can be repeated, and fails the test if the variable is not a number.
func Seed(t testing.TB) uint64 {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv("NETZERO_TEST_SEED"); s != "" {
		var err error
		if seed, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatalf("read NETZERO_TEST_SEED: %v", err)
		}
	}
	t.Logf("NETZERO_TEST_SEED=%d", seed)
	return seed
}

// Draw draws from small pools, so that the drawn values collide.
type Draw struct{ *rand.Rand }

// New returns the Draw of one case of a test. The same seed and case draw the same values.
func New(seed, n uint64) Draw { return Draw{rand.New(rand.NewPCG(seed, n))} }

// Pick draws one of several values.
func Pick[T any](r Draw, from ...T) T { return from[r.IntN(len(from))] }

// private holds addresses that are not public and that a name may resolve to.
var private = []string{
	"10.9.0.1", "10.9.0.2", "192.168.255.255", "169.254.169.254", "fd00::1", "fe80::1", "fe80::1%eth0",
}

// Workload draws a test process, the only subject of its scope.
func (r Draw) Workload() policy.Workload {
	return policy.Workload{
		Name:      Pick(r, "checkout", "n", "1"),
		Namespace: Pick(r, "", "shop"),
		Labels:    Pick(r, nil, map[string]string{"app.kubernetes.io/name": "checkout", "tier": "web"}),
	}
}

// Flows draws up to 11 flows that the workload checkout opens.
func (r Draw) Flows() []flow.Flow {
	flows := make([]flow.Flow, r.IntN(12))
	for i := range flows {
		to := r.Endpoint()
		protocol := Pick(r, flow.TCP, flow.TCP, flow.UDP, flow.SCTP, flow.ICMP)
		// Only the resolver has port 53 here. With a second rule for port 53, either could stand for the resolver.
		port := Pick[uint16](r, 1, 80, 81, 443, 5432, 65534)
		if to.Kind == flow.Resolver {
			port = Pick[uint16](r, 53, 53, 853) // not 5353, which counts as 53
		}
		if !protocol.HasPorts() {
			port = 0
		}
		flows[i] = flow.Flow{Source: Workload("checkout"), Destination: to, Protocol: protocol, Port: port, Count: 1}
	}
	return flows
}

// Endpoint draws a destination: a workload, the resolver, a host with or without an address, or an address.
func (r Draw) Endpoint() flow.Endpoint {
	switch r.IntN(4) {
	case 0:
		return WorkloadIn(Pick(r, "", "", "shop", "data"), Pick(r, "orders-db", "cache", "yes", "checkout"))
	case 1:
		return Resolver()
	case 2:
		name := Pick(
			r, "api.stripe.com", "hooks.slack.com", "ldap.corp.example", "a_b.example", "shard-1.db.example",
			"shard-17.db.example", "eu.shard-2.db.example",
		)
		if r.IntN(6) == 0 {
			return Host(name)
		}
		return External(name, Pick(r, slices.Concat(private, []string{"198.51.100.1", "198.51.100.2", "2001:db8:1::7"})...))
	}
	// A name's public addresses are left out: a rule for such an address would make the name's internet rule
	// unnecessary.
	return At(Pick(r, slices.Concat(private, []string{
		"203.0.113.9", "203.0.113.10", "2001:db8::7", "2001:db8::8", "0.0.0.0",
	})...))
}

// Scope draws an optional test process, containers, and peers that are known from elsewhere. The containers include
// replicas, containers of one name in two namespaces, and containers with labels of their own. Of the options it
// draws only Fold.
func (r Draw) Scope() policy.Scope {
	var s policy.Scope
	if r.IntN(4) > 0 {
		s.Subjects = append(s.Subjects, policy.Subject{Workload: r.labelled("checkout", Pick(r, "", "shop"))})
	}
	for _, name := range []string{"orders-db", "cache", "worker"} {
		if r.IntN(4) == 0 {
			continue
		}
		container := policy.Subject{Workload: r.labelled(name, Pick(r, "", "shop", "data")), AllTraffic: true}
		s.Subjects = append(s.Subjects, container)
		if r.IntN(4) == 0 {
			s.Subjects = append(s.Subjects, container) // a replica
		}
		if container.Namespace == "shop" && r.IntN(2) == 0 {
			s.Subjects = append(s.Subjects, policy.Subject{Workload: r.labelled(name, "data"), AllTraffic: true})
		}
	}
	for _, text := range []string{
		"10.9.0.1", "10.9.0.2", "192.168.255.255", "fd00::1", "198.51.100.1", "198.51.100.2", "2001:db8:1::7",
		"203.0.113.9", "203.0.113.10", "2001:db8::7", "2001:db8::8", "0.0.0.0",
	} {
		s.Addresses = append(s.Addresses, netip.MustParseAddr(text)) // or a rule could mean the API server
	}
	s.Peers = append(s.Peers, r.labelled("mail", Pick(r, "", "data")), r.labelled("search", "infra"))
	s.Fold = Pick(r, nil, nil, []string{"shard-*.db.example"}, []string{"*.example"}, []string{
		"shard-*.db.example", "*.db.example", "hooks.slack.*",
	})
	return s
}

// labelled draws a workload that no other workload's labels select.
func (r Draw) labelled(name, namespace string) policy.Workload {
	w := policy.Workload{Name: name, Namespace: namespace}
	if r.IntN(2) == 0 {
		w.Labels = map[string]string{"app.kubernetes.io/name": name, "version": "v" + namespace}
	}
	if len(w.Labels) > 0 && r.IntN(2) == 0 {
		w.Selector = maps.Clone(w.Labels)
		delete(w.Selector, "version")
	}
	return w
}

// FlowsIn draws up to 15 flows of a scope, or none if the scope has no subject.
func (r Draw) FlowsIn(s policy.Scope) []flow.Flow {
	if len(s.Subjects) == 0 {
		return nil
	}
	flows := make([]flow.Flow, r.IntN(16))
	for i := range flows {
		flows[i] = r.FlowIn(s)
	}
	return flows
}

// FlowIn draws a flow with a subject of the scope at one end or at both.
func (r Draw) FlowIn(s policy.Scope) flow.Flow {
	f := flow.Flow{
		Source: r.subject(s), Destination: r.subject(s), Count: 1,
		Protocol: Pick(r, flow.TCP, flow.TCP, flow.UDP, flow.SCTP, flow.ICMP),
		Port:     Pick[uint16](r, 1, 80, 81, 443, 5432, 65534),
	}
	switch r.IntN(4) {
	case 0:
		f.Destination = r.Endpoint()
	case 1:
		f.Destination = Pick(
			r, Workload("mail"), WorkloadIn("infra", "search"), Workload("search"), Node("statsd"), flow.ClusterAPIServer,
		)
	case 2:
		f.Source = Pick(
			r, flow.Endpoint{Kind: flow.Anyone}, Workload("mail"), WorkloadIn("data", "unknown"), At("203.0.113.9"),
			At("2001:db8::7"), External("lb.example", "198.51.100.1"),
		)
	}
	if f.Source.Kind == flow.Anyone {
		f.Port = 8080 // a port of its own: a flow from anyone makes the rules for named callers unused
	}
	if f.Destination.Kind == flow.Resolver {
		f.Port = Pick[uint16](r, 53, 53, 853)
	}
	if !f.Protocol.HasPorts() {
		f.Port = 0
	}
	if f.Protocol == flow.ICMP {
		f.ICMPType = Pick[uint8](r, 0, cilium.Echo, 13, 17)
	}
	switch r.IntN(12) {
	case 0:
		f.Protocol, f.Port, f.ICMPType = Pick[flow.Protocol](r, 47, flow.UDPLite), 0, 0
	case 1:
		f = r.Lookup(r.subject(s))
	}
	return f
}

// subject draws a subject as an endpoint, sometimes without its namespace.
func (r Draw) subject(s policy.Scope) flow.Endpoint {
	w := Pick(r, s.Subjects...).Workload
	return WorkloadIn(Pick(r, w.Namespace, w.Namespace, ""), w.Name)
}

// Lookup draws a lookup that got no address, of a name that no other flow goes to.
func (r Draw) Lookup(source flow.Endpoint) flow.Flow {
	return flow.Flow{Source: source, Lookup: true, Count: 1, Destination: Pick(r,
		Host("telemetry.vendor.test"), Host("a b.vendor.test"),
		Workload("nowhere"), WorkloadIn("data", "nowhere"), WorkloadIn("shop", "gone"))}
}
