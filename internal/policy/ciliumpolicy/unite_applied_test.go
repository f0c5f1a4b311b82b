package ciliumpolicy

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/netzero-dev/netzero/internal/cilium"
	"github.com/netzero-dev/netzero/internal/policy"
)

// writeCilium returns policies with random rules of kinds that people write by hand.
func (r draw) writeCilium(policies Policies) Policies {
	for i, p := range policies {
		p = p.DeepCopy()
		policies[i] = p
		for range r.IntN(4) {
			d := pick(r, policy.Directions...)
			rules, denials := RulesOf(p, d), DenyRulesOf(p, d)
			off := false
			switch r.IntN(8) {
			case 0:
				rules = append(rules, Rule{Addresses: []string{"203.0.113.0/24", "2001:db8::/64"}})
			case 1:
				denials = append(denials, Rule{Addresses: []string{pick(r, "203.0.113.9/32", "198.51.100.0/24")}})
			case 2:
				denials = append(denials, Rule{Entities: []string{pick(r, cilium.World, cilium.Host, cilium.Cluster)}, Ports: r.somePorts()})
			case 3:
				denials = append(denials, Rule{})
			case 4:
				if p.Spec.EnableDefaultDeny == nil {
					p.Spec.EnableDefaultDeny = &cilium.DefaultDeny{}
				}
				p.Spec.EnableDefaultDeny.Egress = pick(r, &off, nil)
				p.Spec.EnableDefaultDeny.Ingress = pick(r, &off, nil)
			case 5:
				rules = append(rules, Rule{Endpoints: []metav1.LabelSelector{{MatchExpressions: []metav1.LabelSelectorRequirement{
					{Key: "app", Operator: metav1.LabelSelectorOpIn, Values: []string{"mail", "cache"}},
				}}}, Ports: r.somePorts()})
			case 6:
				rules = append(rules, Rule{Entities: []string{cilium.All}, Icmps: []cilium.ICMPRule{{Fields: []cilium.ICMPField{
					pick(r, cilium.ICMPField{Type: intstr.FromString("EchoRequest")}, cilium.ICMPField{Family: cilium.IPv4, Type: intstr.FromInt32(cilium.Echo)}),
				}}}})
			case 7:
				denials = append(denials, Rule{Endpoints: []metav1.LabelSelector{{MatchLabels: map[string]string{"k8s:app": "cache"}}}, Ports: r.somePorts()})
			}
			SetRules(p, d, rules)
			if len(rules) == 0 && d == policy.Egress {
				p.Spec.Egress = nil
			}
			if len(denials) > 0 {
				SetDenyRules(p, d, denials)
			}
		}
	}
	return policies
}

func (r draw) somePorts() []cilium.PortRule {
	ports := pick(r, nil, []cilium.Port{{Port: "443", Protocol: "TCP"}}, []cilium.Port{{Port: "80", EndPort: 5432}}, []cilium.Port{{Port: "0", Protocol: "UDP"}, {Port: "pgsql", Protocol: "TCP"}})
	if ports == nil {
		return nil
	}
	return []cilium.PortRule{{Ports: ports}}
}

// A union keeps every kind of rule that people write by hand.
func TestUnite_KeepsHandWrittenCiliumRules(t *testing.T) {
	toCache := "  egress: [{toEndpoints: [{matchLabels: {app: cache}}]}]\n"
	for _, row := range []struct{ reason, a, b, want string }{
		{"toCIDR", toCache, "  egress: [{toCIDR: [203.0.113.0/24], toPorts: [{ports: [{port: \"443\", protocol: TCP}]}]}]",
			"  egress: [{toEndpoints: [{matchLabels: {app: cache}}]}, {toCIDRSet: [{cidr: 203.0.113.0/24}], toPorts: [{ports: [{port: \"443\", protocol: TCP}]}]}]"},
		{"toCIDR beside toCIDRSet", "  egress: [{toCIDR: [203.0.113.9/32]}]", "  egress: [{toCIDRSet: [{cidr: 203.0.113.0/24}]}]", "  egress: [{toCIDRSet: [{cidr: 203.0.113.0/24}]}]"},
		{"a rule that denies, of the second", toCache, toCache + "  egressDeny: [{toCIDR: [203.0.113.9/32]}]", toCache + "  egressDeny: [{toCIDRSet: [{cidr: 203.0.113.9/32}]}]"},
		{"those that deny of both", toCache + "  egressDeny: [{toEntities: [host]}]", toCache + "  egressDeny: [{toEntities: [host]}, {toEntities: [world]}]", toCache + "  egressDeny: [{toEntities: [host]}, {toEntities: [world]}]"},
		{"nobody denies by default", toCache + "  enableDefaultDeny: {egress: false}", toCache + "  enableDefaultDeny: {egress: false}", toCache + "  enableDefaultDeny: {egress: false}"},
		{"one denies by default", toCache, toCache + "  enableDefaultDeny: {egress: false}", toCache},
		{"one denies by default, and has no rule for it", "  ingress: [{}]", toCache + "  enableDefaultDeny: {egress: false}", toCache + "  ingress: [{}]\n  enableDefaultDeny: {egress: false}"},
		{"a type of ICMP by its name", "  egress: [{toEntities: [all], icmps: [{fields: [{type: EchoRequest}]}]}]", "  egress: [{toEntities: [all], icmps: [{fields: [{family: IPv4, type: 8}]}]}]",
			"  egress: [{toEntities: [all], icmps: [{fields: [{family: IPv4, type: 8}]}]}]"},
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
