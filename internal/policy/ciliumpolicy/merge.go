package ciliumpolicy

import (
	"net/netip"
	"slices"
	"strconv"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/netzero-dev/netzero/internal/cilium"
	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// Merge implements [policy.Dialect]. Rules, peers, ports, patterns of names and policies of other names stay as edited,
// as long as flows need them. If a name is allowed but its lookup is not read, Merge adds the name to the first list
// of lookups. If there is no such list, it adds the resolver's rule.
func (c Dialect) Merge(committed Policies, flows []flow.Flow) Policies {
	m := newMerging(c, committed, flows)
	m.narrow()
	m.addAll()
	m.narrow() // policies that isolate only now
	m.addKafka(true)
	for _, subject := range m.scope.Subjects {
		m.drop(subject.Workload)
	}
	return m.joined()
}

// Extend implements [policy.Dialect].
func (c Dialect) Extend(committed Policies, flows []flow.Flow) Policies {
	m := newMerging(c, committed, flows)
	m.addAll()
	return m.joined()
}

// merging is the state of one call of [Dialect.Merge] or [Dialect.Extend].
type merging struct {
	policies Policies                                        // one for each spec: see partsOf
	of       map[*cilium.NetworkPolicy]*cilium.NetworkPolicy // the policy of each part
	scope    Dialect                                         // normalized
	flows    policy.SubjectFlows                             // with the flows that they imply, sorted
}

func newMerging(c Dialect, committed Policies, flows []flow.Flow) *merging {
	m := &merging{
		scope: Dialect{c.Scope.Normalized().Indexed()},
		of:    make(map[*cilium.NetworkPolicy]*cilium.NetworkPolicy),
	}
	required := m.scope.evaluated(flows)
	slices.SortStableFunc(required, flow.Flow.Compare)
	m.flows = m.scope.BySubject(required)
	for _, p := range committed {
		for _, part := range cilium.Parts(p) {
			part = part.DeepCopy()
			m.policies, m.of[part] = append(m.policies, part), p
		}
	}
	for _, subject := range m.scope.Subjects {
		for _, p := range m.ownParts(subject.Workload) {
			m.scope.foldNames(p)
			m.scope.foldPaths(p)
			m.scope.FoldOthers(p)
		}
	}
	return m
}

// isolating returns the policy with the subject's name. It adds that policy if it is missing, and makes it isolate the
// subject.
func (m *merging) isolating(subject policy.Workload, d policy.Direction) *cilium.NetworkPolicy {
	p := m.ownPart(subject, d)
	if isIsolating(p, subject, d) {
		return p
	}
	if p == nil {
		p = m.addPart(subject)
	}
	if doesNotSelect(p, subject) != "" {
		p.Spec.EndpointSelector = sourced(subject.AsSubject().SelectorLabels())
	}
	if len(RulesOf(p, d)) == 0 {
		SetRules(p, d, []Rule{{}})
	}
	if !DeniesByDefault(p, d) {
		denyByDefault(p, d)
	}
	return p
}

// isIsolating reports whether a policy isolates the subject, and has rules that allow something or are empty.
func isIsolating(p *cilium.NetworkPolicy, subject policy.Workload, d policy.Direction) bool {
	return p != nil && doesNotIsolate(p, subject, d) == "" && len(RulesOf(p, d)) > 0
}

// addAll makes the policies allow every flow at both ends, and list the programs that opened it.
func (m *merging) addAll() {
	for _, namespace := range policy.NotDenied(m.scope.Scope, m.policies, deniesAll) {
		m.policies = append(m.policies, denyAll(namespace))
	}
	policy.AddUntilDone(m.scope.Subjects, m.add)
	m.addLookups()
	policy.AddOthers(m.scope.otherFlows(), m.flows,
		func(w policy.Workload, d policy.Direction) func(flow.Flow) policy.Verdict {
			return m.scope.compile(m.policies, w, d).verdict
		},
		func(w policy.Workload) *cilium.NetworkPolicy { return m.isolating(w, policy.Egress) })
	m.addKafka(false)
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

// addLookups adds entries for the lookups that nothing allows.
func (m *merging) addLookups() {
	for _, subject := range m.scope.Subjects {
		lookups := policy.LookupsOf(m.flows.Of(subject.Workload, policy.Egress))
		if len(lookups) == 0 {
			continue
		}
		var missing []string
		s := m.scope.compile(m.policies, subject.Workload, policy.Egress)
		for _, f := range lookups {
			if s.isMissing(f) {
				missing = append(missing, m.scope.LookupEntry(subject.Workload, f))
			}
		}
		if len(missing) > 0 {
			policy.AddEntries(m.isolating(subject.Workload, policy.Egress), policy.NamesAnnotation, missing)
		}
	}
}

func (m *merging) add(subject policy.Subject, d policy.Direction) bool {
	w := subject.Workload
	flows := m.scope.needed(d, m.flows.Of(w, d))
	isolated, _ := isolates(policy.WithoutDenyAll(m.scope.Scope, m.policies), w, d)
	if !isolated && d == policy.Ingress && !m.scope.IsolatesIngress(subject, m.scope.serves(flows)) {
		return false
	}
	c := m.scope.compile(m.policies, w, d)
	missing := c.missing(flows)
	if isolated && len(missing) == 0 {
		return false
	}
	changes := !isIsolating(m.ownPart(w, d), w, d)
	e := edit{m, m.isolating(w, d), w, d}
	if changes {
		c = e.compile()
		missing = c.missing(flows)
	}
	if e.addPorts(c, missing) {
		c = e.compile()
		missing = c.missing(missing) // more ports only allow more
	}
	if len(missing) == 0 {
		return true
	}
	e.addRules(c, missing)
	c = e.compile()
	e.addLookups(c, c.missing(flows)) // of all flows: with names, rules for single addresses allow less
	return true
}

// edit is an update of one subject's policy in one direction.
type edit struct {
	*merging
	policy    *cilium.NetworkPolicy
	subject   policy.Workload
	direction policy.Direction
}

// compile indexes the current policies for many flows.
func (e edit) compile() *compiled {
	return e.scope.compile(e.policies, e.subject, e.direction)
}

// addPorts adds the port, or the ICMP type, of each flow to the rule for its peer, if there is exactly one. c has the
// current policies. It reports whether it added any.
func (e edit) addPorts(c *compiled, flows []flow.Flow) bool {
	if len(flows) == 0 {
		return false
	}
	own := slices.IndexFunc(c.applicable, func(v applicable) bool { return v.NetworkPolicy == e.policy })
	rules := c.applicable[own].rules
	type sharing struct {
		peer peerKey
		icmp bool
	}
	of := make(map[sharing][]int)
	for i, rule := range rules {
		if other, ok := e.permissionOfRule(rule); ok && len(rule.AllowedPorts()) > 0 {
			at := sharing{e.normalPermission(other).peer, other.isICMP()}
			of[at] = append(of[at], i)
		}
	}
	type addition struct {
		rule     int
		port     uint16 // or the ICMP type
		end      uint16
		protocol flow.Protocol
		request  request // zero for any
	}
	added := make(map[addition]bool)
	var uniform []int // changed rules for peers that the index does not find
	allows := func(a addition, f flow.Flow) bool {
		ref := portRef{
			port: &cilium.Port{Port: strconv.Itoa(int(a.port)), EndPort: int32(a.end), Protocol: a.protocol.String()},
		}
		if a.protocol.IsICMP() {
			field := permission{port: a.port, protocol: a.protocol}.icmpField()
			ref = portRef{icmp: &field}
		}
		return slices.ContainsFunc(rules[a.rule].peers(), func(peer peerRef) bool {
			return c.applicable[own].matchRefs(peer, ref, f).Allows()
		})
	}
	isAllowed := func(f flow.Flow) bool { // by the ports added so far: one port may allow two flows
		if len(added) == 0 {
			return false
		}
		candidates := slices.Clone(uniform)
		for at := range c.allowed.index.Matching(c.spec(f)) {
			if at.Policy == own {
				candidates = append(candidates, at.Rule)
			}
		}
		if len(candidates) == 0 {
			return false
		}
		o := e.scope.permissionOf(e.direction, f)
		requests := append(e.scope.requestsOf(f), request{every: true})
		for _, i := range candidates {
			for _, port := range append([]uint16{o.port}, policy.AcceptedPorts(f)...) {
				for _, r := range requests {
					if a := (addition{i, port, o.end, o.protocol, r}); added[a] && allows(a, f) {
						return true
					}
				}
			}
		}
		return false
	}
	if e.scope.Requests {
		var byRank [3][]flow.Flow
		for _, f := range flows {
			rank := e.scope.requestRank(f)
			byRank[rank] = append(byRank[rank], f)
		}
		flows = slices.Concat(byRank[:]...)
	}
	requests := make(map[int][]permission) // by rule: added at once, because there may be thousands
	addRequests := func(rule int) {
		rules[rule].allowAll(requests[rule])
		delete(requests, rule)
	}
	addAllRequests := func() {
		for rule := range requests {
			addRequests(rule)
		}
	}
	for n, f := range flows {
		if isAllowed(f) {
			continue
		}
		o := e.normalPermission(e.scope.permissionOf(e.direction, f))
		same := of[sharing{o.peer, o.isICMP()}]
		if len(same) != 1 {
			continue
		}
		for _, each := range e.scope.permissionsOf(e.direction, f) {
			// Rules for entities match by the ports of each other, so these get them at once.
			if each.isForRequest() && len(rules[same[0]].Entities) == 0 {
				requests[same[0]] = append(requests[same[0]], each)
			} else {
				addRequests(same[0])
				rules[same[0]].allow(each)
			}
			added[addition{same[0], each.port, each.end, each.protocol, each.request}] = true
			added[addition{same[0], each.port, each.end, each.protocol, request{}}] = true
		}
		e.addMetadata(f)
		if o.peer.rank == rankResolver { // it may let Cilium read lookups, and match any port of the resolver
			addAllRequests()
			SetRules(e.policy, e.direction, rules)
			c = e.compile()
			e.addPorts(c, c.missing(flows[n+1:]))
			return true
		}
		added[addition{same[0], o.port, o.end, o.protocol, request{}}] = true
		if o.peer.rank == rankAPIServer || o.peer.rank == rankHost || o.peer.rank == rankNodes || o.peer.rank == rankAnyone {
			uniform = append(uniform, same[0])
		}
	}
	if len(added) > 0 {
		addAllRequests()
		SetRules(e.policy, e.direction, rules)
	}
	return len(added) > 0
}

// addRules adds a rule for each peer of the flows, as Generate writes it, unless the policy has it. c has the current
// policies.
func (e edit) addRules(c *compiled, flows []flow.Flow) {
	list := RulesOf(e.policy, e.direction)
	missing := policy.Filter(flows, func(f flow.Flow) bool {
		e.addMetadata(f)
		return !c.onlyUnseen(f)
	})
	list = slices.DeleteFunc(list, func(r Rule) bool { return len(missing) > 0 && r.isEmpty() })
	needed := e.scope.permissions(e.subject, e.direction, missing)
	list = e.widen(list, needed)
	added := rulesFor(needed)
	SetRules(e.policy, e.direction, policy.InsertAll(list, added, e.orderOfRule, permission.compare))
}

// orderOfRule is permissionOfRule without the fields that do not affect the order of rules.
func (e edit) orderOfRule(r Rule) (permission, bool) {
	o, ok := e.permissionOfRule(r)
	return permission{peer: o.peer, protocol: icmpOrNot(o.isICMP())}, ok
}

// icmpOrNot returns one protocol for rules with ICMP types and one for all others. Rules are ordered by it.
func icmpOrNot(icmp bool) flow.Protocol {
	if icmp {
		return flow.ICMP
	}
	return flow.TCP
}

// addLookups lets Cilium read the lookups of names that a rule already allows. c has the current policies.
func (e edit) addLookups(c *compiled, flows []flow.Flow) {
	if len(flows) == 0 {
		return
	}
	rules := RulesOf(e.policy, e.direction)
	var list *[]cilium.FQDN // the first list of lookups
	for i := range rules {
		for j := range rules[i].Ports {
			if ports := &rules[i].Ports[j]; list == nil && ports.HasDNS() && len(rules[i].Names) == 0 {
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
			return // the resolver's rule reads every lookup
		}
		name := e.scope.fqdn(f.Destination.Name)
		*list = append(*list, name)
		added.add(name)
	}
	SetRules(e.policy, e.direction, rules)
}

// addResolver adds the resolver's rule, which lets Cilium read every lookup.
func (e edit) addResolver(rules []Rule) {
	places := e.scope.Resolvers
	if len(places) == 0 {
		places = []policy.Resolver{policy.DefaultResolver}
	}
	for _, place := range places {
		resolver := peerOf(place)
		rule := resolver.rule()
		for _, port := range place.PortsOrDefault() {
			rule.readLookups(port)
		}
		rules = policy.InsertBefore(rules, rule, func(other Rule) bool {
			k, ok := e.permissionOfRule(other)
			return ok && k.peer.compare(resolver) > 0
		})
	}
	SetRules(e.policy, e.direction, rules)
}

func (e edit) addMetadata(f flow.Flow) {
	if entry := e.scope.metadataEntry(f); entry != "" && e.direction == policy.Egress {
		policy.AddEntry(e.policy, policy.MetadataAnnotation, entry)
	}
}

// normalPermission returns a permission without its namespace if that is the subject's own.
func (e edit) normalPermission(o permission) permission {
	if o.peer.namespace == e.subject.Namespace {
		o.peer.namespace = ""
	}
	return o
}

// permissionOfRule returns the peer of a rule, and a protocol that says whether the rule is for ICMP. It returns false
// if Generate writes no such rule.
func (e edit) permissionOfRule(r Rule) (permission, bool) {
	o := permission{protocol: icmpOrNot(len(r.Icmps) > 0)}
	entities := slices.Sorted(slices.Values(r.Entities))
	if len(r.peers()) == 2 && slices.Equal(entities, []string{cilium.Host, cilium.RemoteNode}) {
		o.peer = peerKey{rank: rankNodes}
		return o, true
	}
	if len(r.peers()) != 1 {
		return o, false
	}
	for _, place := range e.scope.Resolvers {
		if samePeers(peerOf(place).rule(), r) {
			o.peer = peerOf(place)
			return o, true
		}
	}
	switch peer := r.peers()[0]; {
	case peer.endpoint != nil && len(peer.endpoint.MatchExpressions) > 0:
		isOfAny := equality.Semantic.DeepEqual(
			peer.endpoint.MatchExpressions, []metav1.LabelSelectorRequirement{ofAnyNamespace},
		)
		set := labels.Set(plainSelector(peer.endpoint).MatchLabels)
		_, hasNamespace := set[cilium.NamespaceLabel]
		o.peer = peerKey{rank: rankPods, namespace: policy.AnyNamespace, labels: set.String()}
		return o, isOfAny && !hasNamespace
	case peer.endpoint != nil:
		set := labels.Set(plainSelector(peer.endpoint).MatchLabels)
		of := peerKey{rank: rankPods, namespace: set[cilium.NamespaceLabel]}
		delete(set, cilium.NamespaceLabel)
		of.labels = set.String()
		if equality.Semantic.DeepEqual(set, policy.ResolverLabels) && of.namespace == flow.ClusterResolver.Namespace {
			of = peerKey{rank: rankResolver}
		}
		o.peer = of
	case peer.name != nil:
		o.peer = peerKey{rank: rankName, host: peer.name.String()}
		return o, e.scope.writes(*peer.name)
	case peer.cidr != nil:
		prefix, err := netip.ParsePrefix(peer.cidr.CIDR)
		o.peer = peerKey{rank: rankAddress, addr: prefix.Addr()}
		return o, err == nil && prefix.IsSingleIP() && len(peer.cidr.Except) == 0
	case peer.entity == cilium.APIServer && e.direction == policy.Egress:
		o.peer = peerKey{rank: rankAPIServer}
	case peer.entity == cilium.Host:
		o.peer = peerKey{rank: rankHost}
	case peer.entity == cilium.All && e.direction == policy.Ingress:
		o.peer = peerKey{rank: rankAnyone}
	default:
		return o, false
	}
	return o, true
}
