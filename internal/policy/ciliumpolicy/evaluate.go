package ciliumpolicy

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"

	"github.com/netzero-dev/netzero/internal/cilium"
	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// Evaluate implements [policy.Dialect] by the rules of cilium.io/v2. The policies that select a subject form a union. A
// direction is denied by default if a policy has rules of that direction and does not turn the default off. A deny rule
// takes precedence over every rule that allows. Rules with several kinds of peer, or with fields that package cilium
// lacks, are rejected when policies are read.
//
// A range of addresses contains no pods, nodes or API server, and a name matches none of these. A name only matches if
// a rule of one of the subject's policies lets Cilium read its lookup. A flow to an address without a name matches no
// name.
//
// A flow with several requests is evaluated for each of them; see [policy.PerRequest]. Among the rules for its peer and
// port, one without HTTP rules allows every request. Otherwise one of the HTTP rules has to match the request; a flow
// that is opaque is denied. Without Requests of the [policy.Scope], HTTP rules allow every flow, with a notice.
func (c Dialect) Evaluate(policies Policies, f flow.Flow) policy.Verdict {
	c = Dialect{c.Normalized()}
	policies = partsOf(policies)
	return policy.PerRequest(f, func(f flow.Flow) policy.Verdict {
		evaluated := c.byAddress(f)
		v := c.EvaluateAtResolvers(evaluated, func(g flow.Flow) policy.Verdict {
			return c.Ends(g, c.inexpressibleKind, func(subject policy.Workload, d policy.Direction) policy.Verdict {
				return c.EvaluateEnd(policies, subject, d, g)
			})
		})
		return policy.ExplainAddress(v, f, evaluated)
	})
}

// EvaluateEnd returns the verdict of policies on a flow of the subject in one direction. The flow has at most one
// request, or is opaque.
func (c Dialect) EvaluateEnd(
	policies Policies, subject policy.Workload, d policy.Direction, f flow.Flow,
) policy.Verdict {
	selecting := c.applicablePolicies(policies, subject, d)
	for _, v := range selecting {
		if why := v.denies(f); why != "" {
			return policy.Verdict{Outcome: policy.Denied, Policy: v.Name, Rule: -1, Reason: why}
		}
	}
	first := slices.IndexFunc(selecting, applicable.isolates)
	if first < 0 && d == policy.Ingress && !f.Lookup && c.inexpressibleKind(f) != "" {
		return policy.EvaluateOther(c.otherFlows(), policiesOf(selecting), "", subject, d, f)
	}
	if first < 0 {
		_, why := isolates(policies, subject, d)
		return policy.Verdict{Outcome: policy.Unprotected, Rule: -1, Reason: why}
	}
	return c.byKafka(selecting, d, f, c.evaluateApplicable(selecting, first, subject, d, f))
}

// evaluateApplicable is EvaluateEnd for the policies that select the subject. first is the index of the first that
// isolates it.
func (c Dialect) evaluateApplicable(
	selecting []applicable, first int, subject policy.Workload, d policy.Direction, f flow.Flow,
) policy.Verdict {
	nearest := candidate{policy: selecting[first], rule: -1}
	for _, v := range selecting {
		for i, rule := range v.rules {
			for peer, port := range rule.pairs() {
				_, open := rule.pair(peer, port)
				x := candidate{v, i, peer, open, v.match(rule, peer, port, f)}
				if x.match.Allows() {
					return policy.Verdict{
						Outcome: policy.Allowed, Policy: v.Name, Rule: i, Reason: x.allowedReason(), Notices: x.notices(f),
					}
				}
				if nearest.rule < 0 || x.match.Compare(nearest.match) > 0 {
					nearest = x
				}
			}
		}
	}
	return c.notAllowed(nearest, selecting, first, subject, d, f)
}

// notAllowed returns the verdict on a flow that no rule allows. The lists in the annotations of the policies that
// select the subject may still allow it. first is the index of the first policy that isolates the subject.
func (c Dialect) notAllowed(
	nearest candidate, selecting []applicable, first int, subject policy.Workload, d policy.Direction, f flow.Flow,
) policy.Verdict {
	isolating := selecting[first].Name
	switch {
	case f.Lookup:
		return policy.EvaluateLookup(c.Scope, policiesOf(selecting), isolating, subject, f)
	case c.inexpressibleKind(f) != "":
		return policy.EvaluateOther(c.otherFlows(), policiesOf(selecting), isolating, subject, d, f)
	}
	if why := c.inexpressible(d, f); why != "" {
		return policy.Verdict{Outcome: policy.Inexpressible, Rule: -1, Reason: why}
	}
	return policy.Verdict{Outcome: policy.Denied, Policy: isolating, Rule: -1, Reason: nearest.deniedReason(f, isolating)}
}

