package networkpolicy

import (
	"slices"

	networkingv1 "k8s.io/api/networking/v1"

	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// Merge returns the committed policies, changed so that they allow the flows, and the flows that those imply (see
// [Required]), and so that the subjects' own policies hold nothing that [Scope.Unused] lists, nor an entry of
// [MetadataAnnotation] that no flow needs. It is for policies that people edit: what allows the flows already stays as
// it is, and where that is everything, so does everything.
// The result shares no memory with the committed policies. Merging the same flows again changes nothing; merged into
// no policies, they give what [Scope.Generate] gives.
//
// Only policies of a subject's name change. Policies of other names are somebody's own: they count where they allow a
// flow, and stay where nobody uses them. Where there is a flow to add, or no policy isolates a subject, the subject's
// policy is made to: it is added at the end, or is given the subject's labels and the type. A subject that is
// [Subject.Whole] is isolated for ingress where the flows show it as a server; where they no longer do, the type goes
// with the last of the rules.
//
// A flow that is denied becomes a port of the one rule for its peer alone, or else a new rule, where Generate would
// have it among those that it could have written. Rules, peers, ports and names keep their order. External names are
// added to [NamesAnnotation], unless somebody removed it from a policy that opens the internet to what the flows
// need: there no name is checked, and none would be allowed any more that is not listed. Names in it that [Scope].Fold
// has a pattern for become that pattern. With [Scope].Binaries the programs that opened flows are listed by the first of
// the policies that isolate the subject, and that of its own name lists nobody else.
func (s Dialect) Merge(committed []*networkingv1.NetworkPolicy, flows []flow.Flow) []*networkingv1.NetworkPolicy {
	m := newMerging(s, committed, flows)
	m.addAll()
	for _, subject := range m.scope.Subjects { // after all is added: a port may be added to a rule of which none was used
		m.drop(subject.Workload)
	}
	return m.policies
}

// Extend is [Scope.Merge] for a run that need not have seen every flow: it adds what is missing and drops nothing.
func (s Dialect) Extend(committed []*networkingv1.NetworkPolicy, flows []flow.Flow) []*networkingv1.NetworkPolicy {
	m := newMerging(s, committed, flows)
	m.partial = true
	m.addAll()
	return m.policies
}

func newMerging(s Dialect, committed []*networkingv1.NetworkPolicy, flows []flow.Flow) *merging {
	m := &merging{scope: Dialect{s.Normalized().Indexed()}}
	m.flows = m.scope.allByAddress(Required(flows))
	slices.SortStableFunc(m.flows, flow.Flow.Compare)
	for _, p := range committed {
		m.policies = append(m.policies, p.DeepCopy())
	}
	for _, subject := range m.scope.Subjects {
		if p := m.own(subject.Workload); p != nil {
			m.scope.FoldNames(p)
			m.scope.FoldOthers(p)
		}
	}
	return m
}

// merging is the state of one [Scope.Merge].
type merging struct {
	policies []*networkingv1.NetworkPolicy
	scope    Dialect     // normal
	flows    []flow.Flow // with what they imply, sorted
	partial  bool        // there are more flows, which are allowed already
}

// own returns the policy of a subject's name, or nil. Of two, the one in the subject's namespace. One of which the
// namespace is not known, or the subject's is not, is its where no other subject has that name.
func (m *merging) own(subject policy.Workload) *networkingv1.NetworkPolicy {
	return policy.OwnPolicy(m.policies, m.scope.Scope, subject)
}

// isolating returns the policy of a subject's name, which is added where it is missing, and isolates the subject.
func (m *merging) isolating(subject policy.Workload, d policy.Direction) *networkingv1.NetworkPolicy {
	p := m.own(subject)
	if p == nil {
		p = m.scope.generate(policy.Subject{Workload: subject}, nil)
		m.policies = policy.InsertOwn(m.policies, p)
	}
	isolate(p, subject, d)
	return p
}

// isolate gives a policy the labels and the type that it takes to isolate a subject in a direction.
func isolate(p *networkingv1.NetworkPolicy, subject policy.Workload, d policy.Direction) {
	if !policy.Selects(&p.Spec.PodSelector, subject.AsSubject().AllLabels()) {
		p.Spec.PodSelector = *selector(subject.AsSubject().SelectorLabels())
	}
	if !HasType(p, d) {
		writeTypes(p)
		p.Spec.PolicyTypes = append(p.Spec.PolicyTypes, policyTypeOf(d))
	}
}
