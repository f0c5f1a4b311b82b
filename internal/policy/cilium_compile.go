package policy

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/netzero-dev/netzero/internal/cilium"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// Evaluator is [Scope.Evaluator].
func (c Cilium) Evaluator(policies ciliumPolicies) func(flow.Flow) Verdict {
	c = Cilium{c.Scope.normal().indexed()}
	policies = partsOf(policies)
	return evaluator(c.Scope, c.byAddress, c.wordless, func(subject Workload, d direction) func(flow.Flow) Verdict {
		return c.compile(policies, subject, d).verdict
	})
}

// ciliumSide is the policies that select a subject, made ready for many flows of one direction.
type ciliumSide struct {
	scope     Cilium
	subject   Workload
	direction direction
	views     []ciliumView
	isolating int // the first of views that isolates the subject; -1: none does, and why
	why       string
	allowed   ciliumIndex
	denied    ciliumIndex
}

// ciliumIndex is the rules of some views with an index.
type ciliumIndex struct {
	rules [][]refs // by view
	index *ruleIndex
}

// refs is the peers and ports of a rule.
type refs struct {
	peers []ciliumPeerRef
	ports []ciliumPortRef
}

func (c Cilium) compile(policies ciliumPolicies, subject Workload, d direction) *ciliumSide {
	s := &ciliumSide{scope: c, subject: subject, direction: d, views: c.views(policies, subject, d)}
	if s.isolating = slices.IndexFunc(s.views, ciliumView.isolates); s.isolating < 0 {
		_, s.why = ciliumIsolates(policies, subject, d)
	}
	s.build()
	return s
}

func (s *ciliumSide) build() {
	if len(s.views) > 0 { // all have the same
		lookups := newFQDNIndex(s.views[0].lookups)
		for i := range s.views {
			s.views[i].read = lookups
		}
	}
	s.allowed = newCiliumRules(s.views, func(v ciliumView) []ciliumRule { return v.rules })
	s.denied = newCiliumRules(s.views, func(v ciliumView) []ciliumRule { return v.denials })
}

func newCiliumRules(views []ciliumView, of func(ciliumView) []ciliumRule) ciliumIndex {
	x := ciliumIndex{index: newRuleIndex()}
	var all []indexedRule
	for i, v := range views {
		var each []refs
		for j, r := range of(v) {
			ref := refs{r.peers(), r.openTo()}
			each = append(each, ref)
			if !r.isEmpty() { // which has no pairs
				all = append(all, indexedRule{ruleAt{i, j}, specsOfCiliumPeers(ref.peers), specsOfCiliumPorts(ref.ports)})
			}
		}
		x.rules = append(x.rules, each)
	}
	x.index.addAll(all, peerSpec{class: "everywhere"})
	return x
}

func specsOfCiliumPeers(peers []ciliumPeerRef) []peerSpec {
	specs := make([]peerSpec, len(peers))
	for i, peer := range peers {
		switch {
		case peer.endpoint != nil:
			set := podLabels(peer.endpoint)
			specs[i] = peerSpec{class: "pods", labels: set, other: len(set) == 0}
		case peer.name != nil && peer.name.MatchName != "":
			specs[i] = peerSpec{class: "names", host: strings.TrimSuffix(strings.ToLower(peer.name.MatchName), ".")}
			specs[i].other = specs[i].host == ""
		case peer.cidr != nil:
			prefix, err := netip.ParsePrefix(peer.cidr.CIDR)
			specs[i] = peerSpec{class: "addresses", prefix: prefix, other: err != nil}
		case peer.entity != "":
			specs[i] = peerSpec{class: "entity " + peer.entity}
		default:
			specs[i] = peerSpec{other: true}
		}
	}
	return specs
}

// podLabels returns the labels that a selector asks of pods, but for those of their namespace.
func podLabels(selector *metav1.LabelSelector) map[string]string {
	set := make(map[string]string)
	for key, value := range plainSelector(selector).MatchLabels {
		if !isNamespaceKey(key) {
			set[key] = value
		}
	}
	return set
}

func specsOfCiliumPorts(ports []ciliumPortRef) []portSpec {
	specs := make([]portSpec, len(ports))
	for i, ref := range ports {
		if ref.icmp != nil {
			specs[i] = portSpec{icmp: true, first: ref.icmp.Number(), name: ref.icmp.Family}
			continue
		}
		specs[i].protocol = ref.port.Protocol
		if n, isNumber := ref.port.Number(); isNumber {
			specs[i].first, specs[i].last = n, max(n, int(ref.port.EndPort))
		} else {
			specs[i].name = "=" + ref.port.Port
		}
	}
	return specs
}

func (s *ciliumSide) spec(f flow.Flow) flowSpec {
	far := s.direction.far(f)
	spec := flowSpec{numbers: []int{int(f.Port)}}
	if s.direction == egress && isAPIServer(f.Destination) {
		spec.numbers = nil
		for _, port := range acceptedPorts(f) {
			spec.numbers = append(spec.numbers, int(port))
		}
	}
	switch far.Kind {
	case flow.Workload:
		w, _ := s.scope.workload(far)
		spec.labels = w.at(s.direction).labels()
	case flow.Resolver:
		r := s.scope.resolverOf(far)
		spec.labels = r.Labels
		if r.Addresses.IsValid() {
			spec.addr = r.Addresses.Addr()
		}
	case flow.Anyone:
	default:
		spec.addr = address(far)
		spec.noAddr = !spec.addr.IsValid()
		if far.Kind == flow.External {
			spec.host = far.Name
		}
	}
	spec.anyPort = f.Lookup
	return spec
}

