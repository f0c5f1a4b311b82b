package networkpolicy

import (
	"net/netip"
	"slices"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// addAll makes the policies allow every flow at both of its ends, and list its requests and the programs that opened
// it.
func (m *merging) addAll() {
	for _, namespace := range policy.NotDenied(m.scope.Scope, m.policies, deniesAll) {
		m.policies = append(m.policies, denyAll(namespace))
	}
	policy.AddUntilDone(m.scope.Subjects, m.add)
	policy.AddOthers(m.scope.otherFlows(), m.flows,
		func(w policy.Workload, d policy.Direction) func(flow.Flow) policy.Verdict {
			return m.scope.compile(m.policies, w, d).verdict
		},
		func(w policy.Workload) *networkingv1.NetworkPolicy { return m.isolating(w, policy.Egress) })
	m.addRequests()
	if !m.scope.Binaries {
		return
	}
	for _, subject := range m.scope.Subjects {
		policy.AddBinaries(
			policy.IsolatingEgress(m.policies, subject.Workload, doesNotIsolate),
			m.scope.binariesOf([]policy.Subject{subject}, m.flows),
		)
	}
}

// add makes the policies allow every flow of a subject in one direction. It reports whether they changed.
func (m *merging) add(subject policy.Subject, d policy.Direction) bool {
	w := subject.Workload
	flows := policy.Needed(d, m.flows.Of(w, d))
	isolated, _ := isolates(policy.WithoutDenyAll(m.scope.Scope, m.policies), w, d)
	if !isolated && d == policy.Ingress && !m.scope.IsolatesIngress(subject, m.scope.serves(flows)) {
		return false
	}
	c := m.scope.compile(m.policies, w, d)
	missing := c.missing(flows)
	if isolated && len(missing) == 0 {
		return false
	}
	own := m.own(w)
	changes := own == nil || doesNotIsolate(own, w, d) != ""
	e := edit{m, m.isolating(w, d), w, d}
	if changes {
		c = e.compile()
		missing = c.missing(flows)
	}
	if d == policy.Egress {
		var nowhere []flow.Flow
		c, missing, nowhere = e.addNames(c, flows, missing)
		flows = append(flows, nowhere...)
	}
	if e.scope.annotateEverywhere(e.policy, w, d, missing) {
		c = e.compile()
		missing = c.missing(flows) // reserved rules allow less
	}
	if e.addPorts(c, missing) {
		missing = e.compile().missing(missing) // more ports only allow more
	}
	e.addRules(missing)
	return true
}

// edit is a change of a subject's policy in one direction.
type edit struct {
	*merging
	policy    *networkingv1.NetworkPolicy
	subject   policy.Workload
	direction policy.Direction
}

// compile prepares the policies in their current state.
func (e edit) compile() *compiled { return e.scope.compile(e.policies, e.subject, e.direction) }

// addNames lists the names of the missing ones of some flows. c has the current policies. It returns those of then, the
// flows that are still missing, and for each public name one without an address, because a rule for the name's current
// address is not enough.
func (e edit) addNames(c *compiled, flows, missing []flow.Flow) (now *compiled, still, nowhere []flow.Flow) {
	for {
		var added []string
		var listed *policy.NameIndex // set once a flow has to be listed
		checksNoName := false
		for _, f := range missing {
			if f.Lookup {
				added = append(added, e.scope.LookupEntry(e.subject, f))
				continue
			}
			if f.Destination.Kind != flow.External {
				continue
			}
			if listed == nil {
				checksNoName, listed = e.checksNoName(), policy.NewNameIndex(policy.ListedNames(e.policy).All)
			}
			if checksNoName {
				continue
			}
			if !listed.Allows(f) {
				entry := e.scope.EntryOf(f)
				added = append(added, entry)
				if n, err := policy.ParseName(entry); err == nil {
					listed.Add(n)
				}
			}
			if flow.Public(f.Destination.Addr) {
				f.Destination.Addr = netip.Addr{}
				nowhere = append(nowhere, f)
			}
		}
		checksNames := gatesNames(e.policy)
		if policy.AddEntries(e.policy, policy.NamesAnnotation, added) == 0 {
			return c, append(missing, c.missing(nowhere)...), nowhere
		}
		c = e.compile()
		if checksNames { // further entries only allow more
			return c, append(c.missing(missing), c.missing(nowhere)...), nowhere
		}
		// The first entry makes the policy check the names of flows that it allowed before.
		missing = c.missing(flows)
	}
}

// checksNoName reports whether the policy opens the internet without NamesAnnotation, and flows need or may need
// that.
func (e edit) checksNoName() bool {
	if gatesNames(e.policy) {
		return false
	}
	rules := RulesOf(e.policy, policy.Egress)
	for i, used := range e.scope.usage(e.policy, policy.Egress, e.flows) {
		for j, used := range used.Peers {
			if (used || e.partial) && isInternet(&rules[i].Peers[j]) {
				return true
			}
		}
	}
	return false
}

// addPorts adds the port of each flow to the only rule for the flow's peer, if there is one and it then allows the
// flow. c has the current policies. It reports whether it added any.
func (e edit) addPorts(c *compiled, flows []flow.Flow) bool {
	if len(flows) == 0 {
		return false
	}
	own := slices.IndexFunc(c.applicable, func(v applicable) bool { return v.NetworkPolicy == e.policy })
	rules := c.applicable[own].rules
	of := make(map[peerKey][]int)
	for i, r := range rules {
		if peer, ok := e.peerOfRule(r); ok {
			of[peer] = append(of[peer], i)
		}
	}
	type addition struct {
		rule      int
		port, end uint16
		protocol  flow.Protocol
	}
	added := make(map[addition]bool)
	var everywhere []int // rules without peers that got a port
	allows := func(a addition, f flow.Flow) bool {
		port := permission{port: a.port, end: a.end, protocol: a.protocol}.policyPort()
		return slices.ContainsFunc(elements(rules[a.rule].Peers), func(peer *networkingv1.NetworkPolicyPeer) bool {
			return c.applicable[own].match(peer, &port, f).Allows()
		})
	}
	isAllowed := func(f flow.Flow) bool { // now: one port may serve two flows
		if needsEveryRule(e.direction, f) {
			for a := range added {
				if allows(a, f) {
					return true
				}
			}
			return false
		}
		candidates := slices.Clone(everywhere)
		for at := range c.index.Matching(c.spec(f)) {
			if at.Policy == own {
				candidates = append(candidates, at.Rule)
			}
		}
		first, last := e.scope.PortsOfFlow(f)
		return slices.ContainsFunc(candidates, func(i int) bool {
			a := addition{i, first, last, f.Protocol}
			return added[a] && allows(a, f)
		})
	}
	for _, f := range flows {
		if f.Lookup || isAllowed(f) {
			continue
		}
		o := e.scope.permissionOf(e.subject, e.direction, f)
		same := of[o.peer]
		if len(same) != 1 || len(rules[same[0]].Ports) == 0 { // no ports means all ports
			continue
		}
		a := addition{same[0], o.port, o.end, o.protocol}
		if !allows(a, f) {
			continue
		}
		rule := &rules[a.rule]
		for _, o := range e.scope.permissionsOf(e.subject, e.direction, f) {
			rule.Ports = policy.InsertBefore(rule.Ports, o.policyPort(), func(port networkingv1.NetworkPolicyPort) bool {
				if port.Port == nil || port.Port.Type == intstr.String {
					return false
				}
				if number := int32(o.port); port.Port.IntVal != number {
					return port.Port.IntVal > number
				}
				return portProtocol(&port) > o.protocol
			})
			added[addition{a.rule, o.port, o.end, o.protocol}] = true
		}
		if len(rule.Peers) == 0 {
			everywhere = append(everywhere, a.rule)
		}
		e.addMetadata(o)
	}
	if len(added) > 0 {
		SetRules(e.policy, e.direction, rules)
	}
	return len(added) > 0
}

// addRules adds a rule for each peer of the flows, in the form that Generate writes.
func (e edit) addRules(flows []flow.Flow) {
	permissions := e.scope.permissions(e.subject, e.direction, flows)
	for _, o := range permissions {
		e.addMetadata(o)
	}
	if len(permissions) == 0 {
		return
	}
	list := RulesOf(e.policy, e.direction)
	list = policy.InsertAll(list, rules(permissions), e.peerOfRule, peerKey.compare)
	SetRules(e.policy, e.direction, list)
}

func (e edit) addMetadata(o permission) {
	if entry := o.metadataEntry(); entry != "" && e.direction == policy.Egress {
		policy.AddEntry(e.policy, policy.MetadataAnnotation, entry)
	}
}
