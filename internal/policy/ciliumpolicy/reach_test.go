package ciliumpolicy

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/netzero-dev/netzero/internal/cilium"
	"github.com/netzero-dev/netzero/internal/enforce/enforcetest"
	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/internal/policy/policytest"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// TestReach_SameAsEvaluate compares what random policies let workloads reach with verdicts.
func TestReach_SameAsEvaluate(t *testing.T) {
	seed := policytest.Seed(t)
	covered := make(policytest.ReachCoverage)
	refused := 0
	for i := range uint64(30) {
		r := policytest.New(seed, i)
		scope := r.DeployedScope()
		for j := range scope.Subjects {
			scope.Subjects[j].Ports = []policy.Port{{Name: "pgsql", Number: 5432, Protocol: flow.TCP}}
		}
		c := Dialect{scope}
		policies := r.AddCilium(r.EditCilium(c.Generate(r.DeployedFlows(scope))))
		policies = addReach(r, policytest.EditAnnotations(r, policies))
		evaluated := Dialect{scope.Normalized().Indexed()}
		for _, subject := range evaluated.Subjects {
			reach, err := c.Reach(policies, subject.Workload)
			if err != nil {
				var limit *policy.NotEnforceableError
				if !errors.As(err, &limit) {
					t.Fatal(err)
				}
				refused++
				continue
			}
			verdict := evaluated.compile(partsOf(policies), subject.Workload, policy.Egress).verdict
			policytest.Reach{
				Reach: reach, Subject: subject.Workload, Scope: scope, Node: true,
				Denies: slices.ContainsFunc(partsOf(policies), func(p *cilium.NetworkPolicy) bool {
					return len(p.Spec.EgressDeny) > 0
				}),
				Verdict: func(f flow.Flow) policy.Verdict { return verdict(evaluated.byAddress(f)) },
			}.Check(t, r, covered)
			if t.Failed() {
				t.Fatalf("case %d, subject %s:\n%s", i, subject.Name, policytest.ToYAMLs(t, policies))
			}
		}
	}
	covered.Check(t)
	t.Logf("%d not enforceable, %v", refused, covered)
}

// addReach returns the policies with names, ranges and entities that only people write.
func addReach(r policytest.Draw, policies Policies) Policies {
	for _, p := range policies {
		for range r.IntN(2) * r.IntN(3) { // often none: denied addresses are an error besides names
			p.Spec.Egress = append(p.Spec.Egress, cilium.EgressRule{
				ToFQDNs: []cilium.FQDN{drawFQDN(r)}, ToPorts: drawPorts(r),
			})
		}
		for range r.IntN(3) {
			rule := policytest.Pick(r,
				cilium.EgressRule{ToCIDRSet: []cilium.CIDRRule{{CIDR: "10.0.0.0/8", Except: []string{"10.9.0.0/16"}}}},
				cilium.EgressRule{ToCIDR: []string{"203.0.113.9/32", "10.9.0.0/31"}},
				cilium.EgressRule{ToEntities: []string{cilium.RemoteNode}},
				cilium.EgressRule{ToEntities: []string{cilium.Host}},
				cilium.EgressRule{ToEntities: []string{cilium.Cluster}},
				cilium.EgressRule{ToEntities: []string{cilium.World}},
			)
			rule.ToPorts = drawPorts(r)
			p.Spec.Egress = append(p.Spec.Egress, rule)
		}
		if r.IntN(3) == 0 {
			p.Spec.Egress = append(p.Spec.Egress, cilium.EgressRule{
				ICMPs: []cilium.ICMPRule{{Fields: []cilium.ICMPField{{Family: cilium.IPv6, Type: intstr.FromInt32(139)}}}},
			})
		}
	}
	return policies
}

func drawFQDN(r policytest.Draw) cilium.FQDN {
	return policytest.Pick(r,
		cilium.FQDN{MatchName: "API.stripe.com."}, cilium.FQDN{MatchPattern: "*.corp.example"},
		cilium.FQDN{MatchPattern: "**.corp.example"}, cilium.FQDN{MatchPattern: "*"},
		cilium.FQDN{MatchName: "www.api.stripe.com"},
	)
}

func drawPorts(r policytest.Draw) []cilium.PortRule {
	ports := policytest.Pick(r, nil,
		[]cilium.Port{{Port: "443", Protocol: "TCP"}},
		[]cilium.Port{{Port: "80", EndPort: 5432}, {Port: "pgsql", Protocol: "TCP"}},
		[]cilium.Port{{Port: "0", Protocol: "UDP"}},
	)
	if ports == nil {
		return nil
	}
	rule := cilium.PortRule{Ports: ports}
	if r.IntN(3) == 0 {
		rule.Rules = &cilium.L7Rules{DNS: []cilium.FQDN{drawFQDN(r)}}
	}
	return []cilium.PortRule{rule}
}

