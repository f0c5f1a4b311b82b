package policy

import (
	"slices"
	"strings"
	"testing"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/netzero-dev/netzero/internal/cilium"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// TestUnionsAreBothPoliciesApplied holds unions against what a cluster does to which both files are applied, side by side:
// a rule that denies, of either, is in force, and whichever isolates does. What it prints on failure, NETZERO_TEST_SEED
// repeats.
func TestUnionsAreBothPoliciesApplied(t *testing.T) {
	seed := TestSeed(t)
	outcomes := make(map[Outcome]int)
	for i := range uint64(30) {
		r := newDraw(seed, i)
		scope := r.Scope()
		if len(scope.Subjects) == 0 {
			continue
		}
		before, after := r.FlowsIn(scope), r.FlowsIn(scope)
		asked := slices.Concat(before, after)
		for _, f := range Required(asked) {
			for _, n := range neighbours(f) {
				asked = append(asked, n, reversed(n))
			}
		}
		edit := func(p kubernetesPolicies) kubernetesPolicies { p, _ = r.editAll(p); return p }
		holdApplied(t, scope, asked, edit(scope.Generate(before)), edit(scope.Generate(after)), outcomes, Unite, scope.normal().side,
			func(p *networkingv1.NetworkPolicy) string { return toYAML(t, p) })
		c := Cilium{scope}
		byHand := func(p ciliumPolicies) ciliumPolicies { return r.writeCilium(r.editCilium(p)) }
		holdApplied(t, scope, asked, byHand(c.Generate(before)), byHand(c.Generate(after)), outcomes, UniteCilium, c.normal().side,
			func(p *cilium.NetworkPolicy) string { return toYAML(t, p) })
		if t.Failed() {
			t.Logf("case %d of seed %d", i, seed)
			return
		}
	}
	for _, o := range []Outcome{Allowed, Denied, Unprotected} {
		if outcomes[o] < 30 {
			t.Errorf("%d flows were %s: too few to mean anything", outcomes[o], o)
		}
	}
}

func holdApplied[P any](t *testing.T, scope Scope, asked []flow.Flow, a, b []P, outcomes map[Outcome]int,
	unite func(...[]P) ([]P, error), side func([]P, Workload, direction, flow.Flow) Verdict, yaml func(P) string) {
	t.Helper()
	union, err := unite(a, b)
	if err != nil {
		return // other pods, and the like
	}
	for _, subject := range scope.normal().Subjects {
		for _, d := range directions {
			for _, f := range scope.normal().of(subject.Workload, d, asked) {
				want, got := side(slices.Concat(a, b), subject.Workload, d, f), side(union, subject.Workload, d, f)
				outcomes[want.Outcome]++
				named := d == egress && f.Destination.Kind == flow.External
				switch {
				case want.Outcome == got.Outcome:
				case named && want.Outcome == Allowed && strings.Contains(got.Reason, "is for an address without a name"):
					// As Generate has it, an address of one is not for the names of another.
				case named && !flow.Public(address(f.Destination)) && want.Outcome == Allowed:
					// The same, of an address inside.
				default:
					t.Errorf("%s of %s: %s is %s (%s) with both, in the union %s (%s)", d, subject.Name, arrow(f), want.Outcome, want.Reason, got.Outcome, got.Reason)
					for what, policies := range map[string][]P{"one": a, "another": b, "union": union} {
						for _, p := range policies {
							t.Logf("%s:\n%s", what, yaml(p))
						}
					}
					return
				}
			}
		}
	}
}

// writeCilium returns policies with what people add to them by hand.
func (r draw) writeCilium(policies ciliumPolicies) ciliumPolicies {
	for i, p := range policies {
		p = p.DeepCopy()
		policies[i] = p
		for range r.IntN(4) {
			d := pick(r, directions...)
			rules, denials := ciliumRulesOf(p, d), ciliumDenyRulesOf(p, d)
			off := false
			switch r.IntN(8) {
			case 0:
				rules = append(rules, ciliumRule{addresses: []string{"203.0.113.0/24", "2001:db8::/64"}})
			case 1:
				denials = append(denials, ciliumRule{addresses: []string{pick(r, "203.0.113.9/32", "198.51.100.0/24")}})
			case 2:
				denials = append(denials, ciliumRule{entities: []string{pick(r, cilium.World, cilium.Host, cilium.Cluster)}, ports: r.somePorts()})
			case 3:
				denials = append(denials, ciliumRule{})
			case 4:
				if p.Spec.EnableDefaultDeny == nil {
					p.Spec.EnableDefaultDeny = &cilium.DefaultDeny{}
				}
				p.Spec.EnableDefaultDeny.Egress = pick(r, &off, nil)
				p.Spec.EnableDefaultDeny.Ingress = pick(r, &off, nil)
			case 5:
				rules = append(rules, ciliumRule{endpoints: []metav1.LabelSelector{{MatchExpressions: []metav1.LabelSelectorRequirement{
					{Key: "app", Operator: metav1.LabelSelectorOpIn, Values: []string{"mail", "cache"}},
				}}}, ports: r.somePorts()})
			case 6:
				rules = append(rules, ciliumRule{entities: []string{cilium.All}, icmps: []cilium.ICMPRule{{Fields: []cilium.ICMPField{
					pick(r, cilium.ICMPField{Type: intstr.FromString("EchoRequest")}, cilium.ICMPField{Family: cilium.IPv4, Type: intstr.FromInt32(cilium.Echo)}),
				}}}})
			case 7:
				denials = append(denials, ciliumRule{endpoints: []metav1.LabelSelector{{MatchLabels: map[string]string{"k8s:app": "cache"}}}, ports: r.somePorts()})
			}
			setCiliumRules(p, d, rules)
			if len(rules) == 0 && d == egress {
				p.Spec.Egress = nil
			}
			if len(denials) > 0 {
				setCiliumDenyRules(p, d, denials)
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

// The union keeps what people write by hand, each sort of it.
func TestUnionsKeepWhatPeopleWroteForCilium(t *testing.T) {
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
		for _, sets := range [][]ciliumPolicies{{{one}, {other}}, {{other}, {one}}} {
			got, err := UniteCilium(sets...)
			if err != nil {
				t.Fatal(err)
			}
			if want, got := toYAML(t, want), toYAML(t, got[0]); want != got {
				t.Errorf("%s: want\n%s\ngot\n%s", row.reason, want, got)
			}
		}
	}
}
