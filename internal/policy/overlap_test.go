package policy

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/netzero-dev/netzero/internal/cilium"
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

// Every rule that allows a flow is used by it, in whichever policy; the verdict names the first. So a rule that another
// one implies is unused where its own flows are not seen, and no other.
func TestRulesThatOverlap(t *testing.T) {
	var ciliums ciliumPolicies
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
		allowed string // the policy and the rule that the verdict names
		want    []string
	}{
		{"all three allow it", tcp(at("10.1.2.3"), 443), "checkout 0", []string{"policy audit: rule 1 (203.0.113.9/32)"}},
		{"the wider and the other policy's allow it", tcp(at("10.1.2.3"), 80), "checkout 1", []string{"policy checkout: rule 0 (10.1.0.0/16)", "policy audit: rule 1 (203.0.113.9/32)"}},
		{"the wider allows it", tcp(at("10.2.0.1"), 443), "checkout 1", []string{"policy checkout: rule 0 (10.1.0.0/16)", "policy audit: rule 0 (10.1.2.3/32)", "policy audit: rule 1 (203.0.113.9/32)"}},
		{"only the other policy allows it", tcp(at("203.0.113.9"), 443), "audit 1", []string{"policy checkout: rule 0 (10.1.0.0/16)", "policy checkout: rule 1 (10.0.0.0/8)", "policy audit: rule 0 (10.1.2.3/32)"}},
	} {
		flows := []flow.Flow{c.flow}
		for dialect, got := range map[string]struct {
			unused  []string
			verdict Verdict
		}{
			"Kubernetes": {scope.Unused(kubernetes, flows), scope.Evaluate(kubernetes, c.flow)},
			"Cilium":     {Cilium{scope}.Unused(ciliums, flows), Cilium{scope}.Evaluate(ciliums, c.flow)},
		} {
			if diff := cmp.Diff(c.want, got.unused); diff != "" {
				t.Errorf("%s: %s: unused (-want +got):\n%s", dialect, c.reason, diff)
			}
			name, rule, _ := strings.Cut(c.allowed, " ")
			if v := got.verdict; v.Outcome != Allowed || v.Policy != name || string(rune('0'+v.Rule)) != rule || !strings.HasPrefix(v.Reason, "rule "+rule+" ") {
				t.Errorf("%s: %s: %+v, want rule %s of policy %s", dialect, c.reason, v, rule, name)
			}
		}
	}
}

// A rule for anyone at a port is one for all who call there, and for nothing else.
func TestCallersWhereAnyoneMayCall(t *testing.T) {
	db := workload("orders-db")
	anyone := flow.Endpoint{Kind: flow.Anyone}
	ping := func(source flow.Endpoint, icmpType uint8, port uint16) flow.Flow {
		return flow.Flow{Source: source, Destination: db, Protocol: flow.ICMP, ICMPType: icmpType, Port: port}
	}
	udp := query(5432)
	udp.Protocol = flow.UDP
	for _, c := range []struct {
		reason      string
		flow, other flow.Flow
		needed      bool
	}{
		{"the same port", query(5432), between(anyone, db, 5432), false},
		{"another port", query(5432), between(anyone, db, 5433), true},
		{"another protocol", udp, between(anyone, db, 5432), true},
		{"another workload", query(5432), between(anyone, workload("cache"), 5432), true},
		{"somebody else", query(5432), between(workload("cart"), db, 5432), true},
		{"a ping, whatever its port says", ping(workload("cart"), 8, 1), ping(anyone, 8, 2), false},
		{"a ping that is not known to be one", ping(workload("cart"), 0, 0), ping(anyone, 8, 0), false},
		{"another type of ICMP", ping(workload("cart"), 13, 0), ping(anyone, 8, 0), true},
	} {
		want := []flow.Flow{c.flow, c.other}
		if !c.needed {
			want = want[1:]
		}
		if diff := cmp.Diff(want, needed(ingress, []flow.Flow{c.flow, c.other}), sameAddr); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.reason, diff)
		}
		if got := needed(egress, []flow.Flow{c.flow, c.other}); len(got) != 2 {
			t.Errorf("%s: of egress %d flows are needed", c.reason, len(got))
		}
	}
}