// TestReach_DeniedNames checks that rules for names and rules that deny add up.
func TestReach_DeniedNames(t *testing.T) {
	name := cilium.EgressRule{
		ToFQDNs: []cilium.FQDN{{MatchPattern: "*.corp.example"}, {MatchName: "api.stripe.com"}},
		ToPorts: ports(cilium.Port{Port: "80", EndPort: 443, Protocol: "TCP"}),
	}
	reads := func(n cilium.FQDN) cilium.EgressRule {
		rule := cilium.EgressRule{ToEntities: []string{cilium.Cluster}, ToPorts: ports(cilium.Port{Port: "53"})}
		rule.ToPorts[0].Rules = &cilium.L7Rules{DNS: []cilium.FQDN{n}}
		return rule
	}
	world := cilium.EgressRule{ToEntities: []string{cilium.World}}
	atPort := world
	atPort.ToPorts = ports(cilium.Port{Port: "80", Protocol: "TCP"})
	everything := cilium.FQDN{MatchPattern: "*"}
	for _, c := range []struct {
		reason       string
		rules, deny  []cilium.EgressRule
		looksUp      bool
		at80, at443  bool
		other, below bool // ports of api.stripe.com, and of a.b.corp.example
	}{
		{"all lookups are read", []cilium.EgressRule{name, reads(everything)}, nil, true, true, true, true, false},
		{"none is read", []cilium.EgressRule{name}, nil, true, false, false, false, false},
		{
			"one is read",
			[]cilium.EgressRule{name, reads(cilium.FQDN{MatchName: "api.stripe.com"})}, nil, true, false, false, true, false,
		},
		{
			"wider ones are read", []cilium.EgressRule{name, reads(cilium.FQDN{MatchPattern: "**.example"})}, nil,
			true, true, true, false, false,
		},
		{
			"names of two labels are read", []cilium.EgressRule{name, reads(cilium.FQDN{MatchPattern: "*.example"})}, nil,
			true, false, false, false, false,
		},
		{
			"a port is denied", []cilium.EgressRule{name, reads(everything)}, []cilium.EgressRule{atPort},
			true, false, true, true, false,
		},
		{
			"the world is denied", []cilium.EgressRule{name, reads(everything)}, []cilium.EgressRule{world},
			false, false, false, false, false,
		},
	} {
		p := &cilium.NetworkPolicy{Spec: cilium.Spec{Egress: c.rules, EgressDeny: c.deny}}
		reach, err := Dialect{policytest.Alone(policytest.Checkout)}.Reach(Policies{p}, policytest.Checkout)
		if err != nil {
			t.Fatal(err)
		}
		named := func(host string, port uint16) bool { return enforcetest.Named(reach.Table, host, flow.TCP, port) }
		for what, is := range map[string][2]bool{
			"the lookup":           {enforcetest.Lookup(reach.Table, "x.corp.example"), c.looksUp},
			"port 80":              {named("x.corp.example", 80), c.at80},
			"port 443":             {named("x.corp.example", 443), c.at443},
			"another port":         {named("x.corp.example", 444), false},
			"the other name":       {named("api.stripe.com", 443), c.other},
			"a name further below": {named("a.b.corp.example", 443), c.below},
		} {
			if is[0] != is[1] {
				t.Errorf("%s: %s is allowed: %v", c.reason, what, is[0])
			}
		}
	}
}

// TestReach_DeniedAddresses checks that a range that is denied takes precedence over one that is allowed.
func TestReach_DeniedAddresses(t *testing.T) {
	p := &cilium.NetworkPolicy{Spec: cilium.Spec{
		Egress: []cilium.EgressRule{{ToCIDR: []string{"10.0.0.0/8"}}},
		EgressDeny: []cilium.EgressRule{
			{ToCIDRSet: []cilium.CIDRRule{{CIDR: "10.1.0.0/16", Except: []string{"10.1.2.0/24"}}}},
			{ToCIDR: []string{"10.2.0.0/16"}, ToPorts: ports(cilium.Port{Port: "80", Protocol: "TCP"})},
		},
	}}
	reach, err := Dialect{policytest.Alone(policytest.Checkout)}.Reach(Policies{p}, policytest.Checkout)
	if err != nil {
		t.Fatal(err)
	}
	for addr, want := range map[string]bool{
		"10.0.0.1:80": true, "10.1.0.1:80": false, "10.1.2.1:80": true, "10.2.0.1:80": false, "10.2.0.1:81": true,
		"11.0.0.1:80": false,
	} {
		at := netip.MustParseAddrPort(addr)
		if got := enforcetest.Address(reach.Table, at.Addr(), flow.TCP, at.Port()); got != want {
			t.Errorf("%s is allowed: %v", addr, got)
		}
	}
}

