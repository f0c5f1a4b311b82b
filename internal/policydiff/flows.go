package policydiff

import (
	"cmp"
	"errors"
	"slices"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"

	"github.com/netzero-dev/netzero/golden"
	"github.com/netzero-dev/netzero/internal/cilium"
	"github.com/netzero-dev/netzero/internal/placement"
	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/internal/policy/ciliumpolicy"
	"github.com/netzero-dev/netzero/internal/policy/networkpolicy"
	"github.com/netzero-dev/netzero/internal/recording"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// Recorded are the flows of a test, with the workloads of a cluster that they are between.
type Recorded struct {
	Test   string
	Golden string // the test's golden file, relative to the directory of its package, with slashes

	scope policy.Scope
	flows []flow.Flow
}

// RecordedOf returns the placed flows of a recording's file. It returns an error if the file has none, because the
// options or the manifests of the test did not permit a placement.
func RecordedOf(test string, file recording.File) (Recorded, error) {
	if len(file.Placed.Workloads) == 0 {
		return Recorded{}, errors.New("the recording has no place in the cluster: see its field incomplete")
	}
	options, err := placement.FromRecorded(file.Options)
	if err != nil {
		return Recorded{}, err
	}
	placed, err := placement.FromFile(file, options)
	return Recorded{Test: test, Golden: file.Golden, scope: placed.Scope, flows: placed.Flows}, err
}

// AddFlows adds the recorded flows whose verdict differs to the changes that explain it. The other flows that policies
// need for them, such as DNS queries, count too. before and after are the policies that the file was made from.
func (f *File) AddFlows(before, after []golden.Policy, recorded []Recorded) {
	for _, kind := range []golden.Dialect{golden.Kubernetes, golden.Cilium} {
		was, is := ofDialect(kind, before), ofDialect(kind, after)
		if len(was)+len(is) == 0 {
			continue
		}
		for _, r := range recorded {
			f.addFlows(kind, was, is, r)
		}
	}
}

func ofDialect(kind golden.Dialect, policies []golden.Policy) []golden.Policy {
	return slices.DeleteFunc(slices.Clone(policies), func(p golden.Policy) bool {
		_, isCilium := p.(*golden.CiliumNetworkPolicy)
		return isCilium != (kind == golden.Cilium)
	})
}

func (f *File) addFlows(kind golden.Dialect, before, after []golden.Policy, r Recorded) {
	dialect := dialectOf(kind, r.scope)
	was, is := dialect.Evaluator(before), dialect.Evaluator(after)
	for _, one := range dialect.Required(r.flows) {
		v := Flow{
			Source: one.Source.String(), Target: one.Target(), Tests: []string{r.Test}, Before: was(one), After: is(one),
		}
		if v.Before.Outcome == v.After.Outcome {
			continue
		}
		to := &f.Others
		if c := f.explanation(kind, before, after, r, one); c != nil {
			to = &c.Flows
		}
		addFlow(to, v)
	}
}

// addFlow adds a flow to a sorted list, or its test to the same flow with the same verdicts.
func addFlow(list *[]Flow, v Flow) {
	compare := func(a, b Flow) int {
		return cmp.Or(cmp.Compare(a.Source, b.Source), cmp.Compare(a.Target, b.Target),
			cmp.Compare(a.Before.Reason, b.Before.Reason), cmp.Compare(a.After.Reason, b.After.Reason))
	}
	i, found := slices.BinarySearchFunc(*list, v, compare)
	if !found {
		*list = slices.Insert(*list, i, v)
		return
	}
	tests := append((*list)[i].Tests, v.Tests...)
	slices.Sort(tests)
	(*list)[i].Tests = slices.Compact(tests)
}

// explanation returns the change that explains a flow's other verdict best, or nil.
func (f *File) explanation(kind golden.Dialect, before, after []golden.Policy, r Recorded, one flow.Flow) *Change {
	scope := r.scope.Normalized()
	g := scope.ByAddress(one)
	var best *Change
	most := 0
	for _, d := range policy.Directions {
		w, is := scope.SubjectOf(d.SubjectEnd(g))
		if !is || d == policy.Ingress && g.Lookup {
			continue
		}
		e := end{scope, w, d, g, evaluateEnd(kind, scope, before, w, d, g), evaluateEnd(kind, scope, after, w, d, g)}
		if e.before.Outcome == e.after.Outcome {
			continue
		}
		for i := range f.Subjects {
			s := &f.Subjects[i]
			elsewhere := s.Namespace != "" && w.Namespace != "" && s.Namespace != w.Namespace
			if s.Dialect != kind || elsewhere || !s.selector.matches(w.AsSubject().AllLabels()) {
				continue
			}
			for j := range s.Changes {
				if score := e.score(s.Changes[j]); score > most {
					best, most = &s.Changes[j], score
				}
			}
		}
	}
	return best
}

func evaluateEnd(
	kind golden.Dialect, s policy.Scope, policies []golden.Policy, w policy.Workload, d policy.Direction, f flow.Flow,
) policy.Verdict {
	if kind == golden.Cilium {
		var parts ciliumpolicy.Policies
		for _, p := range policies {
			parts = append(parts, cilium.Parts(p.(*golden.CiliumNetworkPolicy))...)
		}
		return ciliumpolicy.Dialect{Scope: s}.EvaluateEnd(parts, w, d, f)
	}
	var all []*networkingv1.NetworkPolicy
	for _, p := range policies {
		all = append(all, p.(*networkingv1.NetworkPolicy))
	}
	return networkpolicy.Dialect{Scope: s}.EvaluateEnd(all, w, d, f)
}

// end is a flow at the end whose policies decide otherwise now.
type end struct {
	scope         policy.Scope
	subject       policy.Workload
	direction     policy.Direction
	flow          flow.Flow
	before, after policy.Verdict
}

// score says how well a change explains the verdicts; 0 is not at all.
func (e end) score(c Change) int {
	unprotected := e.before.Outcome == policy.Unprotected || e.after.Outcome == policy.Unprotected
	more := e.after.Outcome == policy.Allowed || e.after.Outcome == policy.Unprotected
	allowing, denying := e.after, e.before
	if !more {
		allowing, denying = e.before, e.after
	}
	byDenial := strings.Contains(denying.Reason, "Deny rule ")
	switch {
	case c.Direction != e.direction || byDenial != (c.Kind == denial):
		return 0
	case c.Kind == isolation && unprotected:
		return 4
	case c.Kind == isolation: // of some of the policies that select the pods
		return 1
	case c.More != more || unprotected && !byDenial:
		return 0
	}
	score := 0
	for _, r := range c.Rules {
		if r == (Origin{allowing.Policy, allowing.Rule}) || byDenial && r.Policy == denying.Policy {
			score = 2
		}
	}
	if e.isFor(c) {
		score++
	}
	return score
}

// isFor reports whether the flow's other end and port are those of a change, as far as both are known.
func (e end) isFor(c Change) bool {
	other := e.direction.PeerEnd(e.flow)
	if c.Kind == lookups {
		return coversName(c.peer.name, other.Name) || coversHost(c.peer.name, other.Name)
	}
	if f := e.flow; f.Protocol.HasPorts() && !onePort(f.Protocol, f.Port).minus(c.open).isEmpty() {
		return false
	}
	addr := policy.EndpointAddress(other)
	switch p := c.peer; {
	case p.kind == pods && other.Kind == flow.Resolver:
		return p.pods.matches(policy.ResolverLabels)
	case p.kind == pods:
		w, _ := e.scope.WorkloadOf(other)
		return other.Kind == flow.Workload && p.pods.matches(w.AsPeer(e.direction).AllLabels())
	case p.kind == listed:
		return policy.MatchHost(p.name, other.Name)
	case p.kind == name:
		return other.Kind == flow.External && coversName(p.name, other.Name)
	case p.hasAddresses():
		return slices.ContainsFunc(c.at, func(s segment) bool {
			return addr.BitLen() == s.first.BitLen() && s.first.Compare(addr) <= 0 && addr.Compare(s.last) <= 0
		})
	}
	return true
}

// Belongs reports whether a recording is of a test whose golden file has this path.
func (r Recorded) Belongs(path string) bool {
	path = "/" + strings.ReplaceAll(path, `\`, "/")
	return r.Golden != "" && (strings.HasSuffix(path, "/"+r.Golden) || strings.HasSuffix("/"+r.Golden, path))
}
