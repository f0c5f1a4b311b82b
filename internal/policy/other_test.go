package policy

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/netzero-dev/netzero/internal/cilium"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// inBoth is what a test of the annotations asks of a dialect.
type inBoth[P metav1.Object] struct {
	generate func(...flow.Flow) []P
	merge    func([]P, ...flow.Flow) []P
	extend   func([]P, ...flow.Flow) []P
	evaluate func([]P, flow.Flow) Verdict
	unused   func([]P, ...flow.Flow) []string
	unite    func(...[]P) ([]P, error)
	validate func(P) error
}

func kubernetesOf(s Scope) inBoth[*networkingv1.NetworkPolicy] {
	return inBoth[*networkingv1.NetworkPolicy]{
		func(f ...flow.Flow) kubernetesPolicies { return s.Generate(f) },
		func(p kubernetesPolicies, f ...flow.Flow) kubernetesPolicies { return s.Merge(p, f) },
		func(p kubernetesPolicies, f ...flow.Flow) kubernetesPolicies { return s.Extend(p, f) },
		s.Evaluate, func(p kubernetesPolicies, f ...flow.Flow) []string { return s.Unused(p, f) }, Unite, Validate,
	}
}

func ciliumOf(c Cilium) inBoth[*cilium.NetworkPolicy] {
	return inBoth[*cilium.NetworkPolicy]{
		func(f ...flow.Flow) ciliumPolicies { return c.Generate(f) },
		func(p ciliumPolicies, f ...flow.Flow) ciliumPolicies { return c.Merge(p, f) },
		func(p ciliumPolicies, f ...flow.Flow) ciliumPolicies { return c.Extend(p, f) },
		c.Evaluate, func(p ciliumPolicies, f ...flow.Flow) []string { return c.Unused(p, f) }, UniteCilium, ValidateCilium,
	}
}

func list[P metav1.Object](policies []P, annotation string) string {
	return policies[0].GetAnnotations()[annotation]
}

func raw(to flow.Endpoint) flow.Flow { return toPort(to, 47, 0) }

func icmp(to flow.Endpoint, icmpType uint8) flow.Flow {
	f := ping(to)
	f.ICMPType = icmpType
	return f
}

func TestFlowsWithoutRulesAreListedAndJudged(t *testing.T) {
	scope := alone(checkout)
	listFlows(t, kubernetesOf(scope), ping)
	listFlows(t, kubernetesOf(scope), raw)
	listFlows(t, ciliumOf(Cilium{scope}), raw)
	listFlows(t, ciliumOf(Cilium{scope}), func(to flow.Endpoint) flow.Flow { return toPort(to, flow.UDPLite, 9) })
}