func (x ciliumIndex) pair(at pairAt) (peer ciliumPeerRef, port ciliumPortRef) {
	r := x.rules[at.view][at.rule]
	if at.peer >= 0 {
		peer = r.peers[at.peer]
	}
	if at.port >= 0 {
		port = r.ports[at.port]
	}
	return peer, port
}

// verdict is [Cilium.side] for one flow.
func (s *ciliumSide) verdict(f flow.Flow) Verdict {
	if v, why := s.denies(f); why != "" {
		return Verdict{Outcome: Denied, Policy: v.Name, Rule: -1, Reason: why}
	}
	if s.isolating < 0 && s.direction == ingress && !f.Lookup && s.scope.wordless(f) != "" {
		return judgeOther(s.scope.otherWords(), ciliumPoliciesOf(s.views), "", s.subject, s.direction, f)
	}
	if s.isolating < 0 {
		return Verdict{Outcome: Unprotected, Rule: -1, Reason: s.why}
	}
	if f.Destination.Kind == flow.Resolver {
		return s.scope.overViews(s.views, s.isolating, s.subject, s.direction, f) // a rule may stand for it by its port alone
	}
	nearest := ciliumCandidate{view: s.views[s.isolating], rule: -1}
	for _, at := range s.allowed.index.nearest(s.spec(f)) {
		v := s.views[at.view]
		peer, port := s.allowed.pair(at)
		x := ciliumCandidate{v, at.rule, at.peer, v.matchRefs(peer, port, f)}
		if x.fit.allows() {
			return Verdict{Allowed, v.Name, at.rule, x.allowedReason(), x.notices()}
		}
		if nearest.rule < 0 || x.fit.compare(nearest.fit) > 0 {
			nearest = x
		}
	}
	return s.scope.notAllowed(nearest, s.views, s.isolating, s.subject, s.direction, f)
}

// denies says which rule denies a flow, and of which policy, or returns "".
func (s *ciliumSide) denies(f flow.Flow) (ciliumView, string) {
	for _, at := range s.denied.index.nearest(s.spec(f)) {
		if f.Lookup && at.port >= 0 {
			continue // as in ciliumView.denies
		}
		v := s.views[at.view]
		v.named = false // as in ciliumView.denies
		peer, port := s.denied.pair(at)
		if fit := v.matchRefs(peer, port, f); fit.peer == peerFits && fit.port == portFits {
			return v, v.describeDenial(at.rule, peer, port)
		}
	}
	return ciliumView{}, ""
}

// isMissing reports whether a rule could allow a flow, or an entry for look-ups, and none does.
func (s *ciliumSide) isMissing(f flow.Flow) bool {
	if !f.Lookup && s.scope.wordless(f) != "" {
		return false // for which there is a list
	}
	if _, why := s.denies(f); why != "" {
		return false
	}
	if s.isolating < 0 || f.Lookup || f.Destination.Kind == flow.Resolver {
		return s.verdict(f).Outcome == Denied
	}
	for _, at := range s.allowed.index.nearest(s.spec(f)) {
		peer, port := s.allowed.pair(at)
		if s.views[at.view].matchRefs(peer, port, f).allows() {
			return false
		}
	}
	return s.scope.inexpressible(s.direction, f) == ""
}

// onlyUnseen reports whether a rule for a flow is there, and all that is missing is the look-up.
func (s *ciliumSide) onlyUnseen(f flow.Flow) bool {
	return slices.ContainsFunc(s.allowing(f), func(at pairAt) bool {
		peer, port := s.allowed.pair(at)
		fit := s.views[at.view].matchRefs(peer, port, f)
		return fit.peer == unseen && fit.port == portFits
	})
}

// allowing returns pairs, among which are all that allow a flow.
func (s *ciliumSide) allowing(f flow.Flow) []pairAt {
	if f.Destination.Kind != flow.Resolver {
		return s.allowed.index.allowing(s.spec(f))
	}
	var all []pairAt
	for i, v := range s.views {
		for j, r := range v.rules {
			for peer, port := range r.pairs() {
				all = append(all, pairAt{peerAt{ruleAt{i, j}, peer}, port})
			}
		}
	}
	return all
}

// fqdnIndex finds the names and patterns that a host may match.
type fqdnIndex struct {
	names    map[string]bool
	patterns []cilium.FQDN
}

func newFQDNIndex(list []cilium.FQDN) *fqdnIndex {
	x := &fqdnIndex{names: make(map[string]bool)}
	for _, n := range list {
		x.add(n)
	}
	return x
}

func (x *fqdnIndex) add(n cilium.FQDN) {
	if n.MatchName != "" {
		x.names[strings.TrimSuffix(strings.ToLower(n.MatchName), ".")] = true
	} else if !slices.Contains(x.patterns, n) {
		x.patterns = append(x.patterns, n)
	}
}

func (x *fqdnIndex) matches(host string) bool {
	return x.names[host] || slices.ContainsFunc(x.patterns, func(n cilium.FQDN) bool { return n.Matches(host) })
}

// describeDenial says which rule denies a flow.
func (v ciliumView) describeDenial(rule int, peer ciliumPeerRef, port ciliumPortRef) string {
	what := describeCiliumPeer(v.direction, peer)
	if port != (ciliumPortRef{}) {
		what += ", " + describeOpen(port)
	}
	return fmt.Sprintf("%sDeny rule %d (%s) denies it, whatever other rules allow", v.direction, rule, what)
}
