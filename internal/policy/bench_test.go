package policy_test

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/internal/policy/ciliumpolicy"
	"github.com/netzero-dev/netzero/internal/policy/networkpolicy"
	"github.com/netzero-dev/netzero/internal/policy/policytest"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// many returns n flows of one subject to distinct destinations: names, workloads and addresses in turn.
func many(n int) []flow.Flow {
	flows := make([]flow.Flow, n)
	for i := range flows {
		f := flow.Flow{
			Source: flow.Endpoint{Kind: flow.Workload, Name: "bench", Evidence: flow.ByOption}, Protocol: flow.TCP,
			Port: uint16(1024 + i%4096),
		}
		public := netip.AddrFrom4([4]byte{203, byte(i >> 16), byte(i >> 8), byte(i)})
		switch i % 3 {
		case 0:
			f.Destination = flow.Endpoint{Kind: flow.External, Name: fmt.Sprintf("host-%d.example", i), Addr: public}
		case 1:
			f.Destination = flow.Endpoint{Kind: flow.Workload, Name: fmt.Sprintf("peer-%d", i)}
		case 2:
			f.Destination = flow.Endpoint{Kind: flow.Address, Addr: public}
		}
		flows[i] = f
	}
	return flows
}

// benchmarkPolicies measures policies of flows. half are the flows of committed policies that deny some of them.
func benchmarkPolicies[P any](b *testing.B, flows, half []flow.Flow, denied int, rules interface {
	Generate([]flow.Flow) []P
	Required([]flow.Flow) []flow.Flow
	Evaluator([]P) func(flow.Flow) policy.Verdict
	Unused([]P, []flow.Flow) []string
	Merge([]P, []flow.Flow) []P
}) {
	policies, older := rules.Generate(flows), rules.Generate(half)
	b.Run("evaluate", func(b *testing.B) {
		for b.Loop() {
			evaluate := rules.Evaluator(policies)
			for _, f := range rules.Required(flows) {
				if v := evaluate(f); v.Outcome != policy.Allowed {
					b.Fatal(v)
				}
			}
		}
	})
	b.Run("deny", func(b *testing.B) {
		for b.Loop() {
			evaluate := rules.Evaluator(older)
			n := 0
			for _, f := range flows {
				for _, g := range f.PerRequest() {
					if evaluate(g).Outcome == policy.Denied {
						n++
					}
				}
			}
			if n != denied {
				b.Fatalf("%d are denied, want %d", n, denied)
			}
		}
	})
	b.Run("unused", func(b *testing.B) {
		for b.Loop() {
			if unused := rules.Unused(policies, flows); len(unused) > 0 {
				b.Fatal(unused)
			}
		}
	})
	for name, committed := range map[string][]P{"merge-same": policies, "merge-half": older, "merge-all": nil} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				rules.Merge(committed, flows)
			}
		})
	}
}

// manySubjects returns n subjects that call each other and external hosts: ten calls each.
func manySubjects(n int) (policy.Scope, []flow.Flow) {
	var scope policy.Scope
	var flows []flow.Flow
	workload := func(i int) flow.Endpoint {
		return flow.Endpoint{Kind: flow.Workload, Name: fmt.Sprintf("shop-%d", i%n), Namespace: "shop"}
	}
	for i := range n {
		w := policy.Workload{Name: workload(i).Name, Namespace: "shop"}
		scope.Subjects = append(scope.Subjects, policy.Subject{Workload: w, AllTraffic: true})
		for j, f := range many(10) {
			f.Source = workload(i)
			if f.Destination.Kind == flow.Workload {
				f.Destination = workload(i + j)
			}
			flows = append(flows, f)
		}
	}
	return scope, flows
}

func BenchmarkSubjects(b *testing.B) {
	for _, n := range []int{100, 400} {
		scope, flows := manySubjects(n)
		b.Run(fmt.Sprintf("NetworkPolicy-%d", n), func(b *testing.B) {
			for b.Loop() {
				networkpolicy.Dialect{Scope: scope}.Generate(flows)
			}
		})
		b.Run(fmt.Sprintf("Cilium-%d", n), func(b *testing.B) {
			for b.Loop() {
				ciliumpolicy.Dialect{Scope: scope}.Generate(flows)
			}
		})
	}
}

// BenchmarkRequests evaluates and merges one flow with many requests whose paths do not fold.
func BenchmarkRequests(b *testing.B) {
	scope := policy.Scope{
		Subjects: []policy.Subject{{Workload: policy.Workload{Name: "bench"}}}, Requests: true,
	}
	for _, n := range []int{1000, 4000} {
		flows := paths(n)
		half := slices.Clone(flows)
		half[0].Requests = half[0].Requests[:n/2]
		b.Run(fmt.Sprintf("NetworkPolicy-%d", n), func(b *testing.B) {
			benchmarkPolicies(b, flows, half, n-n/2, networkpolicy.Dialect{Scope: scope})
		})
		b.Run(fmt.Sprintf("Cilium-%d", n), func(b *testing.B) {
			benchmarkPolicies(b, flows, half, n-n/2, ciliumpolicy.Dialect{Scope: scope})
		})
	}
}

// paths returns one flow with n requests to distinct paths.
func paths(n int) []flow.Flow {
	flows := many(2)[1:]
	for i := range n {
		flows[0].Requests = append(flows[0].Requests, policytest.HTTP("GET", fmt.Sprintf("/customers/name-%06d/orders", i)))
	}
	return flows
}

func BenchmarkPolicies(b *testing.B) {
	scope := policy.Scope{Subjects: []policy.Subject{{Workload: policy.Workload{Name: "bench"}}}}
	for _, n := range []int{2000, 20000} {
		flows := many(n)
		b.Run(fmt.Sprintf("NetworkPolicy-%d", n), func(b *testing.B) {
			benchmarkPolicies(b, flows, flows[:n/2], n-n/2, networkpolicy.Dialect{Scope: scope})
		})
		b.Run(fmt.Sprintf("Cilium-%d", n), func(b *testing.B) {
			benchmarkPolicies(b, flows, flows[:n/2], n-n/2, ciliumpolicy.Dialect{Scope: scope})
		})
	}
}
