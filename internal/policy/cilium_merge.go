package policy

import (
	"net/netip"
	"slices"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/netzero-dev/netzero/internal/cilium"
	"github.com/netzero-dev/netzero/internal/flow"
)

// Merge is [Scope.Merge]: rules, peers, ports, patterns of names and policies of other names stay as people left them, as
// long as flows need them. Where a name is allowed and its look-up is not read, the name joins the first list of look-ups,
// or the resolver's rule is added.
func (c Cilium) Merge(committed ciliumPolicies, flows []flow.Flow) ciliumPolicies {
	m := newCiliumMerging(c, committed, flows)
	m.addAll()
	for _, subject := range m.scope.Subjects {
		m.drop(subject.Workload)
	}
	return m.policies
}

// Extend is [Scope.Extend].
func (c Cilium) Extend(committed ciliumPolicies, flows []flow.Flow) ciliumPolicies {
	m := newCiliumMerging(c, committed, flows)
	m.addAll()
	return m.policies
}

// ciliumMerging is the state of one [Cilium.Merge].
type ciliumMerging struct {
	policies ciliumPolicies
	scope    Cilium      // normal
	flows    []flow.Flow // with what they imply, sorted
}

func newCiliumMerging(c Cilium, committed ciliumPolicies, flows []flow.Flow) *ciliumMerging {
	m := &ciliumMerging{scope: c.normal()}
	m.flows = m.scope.allByAddress(c.Required(flows))
	slices.SortStableFunc(m.flows, flow.Flow.Compare)
	for _, p := range committed {
		m.policies = append(m.policies, p.DeepCopy())
	}
	for _, subject := range m.scope.Subjects {
		if p := own(m.policies, m.scope.Scope, subject.Workload); p != nil {
			m.scope.foldNames(p)
			m.scope.foldOthers(p)
		}
	}
	return m
}

// isolating returns the policy of a subject's name, which is added where it is missing, and isolates the subject.
func (m *ciliumMerging) isolating(subject Workload, d direction) *cilium.NetworkPolicy {
	p := own(m.policies, m.scope.Scope, subject)
	if p == nil {
		p = m.scope.generate(Subject{Workload: subject}, nil)
		m.policies = append(m.policies, p)
	}
	if ciliumOverlooks(p, subject) != "" {
		p.Spec.EndpointSelector = sourced(subject.selecting())
	}
	if len(ciliumRulesOf(p, d)) == 0 {
		setCiliumRules(p, d, []ciliumRule{{}})
	}
	if !deniesByDefault(p, d) {
		denyByDefault(p, d)
	}
	return p
}

// addAll makes the policies allow every flow at both of its ends, and list who opened it.
func (m *ciliumMerging) addAll() {
	addUntilDone(m.scope.Subjects, m.add)
	m.addLookups()
	addOthers(m.scope.otherWords(), m.flows, func(w Workload, d direction, f flow.Flow) Verdict { return m.scope.side(m.policies, w, d, f) },
		func(w Workload) *cilium.NetworkPolicy { return m.isolating(w, egress) })
	if !m.scope.Binaries {
		return
	}
	for _, subject := range m.scope.Subjects {
		addBinaries(isolating(m.policies, subject.Workload, ciliumPassesOver), m.scope.binariesOf([]Subject{subject}, m.flows))
	}
}

// addLookups lists the look-ups that nothing allows.
func (m *ciliumMerging) addLookups() {
	for _, subject := range m.scope.Subjects {
		for _, f := range lookupsOf(m.scope.of(subject.Workload, egress, m.flows)) {
			if m.denied(subject.Workload, egress, f) {
				addEntry(m.isolating(subject.Workload, egress), NamesAnnotation, m.scope.lookupEntry(subject.Workload, f))
			}
		}
	}
}

func (m *ciliumMerging) add(subject Subject, d direction) bool {
	w := subject.Workload
	flows := needed(d, m.scope.of(w, d, m.flows))
	isolated, _ := ciliumIsolates(m.policies, w, d)
	switch needed := d == egress || subject.Whole && m.scope.serves(w, flows); {
	case !isolated && !needed, isolated && len(m.missing(w, d, flows)) == 0:
		return false
	}
	e := ciliumEdit{m, m.isolating(w, d), w, d}
	for _, f := range m.missing(w, d, flows) {
		if m.denied(w, d, f) { // still: a port may do for two flows
			e.addPort(f)
		}
	}
	e.addRules(m.missing(w, d, flows))
	for _, f := range m.missing(w, d, flows) {
		if m.denied(w, d, f) {
			e.addLookup(f)
		}
	}
	return true
}

// missing returns those of a subject's flows that a policy could allow, and none does.
func (m *ciliumMerging) missing(subject Workload, d direction, flows []flow.Flow) []flow.Flow {
	return slices.DeleteFunc(slices.Clone(flows), func(f flow.Flow) bool {
		return f.Lookup || m.scope.wordless(f) != "" || !m.denied(subject, d, f) // for the former there are lists
	})
}

func (m *ciliumMerging) denied(subject Workload, d direction, f flow.Flow) bool {
	return m.scope.side(m.policies, subject, d, f).Outcome == Denied && !m.scope.refuses(m.policies, subject, d, f)
}

// ciliumEdit is what one subject needs of its policy in one direction.
type ciliumEdit struct {
	*ciliumMerging
	policy    *cilium.NetworkPolicy
	subject   Workload
	direction direction
}

