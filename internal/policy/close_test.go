package policy_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	networkingv1 "k8s.io/api/networking/v1"

	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/internal/policy/ciliumpolicy"
	"github.com/netzero-dev/netzero/internal/policy/networkpolicy"
	"github.com/netzero-dev/netzero/internal/policy/policytest"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// closing returns a scope with a test process, a server and a job without callers.
func closing(change func(*policy.Scope)) policy.Scope {
	s := policy.Scope{Subjects: []policy.Subject{
		{Workload: policy.Workload{Name: "checkout", Namespace: "shop"}, AllTraffic: false},
		{Workload: policy.Workload{Name: "orders-db", Namespace: "shop"}, AllTraffic: true},
		{Workload: policy.Workload{Name: "report", Namespace: "jobs"}, AllTraffic: true},
	}}
	change(&s)
	return s
}

var closingFlows = []flow.Flow{
	{
		Source: workloadIn("shop", "checkout"), Destination: workloadIn("shop", "orders-db"), Protocol: flow.TCP,
		Port: 5432, Count: 1,
	},
	{
		Source: workloadIn("jobs", "report"), Destination: workloadIn("shop", "orders-db"), Protocol: flow.TCP,
		Port: 5432, Count: 1,
	},
	{
		Source: workloadIn("shop", "orders-db"), Destination: workloadIn("shop", "checkout"), Protocol: flow.TCP,
		Port: 9000, Count: 1,
	},
}

func TestClose_WorkloadsWithoutCallers(t *testing.T) {
	for _, tt := range []struct {
		reason string
		change func(*policy.Scope)
		want   []string // the policies that isolate for ingress
	}{
		{"open by default", func(*policy.Scope) {}, []string{"orders-db"}},
		{
			"the job is closed; the test process is not, because its callers are unknown",
			func(s *policy.Scope) { s.CloseIngress = true },
			[]string{"orders-db", "report"},
		},
		{
			"a policy for each namespace, and the test process lets its callers in",
			func(s *policy.Scope) { s.DenyAll = true },
			[]string{"checkout", "orders-db", "default-deny-all jobs", "default-deny-all shop"},
		},
		{"both", func(s *policy.Scope) { s.CloseIngress, s.DenyAll = true, true },
			[]string{"report", "checkout", "orders-db", "default-deny-all jobs", "default-deny-all shop"}},
	} {
		s := closing(tt.change)
		var got []string
		for _, p := range (networkpolicy.Dialect{Scope: s}).Generate(closingFlows) {
			if networkpolicy.HasType(p, policy.Ingress) {
				got = append(got, strings.TrimSpace(p.Name+" "+map[bool]string{true: p.Namespace}[p.Name == policy.DenyAllName]))
			}
			if p.Name == policy.DenyAllName && (!policy.IsEmpty(&p.Spec.PodSelector) ||
				!networkpolicy.HasType(p, policy.Egress) || len(p.Spec.Egress)+len(p.Spec.Ingress) > 0) {
				t.Errorf("%s: %s", tt.reason, toYAML(t, p))
			}
		}
		var gotCilium []string
		for _, p := range (ciliumpolicy.Dialect{Scope: s}).Generate(closingFlows) {
			if len(p.Spec.Ingress) > 0 {
				gotCilium = append(
					gotCilium, strings.TrimSpace(p.Name+" "+map[bool]string{true: p.Namespace}[p.Name == policy.DenyAllName]),
				)
			}
			if err := ciliumpolicy.Validate(p); err != nil {
				t.Errorf("%s: %v", tt.reason, err)
			}
		}
		slices.Sort(tt.want)
		slices.Sort(got)
		slices.Sort(gotCilium)
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.reason, diff)
		}
		if diff := cmp.Diff(tt.want, gotCilium); diff != "" {
			t.Errorf("%s, Cilium (-want +got):\n%s", tt.reason, diff)
		}
	}
}

