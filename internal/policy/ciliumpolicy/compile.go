package ciliumpolicy

import (
	"fmt"
	"iter"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"github.com/netzero-dev/netzero/internal/cilium"
	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/internal/policy/index"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// Evaluator implements [policy.Dialect].
func (c Dialect) Evaluator(policies Policies) func(flow.Flow) policy.Verdict {
	c = Dialect{c.Scope.Normalized().Indexed()}
	policies = partsOf(policies)
	return policy.NewEvaluator(c.Scope, c.byAddress, c.inexpressibleKind,
		func(subject policy.Workload, d policy.Direction) func(flow.Flow) policy.Verdict {
			return c.compile(policies, subject, d).verdict
		})
}

// compiled holds the policies that select a subject, indexed to evaluate many flows of one direction.
type compiled struct {
	scope      Dialect
	subject    policy.Workload
	direction  policy.Direction
	applicable []applicable
	isolating  int // the first that isolates the subject, or -1 if none does; then why has the reason
	why        string
	allowed    ruleTable
	denied     ruleTable
	hasDenials bool
}

// ruleTable holds the rules of the applicable policies, with an index.
type ruleTable struct {
	rules [][]refs // by policy
	index *index.Index
}

// refs holds the peers and ports of a rule.
type refs struct {
	peers []peerRef
	ports []portRef
}

func (c Dialect) compile(policies Policies, subject policy.Workload, d policy.Direction) *compiled {
	s := &compiled{scope: c, subject: subject, direction: d, applicable: c.applicablePolicies(policies, subject, d)}
	if s.isolating = slices.IndexFunc(s.applicable, applicable.isolates); s.isolating < 0 {
		_, s.why = isolates(policies, subject, d)
	}
	s.build()
	return s
}

func (s *compiled) build() {
	if len(s.applicable) > 0 { // all policies have the same lookups
		lookups := newFQDNIndex(s.applicable[0].lookups)
		for i := range s.applicable {
			s.applicable[i].read = lookups
		}
	}
	for i := range s.applicable {
		v := &s.applicable[i]
		v.byPeer = sync.OnceValue(func() map[peerKey][]int {
			e := edit{merging: &merging{scope: s.scope}, subject: v.subject, direction: v.direction}
			return e.rulesByPeer(v.rules)
		})
	}
	s.allowed = newRules(s.applicable, func(v applicable) []Rule { return v.rules })
	s.denied = newRules(s.applicable, func(v applicable) []Rule { return v.denials })
	s.hasDenials = slices.ContainsFunc(s.applicable, func(v applicable) bool { return len(v.denials) > 0 })
}

func newRules(policies []applicable, of func(applicable) []Rule) ruleTable {
	x := ruleTable{index: index.New()}
	var all []index.Rule
	for i, v := range policies {
		rules := of(v)
		all = slices.Grow(all, len(rules))
		each := make([]refs, 0, len(rules))
		for j, r := range rules {
			ref := refs{r.peers(), r.AllowedPorts()}
			for k, peer := range ref.peers {
				if peer.endpoint != nil {
					ref.peers[k].split = splitSelector(peer.endpoint)
				}
			}
			indexes := make(map[*cilium.L7Rules]*cilium.HTTPIndex) // ports of one entry share its rules
			for k, port := range ref.ports {
				if port.http == nil {
					continue
				}
				if indexes[port.http] == nil {
					indexes[port.http] = cilium.NewHTTPIndex(port.http.HTTP)
				}
				ref.ports[k].requests = indexes[port.http]
			}
			each = append(each, ref)
			if !r.isEmpty() { // an empty rule has no pairs
				all = append(all, index.Rule{
					At: index.RuleAt{Policy: i, Rule: j}, Peers: specsOfPeers(ref.peers), Ports: specsOfPorts(ref.ports),
				})
			}
		}
		x.rules = append(x.rules, each)
	}
	x.index.AddAll(all, index.Peer{Class: "everywhere"})
	return x
}

func specsOfPeers(peers []peerRef) []index.Peer {
	specs := make([]index.Peer, len(peers))
	for i, peer := range peers {
		switch {
		case peer.endpoint != nil:
			set := peer.selector().ofPods.MatchLabels
			specs[i] = index.Peer{Class: "pods", Labels: set, Other: len(set) == 0}
		case peer.name != nil && peer.name.MatchName != "":
			specs[i] = index.Peer{Class: "names", Host: strings.TrimSuffix(strings.ToLower(peer.name.MatchName), ".")}
			specs[i].Other = specs[i].Host == ""
		case peer.cidr != nil:
			prefix, err := netip.ParsePrefix(peer.cidr.CIDR)
			specs[i] = index.Peer{Class: "addresses", Prefix: prefix, Other: err != nil}
		case peer.entity != "":
			specs[i] = index.Peer{Class: "entity " + peer.entity}
		default:
			specs[i] = index.Peer{Other: true}
		}
	}
	return specs
}

func specsOfPorts(ports []portRef) []index.Port {
	specs := make([]index.Port, len(ports))
	texts := make(map[*cilium.L7Rules]string)
	for i, ref := range ports {
		if ref.icmp != nil {
			specs[i] = index.Port{Icmp: true, First: ref.icmp.Number(), Name: ref.icmp.Family}
			continue
		}
		specs[i].Protocol = ref.port.Protocol
		if ref.http != nil {
			if texts[ref.http] == "" {
				texts[ref.http] = policy.EncodeJSON(ref.http)
			}
			specs[i].Requests = texts[ref.http]
		}
		if n, isNumber := ref.port.Number(); isNumber {
			specs[i].First, specs[i].Last = n, max(n, int(ref.port.EndPort))
		} else {
			specs[i].Name = "=" + ref.port.Port
		}
	}
	return specs
}

func (s *compiled) spec(f flow.Flow) index.Flow {
	peerEnd := s.direction.PeerEnd(f)
	spec := index.Flow{Ports: []int{int(f.Port)}}
	if s.direction == policy.Egress && policy.IsAPIServer(f.Destination) {
		spec.Ports = nil
		for _, port := range policy.AcceptedPorts(f) {
			spec.Ports = append(spec.Ports, int(port))
		}
	}
	switch peerEnd.Kind {
	case flow.Workload:
		w, _ := s.scope.WorkloadOf(peerEnd)
		spec.Labels = w.AsPeer(s.direction).AllLabels()
	case flow.Resolver:
		r := s.scope.ResolverOf(peerEnd)
		spec.Labels = r.Labels
		if r.Addresses.IsValid() {
			spec.Addr = r.Addresses.Addr()
		}
	case flow.Anyone:
	default:
		spec.Addr = policy.EndpointAddress(peerEnd)
		spec.NoAddr = !spec.Addr.IsValid()
		if peerEnd.Kind == flow.External {
			spec.Host = peerEnd.Name
		}
	}
	spec.AnyPort = f.Lookup
	return spec
}

func (x ruleTable) pair(at index.Pair) (peer peerRef, port portRef) {
	r := x.rules[at.Policy][at.Rule]
	if at.Peer >= 0 {
		peer = r.peers[at.Peer]
	}
	if at.Port >= 0 {
		port = r.ports[at.Port]
	}
	return peer, port
}

// verdict returns what [Dialect.EvaluateEnd] returns for one flow.
func (s *compiled) verdict(f flow.Flow) policy.Verdict {
	return s.scope.byKafka(s.applicable, s.direction, f, s.ruleVerdict(f))
}

// ruleVerdict is verdict without the lists of Kafka requests.
func (s *compiled) ruleVerdict(f flow.Flow) policy.Verdict {
	if v, why := s.denies(f); why != "" {
		return policy.Verdict{Outcome: policy.Denied, Policy: v.Name, Rule: -1, Reason: why}
	}
	if s.isolating < 0 && s.direction == policy.Ingress && !f.Lookup && s.scope.inexpressibleKind(f) != "" {
		return policy.EvaluateOther(s.scope.otherFlows(), policiesOf(s.applicable), "", s.subject, s.direction, f)
	}
	if s.isolating < 0 {
		return policy.Verdict{Outcome: policy.Unprotected, Rule: -1, Reason: s.why}
	}
	candidateAt := func(at index.Pair) candidate {
		v := s.applicable[at.Policy]
		peer, port := s.allowed.pair(at)
		return candidate{v, at.Rule, at.Peer, port, v.matchRefs(peer, port, f)}
	}
	first, found := s.first(f)
	if found {
		x := candidateAt(first)
		return policy.Verdict{
			Outcome: policy.Allowed, Policy: x.policy.Name, Rule: first.Rule, Reason: x.allowedReason(), Notices: x.notices(f),
		}
	}
	nearest := candidate{policy: s.applicable[s.isolating], rule: -1}
	for at := range s.nearest(f) {
		if x := candidateAt(at); nearest.rule < 0 || x.match.Compare(nearest.match) > 0 {
			nearest = x
		}
	}
	return s.scope.notAllowed(nearest, s.applicable, s.isolating, s.subject, s.direction, f)
}

func (s *compiled) allows(at index.Pair, f flow.Flow) bool {
	peer, port := s.allowed.pair(at)
	return s.applicable[at.Policy].matchRefs(peer, port, f).Allows()
}

// first returns the first pair that allows a flow, if any does.
func (s *compiled) first(f flow.Flow) (index.Pair, bool) {
	allows := func(at index.Pair) bool { return s.allows(at, f) }
	if f.Destination.Kind != flow.Resolver {
		return s.allowed.index.First(s.spec(f), allows)
	}
	for at := range s.every() {
		if allows(at) {
			return at, true
		}
	}
	return index.Pair{}, false
}

// nearest yields pairs in order. They include the first of those that come nearest to a flow.
func (s *compiled) nearest(f flow.Flow) iter.Seq[index.Pair] {
	if f.Destination.Kind == flow.Resolver {
		return s.every()
	}
	return slices.Values(s.allowed.index.Nearest(s.spec(f)))
}

// every yields all pairs in order. A port alone may make a rule match the resolver, so the index is of no use for it.
func (s *compiled) every() iter.Seq[index.Pair] {
	return func(yield func(index.Pair) bool) {
		for i, rules := range s.allowed.rules {
			for j, r := range rules {
				if s.applicable[i].rules[j].isEmpty() {
					continue
				}
				for peer := range max(1, len(r.peers)) {
					for port := range max(1, len(r.ports)) {
						if !yield(index.Pair{
							PeerAt: index.PeerAt{RuleAt: index.RuleAt{Policy: i, Rule: j}, Peer: min(peer, len(r.peers)-1)},
							Port:   min(port, len(r.ports)-1),
						}) {
							return
						}
					}
				}
			}
		}
	}
}

// denies returns the policy and the rule that deny a flow, or an empty reason.
func (s *compiled) denies(f flow.Flow) (applicable, string) {
	if !s.hasDenials {
		return applicable{}, ""
	}
	for _, at := range s.denied.index.Nearest(s.spec(f)) {
		if f.Lookup && at.Port >= 0 {
			continue // as in applicable.denies
		}
		v := s.applicable[at.Policy]
		v.named = false // as in applicable.denies
		peer, port := s.denied.pair(at)
		if match := v.matchRefs(peer, port, f); match.Peer == policy.PeerMatches && match.Port == policy.PortMatches {
			return v, v.describeDenial(at.Rule, peer, port)
		}
	}
	return applicable{}, ""
}

// isMissing reports whether no rule and no lookup entry allows a flow, although one could.
func (s *compiled) isMissing(f flow.Flow) bool {
	if !f.Lookup && s.scope.inexpressibleKind(f) != "" {
		return false // lists allow such flows
	}
	if _, why := s.denies(f); why != "" {
		return false
	}
	if s.isolating < 0 || f.Lookup || f.Destination.Kind == flow.Resolver {
		return s.verdict(f).Outcome == policy.Denied
	}
	return !s.allowed.index.Any(s.spec(f), func(at index.Pair) bool { return s.allows(at, f) }) &&
		s.scope.inexpressible(s.direction, f) == ""
}

// missing returns those of a subject's flows that a rule could allow, and that no rule allows.
func (s *compiled) missing(flows []flow.Flow) []flow.Flow {
	return policy.Filter(flows, func(f flow.Flow) bool {
		return !f.Lookup && s.isMissing(f) // lookups are listed in an annotation
	})
}

// onlyUnseen reports whether a rule allows a flow by name, and only the permission to read the lookup is missing.
func (s *compiled) onlyUnseen(f flow.Flow) bool {
	for at := range s.allowing(f) {
		peer, port := s.allowed.pair(at)
		match := s.applicable[at.Policy].matchRefs(peer, port, f)
		if match.Peer == policy.LookupNotRead && match.Port == policy.PortMatches &&
			match.Request == policy.RequestMatches {
			return true
		}
	}
	return false
}

// allowing yields candidate pairs. They include every pair that allows the flow.
func (s *compiled) allowing(f flow.Flow) iter.Seq[index.Pair] {
	if f.Destination.Kind == flow.Resolver {
		return s.every()
	}
	return s.allowed.index.Allowing(s.spec(f))
}

// fqdnIndex finds the names and patterns that match a host.
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

// describeDenial names the rule that denies a flow.
func (v applicable) describeDenial(rule int, peer peerRef, port portRef) string {
	what := describePeer(v.direction, peer)
	if port != (portRef{}) {
		what += ", " + DescribeAllowed(port)
	}
	return fmt.Sprintf("%sDeny rule %d (%s) denies it, whatever other rules allow", v.direction, rule, what)
}
