package policy_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/netzero-dev/netzero/internal/cilium"
	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/internal/policy/ciliumpolicy"
	"github.com/netzero-dev/netzero/internal/policy/networkpolicy"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// inBoth is the part of a dialect that a test of the annotations uses.
type inBoth[P metav1.Object] struct {
	generate func(...flow.Flow) []P
	merge    func([]P, ...flow.Flow) []P
	extend   func([]P, ...flow.Flow) []P
	evaluate func([]P, flow.Flow) policy.Verdict
	unused   func([]P, ...flow.Flow) []string
	unite    func(...[]P) ([]P, error)
	validate func(P) error
}

func kubernetesOf(s policy.Scope) inBoth[*networkingv1.NetworkPolicy] {
	return inBoth[*networkingv1.NetworkPolicy]{
		func(f ...flow.Flow) kubernetesPolicies { return networkpolicy.Dialect{Scope: s}.Generate(f) },
		func(p kubernetesPolicies, f ...flow.Flow) kubernetesPolicies {
			return networkpolicy.Dialect{Scope: s}.Merge(p, f)
		},
		func(p kubernetesPolicies, f ...flow.Flow) kubernetesPolicies {
			return networkpolicy.Dialect{Scope: s}.Extend(p, f)
		},
		networkpolicy.Dialect{Scope: s}.Evaluate, func(p kubernetesPolicies, f ...flow.Flow) []string {
			return networkpolicy.Dialect{Scope: s}.Unused(p, f)
		}, networkpolicy.Unite, networkpolicy.Validate,
	}
}

func ciliumOf(c ciliumpolicy.Dialect) inBoth[*cilium.NetworkPolicy] {
	return inBoth[*cilium.NetworkPolicy]{
		func(f ...flow.Flow) ciliumpolicy.Policies { return c.Generate(f) },
		func(p ciliumpolicy.Policies, f ...flow.Flow) ciliumpolicy.Policies { return c.Merge(p, f) },
		func(p ciliumpolicy.Policies, f ...flow.Flow) ciliumpolicy.Policies { return c.Extend(p, f) },
		c.Evaluate, func(p ciliumpolicy.Policies, f ...flow.Flow) []string { return c.Unused(p, f) },
		ciliumpolicy.Unite, ciliumpolicy.Validate,
	}
}

func list[P metav1.Object](policies []P, annotation string) string {
	return policies[0].GetAnnotations()[annotation]
}

func raw(to flow.Endpoint) flow.Flow { return toPort(to, 47, 0) }

func TestOtherFlows_ListedAndEvaluated(t *testing.T) {
	scope := alone(checkout)
	listFlows(t, kubernetesOf(scope), ping)
	listFlows(t, kubernetesOf(scope), raw)
	listFlows(t, ciliumOf(ciliumpolicy.Dialect{Scope: scope}), raw)
	listFlows(t, ciliumOf(ciliumpolicy.Dialect{Scope: scope}), func(to flow.Endpoint) flow.Flow {
		return toPort(to, flow.UDPLite, 9)
	})
}

// listFlows tests a list through the life of a file.
func listFlows[P metav1.Object](t *testing.T, in inBoth[P], to func(flow.Endpoint) flow.Flow) {
	t.Helper()
	server := to(at("203.0.113.9"))
	host := to(external("vpn.example", "203.0.113.8"))
	db := to(workloadIn("shop", "db"))
	other := to(at("203.0.113.10"))
	kind := policy.KindOf(server).String()
	allowed := func(policies []P, flows ...flow.Flow) {
		t.Helper()
		for _, f := range flows {
			if v := in.evaluate(policies, f); v.Outcome != policy.Allowed {
				t.Errorf("%s is %s: %s", f.Target(), v.Outcome, v.Reason)
			}
		}
		if unused := in.unused(policies, flows...); len(unused) > 0 {
			t.Errorf("unused: %q", unused)
		}
	}
	denied := func(policies []P, f flow.Flow, want string) {
		t.Helper()
		if v := in.evaluate(policies, f); v.Outcome != policy.Denied || !strings.Contains(v.Reason, want) {
			t.Errorf("%s is %s: %s; want it denied with %q", f.Target(), v.Outcome, v.Reason, want)
		}
	}
	is := func(policies []P, want ...string) {
		t.Helper()
		for i := range want {
			want[i] = kind + " " + want[i]
		}
		if got := list(policies, policy.OtherAnnotation); got != strings.Join(want, ",") {
			t.Errorf("lists %q, want %q", got, want)
		}
		for _, p := range policies {
			if err := in.validate(p); err != nil {
				t.Error(err)
			}
		}
	}
	empty := in.generate()
	denied(empty, server, kind+` 203.0.113.9 is not in the annotation netzero.dev/egress-other`)
	denied(empty, server, `Ignore("203.0.113.9") leaves it out`)

	first := in.generate(server, host, db)
	is(first, "203.0.113.9", "db.shop.svc", "vpn.example")
	allowed(first, server, host, db)
	denied(first, other, kind+" 203.0.113.10 is not in")
	denied(first, to(external("vpn2.example", "203.0.113.8")), kind+" vpn2.example is not in")
	denied(first, to(workload("db")), kind+" db is not in")
	denied(first, to(external("x.example", "203.0.113.9")), kind+" x.example is not in")
	otherKind := server
	otherKind.Protocol++
	if policy.KindOf(otherKind) != policy.KindOf(server) {
		denied(first, otherKind, " 203.0.113.9 is not in")
	}

	// Extend adds missing entries. Merge also removes unused ones, and the annotation with the last of them.
	is(in.extend(first, other), "203.0.113.10", "203.0.113.9", "db.shop.svc", "vpn.example")
	second := in.merge(first, other, host)
	is(second, "203.0.113.10", "vpn.example")
	allowed(second, other, host)
	is(in.merge(second, other, host), "203.0.113.10", "vpn.example")
	if third := in.merge(second); len(third[0].GetAnnotations()) > 0 {
		t.Errorf("no flow needs %v", third[0].GetAnnotations())
	}
	unused := in.unused(first, server)
	if want := []string{
		"policy checkout: annotation netzero.dev/egress-other: " + kind + " db.shop.svc",
		"policy checkout: annotation netzero.dev/egress-other: " + kind + " vpn.example",
	}; !slices.Equal(unused, want) {
		t.Errorf("unused: %q", unused)
	}

	// A person's entries stay while any flow needs them.
	policy.SetEntries(first[0], policy.OtherAnnotation, []string{kind + " 203.0.113.0/24", kind + " *.example"})
	allowed(first, server, other, to(external("a.example", "198.51.100.1")))
	denied(first, to(at("198.51.100.1")), "is not in")
	is(in.merge(first, server, host), "203.0.113.0/24", "*.example")
	is(in.merge(first, server, db), "203.0.113.0/24", "db.shop.svc")

	// A union lists the entries of all parts, in any order of these.
	for _, sets := range [][][]P{{in.generate(server), in.generate(host)}, {in.generate(host), in.generate(server)}} {
		united, err := in.unite(sets...)
		if err != nil {
			t.Fatal(err)
		}
		is(united, "203.0.113.9", "vpn.example")
	}
}