// Policies written without the options are too open with them, and an update adds the missing parts.
func TestClose_UpdateClosesOpenPolicies(t *testing.T) {
	open := closing(func(*policy.Scope) {})
	closed := closing(func(s *policy.Scope) { s.CloseIngress, s.DenyAll = true, true })
	want := []string{
		"no policy isolates report for ingress: policy report is not of the type Ingress; policy checkout is in " +
			"namespace shop, not in jobs; policy orders-db is in namespace shop, not in jobs",
		"no policy isolates checkout for ingress: policy report is in namespace jobs, " +
			"not in shop; policy checkout is not of the type Ingress; policy orders-db selects app=orders-db, " +
			"the pods have app=checkout",
		"no policy denies all traffic in namespace jobs by default, as DefaultDeny requires",
		"no policy denies all traffic in namespace shop by default, as DefaultDeny requires",
	}
	if diff := cmp.Diff(
		want,
		(networkpolicy.Dialect{Scope: closed}).NotIsolated(
			networkpolicy.Dialect{Scope: open}.Generate(closingFlows), closingFlows,
		),
	); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	got := (ciliumpolicy.Dialect{Scope: closed}).NotIsolated(
		ciliumpolicy.Dialect{Scope: open}.Generate(closingFlows), closingFlows,
	)
	if len(got) != len(want) {
		t.Errorf("Cilium: %q", got)
	}
	for _, update := range []func([]*networkingv1.NetworkPolicy, []flow.Flow) []*networkingv1.NetworkPolicy{
		(networkpolicy.Dialect{Scope: closed}).Merge, (networkpolicy.Dialect{Scope: closed}).Extend,
	} {
		if diff := cmp.Diff(
			networkpolicy.Dialect{Scope: closed}.Generate(closingFlows),
			update(networkpolicy.Dialect{Scope: open}.Generate(closingFlows), closingFlows),
		); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
	if diff := cmp.Diff(
		ciliumpolicy.Dialect{Scope: closed}.Generate(closingFlows),
		ciliumpolicy.Dialect{Scope: closed}.Merge(ciliumpolicy.Dialect{Scope: open}.Generate(closingFlows), closingFlows),
	); diff != "" {
		t.Errorf("Cilium (-want +got):\n%s", diff)
	}
	// Closed policies stay closed without the options: a person may have closed them.
	if diff := cmp.Diff(
		networkpolicy.Dialect{Scope: closed}.Generate(closingFlows),
		(networkpolicy.Dialect{Scope: open}).Merge(networkpolicy.Dialect{Scope: closed}.Generate(closingFlows), closingFlows),
	); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Closed policies allow all recorded flows, and an update of them changes nothing.
func TestClose_RandomPoliciesAreTrue(t *testing.T) {
	seed := policytest.Seed(t)
	for i := range uint64(60) {
		r := policytest.New(seed, i)
		s := r.Scope()
		s.CloseIngress, s.DenyAll = r.IntN(2) == 0, true
		flows := r.FlowsIn(s)
		policies, ciliums := networkpolicy.Dialect{Scope: s}.Generate(flows), ciliumpolicy.Dialect{Scope: s}.Generate(flows)
		for _, f := range (networkpolicy.Dialect{}).Required(flows) {
			if v := (networkpolicy.Dialect{Scope: s}).Evaluate(policies, f); v.Outcome == policy.Denied {
				t.Errorf("case %d of seed %d: %s is denied: %s\nin %+v", i, seed, arrow(f), v.Reason, s)
			}
		}
		for _, f := range (ciliumpolicy.Dialect{Scope: s}).Required(flows) {
			if v := (ciliumpolicy.Dialect{Scope: s}).Evaluate(ciliums, f); v.Outcome == policy.Denied {
				t.Errorf("case %d of seed %d, Cilium: %s is denied: %s\nin %+v", i, seed, arrow(f), v.Reason, s)
			}
		}
		if lines := (networkpolicy.Dialect{Scope: s}).NotIsolated(policies, flows); len(lines) > 0 {
			t.Errorf("case %d of seed %d: %q", i, seed, lines)
		}
		if lines := (ciliumpolicy.Dialect{Scope: s}).NotIsolated(ciliums, flows); len(lines) > 0 {
			t.Errorf("case %d of seed %d, Cilium: %q", i, seed, lines)
		}
		if diff := cmp.Diff(policies, (networkpolicy.Dialect{Scope: s}).Merge(nil, flows)); diff != "" {
			t.Errorf("case %d of seed %d (-want +got):\n%s", i, seed, diff)
		}
		if diff := cmp.Diff(policies, (networkpolicy.Dialect{Scope: s}).Merge(policies, flows)); diff != "" {
			t.Errorf("case %d of seed %d, merged again (-want +got):\n%s", i, seed, diff)
		}
		if diff := cmp.Diff(ciliums, ciliumpolicy.Dialect{Scope: s}.Merge(ciliums, flows)); diff != "" {
			t.Errorf("case %d of seed %d, Cilium merged again (-want +got):\n%s", i, seed, diff)
		}
		if t.Failed() {
			return
		}
	}
}
