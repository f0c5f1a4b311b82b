package networkpolicy

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/internal/policy/policytest"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// withNeighbours returns the flows, others that differ from one of them in a single respect, and lookups of their
// external names that got no address.
func withNeighbours(required []flow.Flow) []flow.Flow {
	all := slices.Clone(required)
	for _, f := range required {
		for _, n := range neighbours(f) {
			all = append(all, n)
		}
		for _, n := range neighbours(reversed(f)) {
			all = append(all, reversed(n))
		}
		if f.Destination.Kind == flow.External && !f.Lookup {
			f.Destination.Addr, f.Lookup, f.Protocol, f.Port = netip.Addr{}, true, 0, 0
			all = append(all, f)
		}
	}
	return all
}

// unusual draws a flow that the annotations decide: one that no rule can express, a lookup of a name that other flows
// use, or a flow to or from a name that no policy can hold.
func (r draw) unusual(s policy.Scope) flow.Flow {
	f := r.FlowIn(s)
	w := pick(r, s.Subjects...).Workload
	subject := workloadIn(pick(r, w.Namespace, ""), w.Name)
	private, public := netip.MustParseAddr("10.9.0.1"), netip.MustParseAddr("203.0.113.9")
	switch r.IntN(4) {
	case 0:
		f.Protocol = pick[flow.Protocol](r, 47, flow.UDPLite, flow.ICMP, flow.ICMPv6, flow.TCP, flow.UDP, flow.SCTP)
		f.Port, f.Lookup = 0, false
		if f.Protocol == flow.UDPLite {
			f.Port = pick[uint16](r, 0, 9)
		}
		if f.Protocol.IsICMP() {
			f.ICMPType = pick[uint8](r, 0, 8, 13)
		}
	case 1:
		f = r.Lookup(subject)
	case 2:
		f = flow.Flow{Source: subject, Destination: r.Endpoint(), Lookup: true, Count: 1}
		if f.Destination.Kind == flow.Address || f.Destination.Kind == flow.Resolver {
			f.Destination = flow.Endpoint{Kind: flow.External, Name: "x.corp.example"}
		}
		if r.IntN(3) > 0 {
			f.Destination.Addr = netip.Addr{}
		}
	case 3:
		unheld := pick(r, flow.Endpoint{Kind: flow.External, Name: "a b.example"}, flow.Endpoint{Kind: flow.Workload, Name: "no_label_"})
		unheld.Addr = pick(r, private, public, netip.Addr{})
		f = toPort(unheld, pick(r, flow.TCP, flow.UDP), pick[uint16](r, 80, 443, 5432))
		f.Source = subject
		if r.IntN(4) == 0 {
			f = reversed(f)
		}
	}
	return f
}

// withAnnotations returns policies with annotations that a person may have edited, some of them malformed.
func withAnnotations[P interface {
	metav1.Object
	DeepCopy() P
}](r draw, policies []P) []P {
	entries := map[string][]string{
		policy.NamesAnnotation: {
			"telemetry.vendor.test:*", "*.vendor.test:443/TCP", "*.vendor.test:*", "a%20b.vendor.test:*", "nowhere:*", "nowhere.data.svc:*", "orders-db:*",
			"api.stripe.com:*", "api.stripe.com:80/TCP", "*.stripe.com:443/UDP", "*.corp.example:*", "*.db.example:5432/TCP", "malformed:", "*:*",
		},
		policy.OtherAnnotation: {
			"icmp-echo 10.0.0.0/8", "icmp-echo orders-db", "icmp-echo cache.data.svc", "ip-47 *.example", "ip-47 0.0.0.0/0", "udplite:9 mail", "udplite 203.0.113.9",
			"tcp:0 orders-db", "icmp-type-13 ::/0", "icmp-type-13 api.stripe.com", "malformed",
		},
		policy.OtherIngressAnnotation: {"icmp-echo anywhere", "ip-47 203.0.113.9", "udplite 203.0.113.0/24", "tcp:0 mail", "ip-47 mail"},
	}
	var all []P
	for _, p := range policies {
		p = p.DeepCopy()
		for _, annotation := range slices.Sorted(maps.Keys(entries)) {
			switch r.IntN(4) {
			case 0:
				delete(p.GetAnnotations(), annotation)
			case 1, 2:
				list := policy.EntriesOf(p, annotation)
				for range r.IntN(5) {
					list = append(list, pick(r, entries[annotation]...))
				}
				r.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
				policy.SetEntries(p, annotation, list)
			}
		}
		all = append(all, p)
	}
	return all
}

