package ciliumpolicy

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/internal/policy/policytest"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

func TestDeny_OverridesAllow(t *testing.T) {
	c := Dialect{alone(checkout)}
	all := "  egress: [{toEntities: [all]}]\n"
	db := toPort(workload("db"), flow.TCP, 5432)
	for _, row := range []struct {
		reason, rules string
		flow          flow.Flow
		want          policy.Outcome
		says          string
	}{
		{
			"a peer",
			all + "  egressDeny: [{toEndpoints: [{matchLabels: {app: db}}]}]",
			db, policy.Denied,
			"egressDeny rule 0 (pods app=db) denies it, whatever other rules allow",
		},
		{
			"and no other",
			all + "  egressDeny: [{toEndpoints: [{matchLabels: {app: db}}]}]",
			toPort(workload("cache"), flow.TCP, 5432), policy.Allowed, "",
		},
		{
			"a port",
			all + "  egressDeny: [{toEntities: [cluster], " +
				"toPorts: [{ports: [{port: \"25\"}, {port: \"5000\", endPort: 6000, protocol: TCP}]}]}]",
			db, policy.Denied,
			"egressDeny rule 0 (cluster, 5000-6000/TCP) denies it",
		},
		{
			"and no other",
			all + "  egressDeny: [{toEntities: [cluster], toPorts: [{ports: [{port: \"25\"}]}]}]",
			db, policy.Allowed, "",
		},
		{
			"a range but its exception",
			all + "  egressDeny: [{toCIDRSet: [{cidr: 203.0.113.0/24, except: [203.0.113.9/32]}]}]",
			toPort(at("203.0.113.9"), flow.TCP, 443), policy.Allowed, "",
		},
		{
			"the address of a name that is allowed",
			"  egress:" + dnsRule + "  - {toFQDNs: [{matchName: a.example}]}\n  egressDeny: [{toCIDR: [203.0.113.9/32]}]",
			toPort(external("a.example", "203.0.113.9"), flow.TCP, 443),
			policy.Denied, "egressDeny rule 0 (203.0.113.9/32)",
		},
		{"rules that deny isolate too", "  egressDeny: [{toEntities: [world]}]", db, policy.Denied, "it denies everything"},
		{"an empty one denies nothing, and isolates", all + "  egressDeny: [{}]", db, policy.Allowed, ""},
		{
			"a protocol that none could allow",
			all + "  egressDeny: [{toCIDR: [203.0.113.0/24]}]",
			toPort(at("203.0.113.9"), 47, 0), policy.Denied, "denies it",
		},
	} {
		p := ciliumPolicy(t, row.rules)
		f := from(checkout, row.flow)[0]
		if v := c.Evaluate(Policies{p}, f); v.Outcome != row.want || !strings.Contains(v.Reason, row.says) {
			t.Errorf("%s: %s: %s, want %s: %q", row.reason, v.Outcome, v.Reason, row.want, row.says)
		}
	}
	other := ciliumPolicy(t, "  egressDeny: [{toEntities: [cluster]}]")
	other.Name = "no-pods"
	for _, policies := range []Policies{{ciliumPolicy(t, all), other}, {other, ciliumPolicy(t, all)}} {
		if v := c.Evaluate(policies, from(checkout, db)[0]); v.Outcome != policy.Denied || v.Policy != "no-pods" {
			t.Errorf("a rule of another policy: %+v", v)
		}
	}
}

func TestDeny_WithoutDefaultDenyIsolatesNone(t *testing.T) {
	c := Dialect{alone(checkout)}
	open := ciliumPolicy(
		t,
		"  enableDefaultDeny: {egress: false}\n  egress: [{toEndpoints: [{matchLabels: {app: cache}}]}]\n"+
			"  egressDeny: [{toEndpoints: [{matchLabels: {app: db}}]}]",
	)
	open.Name = "open"
	shut := ciliumPolicy(t, "  egress: [{}]")
	cache := from(checkout, tcp(workload("cache"), 1))[0]
	db := from(checkout, tcp(workload("db"), 1))[0]
	mail := from(checkout, tcp(workload("mail"), 1))[0]
	for _, row := range []struct {
		reason   string
		policies Policies
		flow     flow.Flow
		want     policy.Outcome
		says     string
	}{
		{
			"nothing is isolated", Policies{open}, mail, policy.Unprotected,
			"policy open denies nothing by default, by its enableDefaultDeny.egress",
		},
		{"what a rule denies is denied", Policies{open}, db, policy.Denied, "egressDeny rule 0 (pods app=db)"},
		{"another policy isolates", Policies{open, shut}, mail, policy.Denied, "no rule is for mail"},
		{"and its rules count then", Policies{open, shut}, cache, policy.Allowed, "rule 0 (pods app=cache)"},
		{
			"true is what it is anyway",
			Policies{ciliumPolicy(t, "  enableDefaultDeny: {egress: true}\n  egress: [{}]")},
			mail, policy.Denied, "",
		},
		{
			"and nothing where there are no rules",
			Policies{ciliumPolicy(t, "  enableDefaultDeny: {egress: true}\n  ingress: [{}]")},
			mail, policy.Unprotected, "has no egress rules",
		},
	} {
		if v := c.Evaluate(row.policies, row.flow); v.Outcome != row.want || !strings.Contains(v.Reason, row.says) {
			t.Errorf("%s: %s: %s, want %s: %q", row.reason, v.Outcome, v.Reason, row.want, row.says)
		}
	}
}

func TestMerge_IsolatesAndKeepsDenials(t *testing.T) {
	c := Dialect{alone(checkout)}
	p := ciliumPolicy(t, "  enableDefaultDeny: {egress: false}\n  egressDeny: [{toCIDR: [203.0.113.9/32]}]")
	flows := from(checkout, toPort(at("203.0.113.9"), flow.TCP, 443), tcp(workload("cache"), 6379))
	merged := c.Merge(Policies{p}, flows)
	for i, want := range []policy.Outcome{policy.Denied, policy.Allowed} {
		if v := c.Evaluate(merged, flows[i]); v.Outcome != want {
			t.Errorf("%s: %s: %s", flows[i].Target(), v.Outcome, v.Reason)
		}
	}
	if lines := c.NotIsolated(merged, flows); len(lines) > 0 {
		t.Errorf("%q", lines)
	}
	if diff := cmp.Diff(p.Spec.EgressDeny, merged[0].Spec.EgressDeny); diff != "" {
		t.Errorf("what denies changed:\n%s", diff)
	}
	if diff := cmp.Diff(policytest.ToYAMLs(t, merged), policytest.ToYAMLs(t, c.Merge(merged, flows))); diff != "" {
		t.Errorf("merged twice:\n%s", diff)
	}
}
