package policy_test

import (
	"slices"
	"strings"
	"testing"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/netzero-dev/netzero/internal/cilium"
	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/internal/policy/ciliumpolicy"
	"github.com/netzero-dev/netzero/internal/policy/networkpolicy"
	"github.com/netzero-dev/netzero/internal/policy/policytest"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// TestUnite_EqualsBothApplied compares unions with both files applied to a cluster side by side: the deny rules
// of either are in force, and so is the isolation by either. NETZERO_TEST_SEED repeats a failure with the printed
// seed.
func TestUnite_EqualsBothApplied(t *testing.T) {
	seed := policytest.Seed(t)
	outcomes := make(map[policy.Outcome]int)
	for i := range uint64(30) {
		r := newDraw(seed, i)
		scope := r.Scope()
		if len(scope.Subjects) == 0 {
			continue
		}
		before, after := r.FlowsIn(scope), r.FlowsIn(scope)
		evaluated := slices.Concat(before, after)
		for _, f := range networkpolicy.Required(evaluated) {
			for _, n := range neighbours(f) {
				evaluated = append(evaluated, n, reversed(n))
			}
		}
		edit := func(p kubernetesPolicies) kubernetesPolicies { p, _ = r.editAll(p); return p }
		checkApplied(t, scope, evaluated, edit(networkpolicy.Dialect{Scope: scope}.Generate(before)), edit(networkpolicy.Dialect{Scope: scope}.Generate(after)), outcomes, networkpolicy.Unite, networkpolicy.Dialect{Scope: scope.Normalized()}.EvaluateEnd,
			func(p *networkingv1.NetworkPolicy) string { return toYAML(t, p) })
		c := ciliumpolicy.Dialect{Scope: scope}
		byHand := func(p ciliumpolicy.Policies) ciliumpolicy.Policies { return r.writeCilium(r.editCilium(p)) }
		checkApplied(t, scope, evaluated, byHand(c.Generate(before)), byHand(c.Generate(after)), outcomes, ciliumpolicy.Unite, c.Normal().EvaluateEnd,
			func(p *cilium.NetworkPolicy) string { return toYAML(t, p) })
		if t.Failed() {
			t.Logf("case %d of seed %d", i, seed)
			return
		}
	}
	for _, o := range []policy.Outcome{policy.Allowed, policy.Denied, policy.Unprotected} {
		if outcomes[o] < 30 {
			t.Errorf("%d flows were %s: too few to mean anything", outcomes[o], o)
		}
	}
}

func checkApplied[P any](t *testing.T, scope policy.Scope, evaluated []flow.Flow, a, b []P, outcomes map[policy.Outcome]int,
	unite func(...[]P) ([]P, error), side func([]P, policy.Workload, policy.Direction, flow.Flow) policy.Verdict, yaml func(P) string) {
	t.Helper()
	union, err := unite(a, b)
	if err != nil {
		return // the parts select different pods, for example
	}
	for _, subject := range scope.Normalized().Subjects {
		for _, d := range policy.Directions {
			for _, f := range scope.Normalized().FlowsOf(subject.Workload, d, evaluated) {
				want, got := side(slices.Concat(a, b), subject.Workload, d, f), side(union, subject.Workload, d, f)
				outcomes[want.Outcome]++
				named := d == policy.Egress && f.Destination.Kind == flow.External
				switch {
				case want.Outcome == got.Outcome:
				case named && want.Outcome == policy.Allowed && strings.Contains(got.Reason, "is for an address without a name"):
					// As in Generate: the address of one name does not allow other names.
				case named && !flow.Public(policy.EndpointAddress(f.Destination)) && want.Outcome == policy.Allowed:
					// The same for a private address.
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

// writeCilium returns policies with additions that people make by hand.
func (r draw) writeCilium(policies ciliumpolicy.Policies) ciliumpolicy.Policies {
	for i, p := range policies {
		p = p.DeepCopy()
		policies[i] = p
		for range r.IntN(4) {
			d := pick(r, policy.Directions...)
			rules, denials := ciliumpolicy.RulesOf(p, d), ciliumpolicy.DenyRulesOf(p, d)
			off := false
			switch r.IntN(8) {
			case 0:
				rules = append(rules, ciliumpolicy.Rule{Addresses: []string{"203.0.113.0/24", "2001:db8::/64"}})
			case 1:
				denials = append(denials, ciliumpolicy.Rule{Addresses: []string{pick(r, "203.0.113.9/32", "198.51.100.0/24")}})
			case 2:
				denials = append(denials, ciliumpolicy.Rule{Entities: []string{pick(r, cilium.World, cilium.Host, cilium.Cluster)}, Ports: r.somePorts()})
			case 3:
				denials = append(denials, ciliumpolicy.Rule{})
			case 4:
				if p.Spec.EnableDefaultDeny == nil {
					p.Spec.EnableDefaultDeny = &cilium.DefaultDeny{}
				}
				p.Spec.EnableDefaultDeny.Egress = pick(r, &off, nil)
				p.Spec.EnableDefaultDeny.Ingress = pick(r, &off, nil)
			case 5:
				rules = append(rules, ciliumpolicy.Rule{Endpoints: []metav1.LabelSelector{{MatchExpressions: []metav1.LabelSelectorRequirement{
					{Key: "app", Operator: metav1.LabelSelectorOpIn, Values: []string{"mail", "cache"}},
				}}}, Ports: r.somePorts()})
			case 6:
				rules = append(rules, ciliumpolicy.Rule{Entities: []string{cilium.All}, Icmps: []cilium.ICMPRule{{Fields: []cilium.ICMPField{
					pick(r, cilium.ICMPField{Type: intstr.FromString("EchoRequest")}, cilium.ICMPField{Family: cilium.IPv4, Type: intstr.FromInt32(cilium.Echo)}),
				}}}})
			case 7:
				denials = append(denials, ciliumpolicy.Rule{Endpoints: []metav1.LabelSelector{{MatchLabels: map[string]string{"k8s:app": "cache"}}}, Ports: r.somePorts()})
			}
			ciliumpolicy.SetRules(p, d, rules)
			if len(rules) == 0 && d == policy.Egress {
				p.Spec.Egress = nil
			}
			if len(denials) > 0 {
				ciliumpolicy.SetDenyRules(p, d, denials)
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
