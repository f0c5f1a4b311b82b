package policy

import (
	"slices"

	networkingv1 "k8s.io/api/networking/v1"

	"github.com/netzero-dev/netzero/internal/flow"
)

// Merge returns the committed policies, changed so that they allow the subject the flows, and the flows that those
// imply (see [Required]), and so that the subject's own policy holds nothing that [Unused] lists, nor an entry of
// [MetadataAnnotation] that no flow needs. It is for policies that people edit: what allows the flows already stays as
// it is, and where that is everything, so does everything.
// The result shares no memory with the committed policies. Merging the same flows again changes nothing; merged into
// no policies, they give what [Generate] gives.
//
// Only the policy of the subject's name changes. Policies of other names are somebody's own: they count where they
// allow a flow, and stay where nobody uses them. Where there is a flow to add, or no policy isolates the subject, the
// subject's policy is made to: it is added at the end, or is given the subject's labels and the type Egress.
//
// A flow that is denied becomes a port of the one rule for its peer alone, or else a new rule, where Generate would
// have it among those that it could have written. Rules, peers, ports and names keep their order. External names are
// added to [NamesAnnotation], unless somebody removed it from a policy that opens the internet to what the flows
// need: there no name is checked, and none would be allowed any more that is not listed.
func Merge(committed []*networkingv1.NetworkPolicy, subject Workload, flows []flow.Flow) []*networkingv1.NetworkPolicy {
	m := newMerging(committed, subject, flows)
	m.add()
	m.drop() // after add, which may need a rule of which no port was used
	return m.policies
}

// Extend is [Merge] for a run that need not have seen every flow: it adds what is missing and drops nothing.
func Extend(committed []*networkingv1.NetworkPolicy, subject Workload, flows []flow.Flow) []*networkingv1.NetworkPolicy {
	m := newMerging(committed, subject, flows)
	m.partial = true
	m.add()
	return m.policies
}

func newMerging(committed []*networkingv1.NetworkPolicy, subject Workload, flows []flow.Flow) *merging {
	m := &merging{subject: subject, flows: Required(flows)}
	slices.SortStableFunc(m.flows, flow.Flow.Compare)
	for _, p := range committed {
		m.policies = append(m.policies, p.DeepCopy())
	}
	return m
}

// merging is the state of one [Merge].
type merging struct {
	policies []*networkingv1.NetworkPolicy
	subject  Workload
	flows    []flow.Flow // with what they imply, sorted
	partial  bool        // there are more flows, which are allowed already
}

// own returns the policy of the subject's name, or nil. Of two, the one in the subject's namespace.
func (m *merging) own() *networkingv1.NetworkPolicy {
	var own *networkingv1.NetworkPolicy
	for _, p := range m.policies {
		switch {
		case p.Name != m.subject.Name:
		case p.Namespace == m.subject.Namespace:
			return p
		case own == nil && (p.Namespace == "" || m.subject.Namespace == ""):
			own = p
		}
	}
	return own
}

// isolating returns the policy of the subject's name, which is added where it is missing, and isolates the subject.
func (m *merging) isolating() *networkingv1.NetworkPolicy {
	p := m.own()
	if p == nil {
		p = Generate(m.subject, nil)[0]
		m.policies = append(m.policies, p)
	}
	isolate(p, m.subject)
	return p
}

// isolate gives a policy the labels and the type that it takes to isolate the subject for egress.
func isolate(p *networkingv1.NetworkPolicy, subject Workload) {
	if !selects(&p.Spec.PodSelector, subject.labels()) {
		p.Spec.PodSelector = *selector(subject.labels())
	}
	if !hasEgressType(p) {
		writeTypes(p)
		p.Spec.PolicyTypes = append(p.Spec.PolicyTypes, networkingv1.PolicyTypeEgress)
	}
}

// writeTypes gives a policy without policyTypes those that Kubernetes takes it to have.
func writeTypes(p *networkingv1.NetworkPolicy) {
	if len(p.Spec.PolicyTypes) > 0 {
		return
	}
	p.Spec.PolicyTypes = []networkingv1.PolicyType{networkingv1.PolicyTypeIngress}
	if len(p.Spec.Egress) > 0 {
		p.Spec.PolicyTypes = append(p.Spec.PolicyTypes, networkingv1.PolicyTypeEgress)
	}
}
