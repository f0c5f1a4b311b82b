package policy_test

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/internal/policy/ciliumpolicy"
	"github.com/netzero-dev/netzero/internal/policy/networkpolicy"
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

func benchmarkPolicies[P any](b *testing.B, n int, rules interface {
	Generate([]flow.Flow) []P
	Required([]flow.Flow) []flow.Flow
	Evaluator([]P) func(flow.Flow) policy.Verdict
	Unused([]P, []flow.Flow) []string
	Merge([]P, []flow.Flow) []P
}) {
	flows := many(n)
	policies := rules.Generate(flows)
	half := rules.Generate(flows[:n/2])
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
			evaluate := rules.Evaluator(half)
			denied := 0
			for _, f := range flows {
				if evaluate(f).Outcome == policy.Denied {
					denied++
				}
			}
			if denied != n-n/2 {
				b.Fatalf("%d of %d are denied", denied, n)
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
	for name, committed := range map[string][]P{"merge-same": policies, "merge-half": half, "merge-all": nil} {
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

func BenchmarkPolicies(b *testing.B) {
	scope := policy.Scope{Subjects: []policy.Subject{{Workload: policy.Workload{Name: "bench"}}}}
	for _, n := range []int{2000, 20000} {
		b.Run(fmt.Sprintf("NetworkPolicy-%d", n), func(b *testing.B) {
			benchmarkPolicies(b, n, networkpolicy.Dialect{Scope: scope})
		})
		b.Run(fmt.Sprintf("Cilium-%d", n), func(b *testing.B) { benchmarkPolicies(b, n, ciliumpolicy.Dialect{Scope: scope}) })
	}
}
