package policy

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	networkingv1 "k8s.io/api/networking/v1"

	"github.com/netzero-dev/netzero/internal/cilium"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

type kubernetesPolicies = []*networkingv1.NetworkPolicy

// uniting is what both dialects have of a union, for one test of both.
type uniting[P any] struct {
	generate func([]flow.Flow) []P
	edit     func([]P) []P
	unite    func(...[]P) ([]P, error)
	side     func([]P, Workload, direction, flow.Flow) Verdict
	yaml     func([]P) []string
}

// TestUnionsAreWhatTheirPartsAre unites policies of random flows, and what people made of them, in both dialects.
func TestUnionsAreWhatTheirPartsAre(t *testing.T) {
	seed := TestSeed(t)
	for i := range uint64(20) {
		r := newDraw(seed, i)
		scope := r.Scope()
		if len(scope.Subjects) == 0 {
			continue
		}
		before, after := r.FlowsIn(scope), r.FlowsIn(scope)
		holdUnion(t, scope, before, after, uniting[*networkingv1.NetworkPolicy]{
			scope.Generate,
			func(p kubernetesPolicies) kubernetesPolicies { p, _ = r.editAll(p); return p },
			Unite, scope.normal().side,
			func(p kubernetesPolicies) (all []string) {
				for _, p := range p {
					all = append(all, toYAML(t, p))
				}
				return all
			},
		})
		c := Cilium{scope}
		holdUnion(t, scope, before, after, uniting[*cilium.NetworkPolicy]{c.Generate, r.editCilium, UniteCilium, c.normal().side, func(p ciliumPolicies) []string { return toYAMLs(t, p) }})
		if t.Failed() {
			t.Logf("case %d of seed %d", i, seed)
			return
		}
	}
}