func TestValidate_MalformedOtherFlows(t *testing.T) {
	p := networkpolicy.Dialect{Scope: alone(checkout)}.Generate(nil)[0]
	for _, annotation := range []string{policy.OtherAnnotation, policy.OtherIngressAnnotation} {
		p.Annotations = map[string]string{annotation: "icmp-echo 203.0.113.9,ping db"}
		if err := networkpolicy.Validate(p); err == nil || !strings.Contains(err.Error(), annotation) {
			t.Errorf("a malformed entry of %s passes: %v", annotation, err)
		}
		c := ciliumpolicy.Dialect{Scope: alone(checkout)}.Generate(nil)[0]
		c.Annotations = p.Annotations
		if err := ciliumpolicy.Validate(c); err == nil || !strings.Contains(err.Error(), annotation) {
			t.Errorf("a malformed entry of %s passes in the other dialect: %v", annotation, err)
		}
	}
}

// A name that no policy can contain does not bypass the policy: the address is evaluated, and written.
func TestOtherFlows_InvalidNamesAreAddresses(t *testing.T) {
	scope := alone(checkout)
	for _, name := range []string{
		"a b.ctl.test", "a,b.test", "a:b.test", "*.test", "*", "x/y.test", "\x00.test", "\xff.test", "ä.test",
		"A.test", ".", "a..test", strings.Repeat("a", 64) + ".test", strings.Repeat("a.", 140) + "test", "a\nb.test",
		"a%b.test", "a\\.b.test", "a@b.test", "(a).test",
	} {
		addressOf(t, name, kubernetesOf(scope))
		addressOf(t, name, ciliumOf(ciliumpolicy.Dialect{Scope: scope}))
	}
}

func addressOf[P metav1.Object](t *testing.T, name string, in inBoth[P]) {
	t.Helper()
	allowed := in.generate(tcp(external("a.test", "203.0.113.9"), 443))
	for _, addr := range []string{"203.0.113.9", "10.9.0.1", "2001:db8::9"} {
		odd := tcp(external(name, addr), 8443)
		v := in.evaluate(allowed, odd)
		if v.Outcome != policy.Denied || !strings.Contains(v.Reason, fmt.Sprintf("\"%s\"", name)) ||
			!strings.Contains(v.Reason, addr) {
			t.Errorf("%q at %s is %s: %s", name, addr, v.Outcome, v.Reason)
		}
		bare := tcp(at(addr), 8443)
		bare.Destination.Name = name // a name that is looked up
		if diff := cmp.Diff(in.generate(bare), in.generate(odd)); diff != "" {
			t.Errorf("%q is not written as its address (-address +name):\n%s", name, diff)
		}
		merged := in.merge(allowed, odd)
		if v := in.evaluate(merged, odd); v.Outcome != policy.Allowed || len(in.unused(merged, odd)) > 0 {
			t.Errorf("%q after an update is %s: %s; unused %q", name, v.Outcome, v.Reason, in.unused(merged, odd))
		}
		elsewhere := tcp(external(name, "198.51.100.1"), 8443)
		if v := in.evaluate(merged, elsewhere); v.Outcome != policy.Denied {
			t.Errorf("%q at another address is %s: %s", name, v.Outcome, v.Reason)
		}
	}
}