// listFlows follows a list through the life of a file.
func listFlows[P metav1.Object](t *testing.T, in inBoth[P], to func(flow.Endpoint) flow.Flow) {
	t.Helper()
	server, host, db, other := to(at("203.0.113.9")), to(external("vpn.example", "203.0.113.8")), to(workloadIn("shop", "db")), to(at("203.0.113.10"))
	kind := kindOf(server).String()
	allowed := func(policies []P, flows ...flow.Flow) {
		t.Helper()
		for _, f := range flows {
			if v := in.evaluate(policies, f); v.Outcome != Allowed {
				t.Errorf("%s is %s: %s", f.Target(), v.Outcome, v.Reason)
			}
		}
		if unused := in.unused(policies, flows...); len(unused) > 0 {
			t.Errorf("unused: %q", unused)
		}
	}
	denied := func(policies []P, f flow.Flow, want string) {
		t.Helper()
		if v := in.evaluate(policies, f); v.Outcome != Denied || !strings.Contains(v.Reason, want) {
			t.Errorf("%s is %s: %s; want it denied with %q", f.Target(), v.Outcome, v.Reason, want)
		}
	}
	is := func(policies []P, want ...string) {
		t.Helper()
		for i := range want {
			want[i] = kind + " " + want[i]
		}
		if got := list(policies, OtherAnnotation); got != strings.Join(want, ",") {
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
	if kindOf(otherKind) != kindOf(server) {
		denied(first, otherKind, " 203.0.113.9 is not in")
	}

	// An update adds what is missing, a whole one drops what is unused, and with the last entry the annotation.
	is(in.extend(first, other), "203.0.113.10", "203.0.113.9", "db.shop.svc", "vpn.example")
	second := in.merge(first, other, host)
	is(second, "203.0.113.10", "vpn.example")
	allowed(second, other, host)
	is(in.merge(second, other, host), "203.0.113.10", "vpn.example")
	if third := in.merge(second); len(third[0].GetAnnotations()) > 0 {
		t.Errorf("nobody needs %v", third[0].GetAnnotations())
	}
	unused := in.unused(first, server)
	if want := []string{
		"policy checkout: annotation netzero.dev/egress-other: " + kind + " db.shop.svc",
		"policy checkout: annotation netzero.dev/egress-other: " + kind + " vpn.example",
	}; !slices.Equal(unused, want) {
		t.Errorf("unused: %q", unused)
	}

	// What people write stays, as long as it is of use.
	setEntries(first[0], OtherAnnotation, []string{kind + " 203.0.113.0/24", kind + " *.example"})
	allowed(first, server, other, to(external("a.example", "198.51.100.1")))
	denied(first, to(at("198.51.100.1")), "is not in")
	is(in.merge(first, server, host), "203.0.113.0/24", "*.example")
	is(in.merge(first, server, db), "203.0.113.0/24", "db.shop.svc")

	// A union lists what any part does, in any order.
	for _, sets := range [][][]P{{in.generate(server), in.generate(host)}, {in.generate(host), in.generate(server)}} {
		united, err := in.unite(sets...)
		if err != nil {
			t.Fatal(err)
		}
		is(united, "203.0.113.9", "vpn.example")
	}
}

func TestKindsOfPacketsRead(t *testing.T) {
	v6 := toPort(at("2001:db8::9"), flow.ICMPv6, 0)
	query := v6
	query.ICMPType = 139
	for want, f := range map[string]flow.Flow{
		"icmp-echo": ping(at("203.0.113.9")), "icmp-type-13": icmp(at("203.0.113.9"), 13), "icmpv6-echo": v6, "icmpv6-type-139": query,
		"ip-47": raw(at("203.0.113.9")), "udplite": toPort(at("203.0.113.9"), flow.UDPLite, 0), "udplite:9": toPort(at("203.0.113.9"), flow.UDPLite, 9),
		"tcp:0": tcp(at("203.0.113.9"), 0), "udp:0": udp(at("203.0.113.9"), 0), "sctp:0": toPort(at("203.0.113.9"), flow.SCTP, 0),
	} {
		if got := kindOf(f).String(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		entry := want + " 203.0.113.9"
		if o, err := parseOther(egress, entry); err != nil || o.String() != entry || o.kind != kindOf(f) {
			t.Errorf("%s was read as %s: %v", entry, o, err)
		}
	}
	for n := range 256 { // every number is of one kind
		for _, k := range []packetKind{{flow.ICMP, uint16(n)}, {flow.ICMPv6, uint16(n)}, {flow.Protocol(n), 0}, {flow.UDPLite, uint16(n)}} {
			if got, known := parseKind(k.String()); !known || got != k {
				t.Errorf("%s was read as %s", k, got)
			}
		}
	}
	for entry, want := range map[string]string{
		"icmp-echo":                      "after icmp-echo",
		"ping 203.0.113.9":               "want a kind of packet",
		"icmp-type-8 203.0.113.9":        "want a kind of packet",
		"icmp-type-256 203.0.113.9":      "want a kind of packet",
		"icmp-type- 203.0.113.9":         "want a kind of packet",
		"icmp-type-08 203.0.113.9":       "want a kind of packet",
		"icmpv6-type-128 203.0.113.9":    "want a kind of packet",
		"icmp-hello 203.0.113.9":         "want a kind of packet",
		"icmp 203.0.113.9":               "want a kind of packet",
		"ip- 203.0.113.9":                "want a kind of packet",
		"ip-256 203.0.113.9":             "want a kind of packet",
		"ip-303 203.0.113.9":             "want a kind of packet",
		"ip-136 203.0.113.9":             "want a kind of packet",
		"udplite:0 203.0.113.9":          "want a kind of packet",
		"udplite: 203.0.113.9":           "want a kind of packet",
		"udplite:65536 203.0.113.9":      "want a kind of packet",
		" 203.0.113.9":                   "want a kind of packet",
		"ip-6 203.0.113.9":               "want a kind of packet",
		"ip-047 203.0.113.9":             "want a kind of packet",
		"tcp:80 203.0.113.9":             "want a kind of packet",
		"udplite:09 203.0.113.9":         "want a kind of packet",
		"ip-47 *":                        "0.0.0.0/0",
		"ip-47 a b.example":              "want an address",
		"ip-47 203.0.113.9/32":           "want ip-47 203.0.113.9",
		"ip-47 203.0.113.9/24":           "want ip-47 203.0.113.0/24",
		"ip-47 ::ffff:203.0.113.9":       "want ip-47 203.0.113.9",
		"ip-47 2001:DB8::1":              "want ip-47 2001:db8::1",
		"ip-47  203.0.113.9":             "want an address",
		"ip-47 2001:0db8:0:0:0:0:0:0/32": "want ip-47 2001:db8::/32",
	} {
		if o, err := parseOther(egress, entry); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q was read as %q: error %v, want one with %q", entry, o, err, want)
		}
	}
	p := alone(checkout).Generate(nil)[0]
	for _, annotation := range []string{OtherAnnotation, OtherIngressAnnotation} {
		p.Annotations = map[string]string{annotation: "icmp-echo 203.0.113.9,ping db"}
		if err := Validate(p); err == nil || !strings.Contains(err.Error(), annotation) {
			t.Errorf("a malformed entry of %s passes: %v", annotation, err)
		}
		c := Cilium{alone(checkout)}.Generate(nil)[0]
		c.Annotations = p.Annotations
		if err := ValidateCilium(c); err == nil || !strings.Contains(err.Error(), annotation) {
			t.Errorf("a malformed entry of %s passes in the other dialect: %v", annotation, err)
		}
	}
}

// The name of a workload may be as long as a host's, and its namespace comes behind it.
func TestLongWorkloadsOfOtherNamespacesAreListed(t *testing.T) {
	name, namespace := strings.Repeat("n", 63)+strings.Repeat(".n", 95), strings.Repeat("s", 63)
	f := ping(workloadIn(namespace, name))
	scope := alone(checkout)
	scope.Peers = []Workload{{Name: name, Namespace: namespace, Labels: map[string]string{"app": "long"}}}
	policies := scope.Generate([]flow.Flow{f})
	if err := Validate(policies[0]); err != nil {
		t.Error(err)
	}
	if v := scope.Evaluate(policies, f); v.Outcome != Allowed {
		t.Errorf("%s is %s: %s", f.Target(), v.Outcome, v.Reason)
	}
	for _, entry := range []string{"icmp-echo " + name + "n.n", "icmp-echo n" + name + "." + namespace + serviceSuffix} {
		if _, err := parseOther(egress, entry); err == nil {
			t.Errorf("%d bytes are read", len(entry))
		}
	}
}

func TestPingsFoldAsOtherFlowsToHosts(t *testing.T) {
	scope := alone(checkout)
	scope.Fold = []string{"shard-*.db.example"}
	in := kubernetesOf(scope)
	committed := kubernetesOf(alone(checkout)).generate(ping(external("shard-1.db.example", "203.0.113.9")))
	flows := []flow.Flow{ping(external("shard-1.db.example", "203.0.113.9")), ping(external("shard-2.db.example", "203.0.113.9"))}
	const want = "icmp-echo shard-*.db.example"
	for _, policies := range []kubernetesPolicies{in.generate(flows...), in.merge(committed, flows...), in.extend(committed, flows[0])} {
		if got := list(policies, OtherAnnotation); got != want {
			t.Errorf("lists %q, want %q", got, want)
		}
	}
}

// Of a ping between two workloads that have policies the source's list decides; where the source has none, the
// destination's own list does.
func TestPingsAtTheDestination(t *testing.T) {
	scope := Scope{Subjects: []Subject{{Workload: checkout}, {Workload{Name: "db"}, true}}}
	own := ping(workload("db"))
	in := kubernetesOf(scope)
	policies := in.generate(own)
	if v := in.evaluate(policies, own); v.Outcome != Allowed || list(policies, OtherAnnotation) != "icmp-echo db" || policies[1].Annotations != nil {
		t.Errorf("%s: %s; db lists %v", v.Outcome, v.Reason, policies[1].Annotations)
	}
	policies[0].Annotations = nil
	if v := in.evaluate(policies, own); v.Outcome != Denied || v.Policy != "checkout" {
		t.Errorf("%s: %s", v.Outcome, v.Reason)
	}
	driver := own
	driver.Source = flow.Endpoint{Kind: flow.Anyone}
	if v := in.evaluate(policies, driver); v.Outcome != Denied || v.Policy != "db" || !strings.Contains(v.Reason, "icmp-echo anywhere is not in the annotation netzero.dev/ingress-other") {
		t.Errorf("%s: %s", v.Outcome, v.Reason)
	}
	merged := in.merge(policies, driver)
	if got := merged[1].Annotations[OtherIngressAnnotation]; got != "icmp-echo anywhere" || hasType(merged[1], ingress) {
		t.Errorf("db lists %q, and is of the types %v", got, merged[1].Spec.PolicyTypes)
	}
	if v := in.evaluate(merged, driver); v.Outcome != Allowed {
		t.Errorf("%s: %s", v.Outcome, v.Reason)
	}
	if diff := cmp.Diff(in.generate(driver), merged); diff != "" {
		t.Errorf("(-generated +merged):\n%s", diff)
	}
	if unused := in.unused(merged); len(unused) != 1 || !strings.Contains(unused[0], "ingress-other: icmp-echo anywhere") {
		t.Errorf("unused: %q", unused)
	}
	if got := in.merge(merged); len(got[1].Annotations) > 0 {
		t.Errorf("db still lists %v", got[1].Annotations)
	}
}

// A name that no policy can hold is no way around the policy: its address is judged, and written.
func TestNamesThatNoPolicyHoldsAreAddresses(t *testing.T) {
	scope := alone(checkout)
	for _, name := range []string{"a b.ctl.test", "a,b.test", "a:b.test", "*.test", "*", "x/y.test", "\x00.test", "\xff.test", "ä.test", "A.test", ".", "a..test",
		strings.Repeat("a", 64) + ".test", strings.Repeat("a.", 140) + "test", "a\nb.test", "a%b.test", "a\\.b.test", "a@b.test", "(a).test"} {
		addressOf(t, name, kubernetesOf(scope))
		addressOf(t, name, ciliumOf(Cilium{scope}))
	}
}

func addressOf[P metav1.Object](t *testing.T, name string, in inBoth[P]) {
	t.Helper()
	allowed := in.generate(tcp(external("a.test", "203.0.113.9"), 443))
	for _, addr := range []string{"203.0.113.9", "10.9.0.1", "2001:db8::9"} {
		odd := tcp(external(name, addr), 8443)
		v := in.evaluate(allowed, odd)
		if v.Outcome != Denied || !strings.Contains(v.Reason, fmt.Sprintf("\"%s\"", name)) || !strings.Contains(v.Reason, addr) {
			t.Errorf("%q at %s is %s: %s", name, addr, v.Outcome, v.Reason)
		}
		bare := tcp(at(addr), 8443)
		bare.Destination.Name = name // which is looked up
		if diff := cmp.Diff(in.generate(bare), in.generate(odd)); diff != "" {
			t.Errorf("%q is not written as its address (-address +name):\n%s", name, diff)
		}
		merged := in.merge(allowed, odd)
		if v := in.evaluate(merged, odd); v.Outcome != Allowed || len(in.unused(merged, odd)) > 0 {
			t.Errorf("%q after an update is %s: %s; unused %q", name, v.Outcome, v.Reason, in.unused(merged, odd))
		}
		elsewhere := tcp(external(name, "198.51.100.1"), 8443)
		if v := in.evaluate(merged, elsewhere); v.Outcome != Denied {
			t.Errorf("%q at another address is %s: %s", name, v.Outcome, v.Reason)
		}
	}
}
