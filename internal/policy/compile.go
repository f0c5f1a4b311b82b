package policy

import (
	"iter"
	"net/netip"
	"slices"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// Evaluator returns a function that tells what [Scope.Evaluate] does, for policies that do not change meanwhile. For many flows it
// takes a time that grows with their number and the policies' size, not with both at once.
func (s Scope) Evaluator(policies []*networkingv1.NetworkPolicy) func(flow.Flow) Verdict {
	s = s.normal().indexed()
	return evaluator(s, s.byAddress, s.wordless, func(subject Workload, d direction) func(flow.Flow) Verdict {
		return s.compile(policies, subject, d).verdict
	})
}

// evaluator evaluates flows by what compile makes of the policies for a subject and a direction, once for each. byAddress and
// wordless are those of the dialect.
func evaluator(
	s Scope, byAddress func(flow.Flow) flow.Flow, wordless func(flow.Flow) string, compile func(Workload, direction) func(flow.Flow) Verdict,
) func(flow.Flow) Verdict {
	type end struct {
		name, namespace string
		direction       direction
	}
	compiled := make(map[end]func(flow.Flow) Verdict)
	return func(f flow.Flow) Verdict {
		judged := byAddress(f)
		v := s.evaluateAt(judged, func(g flow.Flow) Verdict {
			return s.ends(g, wordless, func(subject Workload, d direction) Verdict {
				at := end{subject.Name, subject.Namespace, d}
				verdict := compiled[at]
				if verdict == nil {
					verdict = compile(subject, d)
					compiled[at] = verdict
				}
				return verdict(g)
			})
		})
		return explainAddress(v, f, judged)
	}
}

// side is the policies that isolate a subject in a direction, made ready for many flows.
type side struct {
	scope     Scope
	subject   Workload
	direction direction
	views     []view
	why       string                        // where there is none, why not
	listing   []*networkingv1.NetworkPolicy // the policies whose lists count
	index     *ruleIndex
}

func (s Scope) compile(policies []*networkingv1.NetworkPolicy, subject Workload, d direction) *side {
	c := &side{scope: s, subject: subject, direction: d, views: s.views(policies, subject, d)}
	c.listing = policiesOf(c.views)
	if d == ingress {
		c.listing = slices.DeleteFunc(slices.Clone(policies), func(p *networkingv1.NetworkPolicy) bool { return overlooks(p, subject) != "" })
	}
	if len(c.views) == 0 {
		_, c.why = isolates(policies, subject, d)
		return c
	}
	c.build()
	return c
}

// compile makes one policy ready for many flows.
func (v view) compile() *side {
	c := &side{scope: v.scope, direction: v.direction, views: []view{v}}
	c.build()
	return c
}

func (c *side) build() {
	c.index = newRuleIndex()
	var all []indexedRule
	for i := range c.views {
		v := &c.views[i]
		v.listed = listedNames(v.NetworkPolicy)
		for j, r := range v.rules {
			all = append(all, indexedRule{ruleAt{i, j}, specsOfPeers(r.peers), specsOfPorts(r.ports)})
		}
	}
	// Where an annotation says for whom rules without peers are, each fits in a way of its own.
	isReserved := slices.ContainsFunc(c.views, func(v view) bool { return len(v.reserved) > 0 })
	c.index.addAll(all, peerSpec{class: "everywhere", other: isReserved})
}

func specsOfPeers(peers []networkingv1.NetworkPolicyPeer) []peerSpec {
	specs := make([]peerSpec, len(peers))
	for i, peer := range peers {
		switch {
		case peer.IPBlock != nil:
			prefix, err := netip.ParsePrefix(peer.IPBlock.CIDR)
			specs[i] = peerSpec{class: "addresses", prefix: prefix, other: err != nil}
		case peer.PodSelector != nil && len(peer.PodSelector.MatchLabels) > 0:
			specs[i] = peerSpec{class: "pods", labels: peer.PodSelector.MatchLabels}
		default:
			specs[i] = peerSpec{other: true}
		}
	}
	return specs
}

func specsOfPorts(ports []networkingv1.NetworkPolicyPort) []portSpec {
	specs := make([]portSpec, len(ports))
	for i, port := range ports {
		specs[i].protocol = portProtocol(&port).String()
		switch {
		case port.Port == nil:
		case port.Port.Type == intstr.String:
			specs[i].name = "=" + port.Port.StrVal
		default:
			specs[i].first, specs[i].last = int(port.Port.IntVal), int(port.Port.IntVal)
			if port.EndPort != nil {
				specs[i].last = int(*port.EndPort)
			}
			if specs[i].first <= 0 {
				specs[i].name = "number" // never all of them
			}
		}
	}
	return specs
}

func (c *side) spec(f flow.Flow) flowSpec {
	far := c.direction.far(f)
	spec := flowSpec{numbers: []int{int(f.Port)}}
	switch far.Kind {
	case flow.Workload:
		w, _ := c.scope.workload(far)
		spec.labels = w.at(c.direction).labels()
	case flow.Anyone:
	default:
		spec.addr = address(far)
		spec.noAddr = !spec.addr.IsValid()
	}
	if f.Lookup {
		spec.anyPort, spec.noAddr, spec.numbers = true, true, nil
		for _, v := range c.views {
			for _, n := range v.portsOf(f) {
				spec.numbers = append(spec.numbers, int(n.port))
			}
		}
	}
	return spec
}

// pair returns a pair of the rules.
func (c *side) pair(at pairAt) (v view, peer *networkingv1.NetworkPolicyPeer, port *networkingv1.NetworkPolicyPort) {
	v = c.views[at.view]
	rule := v.rules[at.rule]
	if at.peer >= 0 {
		peer = &rule.peers[at.peer]
	}
	if at.port >= 0 {
		port = &rule.ports[at.port]
	}
	return v, peer, port
}

// isOther reports whether lists decide about a flow, and no rules do.
func (c *side) isOther(f flow.Flow) bool {
	return (c.direction == ingress || len(c.views) > 0) && !f.Lookup && c.scope.wordless(f) != ""
}

// verdict is [Scope.side] for one flow.
func (c *side) verdict(f flow.Flow) Verdict {
	if c.isOther(f) {
		first := ""
		if c.direction == egress {
			first = c.views[0].Name
		}
		return judgeOther(c.scope.otherWords(), c.listing, first, c.subject, c.direction, f)
	}
	if len(c.views) == 0 {
		return Verdict{Outcome: Unprotected, Rule: -1, Reason: c.why}
	}
	if needsEveryRule(c.direction, f) {
		return c.scope.overViews(c.views, c.subject, c.direction, f) // a rule may stand for it by its port alone
	}
	nearest := candidate{view: c.views[0], rule: -1}
	for _, at := range c.index.nearest(c.spec(f)) {
		v, peer, port := c.pair(at)
		x := candidate{v, at.rule, peer, v.match(peer, port, f)}
		if x.fit.allows() {
			return Verdict{Allowed, v.Name, at.rule, x.allowedReason(), x.notices()}
		}
		if nearest.rule < 0 || x.fit.compare(nearest.fit) > 0 {
			nearest = x
		}
	}
	return c.scope.notAllowed(c.views, nearest, c.subject, c.direction, f)
}

// isMissing reports whether a rule could allow a flow, or an entry for look-ups, and none does: of the verdict that is all
// that merging asks for.
func (c *side) isMissing(f flow.Flow) bool {
	switch {
	case !f.Lookup && c.scope.wordless(f) != "":
		return false // for which there is a list
	case len(c.views) == 0, f.Lookup, needsEveryRule(c.direction, f):
		return c.verdict(f).Outcome == Denied
	}
	for _, at := range c.index.nearest(c.spec(f)) {
		if v, peer, port := c.pair(at); v.match(peer, port, f).allows() {
			return false
		}
	}
	return c.scope.inexpressible(c.direction, f) == ""
}

// nameIndex is entries of [NamesAnnotation] that are found by a host.
type nameIndex struct {
	all      []allowedName
	byHost   map[string][]int // the index of those for one host
	patterns []int            // the index of the others
}

func newNameIndex(names []allowedName) *nameIndex {
	x := &nameIndex{byHost: make(map[string][]int)}
	for _, n := range names {
		x.add(n)
	}
	return x
}

func (x *nameIndex) add(n allowedName) {
	if strings.Contains(n.host, "*") {
		x.patterns = append(x.patterns, len(x.all))
	} else {
		x.byHost[n.host] = append(x.byHost[n.host], len(x.all))
	}
	x.all = append(x.all, n)
}

// forHosts yields the index of each entry that may be for one of some hosts, those for one host first.
func (x *nameIndex) forHosts(hosts []string) iter.Seq[int] {
	return func(yield func(int) bool) {
		for _, host := range hosts {
			for _, i := range x.byHost[host] {
				if !yield(i) {
					return
				}
			}
		}
		for _, i := range x.patterns {
			if !yield(i) {
				return
			}
		}
	}
}

// each calls do with the entries that may be for a host, until it returns false.
func (x *nameIndex) each(host string, do func(allowedName) bool) {
	for i := range x.forHosts([]string{host}) {
		if !do(x.all[i]) {
			return
		}
	}
}

// allows reports whether an entry is for a flow.
func (x *nameIndex) allows(f flow.Flow) (allows bool) {
	x.each(f.Destination.Name, func(n allowedName) bool {
		allows = n.matches(f)
		return !allows
	})
	return allows
}

// lookup returns the first entry that allows a look-up, of which lookupHosts gave the hosts.
func (x *nameIndex) lookup(f flow.Flow, hosts []string) (allowedName, bool) {
	first := -1
	for i := range x.forHosts(hosts) {
		if (first < 0 || i < first) && x.all[i].matchesLookup(f, hosts) {
			first = i
		}
	}
	if first < 0 {
		return allowedName{}, false
	}
	return x.all[first], true
}

// hostIndex finds the external flows that an entry may be for.
type hostIndex struct {
	all    []flow.Flow
	byHost map[string][]flow.Flow
}

func newHostIndex(flows []flow.Flow) hostIndex {
	x := hostIndex{all: flows, byHost: make(map[string][]flow.Flow)}
	for _, f := range flows {
		if f.Destination.Kind == flow.External {
			host := hostOf(f.Destination.Name) // as entries have it
			x.byHost[host] = append(x.byHost[host], f)
		}
	}
	return x
}

// needs reports whether any of the flows needs an entry.
func (x hostIndex) needs(n allowedName) bool {
	flows := x.all
	if !strings.Contains(n.host, "*") {
		flows = x.byHost[n.host]
	}
	for _, f := range flows {
		if n.matches(f) {
			return true
		}
	}
	return false
}

// workloadIndex finds subjects and peers by name.
type workloadIndex struct {
	subjects, peers             map[[2]string]int // by name and namespace
	subjectsByName, peersByName map[string]int
}

// indexed returns the scope with an index of its workloads, which must not change from then on.
func (s Scope) indexed() Scope {
	x := &workloadIndex{
		subjects: make(map[[2]string]int), peers: make(map[[2]string]int),
		subjectsByName: make(map[string]int), peersByName: make(map[string]int),
	}
	for i := len(s.Subjects) - 1; i >= 0; i-- { // the first one counts
		w := s.Subjects[i].Workload
		x.subjects[[2]string{w.Name, w.Namespace}], x.subjectsByName[w.Name] = i, i
	}
	for i := len(s.Peers) - 1; i >= 0; i-- {
		w := s.Peers[i]
		x.peers[[2]string{w.Name, w.Namespace}], x.peersByName[w.Name] = i, i
	}
	s.index = x
	return s
}

// find is [Scope.workload].
func (x *workloadIndex) find(s Scope, e flow.Endpoint) (w Workload, subject bool) {
	at := [2]string{e.Name, e.Namespace}
	if i, known := x.subjects[at]; known {
		return s.Subjects[i].Workload, true
	}
	if i, known := x.peers[at]; known {
		return s.Peers[i], false
	}
	if e.Namespace == "" {
		if i, known := x.subjectsByName[e.Name]; known {
			return s.Subjects[i].Workload, true
		}
		if i, known := x.peersByName[e.Name]; known {
			return s.Peers[i], false
		}
	}
	return Workload{Name: e.Name, Namespace: e.Namespace}, false
}