// denies describes the rule of a policy that denies a flow, or returns "".
func (v applicable) denies(f flow.Flow) string {
	v.named = false // flows that are allowed by name are denied by address
	for i, rule := range v.denials {
		for peer, port := range rule.pairs() {
			if f.Lookup && port >= 0 {
				continue // the port is unknown
			}
			match := v.match(rule, peer, port, f)
			if match.Peer != policy.PeerMatches || match.Port != policy.PortMatches {
				continue
			}
			of, open := rule.pair(peer, port)
			return v.describeDenial(i, of, open)
		}
	}
	return ""
}

// isolates reports whether a policy denies everything in its direction that no rule allows.
func (v applicable) isolates() bool {
	return len(v.rules)+len(v.denials) > 0 && DeniesByDefault(v.NetworkPolicy, v.direction)
}

// candidate is a rule with the peer that allows a flow, or comes nearest to it.
type candidate struct {
	policy applicable
	rule   int // -1 if no policy has a rule that allows anything
	peer   int
	port   portRef
	match  policy.Match
}

func (c candidate) word() string { return c.policy.scope.RuleWord(c.policy.direction) }

func (c candidate) ref() peerRef {
	ref, _ := c.policy.rules[c.rule].pair(c.peer, -1)
	return ref
}

// String describes the rule and its peer for a reason.
func (c candidate) String() string {
	return fmt.Sprintf("%s %d (%s)", c.word(), c.rule, describePeer(c.policy.direction, c.ref()))
}

func (c candidate) allowedReason() string {
	if c.match.Redirect && c.match.Peer != policy.PeerMatches {
		return c.String() + " names a port of DNS, and so stands for the cluster's resolver"
	}
	return c.String()
}

func (c candidate) notices(f flow.Flow) []string {
	rule, peer := c.policy.rules[c.rule], c.ref()
	var notices []string
	if notice := c.requestsNotice(f); notice != "" {
		notices = append(notices, notice)
	}
	everywhere := peer == peerRef{} || peer.entity == cilium.All
	switch {
	case everywhere && len(rule.AllowedPorts()) == 0:
		return append(notices, fmt.Sprintf("policy %s: %s %d allows everything", c.policy.Name, c.word(), c.rule))
	case c.policy.direction == policy.Egress && (everywhere || isWorld(peer)):
		return append(notices,
			fmt.Sprintf("policy %s: %s %d opens the internet, and no name is checked there", c.policy.Name, c.word(), c.rule))
	}
	return notices
}

// requestsNotice returns a notice if a flow's requests are not compared, because the test does not record them or the
// rule has no HTTP rules, although an update would write some. It returns "" if they are compared.
func (c candidate) requestsNotice(f flow.Flow) string {
	v := c.policy
	where := fmt.Sprintf("policy %s: %s %d", v.Name, c.word(), c.rule)
	isAll := func(r cilium.HTTPRule) bool { return r.AllowsAll() }
	switch {
	case f.Lookup || c.port.port == nil:
	case c.port.http != nil && !v.scope.Requests && !slices.ContainsFunc(c.port.http.HTTP, isAll):
		return where + " lists requests, which this test does not record: add the option Requests"
	case c.port.http == nil && v.scope.Requests && c.isNarrowed(f):
		return fmt.Sprintf("%s allows every request to %s: an update lists the recorded ones, and "+
			"rules: {http: [{}]} keeps it so", where, f.Target())
	}
	return ""
}

// isNarrowed reports whether an update would add HTTP rules to the rule for the requests of a flow.
func (c candidate) isNarrowed(f flow.Flow) bool {
	v := c.policy
	if v.Name != v.subject.Name {
		return false
	}
	e := edit{merging: &merging{scope: v.scope}, subject: v.subject, direction: v.direction}
	peer, ok := e.permissionOfRule(v.rules[c.rule])
	if !ok {
		return false
	}
	byPeer := v.byPeer
	if byPeer == nil {
		byPeer = func() map[peerKey][]int { return e.rulesByPeer(v.rules) }
	}
	return slices.ContainsFunc(v.scope.permissionsOf(v.direction, f), func(o permission) bool {
		return o.request.isHTTP() && o.policyPort() == *c.port.port &&
			e.normalPermission(o).peer == e.normalPermission(peer).peer &&
			!listsRequests(v.rules, byPeer()[peer.peer], *c.port.port)
	})
}

// isWorld reports whether a peer is every host outside of the cluster, or every such host of one address family.
func isWorld(peer peerRef) bool {
	switch {
	case peer.cidr != nil:
		prefix, err := netip.ParsePrefix(peer.cidr.CIDR)
		return err == nil && prefix.Bits() == 0
	case peer.endpoint != nil:
		return selectsOthers(peer)
	case peer.name != nil:
		return peer.name.Matches("a.b") && peer.name.Matches("c.d.e")
	}
	return peer.entity == cilium.World
}