func holdUnion[P any](t *testing.T, scope Scope, before, after []flow.Flow, u uniting[P]) {
	t.Helper()
	united := func(sets ...[]P) []P {
		t.Helper()
		p, err := u.unite(sets...)
		if err != nil {
			t.Errorf("unite: %v", err)
		}
		return p
	}
	same := func(what string, want, got []P) {
		t.Helper()
		if diff := cmp.Diff(u.yaml(want), u.yaml(got)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}
	a, b := u.generate(before), u.generate(after)
	same("generated of both", united(u.generate(slices.Concat(before, after))), united(a, b))
	same("in another order", united(a, b), united(b, a))
	same("with a part of itself", united(a, b), united(b, united(a, b), a))

	a, b = u.edit(a), u.edit(b)
	whole, err := u.unite(a, b)
	if err != nil {
		return
	}
	same("edited, in another order", whole, united(b, a))
	same("edited, of itself", whole, united(whole))
	var asked []flow.Flow
	for _, f := range Required(slices.Concat(before, after)) {
		asked = append(asked, f)
		for _, n := range neighbours(f) {
			if len(asked) < 120 {
				asked = append(asked, n, reversed(n))
			}
		}
	}
	for _, subject := range scope.normal().Subjects {
		for _, d := range directions {
			for _, f := range scope.normal().of(subject.Workload, d, asked) {
				v, w, both := u.side(a, subject.Workload, d, f), u.side(b, subject.Workload, d, f), u.side(whole, subject.Workload, d, f)
				allowed := v.Outcome == Allowed || w.Outcome == Allowed
				switch {
				case both.Outcome == Allowed && (v.Outcome == Unprotected || w.Outcome == Unprotected):
				case allowed == (both.Outcome == Allowed):
				case both.Outcome == Allowed && strings.Contains(v.Reason+w.Reason, "never matches"):
					// The other one lets Cilium read the look-up, for all policies of the pods.
				case allowed && f.Destination.Kind == flow.External && d == egress && !flow.Public(address(f.Destination)):
					// As Generate has it, an address of one is not for the names of another.
				default:
					t.Errorf("%s of %s: %s is %s (%s) and %s (%s), in the union %s (%s)", d, subject.Name, arrow(f), v.Outcome, v.Reason, w.Outcome, w.Reason, both.Outcome, both.Reason)
					t.Logf("of:\n%s\nand:\n%s\nunion:\n%s", strings.Join(u.yaml(a), "---\n"), strings.Join(u.yaml(b), "---\n"), strings.Join(u.yaml(whole), "---\n"))
					return
				}
			}
		}
	}
}

// The union is minimal: nothing in it is allowed twice.
func TestUnionsHoldNothingTwice(t *testing.T) {
	for _, c := range []struct{ reason, a, b, want string }{
		{"one rule to a peer", toCache, strings.Replace(toCache, "6379", "9121", 1), strings.Replace(toCache, "[{port: 6379, protocol: TCP}", "[{port: 6379, protocol: TCP}, {port: 9121, protocol: TCP}", 1)},
		{"a port in a range", toCache, strings.Replace(toCache, "port: 6379", "port: 6000, endPort: 7000", 1), strings.Replace(toCache, "port: 6379", "port: 6000, endPort: 7000", 1)},
		{"a port among all", toCache, "  - {to: [{podSelector: {matchLabels: {app: cache}}}]}\n", "  - {to: [{podSelector: {matchLabels: {app: cache}}}]}\n"},
		{"some pods among all", toCache, strings.Replace(toCache, "{app: cache}", "{}", 1), strings.Replace(toCache, "{matchLabels: {app: cache}}", "{}", 1)},
		{"fewer labels are more pods", strings.Replace(toCache, "app: cache", "app: cache, tier: a", 1), toCache, toCache},
		{"an address in a range", toServer, strings.Replace(toServer, "203.0.113.9/32", "203.0.113.0/24", 1), strings.Replace(toServer, "203.0.113.9/32", "203.0.113.0/24", 1)},
		{"but not one that it excepts", toServer, strings.Replace(toServer, "203.0.113.9/32", "203.0.113.0/24, except: [203.0.113.8/30]", 1), toServer + strings.Replace(toServer, "203.0.113.9/32", "203.0.113.0/24, except: [203.0.113.8/30]", 1)},
		{"a peer of two", strings.Replace(toCache, "to: [", "to: [{ipBlock: {cidr: 10.0.0.0/8}}, ", 1), toCache, toCache + strings.Replace(toCache, "to: [{podSelector: {matchLabels: {app: cache}}}]", "to: [{ipBlock: {cidr: 10.0.0.0/8}}]", 1)},
		{"everything", toCache + toDNS, "  - {}\n", toDNS + "  - {}\n"},
		{"the same twice", toCache + toCache, toCache, toCache},
	} {
		got, err := Unite(parse(t, header+c.a), parse(t, header+c.b))
		if err != nil {
			t.Fatal(err)
		}
		want, err := Unite(parse(t, header+c.want))
		if err != nil {
			t.Fatal(err)
		}
		count := func(p kubernetesPolicies) int { return len(p[0].Spec.Egress) }
		if diff := cmp.Diff(toYAML(t, want[0]), toYAML(t, got[0])); diff != "" || count(want) != count(parse(t, header+c.want)) {
			t.Errorf("%s (-want +got):\n%s", c.reason, diff)
		}
	}
}

func TestUnionsThatCannotBe(t *testing.T) {
	named := func(metadata, selector string) kubernetesPolicies {
		return parse(t, "metadata: {"+metadata+"}\nspec: {podSelector: {"+selector+"}, policyTypes: [Egress]}\n")
	}
	shop := named("name: shop", "matchLabels: {app: shop}")
	for _, c := range []struct {
		reason string
		other  kubernetesPolicies
		want   string
	}{
		{"other pods", named("name: shop", "matchLabels: {app: web}"), "policy shop selects app=shop and app=web: pods with other labels are another workload, give it another name"},
		{"another namespace", named("name: shop, namespace: prod", "matchLabels: {app: shop}"), "policy shop is in no namespace and in namespace prod: give them one namespace, or two names"},
		{"another annotation", named("name: shop, annotations: {team: b}", "matchLabels: {app: shop}"), `policy shop has the annotation team with "a" and with "b": keep one`},
		{"the same pods in other words, and other names", append(named("name: shop", "matchLabels: {app: shop}"), named("name: web", "matchLabels: {app: web}")...), ""},
	} {
		shop[0].Annotations = map[string]string{"team": "a"}
		_, err := Unite(shop, c.other)
		if got := fmt.Sprint(err); c.want == "" && err != nil || c.want != "" && got != c.want {
			t.Errorf("%s: %v, want %s", c.reason, err, c.want)
		}
	}
}

// Rules of a direction that is no type of their policy are in no force; in a union they get none.
func TestUnionsLeaveOutRulesWithoutTheirType(t *testing.T) {
	idle := parse(t, strings.Replace(header, "policyTypes: [Egress]", "policyTypes: [Ingress]", 1)+"  - {}\n")
	if idle[0].Spec.PolicyTypes[0] != networkingv1.PolicyTypeIngress {
		t.Fatal("the header has changed")
	}
	for _, sets := range [][]kubernetesPolicies{{idle, parse(t, header+toCache)}, {parse(t, header+toCache), idle}} {
		got, err := Unite(sets...)
		if err != nil {
			t.Fatal(err)
		}
		if n := len(got[0].Spec.Egress); n != 1 || len(got[0].Spec.Egress[0].To) == 0 {
			t.Errorf("the union has %d rules:\n%s", n, toYAML(t, got[0]))
		}
	}
}
