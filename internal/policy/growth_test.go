package policy_test

import (
	"runtime"
	"slices"
	"testing"

	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/internal/policy/ciliumpolicy"
	"github.com/netzero-dev/netzero/internal/policy/networkpolicy"
	"github.com/netzero-dev/netzero/internal/policy/policytest"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// Evaluating twice as many ports of one peer takes about twice the work, not four times.
func TestGrowth_PortsOfOnePeer(t *testing.T) {
	scope := policy.Scope{Subjects: []policy.Subject{{Workload: policy.Workload{Name: "bench"}}}}
	t.Run("NetworkPolicy", func(t *testing.T) { checkGrowth(t, networkpolicy.Dialect{Scope: scope}) })
	t.Run("Cilium", func(t *testing.T) { checkGrowth(t, ciliumpolicy.Dialect{Scope: scope}) })
}

// The same holds for ports that the policy does not have, of one peer and of one host.
func TestGrowth_DeniedPorts(t *testing.T) {
	scope := policy.Scope{Subjects: []policy.Subject{{Workload: policy.Workload{Name: "bench"}}}}
	for _, peer := range []flow.Endpoint{
		{Kind: flow.Workload, Name: "peer"}, {Kind: flow.External, Name: "api.pay.test"},
	} {
		t.Run("NetworkPolicy/"+peer.Name, func(t *testing.T) {
			checkDeniedGrowth(t, networkpolicy.Dialect{Scope: scope}, peer)
		})
		t.Run("Cilium/"+peer.Name, func(t *testing.T) { checkDeniedGrowth(t, ciliumpolicy.Dialect{Scope: scope}, peer) })
	}
}

// The same holds for requests to distinct paths of one peer.
func TestGrowth_RequestsOfOnePeer(t *testing.T) {
	scope := policy.Scope{
		Subjects: []policy.Subject{{Workload: policy.Workload{Name: "bench"}}}, Requests: true,
	}
	t.Run("NetworkPolicy", func(t *testing.T) { checkRequestsGrowth(t, networkpolicy.Dialect{Scope: scope}) })
	t.Run("Cilium", func(t *testing.T) { checkRequestsGrowth(t, ciliumpolicy.Dialect{Scope: scope}) })
}

// The time also grows linearly with the ports of one peer, if the policy lists no requests for them yet.
func TestGrowth_UnlistedRequests(t *testing.T) {
	scope := policy.Scope{Subjects: []policy.Subject{{Workload: policy.Workload{Name: "bench"}}}}
	recorded := scope
	recorded.Requests = true
	t.Run("NetworkPolicy", func(t *testing.T) {
		checkUnlistedGrowth(t, networkpolicy.Dialect{Scope: scope}, networkpolicy.Dialect{Scope: recorded})
	})
	t.Run("Cilium", func(t *testing.T) {
		checkUnlistedGrowth(t, ciliumpolicy.Dialect{Scope: scope}, ciliumpolicy.Dialect{Scope: recorded})
	})
}

func checkUnlistedGrowth[P any](t *testing.T, before, rules policy.Dialect[P]) {
	measure := func(n int) uint64 {
		flows := many(n)
		for i := range flows {
			flows[i].Destination, flows[i].Port = flow.Endpoint{Kind: flow.Workload, Name: "peer"}, uint16(1+i)
			flows[i].Requests = []flow.Request{policytest.HTTP("GET", "/orders")}
		}
		policies := before.Generate(flows)
		return allocated(func() {
			evaluate := rules.Evaluator(policies)
			for _, f := range flows {
				if v := evaluate(f); v.Outcome != policy.Allowed || len(v.Notices) == 0 {
					t.Fatalf("%v: %+v", f, v)
				}
			}
		})
	}
	const n = 500
	if once, more := measure(n), measure(2*n); more > 3*once {
		t.Errorf("evaluating %d ports with requests allocates %d bytes, twice as many %d", n, once, more)
	}
}

func checkRequestsGrowth[P any](t *testing.T, rules policy.Dialect[P]) {
	measure := func(n int) map[string]uint64 {
		flows := paths(n)
		half := slices.Clone(flows)
		half[0].Requests = half[0].Requests[:n/2]
		policies, older := rules.Generate(flows), rules.Generate(half)
		return map[string]uint64{
			"generating": allocated(func() { rules.Generate(flows) }),
			"evaluating": allocated(func() { rules.Evaluator(policies)(flows[0]) }),
			"denying": allocated(func() {
				evaluate := rules.Evaluator(older)
				for _, f := range flows[0].PerRequest()[n/2:] {
					if v := evaluate(f); v.Outcome != policy.Denied {
						t.Fatalf("%v: %+v", f.Requests, v)
					}
				}
			}),
			"finding unused": allocated(func() { rules.Unused(policies, flows) }),
			"dropping":       allocated(func() { rules.Merge(policies, half) }),
			"merging":        allocated(func() { rules.Merge(older, flows) }),
		}
	}
	const n = 500
	once, more := measure(n), measure(2*n)
	for what, bytes := range more {
		if bytes > 3*once[what] {
			t.Errorf("%s %d requests allocates %d bytes, twice as many %d", what, n, once[what], bytes)
		}
	}
}

func checkDeniedGrowth[P any](t *testing.T, rules interface {
	Generate([]flow.Flow) []P
	Evaluator([]P) func(flow.Flow) policy.Verdict
}, peer flow.Endpoint) {
	measure := func(n int) uint64 {
		flows := many(2 * n)
		for i := range flows {
			flows[i].Destination, flows[i].Port = peer, uint16(1+i)
		}
		evaluate := rules.Evaluator(rules.Generate(flows[:n]))
		return allocated(func() {
			for _, f := range flows[n:] {
				if v := evaluate(f); v.Outcome != policy.Denied {
					t.Fatalf("%v: %+v", f, v)
				}
			}
		})
	}
	const n = 1000
	if once, more := measure(n), measure(2*n); more > 3*once {
		t.Errorf("evaluating %d denied ports allocates %d bytes, twice as many %d", n, once, more)
	}
}

func checkGrowth[P any](t *testing.T, rules interface {
	Generate([]flow.Flow) []P
	Required([]flow.Flow) []flow.Flow
	Evaluator([]P) func(flow.Flow) policy.Verdict
	Unused([]P, []flow.Flow) []string
}) {
	measure := func(n int) (evaluate, unused uint64) {
		flows := many(n)
		for i := range flows {
			flows[i].Destination, flows[i].Port = flow.Endpoint{Kind: flow.Workload, Name: "peer"}, uint16(1+i)
		}
		policies := rules.Generate(flows)
		evaluate = allocated(func() {
			evaluate := rules.Evaluator(policies)
			for _, f := range rules.Required(flows) {
				if v := evaluate(f); v.Outcome != policy.Allowed {
					t.Fatalf("%v: %+v", f, v)
				}
			}
		})
		unused = allocated(func() {
			if unused := rules.Unused(policies, flows); len(unused) > 0 {
				t.Fatal(unused)
			}
		})
		return evaluate, unused
	}
	const n = 1000
	evaluate, unused := measure(n)
	evaluateMore, unusedMore := measure(2 * n)
	if evaluateMore > 3*evaluate {
		t.Errorf("evaluating %d ports allocates %d bytes, twice as many %d", n, evaluate, evaluateMore)
	}
	if unusedMore > 3*unused {
		t.Errorf("to find what is unused of %d ports allocates %d bytes, of twice as many %d", n, unused, unusedMore)
	}
}

// allocated returns the number of bytes that a function allocates. Other work on the machine does not change this
// measure.
func allocated(do func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	do()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}
