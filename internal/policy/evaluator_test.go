package policy

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/netzero-dev/netzero/internal/cilium"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// askedOf returns flows, what they imply, others that differ from one of them in one thing, and look-ups of their names that got
// no address.
func askedOf(required []flow.Flow) []flow.Flow {
	asked := slices.Clone(required)
	for _, f := range required {
		for _, n := range neighbours(f) {
			asked = append(asked, n)
		}
		for _, n := range neighbours(reversed(f)) {
			asked = append(asked, reversed(n))
		}
		if f.Destination.Kind == flow.External && !f.Lookup {
			f.Destination.Addr, f.Lookup, f.Protocol, f.Port = netip.Addr{}, true, 0, 0
			asked = append(asked, f)
		}
	}
	return asked
}

// unusual draws a flow that the annotations decide: one without words for rules, a look-up of a name that others use, or a flow
// to or from a name that no policy can hold.
func (r draw) unusual(s Scope) flow.Flow {
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
			f.ICMPType = pick[uint8](r, 0, cilium.Echo, 13)
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

// withAnnotations returns policies with annotations as somebody may have edited them, some of them malformed.
func withAnnotations[P interface {
	metav1.Object
	DeepCopy() P
}](r draw, policies []P) []P {
	entries := map[string][]string{
		NamesAnnotation: {
			"telemetry.vendor.test:*", "*.vendor.test:443/TCP", "*.vendor.test:*", "a%20b.vendor.test:*", "nowhere:*", "nowhere.data.svc:*", "orders-db:*",
			"api.stripe.com:*", "api.stripe.com:80/TCP", "*.stripe.com:443/UDP", "*.corp.example:*", "*.db.example:5432/TCP", "malformed:", "*:*",
		},
		OtherAnnotation: {
			"icmp-echo 10.0.0.0/8", "icmp-echo orders-db", "icmp-echo cache.data.svc", "ip-47 *.example", "ip-47 0.0.0.0/0", "udplite:9 mail", "udplite 203.0.113.9",
			"tcp:0 orders-db", "icmp-type-13 ::/0", "icmp-type-13 api.stripe.com", "malformed",
		},
		OtherIngressAnnotation: {"icmp-echo anywhere", "ip-47 203.0.113.9", "udplite 203.0.113.0/24", "tcp:0 mail", "ip-47 mail"},
	}
	var all []P
	for _, p := range policies {
		p = p.DeepCopy()
		for _, annotation := range slices.Sorted(maps.Keys(entries)) {
			switch r.IntN(4) {
			case 0:
				delete(p.GetAnnotations(), annotation)
			case 1, 2:
				list := entriesOf(p, annotation)
				for range r.IntN(5) {
					list = append(list, pick(r, entries[annotation]...))
				}
				r.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
				setEntries(p, annotation, list)
			}
		}
		all = append(all, p)
	}
	return all
}

// kindsOf says which of the kinds that lists decide a flow is of, and what they do to it.
func kindsOf(s Scope, f flow.Flow, v Verdict) []string {
	var kinds []string
	byList := ""
	if v.Outcome == Allowed && v.Rule < 0 {
		byList = " by a list"
	}
	if f.Lookup {
		kinds = append(kinds, "look-up "+v.Outcome.String()+byList)
	}
	if !f.Lookup && s.normal().wordless(f) != "" {
		kinds = append(kinds, "other "+v.Outcome.String()+byList)
	}
	if judged := s.normal().byAddress(f); judged.Destination.Kind != f.Destination.Kind {
		kinds = append(kinds, "by address "+v.Outcome.String())
	}
	return kinds
}

// TestEvaluatorSaysWhatEvaluateDoes compares whole verdicts: of random policies, as they are generated, edited by people,
// annotated and merged, on flows that need them, on others, on their neighbours, and on those that annotations decide.
func TestEvaluatorSaysWhatEvaluateDoes(t *testing.T) {
	seed := TestSeed(t)
	outcomes, kinds := make(map[Outcome]int), make(map[string]int)
	for i := range uint64(30) {
		r := newDraw(seed, i)
		scope := r.Scope()
		flows, others := r.FlowsIn(scope), r.FlowsIn(scope)
		for range 4 {
			if len(scope.Subjects) > 0 {
				flows, others = append(flows, r.unusual(scope)), append(others, r.unusual(scope))
			}
		}
		asked := askedOf(Required(slices.Concat(flows, others)))
		edited, _ := r.editAll(scope.Generate(flows))
		odd, _ := r.editAll(scope.Generate(others))
		for _, p := range odd {
			p.Name += "-more"
		}
		for what, policies := range map[string][]*networkingv1.NetworkPolicy{
			"generated": scope.Generate(flows), "edited": edited, "several": slices.Concat(edited, odd),
			"annotated": withAnnotations(r, slices.Concat(edited, odd)),
			"merged":    scope.Merge(slices.Concat(edited, odd), others), "none": nil,
		} {
			evaluate := scope.Evaluator(policies)
			for _, f := range asked {
				want := scope.Evaluate(policies, f)
				outcomes[want.Outcome]++
				for _, kind := range kindsOf(scope, f, want) {
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
			normal, stripped := scope.normal(), withoutLookups(policies, shallowKubernetes)
			for _, p := range policies {
				compareUnusedLookups(t, normal, p, normal.isolatedBy(p, egress), Required(flows),
					func(w Workload) []flow.Flow { return normal.unmetLookups(policies, w, Required(flows)) },
					func(w Workload, f flow.Flow) Verdict { return normal.side(stripped, w, egress, f) })
			}
		}
		other := Cilium{scope}
		asked = askedOf(other.Required(slices.Concat(flows, others)))
		ciliums := r.writeCilium(r.editCilium(other.Generate(flows)))
		for what, policies := range map[string]ciliumPolicies{
			"generated": other.Generate(flows), "edited": ciliums, "several": slices.Concat(other.Generate(others), ciliums),
			"annotated": withAnnotations(r, slices.Concat(other.Generate(others), ciliums)),
			"merged":    other.Merge(ciliums, others), "none": nil,
		} {
			evaluate := other.Evaluator(policies)
			for _, f := range asked {
				want := other.Evaluate(policies, f)
				outcomes[want.Outcome]++
				for _, kind := range kindsOf(scope, f, want) {
					kinds["Cilium: "+kind]++
				}
				if diff := gocmp.Diff(want, evaluate(f)); diff != "" {
					t.Fatalf("case %d, Cilium, %s: %s, %+v (-one by one +all):\n%s\n%s", i, what, arrow(f), f, diff, toYAMLs(t, policies))
				}
			}
			compareCiliumUsage(t, other, policies, other.Required(flows))
			normal, stripped := other.normal(), withoutLookups(policies, shallowCilium)
			for _, p := range policies {
				compareUnusedLookups(t, normal.Scope, p, normal.listedBy(p)(egress), other.Required(flows),
					func(w Workload) []flow.Flow { return normal.unmetLookups(policies, w, other.Required(flows)) },
					func(w Workload, f flow.Flow) Verdict { return normal.side(stripped, w, egress, f) })
			}
		}
	}
	for _, outcome := range []Outcome{Denied, Allowed, Unprotected, Inexpressible} {
		if outcomes[outcome] == 0 {
			t.Errorf("nothing was %s", outcome)
		}
	}
	for _, dialect := range []string{"", "Cilium: "} {
		for _, kind := range []string{
			"look-up allowed", "look-up allowed by a list", "look-up denied", "other allowed by a list", "other denied", "by address allowed", "by address denied",
		} {
			if kinds[dialect+kind] == 0 {
				t.Errorf("there was no %s%s", dialect, kind)
			}
		}
	}
}

// compareUnusedLookups holds which entries for look-ups nothing needs, and the first entry that allows each look-up, against what
// asking each entry about each look-up says. side is the verdict of policies without entries for look-ups.
func compareUnusedLookups(
	t *testing.T, s Scope, p metav1.Object, subjects []Subject, flows []flow.Flow, unmet func(Workload) []flow.Flow, side func(Workload, flow.Flow) Verdict,
) {
	t.Helper()
	names, _ := parseNames(p.GetAnnotations()[NamesAnnotation])
	used := make([]bool, len(names))
	for _, subject := range subjects {
		namespace := cmp.Or(p.GetNamespace(), subject.Namespace, defaultNamespace)
		for _, f := range s.of(subject.Workload, egress, flows) {
			if !f.Lookup {
				continue
			}
			hosts := s.lookupHosts(namespace, f)
			first := slices.IndexFunc(names, func(n allowedName) bool { return n.matchesLookup(f, hosts) })
			found, ok := listedNames(p).lookup(f, hosts)
			if ok != (first >= 0) || ok && found != names[first] {
				t.Fatalf("policy %s: %s: entry %s, %v; want entry %d of %s", p.GetName(), arrow(f), found, ok, first, names)
			}
			if side(subject.Workload, f).Outcome == Allowed {
				continue
			}
			for i, n := range names {
				used[i] = used[i] || n.matchesLookup(f, hosts)
			}
		}
	}
	var want []string
	for i, n := range names {
		if n.isLookup() && !used[i] && len(subjects) > 0 {
			want = append(want, n.String())
		}
	}
	if diff := gocmp.Diff(want, unusedLookups(s, p, subjects, unmet)); diff != "" {
		t.Fatalf("policy %s: unused look-ups (-one by one +all):\n%s\n%s", p.GetName(), diff, toYAML(t, p))
	}
}

// compareUsage holds what flows needed of rules against what asking each pair about each flow says.
func compareUsage(t *testing.T, scope Scope, policies []*networkingv1.NetworkPolicy, flows []flow.Flow) {
	t.Helper()
	scope = scope.normal()
	for _, p := range policies {
		for _, d := range directions {
			for _, subject := range scope.isolatedBy(p, d) {
				own := needed(d, scope.of(subject.Workload, d, flows))
				v := scope.views([]*networkingv1.NetworkPolicy{p}, subject.Workload, d)[0]
				var want []usage
				for _, rule := range v.rules {
					used := usage{peers: make([]bool, len(rule.peers)), ports: make([]bool, len(rule.ports))}
					usesInternet := false
					for _, f := range own {
						for i, peer := range elements(rule.peers) {
							for j, port := range elements(rule.ports) {
								if !v.match(peer, port, f).allows() {
									continue
								}
								used.rule = true
								if peer != nil {
									used.peers[i] = true
								}
								if port != nil {
									used.ports[j] = true
								}
								usesInternet = usesInternet || isInternet(peer)
							}
						}
					}
					for i := range rule.peers {
						used.peers[i] = used.peers[i] || usesInternet && isInternet(&rule.peers[i])
					}
					want = append(want, used)
				}
				if diff := gocmp.Diff(want, v.usage(own), gocmp.AllowUnexported(usage{})); diff != "" {
					t.Fatalf("policy %s, %s, usage (-one by one +all):\n%s\n%s", p.Name, d, diff, toYAML(t, p))
				}
			}
		}
	}
}

func compareCiliumUsage(t *testing.T, c Cilium, policies ciliumPolicies, flows []flow.Flow) {
	t.Helper()
	c = c.normal()
	for _, p := range policies {
		for _, d := range directions {
			for _, subject := range c.isolatedBy(p, d) {
				own := needed(d, c.of(subject.Workload, d, flows))
				v := c.views(ciliumPolicies{p}, subject.Workload, d)[0]
				var want []usage
				for _, r := range v.rules {
					used := usage{rule: r.isEmpty(), peers: make([]bool, len(r.peers())), ports: make([]bool, len(r.openTo()))}
					for _, f := range own {
						for peer, port := range r.pairs() {
							if !v.match(r, peer, port, f).allows() {
								continue
							}
							used.rule = true
							if peer >= 0 {
								used.peers[peer] = true
							}
							if port >= 0 {
								used.ports[port] = true
							}
						}
					}
					want = append(want, used)
				}
				if diff := gocmp.Diff(want, v.usage(own), gocmp.AllowUnexported(usage{})); diff != "" {
					t.Fatalf("policy %s, %s, usage (-one by one +all):\n%s\n%s", p.Name, d, diff, toYAMLs(t, ciliumPolicies{p}))
				}
			}
		}
	}
}

// A look-up is allowed by the rule that has the port at which its name is listed, be it not the rule's first.
func TestEvaluatorFindsTheRuleOfALookup(t *testing.T) {
	scope := alone(checkout)
	a, b := external("a.example", "203.0.113.9"), external("b.example", "203.0.113.10")
	policies := scope.Generate(from(checkout, toPort(a, flow.TCP, 80), toPort(b, flow.TCP, 443)))
	b.Addr = netip.Addr{}
	f := from(checkout, flow.Flow{Destination: b, Lookup: true})[0]
	want := scope.Evaluate(policies, f)
	if diff := gocmp.Diff(want, scope.Evaluator(policies)(f)); diff != "" || want.Outcome != Allowed || want.Rule < 0 {
		t.Errorf("%+v (-one by one +all):\n%s", want, diff)
	}
}
