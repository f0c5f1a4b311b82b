package policydiff

import (
	"slices"
	"strings"
	"testing"

	networkingv1 "k8s.io/api/networking/v1"

	"github.com/netzero-dev/netzero/golden"
	"github.com/netzero-dev/netzero/internal/cilium"
	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/internal/policy/ciliumpolicy"
	"github.com/netzero-dev/netzero/internal/policy/networkpolicy"
	"github.com/netzero-dev/netzero/internal/policy/policytest"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// pairs is the number of drawn pairs of each dialect.
const pairs = 100

// drawn is a pair of policies with flows that may distinguish them.
type drawn struct {
	before, after []golden.Policy
	scope         policy.Scope
	flows         []flow.Flow
}

func toPolicies[P golden.Policy](list []P) []golden.Policy {
	var all []golden.Policy
	for _, p := range list {
		all = append(all, p)
	}
	return all
}

func drawKubernetes(r policytest.Draw) drawn {
	scope := r.Scope()
	d := networkpolicy.Dialect{Scope: scope}
	flows, more := r.FlowsIn(scope), r.FlowsIn(scope)
	var before, after []*networkingv1.NetworkPolicy
	before, _ = r.Edit(policytest.EditAnnotations(r, d.Generate(flows)))
	switch r.IntN(4) {
	case 0:
		after = d.Generate(more)
	case 1:
		after = d.Extend(before, more)
	case 2:
		after, _ = r.Edit(before)
	case 3:
		after = policytest.EditAnnotations(r, before)
	}
	return drawn{toPolicies(before), toPolicies(after), scope, samples(r, scope, flows, more)}
}

func drawCilium(r policytest.Draw) drawn {
	scope := r.Scope()
	d := ciliumpolicy.Dialect{Scope: scope}
	flows, more := r.FlowsIn(scope), r.FlowsIn(scope)
	var before, after []*cilium.NetworkPolicy
	before = r.AddCilium(r.EditCilium(policytest.EditAnnotations(r, d.Generate(flows))))
	switch r.IntN(4) {
	case 0:
		after = d.Generate(more)
	case 1:
		after = d.Extend(before, more)
	case 2:
		after = r.EditCilium(before)
	case 3:
		after = r.AddCilium(before)
	}
	return drawn{toPolicies(before), toPolicies(after), scope, samples(r, scope, flows, more)}
}

// samples returns flows of a scope, those that differ in one property, and flows that annotations decide.
func samples(r policytest.Draw, s policy.Scope, flows ...[]flow.Flow) []flow.Flow {
	all := policytest.WithNeighbours(slices.Concat(flows...))
	for range 20 {
		if len(s.Subjects) > 0 {
			all = append(all, r.ListedFlow(s))
		}
	}
	return all
}

// TestCompare_SaysEveryDifferenceOfVerdicts compares drawn pairs of policies, and requires a change wherever the
// evaluator gives a sample flow another verdict.
func TestCompare_SaysEveryDifferenceOfVerdicts(t *testing.T) {
	seed := policytest.Seed(t)
	for _, dialect := range []struct {
		kind golden.Dialect
		draw func(policytest.Draw) drawn
	}{{golden.Kubernetes, drawKubernetes}, {golden.Cilium, drawCilium}} {
		differ, same := 0, 0
		for i := range uint64(pairs) {
			c := dialect.draw(policytest.New(seed, i))
			changed := Compare(c.before, c.after)
			d := dialectOf(dialect.kind, c.scope)
			was, is := d.Evaluator(c.before), d.Evaluator(c.after)
			differs := false
			for _, f := range c.flows {
				old, got := was(f), is(f)
				if old.Outcome == got.Outcome {
					continue
				}
				differs = true
				if len(changed) == 0 {
					t.Fatalf("%s, case %d: no change, but %s was %s (%s) and is %s (%s)\n%s\n-----\n%s", dialect.kind, i,
						policytest.Arrow(f), old.Outcome, old.Reason, got.Outcome, got.Reason,
						strings.Join(policytest.ToYAMLs(t, c.before), "---\n"), strings.Join(policytest.ToYAMLs(t, c.after), "---\n"))
				}
			}
			switch {
			case differs:
				differ++
			case len(changed) == 0:
				same++
			}
		}
		if differ == 0 || same == 0 {
			t.Errorf("%s: %d pairs differ, %d are the same: want some of both", dialect.kind, differ, same)
		}
		t.Logf("%s: %d pairs differ, %d are the same", dialect.kind, differ, same)
	}
}

// TestCompare_FormIsNoDifference splits the rules of drawn policies into rules of one peer and one port, in another
// order and some of them twice.
func TestCompare_FormIsNoDifference(t *testing.T) {
	seed := policytest.Seed(t)
	for i := range uint64(pairs) {
		r := policytest.New(seed, i)
		c := drawKubernetes(r)
		split := policytest.Clone(networkPolicies(c.before))
		for _, p := range split {
			for _, d := range policy.Directions {
				networkpolicy.SetRules(p, d, reordered(r, splitRules(networkpolicy.RulesOf(p, d))))
			}
		}
		requireSame(t, i, c.before, toPolicies(split))

		c = drawCilium(r)
		parts := policytest.Clone(ciliumPolicies(c.before))
		for _, p := range parts {
			for _, d := range policy.Directions {
				if rules := ciliumpolicy.RulesOf(p, d); len(rules) > 0 {
					ciliumpolicy.SetRules(p, d, reordered(r, splitCilium(rules)))
				}
			}
		}
		requireSame(t, i, c.before, toPolicies(parts))
	}
}

func requireSame(t *testing.T, n uint64, before, after []golden.Policy) {
	t.Helper()
	if got := lines(t, File{Subjects: Compare(before, after)}); got != nil {
		t.Fatalf("case %d: %s\n%s\n-----\n%s", n, strings.Join(got, "\n"),
			strings.Join(policytest.ToYAMLs(t, before), "---\n"), strings.Join(policytest.ToYAMLs(t, after), "---\n"))
	}
}

func networkPolicies(list []golden.Policy) []*networkingv1.NetworkPolicy {
	var all []*networkingv1.NetworkPolicy
	for _, p := range list {
		all = append(all, p.(*networkingv1.NetworkPolicy))
	}
	return all
}

func ciliumPolicies(list []golden.Policy) []*cilium.NetworkPolicy {
	var all []*cilium.NetworkPolicy
	for _, p := range list {
		all = append(all, p.(*cilium.NetworkPolicy))
	}
	return all
}

// reordered returns a list in another order, with its first element twice.
func reordered[T any](r policytest.Draw, list []T) []T {
	if len(list) > 0 {
		list = append(list, list[0])
	}
	r.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	return list
}

func splitRules(rules []networkpolicy.Rule) []networkpolicy.Rule {
	var all []networkpolicy.Rule
	for _, r := range rules {
		for _, peers := range chunks(r.Peers) {
			for _, ports := range chunks(r.Ports) {
				all = append(all, networkpolicy.Rule{Peers: peers, Ports: ports})
			}
		}
	}
	return all
}

func splitCilium(rules []ciliumpolicy.Rule) []ciliumpolicy.Rule {
	var all []ciliumpolicy.Rule
	for _, r := range rules {
		for _, endpoints := range chunks(r.Endpoints) {
			for _, names := range chunks(r.Names) {
				part := r
				part.Endpoints, part.Names = endpoints, names
				if len(r.Ports) > 0 && len(r.Icmps) > 0 {
					part.Icmps = nil
					all = append(all, part)
					part.Ports, part.Icmps = nil, r.Icmps
				}
				all = append(all, part)
			}
		}
	}
	return all
}

// chunks returns a list for each element, or one empty list.
func chunks[T any](list []T) [][]T {
	if len(list) == 0 {
		return [][]T{nil}
	}
	return slices.Collect(slices.Chunk(list, 1))
}
