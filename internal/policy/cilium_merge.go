package policy

import (
	"net/netip"
	"slices"
	"strconv"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/netzero-dev/netzero/internal/cilium"
	"github.com/netzero-dev/netzero/netzerotest/flow"
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
	return m.joined()
}

// Extend is [Scope.Extend].
func (c Cilium) Extend(committed ciliumPolicies, flows []flow.Flow) ciliumPolicies {
	m := newCiliumMerging(c, committed, flows)
	m.addAll()
	return m.joined()
}

// ciliumMerging is the state of one [Cilium.Merge].
type ciliumMerging struct {
	policies ciliumPolicies                                  // one to a spec: see partsOf
	of       map[*cilium.NetworkPolicy]*cilium.NetworkPolicy // the policies of which those are parts
	scope    Cilium                                          // normal
	flows    []flow.Flow                                     // with what they imply, sorted
}

func newCiliumMerging(c Cilium, committed ciliumPolicies, flows []flow.Flow) *ciliumMerging {
	m := &ciliumMerging{scope: Cilium{c.Scope.normal().indexed()}, of: make(map[*cilium.NetworkPolicy]*cilium.NetworkPolicy)}
	m.flows = m.scope.allByAddress(c.Required(flows))
	slices.SortStableFunc(m.flows, flow.Flow.Compare)
	for _, p := range committed {
		for _, part := range cilium.Parts(p) {
			part = part.DeepCopy()
			m.policies, m.of[part] = append(m.policies, part), p
		}
	}
	for _, subject := range m.scope.Subjects {
		for _, p := range m.ownParts(subject.Workload) {
			m.scope.foldNames(p)
			m.scope.foldOthers(p)
		}
	}
	return m
}

