package policy_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/netzero-dev/netzero/internal/cilium"
	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/internal/policy/ciliumpolicy"
	"github.com/netzero-dev/netzero/internal/policy/networkpolicy"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

const (
	overlapping = `
metadata: {name: checkout}
spec:
  podSelector: {matchLabels: {app: checkout}}
  policyTypes: [Egress]
  egress:
  - {to: [{ipBlock: {cidr: 10.1.0.0/16}}], ports: [{port: 443}]}
  - {to: [{ipBlock: {cidr: 10.0.0.0/8}}]}
---
metadata: {name: audit}
spec:
  podSelector: {}
  egress:
  - {to: [{ipBlock: {cidr: 10.1.2.3/32}}]}
  - {to: [{ipBlock: {cidr: 203.0.113.9/32}}]}
`
)

const (
	ciliumOverlapping = `
metadata: {name: checkout}
spec:
  endpointSelector: {matchLabels: {app: checkout}}
  egress:
  - {toCIDRSet: [{cidr: 10.1.0.0/16}], toPorts: [{ports: [{port: "443", protocol: TCP}]}]}
  - {toCIDRSet: [{cidr: 10.0.0.0/8}]}
---
metadata: {name: audit}
spec:
  endpointSelector: {}
  egress:
  - {toCIDRSet: [{cidr: 10.1.2.3/32}]}
  - {toCIDRSet: [{cidr: 203.0.113.9/32}]}
`
)

// A flow uses every rule that allows it, in any policy; the verdict names the first. So a rule that another one
// implies is unused only if its own flows were not seen.
func TestUnused_OverlappingRules(t *testing.T) {
	var ciliums ciliumpolicy.Policies
	for _, text := range strings.Split(ciliumOverlapping, "---\n") {
		p := new(cilium.NetworkPolicy)
		if err := yaml.UnmarshalStrict([]byte(text), p); err != nil {
			t.Fatal(err)
		}
		ciliums = append(ciliums, p)
	}
	scope := alone(checkout)
	kubernetes := parse(t, overlapping)
	for _, c := range []struct {
		reason  string
		flow    flow.Flow
		allowed string // the policy and rule in the verdict
		want    []string
	}{
		{"all three allow it", tcp(at("10.1.2.3"), 443), "checkout 0", []string{"policy audit: rule 1 (203.0.113.9/32)"}},
		{
			"the wider and the other policy's allow it", tcp(at("10.1.2.3"), 80), "checkout 1",
			[]string{"policy checkout: rule 0 (10.1.0.0/16)", "policy audit: rule 1 (203.0.113.9/32)"},
		},
		{
			"the wider allows it", tcp(at("10.2.0.1"), 443), "checkout 1",
			[]string{
				"policy checkout: rule 0 (10.1.0.0/16)", "policy audit: rule 0 (10.1.2.3/32)",
				"policy audit: rule 1 (203.0.113.9/32)",
			},
		},
		{
			"only the other policy allows it", tcp(at("203.0.113.9"), 443), "audit 1",
			[]string{
				"policy checkout: rule 0 (10.1.0.0/16)", "policy checkout: rule 1 (10.0.0.0/8)",
				"policy audit: rule 0 (10.1.2.3/32)",
			},
		},
	} {
		flows := []flow.Flow{c.flow}
		for dialect, got := range map[string]struct {
			unused  []string
			verdict policy.Verdict
		}{
			"Kubernetes": {
				networkpolicy.Dialect{Scope: scope}.Unused(kubernetes, flows),
				networkpolicy.Dialect{Scope: scope}.Evaluate(kubernetes, c.flow),
			},
			"Cilium": {
				ciliumpolicy.Dialect{Scope: scope}.Unused(ciliums, flows),
				ciliumpolicy.Dialect{Scope: scope}.Evaluate(ciliums, c.flow),
			},
		} {
			if diff := cmp.Diff(c.want, got.unused); diff != "" {
				t.Errorf("%s: %s: unused (-want +got):\n%s", dialect, c.reason, diff)
			}
			name, rule, _ := strings.Cut(c.allowed, " ")
			v := got.verdict
			if v.Outcome != policy.Allowed || v.Policy != name || string(rune('0'+v.Rule)) != rule ||
				!strings.HasPrefix(v.Reason, "rule "+rule+" ") {
				t.Errorf("%s: %s: %+v, want rule %s of policy %s", dialect, c.reason, v, rule, name)
			}
		}
	}
}
