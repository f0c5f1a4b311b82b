package policy_test

import (
	"slices"
	"strings"
	"testing"

	networkingv1 "k8s.io/api/networking/v1"
	"sigs.k8s.io/yaml"

	"github.com/netzero-dev/netzero/internal/cilium"
	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/internal/policy/ciliumpolicy"
	"github.com/netzero-dev/netzero/internal/policy/networkpolicy"
	"github.com/netzero-dev/netzero/internal/policy/policytest"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// FuzzVerdicts evaluates policies of either dialect that no person would write. Nothing panics. Neither a round trip
// through YAML nor another order of policies, rules, peers and ports changes the outcome of a valid policy.
func FuzzVerdicts(f *testing.F) {
	for i := range uint64(20) {
		r := policytest.New(1, i)
		scope := r.Scope()
		flows := r.FlowsIn(scope)
		kubernetes, _ := r.Edit(networkpolicy.Dialect{Scope: scope}.Generate(flows))
		f.Add(documents(f, kubernetes), i)
		f.Add(documents(f, r.EditCilium(ciliumpolicy.Dialect{Scope: scope}.Generate(flows))), i)
	}
	f.Add(
		header+"  - {ports: [{port: http}, {port: 1, endPort: 65535}]}\n"+
			"  - {to: [{ipBlock: {cidr: '::/0', except: ['fd00::/8']}}]}\n",
		uint64(1),
	)
	f.Add(
		"metadata: {name: x}\nspec: {endpointSelector: {}, enableDefaultDeny: {egress: false}, "+
			"egressDeny: [{toEntities: [world]}], egress: [{toCIDR: [10.0.0.0/8]}]}",
		uint64(2),
	)
	f.Fuzz(func(t *testing.T, text string, seed uint64) {
		if len(text) > 1<<14 {
			return // the cost of parsing is not under test
		}
		r := policytest.New(seed, 0)
		scope := r.Scope()
		for i := range scope.Subjects {
			scope.Subjects[i].Ports = []policy.Port{{Name: "http", Number: 80, Protocol: flow.TCP}}
		}
		scope.Namespaces = map[string]map[string]string{"shop": {"team": "a"}}
		flows := r.FlowsIn(scope)
		var kubernetes []*networkingv1.NetworkPolicy
		var ciliums ciliumpolicy.Policies
		for document := range strings.SplitSeq(text, "\n---") {
			p, c := new(networkingv1.NetworkPolicy), new(cilium.NetworkPolicy)
			if yaml.UnmarshalStrict([]byte(document), p) == nil {
				kubernetes = append(kubernetes, p)
			}
			if yaml.UnmarshalStrict([]byte(document), c) == nil {
				ciliums = append(ciliums, c)
			}
		}
		checkEquivalent(
			t, flows, kubernetes, networkpolicy.Dialect{Scope: scope}.Evaluate, networkpolicy.Validate,
			shuffleKubernetes(r), reread[networkingv1.NetworkPolicy],
		)
		checkEquivalent(
			t, flows, ciliums, ciliumpolicy.Dialect{Scope: scope}.Evaluate, cilium.Validate, shuffleCilium(r),
			reread[cilium.NetworkPolicy],
		)
		networkpolicy.Dialect{Scope: scope}.Unused(kubernetes, flows)
		ciliumpolicy.Dialect{Scope: scope}.Unused(ciliums, flows)
	})
}

func documents[P any](t testing.TB, policies []P) string {
	var texts []string
	for _, p := range policies {
		text, err := yaml.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, string(text))
	}
	return strings.Join(texts, "\n---\n")
}

func reread[T any](t *testing.T, p *T) *T {
	t.Helper()
	again := new(T)
	if err := yaml.UnmarshalStrict([]byte(documents(t, []*T{p})), again); err != nil {
		t.Fatalf("read what was written: %v", err)
	}
	return again
}

// checkEquivalent compares the verdicts on policies with those on equivalent ones.
func checkEquivalent[P any](
	t *testing.T, flows []flow.Flow, policies []P, evaluate func([]P, flow.Flow) policy.Verdict,
	validate func(P) error, shuffle func(P), reread func(*testing.T, P) P,
) {
	t.Helper()
	var was []policy.Verdict
	for _, f := range flows {
		was = append(was, evaluate(policies, f))
	}
	if slices.ContainsFunc(policies, func(p P) bool { return validate(p) != nil }) {
		return
	}
	var again []P
	for _, p := range policies {
		again = append(again, reread(t, p))
	}
	for _, change := range []string{"a round trip through YAML", "another order"} {
		for i, f := range flows {
			if v := evaluate(again, f); v.Outcome != was[i].Outcome {
				t.Errorf("%s: %s is %s (%s), was %s (%s)\n%s",
					change, arrow(f), v.Outcome, v.Reason, was[i].Outcome, was[i].Reason, documents(t, policies))
			}
		}
		slices.Reverse(again)
		for _, p := range again {
			shuffle(p)
		}
	}
}

func shuffleKubernetes(r policytest.Draw) func(*networkingv1.NetworkPolicy) {
	return func(p *networkingv1.NetworkPolicy) {
		for _, d := range policy.Directions {
			rules := networkpolicy.RulesOf(p, d)
			shuffle(r, rules)
			for _, rule := range rules {
				shuffle(r, rule.Peers)
				shuffle(r, rule.Ports)
			}
			networkpolicy.SetRules(p, d, rules)
		}
	}
}

func shuffleCilium(r policytest.Draw) func(*cilium.NetworkPolicy) {
	return func(p *cilium.NetworkPolicy) {
		for _, d := range policy.Directions {
			rules := ciliumpolicy.RulesOf(p, d)
			if len(rules) == 0 {
				continue // setting an empty list would add a rule
			}
			shuffle(r, rules)
			for _, rule := range rules {
				shuffle(r, rule.Endpoints)
				shuffle(r, rule.Names)
				shuffle(r, rule.Addresses)
				shuffle(r, rule.Cidrs)
				shuffle(r, rule.Entities)
				shuffle(r, rule.Ports)
			}
			ciliumpolicy.SetRules(p, d, rules)
		}
		shuffle(r, p.Spec.EgressDeny)
		shuffle(r, p.Spec.IngressDeny)
	}
}

func shuffle[T any](r policytest.Draw, list []T) {
	r.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
}