// kindsOf returns the kinds of a flow that lists decide, with its verdict.
func kindsOf(s policy.Scope, f flow.Flow, v policy.Verdict, inexpressibleKind func(flow.Flow) string) []string {
	var kinds []string
	byList := ""
	if v.Outcome == policy.Allowed && v.Rule < 0 {
		byList = " by a list"
	}
	if f.Lookup {
		kinds = append(kinds, "look-up "+v.Outcome.String()+byList)
	}
	if !f.Lookup && inexpressibleKind(f) != "" {
		kinds = append(kinds, "other "+v.Outcome.String()+byList)
	}
	if evaluated := s.Normalized().ByAddress(f); evaluated.Destination.Kind != f.Destination.Kind {
		kinds = append(kinds, "by address "+v.Outcome.String())
	}
	return kinds
}

// TestEvaluator_SameAsEvaluate compares whole verdicts of random policies: generated, edited, annotated and merged.
// It evaluates the flows that need them, other flows, their neighbours, and flows that annotations decide.
func TestEvaluator_SameAsEvaluate(t *testing.T) {
	seed := policytest.Seed(t)
	outcomes, kinds := make(map[policy.Outcome]int), make(map[string]int)
	for i := range uint64(30) {
		r := newDraw(seed, i)
		scope := r.Scope()
		flows, others := r.FlowsIn(scope), r.FlowsIn(scope)
		for range 4 {
			if len(scope.Subjects) > 0 {
				flows, others = append(flows, r.unusual(scope)), append(others, r.unusual(scope))
			}
		}
		evaluated := withNeighbours(Required(slices.Concat(flows, others)))
		edited, _ := r.editAll(Dialect{scope}.Generate(flows))
		odd, _ := r.editAll(Dialect{scope}.Generate(others))
		for _, p := range odd {
			p.Name += "-more"
		}
		for what, policies := range map[string][]*networkingv1.NetworkPolicy{
			"generated": Dialect{scope}.Generate(flows), "edited": edited, "several": slices.Concat(edited, odd),
			"annotated": withAnnotations(r, slices.Concat(edited, odd)),
			"merged":    Dialect{scope}.Merge(slices.Concat(edited, odd), others), "none": nil,
		} {
			evaluate := Dialect{scope}.Evaluator(policies)
			for _, f := range evaluated {
				want := Dialect{scope}.Evaluate(policies, f)
				outcomes[want.Outcome]++
				for _, kind := range kindsOf(scope, f, want, Dialect{scope}.inexpressibleKind) {
					kinds[kind]++
				}
				if diff := gocmp.Diff(want, evaluate(f)); diff != "" {
					for _, p := range policies {
						t.Log(toYAML(t, p))
					}
					t.Fatalf("case %d, %s: %s, %+v (-one by one +all):\n%s", i, what, arrow(f), f, diff)
				}
			}
			compareUsage(t, scope, policies, Required(flows))
			normal, stripped := scope.Normalized(), policy.WithoutLookups(policies, shallowKubernetes)
			for _, p := range policies {
				compareUnusedLookups(t, normal, p, Dialect{normal}.isolatedBy(p, policy.Egress), Required(flows),
					func(w policy.Workload) []flow.Flow { return Dialect{normal}.unmetLookups(policies, w, Required(flows)) },
					func(w policy.Workload, f flow.Flow) policy.Verdict {
						return Dialect{normal}.EvaluateEnd(stripped, w, policy.Egress, f)
					})
			}
		}
	}
	checkVariety(t, outcomes, kinds)
}

// checkVariety fails the test if it compared too few sorts of verdicts to be meaningful.
func checkVariety(t *testing.T, outcomes map[policy.Outcome]int, kinds map[string]int) {
	t.Helper()
	for _, outcome := range []policy.Outcome{policy.Denied, policy.Allowed, policy.Unprotected, policy.Inexpressible} {
		if outcomes[outcome] == 0 {
			t.Errorf("nothing was %s", outcome)
		}
	}
	for _, kind := range []string{
		"look-up allowed", "look-up allowed by a list", "look-up denied", "other allowed by a list", "other denied", "by address allowed", "by address denied",
	} {
		if kinds[kind] == 0 {
			t.Errorf("there was no %s", kind)
		}
	}
}