// deniedReason says why the nearest rule does not allow a flow.
func (c candidate) deniedReason(f flow.Flow, first string) string {
	if c.rule < 0 {
		return fmt.Sprintf("policy %s has no %s rules that allow anything: it denies everything", first, c.policy.direction)
	}
	rule, peerEnd := c.String(), c.policy.direction.PeerEnd(f)
	if c.policy.Name != first {
		rule += " of policy " + c.policy.Name
	}
	port := fmt.Sprintf("%d/%s", f.Port, f.Protocol)
	if f.Protocol.IsICMP() {
		f.ICMPType = uint8(policy.ICMPTypeOf(f))
		port = f.Message()
	} else {
		port = "port " + port
	}
	switch c.match.Peer {
	case policy.PeerMatches:
		if c.match.Port == policy.PortMatches {
			return c.deniedRequest(f, rule)
		}
		allowed := c.policy.descriptions.Get(strconv.Itoa(c.rule), func() policy.Description {
			rule := c.policy.rules[c.rule]
			return policy.Description{Text: describeAllAllowed(rule), PortNames: rule.namesOfPorts()}
		})
		return fmt.Sprintf("%s, %s allows %s", port, rule, allowed.Text) +
			c.policy.scope.ExplainPortNames(allowed.PortNames, f)
	case policy.LookupNotRead:
		return fmt.Sprintf(
			"%s never matches: no rule lets Cilium read the lookup of %s (toPorts with rules.dns, to the resolver at port %d)",
			rule, peerEnd.Name, policy.ResolverPort,
		)
	case policy.OtherNamespace:
		return fmt.Sprintf("%s is in another namespace than %s", c.policy.scope.describe(c.policy.direction, peerEnd), rule)
	case policy.Excepted:
		return fmt.Sprintf("%s is in the range %s that %s excepts",
			policy.EndpointAddress(peerEnd), policy.ExceptionFor(c.ref().cidr.Except, policy.EndpointAddress(peerEnd)), rule)
	case policy.NameNotListed:
		return fmt.Sprintf("%s is not in toFQDNs, and %s is for an address without a name",
			c.policy.scope.describe(c.policy.direction, peerEnd), rule)
	case policy.OtherPeer, policy.OtherKind:
		if c.match.Port == policy.PortMatches && (c.match.Peer == policy.OtherPeer || peerEnd.Kind == flow.Anyone) {
			return fmt.Sprintf("no %s is for %s; %s allows %s",
				c.word(), c.policy.scope.describe(c.policy.direction, peerEnd), rule, port)
		}
	}
	return fmt.Sprintf("no %s is for %s", c.word(), c.policy.scope.describe(c.policy.direction, peerEnd))
}

// deniedRequest says why the HTTP rules for the peer and port of a flow do not allow it. rule describes the rule.
func (c candidate) deniedRequest(f flow.Flow, rule string) string {
	if c.match.Request == policy.RequestsUnknown {
		return fmt.Sprintf("%s allows only some HTTP requests, and those of this flow are not known: %s", rule, f.Opaque)
	}
	var lists []*cilium.L7Rules
	key := "requests " + strconv.Itoa(c.rule) // of these lists
	for i, ref := range c.policy.rules[c.rule].AllowedPorts() {
		if ref.http != nil && c.policy.matchPort(ref, f) == policy.PortMatches {
			lists, key = append(lists, ref.http), key+" "+strconv.Itoa(i)
		}
	}
	allowed := c.policy.descriptions.Get(key, func() policy.Description {
		var listed []cilium.HTTPRule
		for _, l := range lists {
			listed = append(listed, l.HTTP...)
		}
		return policy.Description{Text: describeRequests(listed)}
	})
	return fmt.Sprintf("%s is not in %s, which allows %s", f.Requests[0], rule, allowed.Text)
}

// describe describes the peer end of a flow for a reason.
func (c Dialect) describe(d policy.Direction, e flow.Endpoint) string {
	if policy.UsesHostNetwork(e) {
		return e.String() + " (pods on the network of their nodes, which toEntities calls host and remote-node)"
	}
	if IsNode(e) {
		return e.String() + " (a process of the node, which toEntities calls " + cilium.Host + ")"
	}
	return c.Scope.Describe(d, e)
}

// policiesOf returns the policy objects of applicable policies.
func policiesOf(applied []applicable) Policies {
	var policies Policies
	for _, v := range applied {
		policies = append(policies, v.NetworkPolicy)
	}
	return policies
}