// isolating returns the policy of a subject's name, which is added where it is missing, and isolates the subject.
func (m *ciliumMerging) isolating(subject Workload, d direction) *cilium.NetworkPolicy {
	p := m.ownPart(subject, d)
	if p == nil {
		p = m.addPart(subject)
	}
	if ciliumOverlooks(p, subject) != "" {
		p.Spec.EndpointSelector = sourced(subject.self().selecting())
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
	for _, namespace := range notDenied(m.scope.Scope, m.policies, ciliumDeniesAll) {
		m.policies = append(m.policies, ciliumDenyAll(namespace))
	}
	addUntilDone(m.scope.Subjects, m.add)
	m.addLookups()
	addOthers(m.scope.otherWords(), m.flows, func(w Workload, d direction) func(flow.Flow) Verdict {
		return m.scope.compile(m.policies, w, d).verdict
	},
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
		lookups := lookupsOf(m.scope.of(subject.Workload, egress, m.flows))
		if len(lookups) == 0 {
			continue
		}
		var missing []string
		s := m.scope.compile(m.policies, subject.Workload, egress)
		for _, f := range lookups {
			if s.isMissing(f) {
				missing = append(missing, m.scope.lookupEntry(subject.Workload, f))
			}
		}
		if len(missing) > 0 {
			addEntries(m.isolating(subject.Workload, egress), NamesAnnotation, missing)
		}
	}
}

func (m *ciliumMerging) add(subject Subject, d direction) bool {
	w := subject.Workload
	flows := needed(d, m.scope.of(w, d, m.flows))
	isolated, _ := ciliumIsolates(besideDenyAll(m.scope.Scope, m.policies), w, d)
	switch needed := d == egress || m.scope.isolatesIngress(subject, m.scope.serves(w, flows)); {
	case !isolated && !needed, isolated && len(m.missing(w, d, flows)) == 0:
		return false
	}
	e := ciliumEdit{m, m.isolating(w, d), w, d}
	e.addPorts(m.missing(w, d, flows))
	e.addRules(m.missing(w, d, flows))
	e.addLookups(m.missing(w, d, flows))
	return true
}

// missing returns those of a subject's flows that a policy could allow, and none does.
func (m *ciliumMerging) missing(subject Workload, d direction, flows []flow.Flow) []flow.Flow {
	s := m.scope.compile(m.policies, subject, d)
	return slices.DeleteFunc(slices.Clone(flows), func(f flow.Flow) bool { return f.Lookup || !s.isMissing(f) }) // for look-ups there is a list
}

// ciliumEdit is what one subject needs of its policy in one direction.
type ciliumEdit struct {
	*ciliumMerging
	policy    *cilium.NetworkPolicy
	subject   Workload
	direction direction
}

// compile makes the policies, as they are now, ready for many flows.
func (e ciliumEdit) compile() *ciliumSide {
	return e.scope.compile(e.policies, e.subject, e.direction)
}

// addPorts adds the port, or the ICMP type, of each flow to the only rule for its peer, if there is one.
func (e ciliumEdit) addPorts(flows []flow.Flow) {
	if len(flows) == 0 {
		return
	}
	c := e.compile()
	own := slices.IndexFunc(c.views, func(v ciliumView) bool { return v.NetworkPolicy == e.policy })
	rules := c.views[own].rules
	type sharing struct {
		peer ciliumPeer
		icmp bool
	}
	of := make(map[sharing][]int)
	for i, rule := range rules {
		if other, ok := e.openingOfRule(rule); ok && len(rule.openTo()) > 0 {
			at := sharing{e.normalOpening(other).peer, other.isICMP()}
			of[at] = append(of[at], i)
		}
	}
	type addition struct {
		rule     int
		port     uint16 // or the ICMP type
		end      uint16
		protocol flow.Protocol
	}
	added := make(map[addition]bool)
	var uniform []int // rules to which something was added, of peers that no index finds
	allows := func(a addition, f flow.Flow) bool {
		ref := ciliumPortRef{port: &cilium.Port{Port: strconv.Itoa(int(a.port)), EndPort: int32(a.end), Protocol: a.protocol.String()}}
		if a.protocol.IsICMP() {
			field := ciliumOpening{port: a.port, protocol: a.protocol}.icmpField()
			ref = ciliumPortRef{icmp: &field}
		}
		return slices.ContainsFunc(rules[a.rule].peers(), func(peer ciliumPeerRef) bool { return c.views[own].matchRefs(peer, ref, f).allows() })
	}
	isAllowed := func(f flow.Flow) bool { // by now: a port may do for two flows
		candidates := slices.Clone(uniform)
		for _, at := range c.allowed.index.fitting(c.spec(f)) {
			if at.view == own {
				candidates = append(candidates, at.rule)
			}
		}
		o := e.scope.openingOf(e.direction, f)
		for _, i := range candidates {
			a := addition{i, o.port, o.end, o.protocol}
			if added[a] && allows(a, f) {
				return true
			}
			for _, a.port = range acceptedPorts(f) {
				if added[a] && allows(a, f) {
					return true
				}
			}
		}
		return false
	}
	for n, f := range flows {
		if isAllowed(f) {
			continue
		}
		o := e.normalOpening(e.scope.openingOf(e.direction, f))
		same := of[sharing{o.peer, o.isICMP()}]
		if len(same) != 1 {
			continue
		}
		for _, each := range e.scope.openingsOf(e.direction, f) {
			rules[same[0]].open(each)
			added[addition{same[0], each.port, each.end, each.protocol}] = true
		}
		e.addMetadata(f)
		if o.peer.rank == rankResolver { // which may let Cilium read look-ups, and be for any of its ports
			setCiliumRules(e.policy, e.direction, rules)
			e.addPorts(e.missing(e.subject, e.direction, flows[n+1:]))
			return
		}
		added[addition{same[0], o.port, o.end, o.protocol}] = true
		if o.peer.rank == rankAPIServer || o.peer.rank == rankHost || o.peer.rank == rankNodes || o.peer.rank == rankAnyone {
			uniform = append(uniform, same[0])
		}
	}
	if len(added) > 0 {
		setCiliumRules(e.policy, e.direction, rules)
	}
}

// addRules adds a rule for each peer of the flows, as Generate writes it, unless the policy has that.
func (e ciliumEdit) addRules(flows []flow.Flow) {
	if len(flows) == 0 {
		return
	}
	c := e.compile()
	var missing []flow.Flow
	list := ciliumRulesOf(e.policy, e.direction)
	for _, f := range flows {
		e.addMetadata(f)
		if !c.onlyUnseen(f) {
			missing = append(missing, f)
		}
	}
	list = slices.DeleteFunc(list, func(r ciliumRule) bool { return len(missing) > 0 && r.isEmpty() })
	added := ciliumRules(e.scope.openings(e.subject, e.direction, missing))
	setCiliumRules(e.policy, e.direction, insertAll(list, added, e.orderOfRule, ciliumOpening.compare))
}

// orderOfRule is openingOfRule without what does not count for the order of rules.
func (e ciliumEdit) orderOfRule(r ciliumRule) (ciliumOpening, bool) {
	o, ok := e.openingOfRule(r)
	return ciliumOpening{peer: o.peer, protocol: icmpOrNot(o.isICMP())}, ok
}

// icmpOrNot returns a protocol for rules of ICMP types, and one for all others, by which they are ordered.
func icmpOrNot(icmp bool) flow.Protocol {
	if icmp {
		return flow.ICMP
	}
	return flow.TCP
}

// addLookups lets Cilium read the look-ups of the flows' names, where a rule for them is there.
func (e ciliumEdit) addLookups(flows []flow.Flow) {
	if len(flows) == 0 {
		return
	}
	c := e.compile()
	rules := ciliumRulesOf(e.policy, e.direction)
	var list *[]cilium.FQDN // the first that says which look-ups are read
	for i := range rules {
		for j := range rules[i].ports {
			if ports := &rules[i].ports[j]; list == nil && ports.HasDNS() && len(rules[i].names) == 0 {
				list = &ports.Rules.DNS
			}
		}
	}
	added := newFQDNIndex(nil)
	for _, f := range flows {
		if added.matches(f.Destination.Name) || !c.onlyUnseen(f) {
			continue
		}
		if list == nil {
			e.addResolver(rules)
			return // every look-up is read
		}
		name := e.scope.fqdn(f.Destination.Name)
		*list = append(*list, name)
		added.add(name)
	}
	setCiliumRules(e.policy, e.direction, rules)
}

// addResolver adds the rule for the resolver, which lets Cilium read every look-up.
func (e ciliumEdit) addResolver(rules []ciliumRule) {
	places := e.scope.Resolvers
	if len(places) == 0 {
		places = []Resolver{clustersResolver}
	}
	for _, place := range places {
		resolver := place.ciliumPeer()
		rule := resolver.rule()
		for _, port := range place.ports() {
			rule.readLookups(port)
		}
		rules = insertBefore(rules, rule, func(other ciliumRule) bool {
			k, ok := e.openingOfRule(other)
			return ok && k.peer.compare(resolver) > 0
		})
	}
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
	if entities := slices.Sorted(slices.Values(r.entities)); len(r.peers()) == 2 && slices.Equal(entities, []string{cilium.Host, cilium.RemoteNode}) {
		o.peer = ciliumPeer{rank: rankNodes}
		return o, true
	}
	if len(r.peers()) != 1 {
		return o, false
	}
	for _, place := range e.scope.Resolvers {
		if samePeers(place.ciliumPeer().rule(), r) {
			o.peer = place.ciliumPeer()
			return o, true
		}
	}
	switch peer := r.peers()[0]; {
	case peer.endpoint != nil && len(peer.endpoint.MatchExpressions) > 0:
		isOfAny := equality.Semantic.DeepEqual(peer.endpoint.MatchExpressions, []metav1.LabelSelectorRequirement{ofAnyNamespace})
		set := labels.Set(plainSelector(peer.endpoint).MatchLabels)
		_, hasNamespace := set[cilium.NamespaceLabel]
		o.peer = ciliumPeer{rank: rankPods, namespace: anyNamespace, labels: set.String()}
		return o, isOfAny && !hasNamespace
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