// compareUnusedLookups compares the unused entries for lookups, and the first entry that allows each lookup, with the
// results of matching each entry with each lookup. side is the verdict of policies without entries for lookups.
func compareUnusedLookups(
	t *testing.T, s policy.Scope, p metav1.Object, subjects []policy.Subject, flows []flow.Flow, unmet func(policy.Workload) []flow.Flow, side func(policy.Workload, flow.Flow) policy.Verdict,
) {
	t.Helper()
	names := policy.ListedNames(p).All
	used := make([]bool, len(names))
	for _, subject := range subjects {
		namespace := cmp.Or(p.GetNamespace(), subject.Namespace, policy.DefaultNamespace)
		for _, f := range s.FlowsOf(subject.Workload, policy.Egress, flows) {
			if !f.Lookup {
				continue
			}
			hosts := s.LookupHosts(namespace, f)
			first := slices.IndexFunc(names, func(n policy.AllowedName) bool { return n.MatchesLookup(f, hosts) })
			found, ok := policy.ListedNames(p).Lookup(f, hosts)
			if ok != (first >= 0) || ok && found != names[first] {
				t.Fatalf("policy %s: %s: entry %s, %v; want entry %d of %s", p.GetName(), arrow(f), found, ok, first, names)
			}
			if side(subject.Workload, f).Outcome == policy.Allowed {
				continue
			}
			for i, n := range names {
				used[i] = used[i] || n.MatchesLookup(f, hosts)
			}
		}
	}
	var want []string
	for i, n := range names {
		if n.IsLookup() && !used[i] && len(subjects) > 0 {
			want = append(want, n.String())
		}
	}
	if diff := gocmp.Diff(want, policy.UnusedLookups(s, p, subjects, unmet)); diff != "" {
		t.Fatalf("policy %s: unused look-ups (-one by one +all):\n%s\n%s", p.GetName(), diff, toYAML(t, p))
	}
}

// compareUsage compares the usage of rules with the result of matching each pair with each flow.
func compareUsage(t *testing.T, scope policy.Scope, policies []*networkingv1.NetworkPolicy, flows []flow.Flow) {
	t.Helper()
	scope = scope.Normalized()
	for _, p := range policies {
		for _, d := range policy.Directions {
			for _, subject := range (Dialect{scope}).isolatedBy(p, d) {
				own := policy.Needed(d, scope.FlowsOf(subject.Workload, d, flows))
				v := Dialect{scope}.applicablePolicies([]*networkingv1.NetworkPolicy{p}, subject.Workload, d)[0]
				var want []policy.Usage
				for _, rule := range v.rules {
					used := policy.Usage{Peers: make([]bool, len(rule.Peers)), Ports: make([]bool, len(rule.Ports))}
					usesInternet := false
					for _, f := range own {
						for i, peer := range elements(rule.Peers) {
							for j, port := range elements(rule.Ports) {
								if !v.match(peer, port, f).Allows() {
									continue
								}
								used.Rule = true
								if peer != nil {
									used.Peers[i] = true
								}
								if port != nil {
									used.Ports[j] = true
								}
								usesInternet = usesInternet || isInternet(peer)
							}
						}
					}
					for i := range rule.Peers {
						used.Peers[i] = used.Peers[i] || usesInternet && isInternet(&rule.Peers[i])
					}
					want = append(want, used)
				}
				if diff := gocmp.Diff(want, v.usage(own), gocmp.AllowUnexported(policy.Usage{})); diff != "" {
					t.Fatalf("policy %s, %s, usage (-one by one +all):\n%s\n%s", p.Name, d, diff, toYAML(t, p))
				}
			}
		}
	}
}

// A lookup is allowed by the rule with the port at which its name is listed, even if that is not the rule's first
// port.
func TestEvaluator_FindsRuleOfLookup(t *testing.T) {
	scope := alone(checkout)
	a, b := external("a.example", "203.0.113.9"), external("b.example", "203.0.113.10")
	policies := Dialect{scope}.Generate(from(checkout, toPort(a, flow.TCP, 80), toPort(b, flow.TCP, 443)))
	b.Addr = netip.Addr{}
	f := from(checkout, flow.Flow{Destination: b, Lookup: true})[0]
	want := Dialect{scope}.Evaluate(policies, f)
	if diff := gocmp.Diff(want, (Dialect{scope}).Evaluator(policies)(f)); diff != "" || want.Outcome != policy.Allowed || want.Rule < 0 {
		t.Errorf("%+v (-one by one +all):\n%s", want, diff)
	}
}