// TestReach_NotEnforceable checks the errors for rules that the kernel could only widen.
func TestReach_NotEnforceable(t *testing.T) {
	rules := func(rules ...cilium.EgressRule) cilium.Spec { return cilium.Spec{Egress: rules} }
	name := func(pattern string) cilium.EgressRule {
		return cilium.EgressRule{ToFQDNs: []cilium.FQDN{{MatchName: "a.example"}, {MatchPattern: pattern}}}
	}
	dns := cilium.EgressRule{ToEntities: []string{cilium.Cluster}, ToPorts: ports(cilium.Port{Port: "53"})}
	dns.ToPorts[0].Rules = &cilium.L7Rules{DNS: []cilium.FQDN{{MatchPattern: "a*.example"}}}
	denied := rules(dns, cilium.EgressRule{ToFQDNs: []cilium.FQDN{{MatchName: "a.example"}}})
	denied.EgressDeny = []cilium.EgressRule{{ToCIDR: []string{"203.0.113.0/24"}}}
	for _, c := range []struct {
		reason, want string // the field; none if there is no error
		spec         cilium.Spec
	}{
		{"an asterisk at the end of a label", "spec.egress[0].toFQDNs[1].matchPattern", rules(name("a*.example"))},
		{"one at the beginning of a name", "spec.egress[0].toFQDNs[1].matchPattern", rules(name("*example"))},
		{"one behind a leading one", "spec.egress[0].toFQDNs[1].matchPattern", rules(name("*.a*.example"))},
		{"lookups that are compared with a pattern", "spec.egress[1].toFQDNs[1]", rules(dns, name("*.example"))},
		{"denied addresses of names", "spec.egressDeny[0]", denied},
		{"lookups that are compared with a name", "", rules(dns, cilium.EgressRule{
			ToFQDNs: []cilium.FQDN{{MatchName: "a.example"}},
		})},
		{"a leading asterisk", "", rules(name("*.example"))},
	} {
		p := &cilium.NetworkPolicy{Spec: c.spec}
		_, err := Dialect{policytest.Alone(policytest.Checkout)}.Reach(Policies{p}, policytest.Checkout)
		var refused *policy.NotEnforceableError
		if errors.As(err, &refused) != (c.want != "") || refused != nil && refused.Field != c.want {
			t.Errorf("%s: error %v, want one at %q", c.reason, err, c.want)
		}
	}
}

func ports(list ...cilium.Port) []cilium.PortRule { return []cilium.PortRule{{Ports: list}} }

// manyNames returns a policy with n names, n addresses and n denied addresses at other ports.
func manyNames(n int) Policies {
	p := &cilium.NetworkPolicy{}
	p.Name = "checkout"
	dns := cilium.EgressRule{ToEntities: []string{cilium.Cluster}, ToPorts: ports(cilium.Port{Port: "53"})}
	dns.ToPorts[0].Rules = &cilium.L7Rules{DNS: []cilium.FQDN{{MatchPattern: "*"}}}
	p.Spec.Egress = append(p.Spec.Egress, dns)
	addr := netip.MustParseAddr("10.0.0.0")
	for i := range n {
		cidr := []string{netip.PrefixFrom(addr, 32).String()}
		p.Spec.Egress = append(p.Spec.Egress,
			cilium.EgressRule{
				ToFQDNs: []cilium.FQDN{{MatchName: fmt.Sprintf("h%d.example.com", i)}},
				ToPorts: ports(cilium.Port{Port: "443", Protocol: "TCP"}),
			},
			cilium.EgressRule{ToCIDR: cidr, ToPorts: ports(cilium.Port{Port: "80", EndPort: 90, Protocol: "TCP"})},
		)
		p.Spec.EgressDeny = append(p.Spec.EgressDeny,
			cilium.EgressRule{ToCIDR: cidr, ToPorts: ports(cilium.Port{Port: "80", Protocol: "TCP"})})
		addr = addr.Next()
	}
	return Policies{p}
}

// TestReach_ManyNames checks that the work grows with the number of rules and not with its square.
func TestReach_ManyNames(t *testing.T) {
	c := Dialect{policytest.Alone(policytest.Checkout)}
	allocations := func(n int) float64 {
		policies := manyNames(n)
		return testing.AllocsPerRun(1, func() {
			reach, err := c.Reach(policies, policytest.Checkout)
			if err != nil || len(reach.Addresses) != n || len(reach.Names) != n {
				t.Fatalf("%d addresses, %d names, error %v", len(reach.Addresses), len(reach.Names), err)
			}
		})
	}
	if few, many := allocations(1000), allocations(10000); many > 12*few {
		t.Errorf("1,000 rules need %.0f allocations, 10,000 need %.0f", few, many)
	}
}

func BenchmarkReach_10000(b *testing.B) {
	c, policies := Dialect{policytest.Alone(policytest.Checkout)}, manyNames(10000)
	for b.Loop() {
		if _, err := c.Reach(policies, policytest.Checkout); err != nil {
			b.Fatal(err)
		}
	}
}
