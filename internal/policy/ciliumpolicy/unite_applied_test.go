package ciliumpolicy

import (
	"testing"
)

// A union keeps every kind of rule that people write by hand.
func TestUnite_KeepsHandWrittenCiliumRules(t *testing.T) {
	toCache := "  egress: [{toEndpoints: [{matchLabels: {app: cache}}]}]\n"
	for _, row := range []struct{ reason, a, b, want string }{
		{"toCIDR", toCache, "  egress: [{toCIDR: [203.0.113.0/24], toPorts: [{ports: [{port: \"443\", protocol: TCP}]}]}]",
			"  egress: [{toEndpoints: [{matchLabels: {app: cache}}]}, " +
				"{toCIDRSet: [{cidr: 203.0.113.0/24}], toPorts: [{ports: [{port: \"443\", protocol: TCP}]}]}]"},
		{
			"toCIDR beside toCIDRSet", "  egress: [{toCIDR: [203.0.113.9/32]}]",
			"  egress: [{toCIDRSet: [{cidr: 203.0.113.0/24}]}]",
			"  egress: [{toCIDRSet: [{cidr: 203.0.113.0/24}]}]",
		},
		{
			"a rule that denies, of the second", toCache,
			toCache + "  egressDeny: [{toCIDR: [203.0.113.9/32]}]",
			toCache + "  egressDeny: [{toCIDRSet: [{cidr: 203.0.113.9/32}]}]",
		},
		{
			"those that deny of both",
			toCache + "  egressDeny: [{toEntities: [host]}]",
			toCache + "  egressDeny: [{toEntities: [host]}, {toEntities: [world]}]",
			toCache + "  egressDeny: [{toEntities: [host]}, {toEntities: [world]}]",
		},
		{
			"neither denies by default",
			toCache + "  enableDefaultDeny: {egress: false}",
			toCache + "  enableDefaultDeny: {egress: false}",
			toCache + "  enableDefaultDeny: {egress: false}",
		},
		{"one denies by default", toCache, toCache + "  enableDefaultDeny: {egress: false}", toCache},
		{
			"one denies by default, and has no rule for it",
			"  ingress: [{}]",
			toCache + "  enableDefaultDeny: {egress: false}",
			toCache + "  ingress: [{}]\n  enableDefaultDeny: {egress: false}",
		},
		{
			"a type of ICMP by its name",
			"  egress: [{toEntities: [all], icmps: [{fields: [{type: EchoRequest}]}]}]",
			"  egress: [{toEntities: [all], icmps: [{fields: [{family: IPv4, type: 8}]}]}]",
			"  egress: [{toEntities: [all], icmps: [{fields: [{family: IPv4, type: 8}]}]}]",
		},
	} {
		one, other, want := ciliumPolicy(t, row.a), ciliumPolicy(t, row.b), ciliumPolicy(t, row.want)
		for _, sets := range [][]Policies{{{one}, {other}}, {{other}, {one}}} {
			got, err := Unite(sets...)
			if err != nil {
				t.Fatal(err)
			}
			if want, got := toYAML(t, want), toYAML(t, got[0]); want != got {
				t.Errorf("%s: want\n%s\ngot\n%s", row.reason, want, got)
			}
		}
	}
}
