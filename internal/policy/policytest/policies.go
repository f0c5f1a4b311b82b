package policytest

import (
	"net/netip"
	"strings"

	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// Policies returns the first n policies that a dialect generates from drawn scopes and flows. The scopes use every
// option, and the longest names and labels that Kubernetes accepts. Half of the policies are merged into policies of
// other flows. The same seed gives the same policies. Names and namespaces recur; an empty namespace is the one that
// the policy is applied to.
//
// in returns the dialect of a scope. It is a parameter because the tests inside the dialects' packages import this
// package.
func Policies[P any, D Dialect[P]](seed uint64, n int, in func(policy.Scope) D) []P {
	var all []P
	for i := uint64(0); len(all) < n; i++ {
		r := New(seed, i)
		scope := r.DeployedScope()
		before, flows := r.DeployedFlows(scope), r.DeployedFlows(scope)
		policies := in(scope).Generate(flows)
		if r.IntN(2) == 0 {
			policies = in(scope).Merge(in(scope).Generate(before), flows)
		}
		all = append(all, policies...)
	}
	return all[:n]
}

// Dialect is the part of a dialect that [Policies] uses.
type Dialect[P any] interface {
	Generate([]flow.Flow) []P
	Merge([]P, []flow.Flow) []P
}

// The longest names that Kubernetes and DNS allow.
var (
	label63    = strings.Repeat("a", 30) + "-1-" + strings.Repeat("z", 30)
	name253    = strings.Join([]string{label63, label63, label63, label63[:61]}, ".")
	longKey    = name253 + "/" + strings.Repeat("N", 30) + "_.-" + strings.Repeat("n", 30)
	longLabels = map[string]string{longKey: "V" + strings.Repeat("_", 30) + "." + strings.Repeat("9", 31)}
	// YAML quotes some of these.
	oddLabels = map[string]string{"example.com/empty": "", "UPPER_case.key": "0", "yes": "true", "null": "1e3"}
)

// DeployedScope draws a scope with every option that a recording has; [Draw.Scope] draws only Fold.
func (r Draw) DeployedScope() policy.Scope {
	s := r.Scope()
	if r.IntN(3) == 0 {
		s.Subjects = append(s.Subjects, policy.Subject{
			Workload:   policy.Workload{Name: name253, Namespace: label63, Labels: Pick(r, longLabels, oddLabels)},
			AllTraffic: r.IntN(2) == 0,
		})
	}
	s.Peers = append(s.Peers,
		policy.Workload{Name: "odd", Namespace: "data", Labels: oddLabels},
		policy.Workload{Name: "long", Namespace: label63, Labels: longLabels},
		policy.Workload{
			Name: "behind", Labels: oddLabels, Own: map[string]string{"app": "own"},
			OwnLabels: map[string]string{"app": "own"},
		},
	)
	s.Ranges = Pick(r, nil, []policy.PortRange{
		{Name: "orders-db", First: 80, Last: 443, Protocol: flow.TCP},
		{Name: "odd", Namespace: "data", First: 1, Last: 65535, Protocol: flow.UDP},
	})
	s.Resolvers = r.resolvers()
	s.Binaries, s.CloseIngress, s.DenyAll = r.IntN(2) == 0, r.IntN(2) == 0, r.IntN(4) == 0
	return s
}

// resolvers draws a form of the option Resolver: pods, addresses, both, or none.
func (r Draw) resolvers() []policy.Resolver {
	nodeLocal := policy.Resolver{Addresses: netip.MustParsePrefix("169.254.20.10/32")}
	return Pick(r, nil,
		[]policy.Resolver{nodeLocal},
		[]policy.Resolver{{Addresses: netip.MustParsePrefix("fd00:10:96::/112"), Ports: []uint16{53, 853}}},
		[]policy.Resolver{{Namespace: "kube-system", Labels: map[string]string{"k8s-app": "kube-dns"}}, nodeLocal},
		[]policy.Resolver{{
			Namespace: "openshift-dns", Ports: []uint16{5353},
			Labels: map[string]string{"dns.operator.openshift.io/daemonset-dns": "default"},
		}},
	)
}

// DeployedFlows draws flows of a scope as [Draw.FlowsIn] does, further flows to destinations that only
// [Draw.DeployedScope] adds, and the programs that opened them.
func (r Draw) DeployedFlows(s policy.Scope) []flow.Flow {
	flows := r.FlowsIn(s)
	if len(s.Subjects) == 0 {
		return nil
	}
	for range r.IntN(6) {
		f := flow.Flow{
			Source: r.subject(s), Count: 1, Protocol: Pick(r, flow.TCP, flow.UDP), Port: Pick[uint16](r, 80, 443, 6443),
		}
		f.Destination = r.deployed()
		flows = append(flows, f)
	}
	for i := range flows {
		flows[i].Binaries = Pick(r, nil, []string{"curl"}, []string{"curl", "my%20tool"})
	}
	return flows
}

// deployed draws a destination that only a cluster has, or one with a long or odd name.
func (r Draw) deployed() flow.Endpoint {
	atAddress := flow.ClusterAPIServer
	atAddress.Addr = netip.MustParseAddr(Pick(r, "10.0.0.1", "fd00::a"))
	hostNetwork := WorkloadIn("infra", "node-exporter")
	hostNetwork.HostNetwork = true
	return Pick(r,
		WorkloadIn("data", "odd"), WorkloadIn(label63, "long"), Workload("behind"),
		atAddress, flow.ClusterAPIServer, hostNetwork,
		External(name253, "198.51.100.1"),
		External("xn--bcher-kva.example", "2001:db8:1::7"),
		External("_srv._tcp.example", "10.9.0.1"),
		External("api.stripe.com", "198.51.100.1"),
		External("shard-3.db.example", "198.51.100.2"),
		External("shard-4.db.example", "198.51.100.2"),
		WorkloadIn("data", "odd"), Workload(name253),
		At("2001:db8::7"), At("fe80::1"), At("169.254.169.254"),
	)
}
