package policy

import (
	"cmp"
	"net/netip"
	"slices"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/netzero-dev/netzero/internal/flow"
)

// addAll makes the policies allow every flow at both of its ends, and list who opened it.
func (m *merging) addAll() {
	addUntilDone(m.scope.Subjects, m.add)
	addOthers(m.scope.otherWords(), m.flows, func(w Workload, d direction, f flow.Flow) Verdict { return m.scope.side(m.policies, w, d, f) },
		func(w Workload) *networkingv1.NetworkPolicy { return m.isolating(w, egress) })
	if !m.scope.Binaries {
		return
	}
	for _, subject := range m.scope.Subjects {
		addBinaries(isolating(m.policies, subject.Workload, passesOver), m.scope.binariesOf([]Subject{subject}, m.flows))
	}
}

// addUntilDone calls add for each subject and direction until nothing changes: a policy of one subject that selects others
// too may isolate them when it does.
func addUntilDone(subjects []Subject, add func(Subject, direction) (changed bool)) {
	for range len(subjects) + 1 {
		changed := false
		for _, subject := range subjects {
			for _, d := range directions {
				changed = add(subject, d) || changed
			}
		}
		if !changed {
			return
		}
	}
}

// add makes the policies allow every flow of a subject in one direction. It reports whether they had to change.
func (m *merging) add(subject Subject, d direction) bool {
	w := subject.Workload
	flows := needed(d, m.scope.of(w, d, m.flows))
	isolated, _ := isolates(m.policies, w, d)
	switch needed := d == egress || subject.Whole && m.scope.serves(w, flows); {
	case !isolated && !needed, isolated && len(m.missing(w, d, flows)) == 0:
		return false
	}
	e := edit{m, m.isolating(w, d), w, d}
	if d == egress {
		flows = append(flows, e.addNames(flows)...)
	}
	for _, f := range m.missing(w, d, flows) {
		if !f.Lookup && m.denied(w, d, f) { // still: a port may do for two flows
			e.addPort(m.scope.openingOf(w, d, f), f)
		}
	}
	e.addRules(m.missing(w, d, flows))
	return true
}

// missing returns those of a subject's flows that a policy could allow, and none does.
func (m *merging) missing(subject Workload, d direction, flows []flow.Flow) []flow.Flow {
	return slices.DeleteFunc(slices.Clone(flows), func(f flow.Flow) bool {
		return !f.Lookup && m.scope.wordless(f) != "" || !m.denied(subject, d, f) // for the former there is a list
	})
}

func (m *merging) denied(subject Workload, d direction, f flow.Flow) bool {
	return m.scope.side(m.policies, subject, d, f).Outcome == Denied
}

// edit is what one subject needs of its policy in one direction.
type edit struct {
	*merging
	policy    *networkingv1.NetworkPolicy
	subject   Workload
	direction direction
}

// view returns the policy as it is now.
func (e edit) view() view {
	return e.scope.views([]*networkingv1.NetworkPolicy{e.policy}, e.subject, e.direction)[0]
}

// addNames lists the names of the flows that are missing. It returns a flow more for each that is public: one to
// nowhere in particular, so that a rule for the address that the name has today does not do.
func (e edit) addNames(flows []flow.Flow) []flow.Flow {
	var nowhere []flow.Flow
	for {
		before := len(entriesOf(e.policy, NamesAnnotation))
		for _, f := range e.missing(e.subject, egress, flows) {
			if f.Lookup {
				addEntry(e.policy, NamesAnnotation, e.scope.lookupEntry(e.subject, f))
				continue
			}
			if f.Destination.Kind != flow.External || e.checksNoName() {
				continue
			}
			if !slices.ContainsFunc(e.view().names, func(n allowedName) bool { return n.matches(f) }) {
				addEntry(e.policy, NamesAnnotation, e.scope.entryOf(f))
			}
			if flow.Public(f.Destination.Addr) {
				f.Destination.Addr = netip.Addr{}
				nowhere = append(nowhere, f)
			}
		}
		// The first entry makes the policy ask for the names of flows that it allowed until then.
		if len(entriesOf(e.policy, NamesAnnotation)) == before {
			return nowhere
		}
	}
}

// checksNoName reports whether the policy opens the internet without NamesAnnotation, and flows need that, or may.
func (e edit) checksNoName() bool {
	if e.view().annotated {
		return false
	}
	rules := rulesOf(e.policy, egress)
	for i, used := range e.scope.usage(e.policy, egress, e.flows) {
		for j, used := range used.peers {
			if (used || e.partial) && isInternet(&rules[i].peers[j]) {
				return true
			}
		}
	}
	return false
}

// addPort adds a port to the only rule for an opening's peer, if there is one that then allows the flow.
func (e edit) addPort(o opening, f flow.Flow) {
	var same []int
	for i, rule := range rulesOf(e.policy, e.direction) {
		if peer, ok := e.peerOfRule(rule); ok && peer == o.peer {
			same = append(same, i)
		}
	}
	trial := e.policy.DeepCopy()
	rules := rulesOf(trial, e.direction)
	if len(same) != 1 || len(rules[same[0]].ports) == 0 { // no ports are all ports
		return
	}
	rule := &rules[same[0]]
	rule.ports = insertBefore(rule.ports, o.policyPort(), func(port networkingv1.NetworkPolicyPort) bool {
		if port.Port == nil || port.Port.Type == intstr.String {
			return false
		}
		return cmp.Or(cmp.Compare(port.Port.IntVal, int32(o.port)), cmp.Compare(portProtocol(&port), o.protocol)) > 0
	})
	setRules(trial, e.direction, rules)
	if e.scope.side([]*networkingv1.NetworkPolicy{trial}, e.subject, e.direction, f).Outcome == Allowed {
		setRules(e.policy, e.direction, rules)
		e.addMetadata(o)
	}
}

// addRules adds a rule for each peer of the flows, as Generate writes it.
func (e edit) addRules(flows []flow.Flow) {
	openings := e.scope.openings(e.subject, e.direction, flows)
	for _, o := range openings {
		e.addMetadata(o)
	}
	if len(openings) == 0 {
		return
	}
	list := rulesOf(e.policy, e.direction)
	for _, rule := range rules(openings) {
		peer, _ := e.peerOfRule(rule)
		list = insertBefore(list, rule, e.isLater(peer))
	}
	setRules(e.policy, e.direction, list)
}

func (e edit) isLater(peer peerKey) func(rule) bool {
	return func(other rule) bool {
		k, ok := e.peerOfRule(other)
		return ok && k.compare(peer) > 0
	}
}

func (e edit) addMetadata(o opening) {
	if entry := o.metadataEntry(); entry != "" && e.direction == egress {
		addEntry(e.policy, MetadataAnnotation, entry)
	}
}