// addPort adds a port, or an ICMP type, to the only rule for a flow's peer, if there is one.
func (e ciliumEdit) addPort(f flow.Flow) {
	o := e.normalOpening(e.scope.openingOf(e.direction, f))
	rules := ciliumRulesOf(e.policy, e.direction)
	same := -1
	for i, rule := range rules {
		if other, ok := e.openingOfRule(rule); ok && e.normalOpening(other).sharesRule(o) && !(len(rule.openTo()) == 0) {
			if same >= 0 {
				return
			}
			same = i
		}
	}
	if same < 0 {
		return
	}
	rules[same].open(o)
	setCiliumRules(e.policy, e.direction, rules)
	e.addMetadata(f)
}

// addRules adds a rule for each peer of the flows, as Generate writes it, unless the policy has that.
func (e ciliumEdit) addRules(flows []flow.Flow) {
	var missing []flow.Flow
	list := ciliumRulesOf(e.policy, e.direction)
	for _, f := range flows {
		e.addMetadata(f)
		if e.denied(e.subject, e.direction, f) && !e.onlyUnseen(f) {
			missing = append(missing, f)
		}
	}
	list = slices.DeleteFunc(list, func(r ciliumRule) bool { return len(missing) > 0 && r.isEmpty() })
	for _, rule := range ciliumRules(e.scope.openings(e.subject, e.direction, missing)) {
		o, _ := e.openingOfRule(rule)
		list = insertBefore(list, rule, func(other ciliumRule) bool {
			k, ok := e.openingOfRule(other)
			k.port, k.protocol = 0, icmpOrNot(k.isICMP())
			p := ciliumOpening{o.peer, 0, icmpOrNot(o.isICMP())}
			return ok && k.compare(p) > 0
		})
	}
	setCiliumRules(e.policy, e.direction, list)
}

// icmpOrNot returns a protocol for rules of ICMP types, and one for all others, by which they are ordered.
func icmpOrNot(icmp bool) flow.Protocol {
	if icmp {
		return flow.ICMP
	}
	return flow.TCP
}

// onlyUnseen reports whether a rule for a flow is there, and all that is missing is the look-up.
func (e ciliumEdit) onlyUnseen(f flow.Flow) bool {
	for _, v := range e.scope.views(e.policies, e.subject, e.direction) {
		for _, r := range v.rules {
			for peer, port := range r.pairs() {
				if m := v.match(r, peer, port, f); m.peer == unseen && m.port == portFits {
					return true
				}
			}
		}
	}
	return false
}

// addLookup lets Cilium read the look-up of a flow's name.
func (e ciliumEdit) addLookup(f flow.Flow) {
	if !e.onlyUnseen(f) {
		return
	}
	rules := ciliumRulesOf(e.policy, e.direction)
	for i := range rules {
		for j := range rules[i].ports {
			if ports := &rules[i].ports[j]; ports.HasDNS() && len(rules[i].names) == 0 {
				ports.Rules.DNS = append(ports.Rules.DNS, e.scope.fqdn(f.Destination.Name))
				setCiliumRules(e.policy, e.direction, rules)
				return
			}
		}
	}
	resolver := ciliumPeer{rank: rankResolver}
	rule := resolver.rule()
	rule.ports = []cilium.PortRule{lookups()}
	rules = insertBefore(rules, rule, func(other ciliumRule) bool {
		k, ok := e.openingOfRule(other)
		return ok && k.peer.compare(resolver) > 0
	})
	setCiliumRules(e.policy, e.direction, rules)
}

func (e ciliumEdit) addMetadata(f flow.Flow) {
	if entry := e.scope.metadataEntry(f); entry != "" && e.direction == egress {
		addEntry(e.policy, MetadataAnnotation, entry)
	}
}

// normalOpening returns an opening without the namespace that goes without saying.
func (e ciliumEdit) normalOpening(o ciliumOpening) ciliumOpening {
	if o.peer.namespace == e.subject.Namespace {
		o.peer.namespace = ""
	}
	return o
}

// openingOfRule returns the peer for which Generate would write a rule, or false, and whether it is for ICMP.
func (e ciliumEdit) openingOfRule(r ciliumRule) (ciliumOpening, bool) {
	o := ciliumOpening{protocol: icmpOrNot(len(r.icmps) > 0)}
	if len(r.peers()) != 1 {
		return o, false
	}
	switch peer := r.peers()[0]; {
	case peer.endpoint != nil && len(peer.endpoint.MatchExpressions) > 0:
		return o, false
	case peer.endpoint != nil:
		set := labels.Set(plainSelector(peer.endpoint).MatchLabels)
		of := ciliumPeer{rank: rankPods, namespace: set[cilium.NamespaceLabel]}
		delete(set, cilium.NamespaceLabel)
		of.labels = set.String()
		if equality.Semantic.DeepEqual(set, resolverLabels) && of.namespace == flow.ClusterResolver.Namespace {
			of = ciliumPeer{rank: rankResolver}
		}
		o.peer = of
	case peer.name != nil:
		o.peer = ciliumPeer{rank: rankName, host: peer.name.String()}
		return o, e.scope.writes(*peer.name)
	case peer.cidr != nil:
		prefix, err := netip.ParsePrefix(peer.cidr.CIDR)
		o.peer = ciliumPeer{rank: rankAddress, addr: prefix.Addr()}
		return o, err == nil && prefix.IsSingleIP() && len(peer.cidr.Except) == 0
	case peer.entity == cilium.APIServer && e.direction == egress:
		o.peer = ciliumPeer{rank: rankAPIServer}
	case peer.entity == cilium.Host:
		o.peer = ciliumPeer{rank: rankHost}
	case peer.entity == cilium.All && e.direction == ingress:
		o.peer = ciliumPeer{rank: rankAnyone}
	default:
		return o, false
	}
	return o, true
}
