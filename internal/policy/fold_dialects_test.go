package policy_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	networkingv1 "k8s.io/api/networking/v1"

	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/internal/policy/ciliumpolicy"
	"github.com/netzero-dev/netzero/internal/policy/networkpolicy"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// namesIn returns the hosts that policies of both dialects allow, as the policies spell them.
func namesIn(t *testing.T, s policy.Scope, flows []flow.Flow) (kubernetes string, ciliums []string) {
	t.Helper()
	for _, r := range ciliumpolicy.RulesOf(ciliumpolicy.Dialect{Scope: s}.Generate(flows)[0], policy.Egress) {
		for _, n := range r.Names {
			ciliums = append(ciliums, n.String())
		}
	}
	return networkpolicy.Dialect{Scope: s}.Generate(flows)[0].Annotations[policy.NamesAnnotation], ciliums
}

func TestFold_OnlyConfiguredNames(t *testing.T) {
	checkout := policy.Workload{Name: "checkout"}
	shards := []string{"shard-1.db.example", "shard-17.db.example"}
	for _, row := range []struct {
		reason     string
		fold       []string
		hosts      []string
		kubernetes string
		ciliums    []string
	}{
		{"nothing was said", nil, shards, "shard-1.db.example:443/TCP,shard-17.db.example:443/TCP", shards},
		{"what was said, and nothing else", []string{"shard-*.db.example"}, append(shards, "db.example", "shard-1.example"),
			"db.example:443/TCP,shard-*.db.example:443/TCP,shard-1.example:443/TCP",
			[]string{"db.example", "shard-*.db.example", "shard-1.example"}},
		{"a leading asterisk is one label or more", []string{"*.db.example"}, append(shards, "eu.shard-2.db.example"),
			"*.db.example:443/TCP", []string{"**.db.example", "*.db.example"}},
		{
			"an asterisk elsewhere stays in its label", []string{"shard-*.example"}, shards[:1],
			"shard-1.db.example:443/TCP", shards[:1],
		},
		{
			"of several patterns the widest",
			[]string{"*.db.example", "shard-*.db.example"},
			append(shards, "x.db.example", "hooks.example"),
			"*.db.example:443/TCP,hooks.example:443/TCP", []string{"*.db.example", "hooks.example"},
		},
		{
			"of two that say as much the first of the alphabet",
			[]string{"s*-1.db.example", "*h-1.db.example"},
			[]string{"sh-1.db.example"}, "*h-1.db.example:443/TCP", []string{"*h-1.db.example"},
		},
	} {
		for range 2 { // with the options in either order
			kubernetes, ciliums := namesIn(
				t, policy.Scope{Subjects: alone(checkout).Subjects, Fold: row.fold}, from(checkout, toHosts(row.hosts...)...),
			)
			if kubernetes != row.kubernetes {
				t.Errorf("%s: %s, want %s", row.reason, kubernetes, row.kubernetes)
			}
			if diff := cmp.Diff(row.ciliums, ciliums); diff != "" {
				t.Errorf("%s: in Cilium (-want +got):\n%s", row.reason, diff)
			}
			slices.Reverse(row.fold)
		}
	}
}

// TestFold_CommittedNames starts with files that were written before the option Fold was set.
func TestFold_CommittedNames(t *testing.T) {
	checkout := policy.Workload{Name: "checkout"}
	before, now := alone(checkout), alone(checkout)
	now.Fold = []string{"shard-*.db.example"}
	flows := from(checkout, toHosts("shard-1.db.example", "shard-2.db.example", "api.example")...)
	flows = append(flows, from(checkout, toPort(external("shard-2.db.example", "198.51.100.2"), flow.TCP, 5432))...)
	other := from(checkout, toHosts("shard-9.db.example")...)

	k, committed := networkpolicy.Dialect{Scope: now}, networkpolicy.Dialect{Scope: before}.Generate(flows)
	for how, got := range map[string][]*networkingv1.NetworkPolicy{
		"merged": k.Merge(committed, flows), "extended": k.Extend(committed, flows),
	} {
		if diff := cmp.Diff(k.Generate(flows), got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", how, diff)
		}
		if v := k.Evaluate(got, other[0]); v.Outcome != policy.Allowed {
			t.Errorf("%s: another shard is %s: %s", how, v.Outcome, v.Reason)
		}
	}
	c, ciliums := ciliumpolicy.Dialect{Scope: now}, ciliumpolicy.Dialect{Scope: before}.Generate(flows)
	for how, got := range map[string]ciliumpolicy.Policies{
		"merged": c.Merge(ciliums, flows), "extended": c.Extend(ciliums, flows),
	} {
		if diff := cmp.Diff(c.Generate(flows), got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", how, diff)
		}
		if v := c.Evaluate(got, other[0]); v.Outcome != policy.Allowed {
			t.Errorf("%s: another shard is %s: %s", how, v.Outcome, v.Reason)
		}
	}
}
