package networkpolicy

import (
	"net/netip"
	"slices"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/internal/policy/index"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// Evaluator returns a function that evaluates like [Dialect.Evaluate]. The policies must not change in the meantime.
// For many flows its time grows with the sum of the number of flows and the size of the policies, not with their
// product.
func (d Dialect) Evaluator(policies []*networkingv1.NetworkPolicy) func(flow.Flow) policy.Verdict {
	d.Scope = d.Normalized().Indexed()
	return policy.NewEvaluator(d.Scope, d.ByAddress, d.inexpressibleKind,
		func(subject policy.Workload, direction policy.Direction) func(flow.Flow) policy.Verdict {
			return d.compile(policies, subject, direction).verdict
		})
}

// compiled holds the policies that isolate a subject in a direction, prepared for many flows.
type compiled struct {
	scope      Dialect
	subject    policy.Workload
	direction  policy.Direction
	applicable []applicable
	why        string                        // if there is none, the reason
	listing    []*networkingv1.NetworkPolicy // the policies with lists that apply
	index      *index.Index
}

func (d Dialect) compile(
	policies []*networkingv1.NetworkPolicy, subject policy.Workload, direction policy.Direction,
) *compiled {
	c := &compiled{
		scope: d, subject: subject, direction: direction,
		applicable: d.applicablePolicies(policies, subject, direction),
	}
	c.listing = policiesOf(c.applicable)
	if direction == policy.Ingress {
		c.listing = slices.DeleteFunc(slices.Clone(policies), func(p *networkingv1.NetworkPolicy) bool {
			return doesNotSelect(p, subject) != ""
		})
	}
	if len(c.applicable) == 0 {
		_, c.why = isolates(policies, subject, direction)
		return c
	}
	c.build()
	return c
}

// compile prepares one policy for many flows.
func (v applicable) compile() *compiled {
	c := &compiled{scope: v.scope, direction: v.direction, applicable: []applicable{v}}
	c.build()
	return c
}

func (c *compiled) build() {
	c.index = index.New()
	var all []index.Rule
	for i := range c.applicable {
		v := &c.applicable[i]
		v.listed = policy.ListedNames(v.NetworkPolicy)
		all = slices.Grow(all, len(v.rules))
		for j, r := range v.rules {
			all = append(all, index.Rule{
				At: index.RuleAt{Policy: i, Rule: j}, Peers: specsOfPeers(r.Peers), Ports: specsOfPorts(r.Ports),
			})
		}
	}
	// If an annotation reserves rules without peers, each of them matches in its own way.
	isReserved := slices.ContainsFunc(c.applicable, func(v applicable) bool { return len(v.reserved) > 0 })
	c.index.AddAll(all, index.Peer{Class: "everywhere", Other: isReserved})
}

func specsOfPeers(peers []networkingv1.NetworkPolicyPeer) []index.Peer {
	specs := make([]index.Peer, len(peers))
	for i, peer := range peers {
		switch {
		case peer.IPBlock != nil:
			prefix, err := netip.ParsePrefix(peer.IPBlock.CIDR)
			specs[i] = index.Peer{Class: "addresses", Prefix: prefix, Other: err != nil}
		case peer.PodSelector != nil && len(peer.PodSelector.MatchLabels) > 0:
			specs[i] = index.Peer{Class: "pods", Labels: peer.PodSelector.MatchLabels}
		default:
			specs[i] = index.Peer{Other: true}
		}
	}
	return specs
}

func specsOfPorts(ports []networkingv1.NetworkPolicyPort) []index.Port {
	specs := make([]index.Port, len(ports))
	for i, port := range ports {
		specs[i].Protocol = portProtocol(&port).String()
		switch {
		case port.Port == nil:
		case port.Port.Type == intstr.String:
			specs[i].Name = "=" + port.Port.StrVal
		default:
			specs[i].First, specs[i].Last = int(port.Port.IntVal), int(port.Port.IntVal)
			if port.EndPort != nil {
				specs[i].Last = int(*port.EndPort)
			}
			if specs[i].First <= 0 {
				specs[i].Name = "number" // because First 0 would mean all numbers
			}
		}
	}
	return specs
}

func (c *compiled) spec(f flow.Flow) index.Flow {
	peerEnd := c.direction.PeerEnd(f)
	spec := index.Flow{Ports: []int{int(f.Port)}}
	switch peerEnd.Kind {
	case flow.Workload:
		w, _ := c.scope.WorkloadOf(peerEnd)
		spec.Labels = w.AsPeer(c.direction).AllLabels()
	case flow.Anyone:
	default:
		spec.Addr = policy.EndpointAddress(peerEnd)
		spec.NoAddr = !spec.Addr.IsValid()
	}
	if f.Lookup {
		spec.AnyPort, spec.NoAddr, spec.Ports = true, true, nil
		for _, v := range c.applicable {
			for _, n := range v.portsOf(f) {
				spec.Ports = append(spec.Ports, int(n.Port))
			}
		}
	}
	return spec
}

// pair returns the policy, peer and port at the position.
func (c *compiled) pair(
	at index.Pair,
) (v *applicable, peer *networkingv1.NetworkPolicyPeer, port *networkingv1.NetworkPolicyPort) {
	v = &c.applicable[at.Policy]
	rule := &v.rules[at.Rule]
	if at.Peer >= 0 {
		peer = &rule.Peers[at.Peer]
	}
	if at.Port >= 0 {
		port = &rule.Ports[at.Port]
	}
	return v, peer, port
}

// isOther reports whether lists, and not rules, decide about a flow.
func (c *compiled) isOther(f flow.Flow) bool {
	return (c.direction == policy.Ingress || len(c.applicable) > 0) && !f.Lookup && c.scope.inexpressibleKind(f) != ""
}

// verdict returns the verdict of [Dialect.EvaluateEnd] on one flow.
func (c *compiled) verdict(f flow.Flow) policy.Verdict {
	if c.isOther(f) {
		first := ""
		if c.direction == policy.Egress {
			first = c.applicable[0].Name
		}
		return policy.EvaluateOther(c.scope.otherFlows(), c.listing, first, c.subject, c.direction, f)
	}
	if len(c.applicable) == 0 {
		return policy.Verdict{Outcome: policy.Unprotected, Rule: -1, Reason: c.why}
	}
	if needsEveryRule(c.direction, f) {
		// a rule may stand for the peer by its port alone
		v := c.scope.evaluateApplicable(c.applicable, c.subject, c.direction, f)
		return c.scope.byRequest(c.applicable, c.subject, c.direction, f, v)
	}
	return c.scope.byRequest(c.applicable, c.subject, c.direction, f, c.ruleVerdict(f))
}

// ruleVerdict returns the verdict of the rules of policies that isolate the subject.
func (c *compiled) ruleVerdict(f flow.Flow) policy.Verdict {
	spec := c.spec(f)
	candidateAt := func(at index.Pair) candidate {
		v, peer, port := c.pair(at)
		return candidate{*v, at.Rule, peer, v.match(peer, port, f)}
	}
	if at, found := c.index.First(spec, func(at index.Pair) bool { return c.allows(at, f) }); found {
		x := candidateAt(at)
		return policy.Verdict{
			Outcome: policy.Allowed, Policy: x.policy.Name, Rule: at.Rule, Reason: x.allowedReason(), Notices: x.notices(),
		}
	}
	nearest := candidate{policy: c.applicable[0], rule: -1}
	for _, at := range c.index.Nearest(spec) {
		if x := candidateAt(at); nearest.rule < 0 || x.match.Compare(nearest.match) > 0 {
			nearest = x
		}
	}
	return c.scope.notAllowed(c.applicable, nearest, c.subject, c.direction, f)
}

// isMissing reports whether a rule, or an entry for lookups, could allow a flow and none does, apart from its requests.
// Merging needs no other part of the verdict.
func (c *compiled) isMissing(f flow.Flow) bool {
	switch {
	case !f.Lookup && c.scope.inexpressibleKind(f) != "":
		return false // a list decides about it
	case len(c.applicable) == 0, f.Lookup, needsEveryRule(c.direction, f):
		f.Requests, f.Opaque = nil, ""
		return c.verdict(f).Outcome == policy.Denied
	}
	return !c.index.Any(c.spec(f), func(at index.Pair) bool { return c.allows(at, f) }) &&
		c.scope.inexpressible(c.direction, f) == ""
}

func (c *compiled) allows(at index.Pair, f flow.Flow) bool {
	v, peer, port := c.pair(at)
	return v.match(peer, port, f).Allows()
}

// missing returns those of a subject's flows that [compiled.isMissing] reports.
func (c *compiled) missing(flows []flow.Flow) []flow.Flow {
	return policy.Filter(flows, c.isMissing)
}

// hostIndex finds the external flows that an entry may match.
type hostIndex struct {
	all    []flow.Flow
	byHost map[string][]flow.Flow
}

func newHostIndex(flows []flow.Flow) hostIndex {
	x := hostIndex{all: flows, byHost: make(map[string][]flow.Flow)}
	for _, f := range flows {
		if f.Destination.Kind == flow.External {
			host := policy.HostOf(f.Destination.Name) // as entries spell it
			x.byHost[host] = append(x.byHost[host], f)
		}
	}
	return x
}

// needs reports whether any flow needs an entry.
func (x hostIndex) needs(n policy.AllowedName) bool {
	flows := x.all
	if !strings.Contains(n.Host, "*") {
		flows = x.byHost[n.Host]
	}
	for _, f := range flows {
		if n.Matches(f) {
			return true
		}
	}
	return false
}
