package networkpolicy

import (
	"slices"

	networkingv1 "k8s.io/api/networking/v1"

	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// Merge returns the committed policies, changed so that they allow the flows and those that they imply (see
// [Required]). It removes everything that [Dialect.Unused] lists, and entries of [policy.MetadataAnnotation] that no
// flow needs, from the subjects' own policies. People edit these policies: the parts that already allow the flows
// stay as they are, and if that is everything, nothing changes. The result shares no memory with the committed
// policies. Merging the same flows again changes nothing; merging them into no policies gives the result of
// [Dialect.Generate].
//
// Merge changes only policies with a subject's name. Others are hand-written: they count if they allow a flow, and
// stay if unused. If a flow has to be added, or no policy isolates a subject, the subject's policy is made to isolate
// it: Merge adds the policy at the end, or sets the subject's labels and the type. A subject with AllTraffic is
// isolated for ingress if the flows show it as a server. If they no longer do, the type is removed with the last
// rule.
//
// A denied flow becomes a port of the only rule for exactly its peer. If there is none, it becomes a new rule at the
// position where Generate would put it among the generated rules. Rules, peers, ports and names keep their order.
// External names are added to [policy.NamesAnnotation], unless a person removed the annotation from a policy that
// opens the internet to the required flows: that policy checks no name, and a new list would deny every unlisted
// name. Listed names that match a pattern of Fold become that pattern. If Binaries is set, the first policy that
// isolates the subject lists the programs that opened flows, and the policy with the subject's own name lists no
// others.
//
// If Requests is set, [policy.RequestsAnnotation] of the policy with the subject's own name gets the missing requests. A
// peer and port without an entry gets its first ones if the policy has the rule that Generate writes for it; the entry
// "peer:port *" prevents that. A peer and port with an opaque flow loses its entries. [policy.KafkaAnnotation] is
// extended in the first policy that has it, or that isolates the subject. Listed paths that match a pattern of FoldPaths
// become that pattern.
func (d Dialect) Merge(committed []*networkingv1.NetworkPolicy, flows []flow.Flow) []*networkingv1.NetworkPolicy {
	m := newMerging(d, committed, flows)
	m.addAll()
	for _, subject := range m.scope.Subjects { // last, because addAll may add a port to a rule that no flow used before
		m.drop(subject.Workload)
	}
	return m.policies
}

// Extend is [Dialect.Merge] for a run that may not have seen every flow: it adds missing flows and denies nothing that
// the committed policies allow. So it adds no first entry for a peer and port whose requests they allow already, and no
// first [policy.KafkaAnnotation].
func (d Dialect) Extend(committed []*networkingv1.NetworkPolicy, flows []flow.Flow) []*networkingv1.NetworkPolicy {
	m := newMerging(d, committed, flows)
	m.partial = true
	m.addAll()
	return m.policies
}

func newMerging(d Dialect, committed []*networkingv1.NetworkPolicy, flows []flow.Flow) *merging {
	m := &merging{scope: Dialect{d.Normalized().Indexed()}, committed: committed}
	required := m.scope.allByAddress(d.Required(flows))
	slices.SortStableFunc(required, flow.Flow.Compare)
	m.flows = m.scope.BySubject(required)
	for _, p := range committed {
		m.policies = append(m.policies, p.DeepCopy())
	}
	for _, subject := range m.scope.Subjects {
		if p := m.own(subject.Workload); p != nil {
			m.scope.FoldNames(p)
			m.scope.FoldOthers(p)
			m.scope.FoldRequests(p)
		}
	}
	return m
}

// merging is the state of one [Dialect.Merge].
type merging struct {
	committed []*networkingv1.NetworkPolicy // unchanged
	policies  []*networkingv1.NetworkPolicy
	scope     Dialect             // normalized
	flows     policy.SubjectFlows // with those that they imply, sorted
	partial   bool                // there are further flows, and the policies allow them
}

// own returns the policy with a subject's name, or nil. Of two it returns the one in the subject's namespace. If the
// namespace of the policy or of the subject is unknown, the policy is the subject's if no other subject has that
// name.
func (m *merging) own(subject policy.Workload) *networkingv1.NetworkPolicy {
	return policy.OwnPolicy(m.policies, m.scope.Scope, subject)
}

// isolating returns the policy with a subject's name. It adds a missing policy and makes the policy isolate the
// subject.
func (m *merging) isolating(subject policy.Workload, d policy.Direction) *networkingv1.NetworkPolicy {
	p := m.own(subject)
	if p == nil {
		p = m.scope.generate(policy.Subject{Workload: subject}, policy.SubjectFlows{})
		m.policies = policy.InsertOwn(m.policies, p)
	}
	isolate(p, subject, d)
	return p
}

// isolate sets the labels and the type that a policy needs to isolate a subject in a direction.
func isolate(p *networkingv1.NetworkPolicy, subject policy.Workload, d policy.Direction) {
	if !policy.Selects(&p.Spec.PodSelector, subject.AsSubject().AllLabels()) {
		p.Spec.PodSelector = *selector(subject.AsSubject().SelectorLabels())
	}
	if !HasType(p, d) {
		writeTypes(p)
		p.Spec.PolicyTypes = append(p.Spec.PolicyTypes, policyTypeOf(d))
	}
}
