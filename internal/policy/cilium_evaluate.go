package policy

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"

	"github.com/netzero-dev/netzero/internal/cilium"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// Evaluate is [Scope.Evaluate], by the rules of cilium.io/v2: the policies that select a subject are a union, and deny
// what none of them allows in each direction of which one has rules and that it denies by default. What a rule that denies
// is for, no other allows. A rule of several kinds of peer, or with fields that package cilium does not have, never gets
// here.
//
// A range of addresses holds no pods, not the node and not the API server, and nor is a name any of them. A name matches nothing unless a rule of
// some policy of the subject's lets Cilium read the look-up. A flow at an address without a name matches no name.
func (c Cilium) Evaluate(policies ciliumPolicies, f flow.Flow) Verdict {
	c = c.normal()
	policies = partsOf(policies)
	judged := c.byAddress(f)
	v := c.evaluateAt(judged, func(g flow.Flow) Verdict {
		return c.ends(g, c.wordless, func(subject Workload, d direction) Verdict { return c.side(policies, subject, d, g) })
	})
	return explainAddress(v, f, judged)
}

// side tells what the policies do to a flow of the subject in one direction.
func (c Cilium) side(policies ciliumPolicies, subject Workload, d direction, f flow.Flow) Verdict {
	selecting := c.views(policies, subject, d)
	for _, v := range selecting {
		if why := v.denies(f); why != "" {
			return Verdict{Outcome: Denied, Policy: v.Name, Rule: -1, Reason: why}
		}
	}
	first := slices.IndexFunc(selecting, ciliumView.isolates)
	if first < 0 && d == ingress && !f.Lookup && c.wordless(f) != "" {
		return judgeOther(c.otherWords(), ciliumPoliciesOf(selecting), "", subject, d, f)
	}
	if first < 0 {
		_, why := ciliumIsolates(policies, subject, d)
		return Verdict{Outcome: Unprotected, Rule: -1, Reason: why}
	}
	return c.overViews(selecting, first, subject, d, f)
}

// overViews is side for policies that select the subject, of which the first that isolates it is known.
func (c Cilium) overViews(selecting []ciliumView, first int, subject Workload, d direction, f flow.Flow) Verdict {
	nearest := ciliumCandidate{view: selecting[first], rule: -1}
	for _, v := range selecting {
		for i, rule := range v.rules {
			for peer, port := range rule.pairs() {
				x := ciliumCandidate{v, i, peer, v.match(rule, peer, port, f)}
				if x.fit.allows() {
					return Verdict{Allowed, v.Name, i, x.allowedReason(), x.notices()}
				}
				if nearest.rule < 0 || x.fit.compare(nearest.fit) > 0 {
					nearest = x
				}
			}
		}
	}
	return c.notAllowed(nearest, selecting, first, subject, d, f)
}

// notAllowed is the verdict where no rule allows a flow: the lists of the policies that select the subject have a say, of which
// the first that isolates it is known.
func (c Cilium) notAllowed(nearest ciliumCandidate, selecting []ciliumView, first int, subject Workload, d direction, f flow.Flow) Verdict {
	isolating := selecting[first].Name
	switch {
	case f.Lookup:
		return judgeLookup(c.Scope, ciliumPoliciesOf(selecting), isolating, subject, f)
	case c.wordless(f) != "":
		return judgeOther(c.otherWords(), ciliumPoliciesOf(selecting), isolating, subject, d, f)
	}
	if why := c.inexpressible(d, f); why != "" {
		return Verdict{Outcome: Inexpressible, Rule: -1, Reason: why}
	}
	return Verdict{Outcome: Denied, Policy: isolating, Rule: -1, Reason: nearest.deniedReason(f, isolating)}
}

// denies says which of a policy's rules denies a flow, or returns "".
func (v ciliumView) denies(f flow.Flow) string {
	v.named = false // what is allowed by name is denied by address
	for i, rule := range v.denials {
		for peer, port := range rule.pairs() {
			if f.Lookup && port >= 0 {
				continue // which port was meant, nobody knows
			}
			fit := v.match(rule, peer, port, f)
			if fit.peer != peerFits || fit.port != portFits {
				continue
			}
			of, open := rule.pair(peer, port)
			return v.describeDenial(i, of, open)
		}
	}
	return ""
}

// isolates reports whether a policy denies in its direction what no rule allows.
func (v ciliumView) isolates() bool {
	return len(v.rules)+len(v.denials) > 0 && deniesByDefault(v.NetworkPolicy, v.direction)
}

// ciliumCandidate is a rule that allows a flow or comes near it, and the peer in it that does.
type ciliumCandidate struct {
	view ciliumView
	rule int // -1 where no policy has any that allows something
	peer int
	fit  fit
}

func (c ciliumCandidate) word() string { return c.view.scope.ruleWord(c.view.direction) }

func (c ciliumCandidate) ref() ciliumPeerRef {
	ref, _ := c.view.rules[c.rule].pair(c.peer, -1)
	return ref
}

func (c ciliumCandidate) String() string {
	return fmt.Sprintf("%s %d (%s)", c.word(), c.rule, describeCiliumPeer(c.view.direction, c.ref()))
}

func (c ciliumCandidate) allowedReason() string {
	if c.fit.redirect && c.fit.peer != peerFits {
		return c.String() + " names a port of DNS, and so stands for the cluster's resolver"
	}
	return c.String()
}

func (c ciliumCandidate) notices() []string {
	rule, peer := c.view.rules[c.rule], c.ref()
	everywhere := peer == ciliumPeerRef{} || peer.entity == cilium.All
	switch {
	case everywhere && len(rule.openTo()) == 0:
		return []string{fmt.Sprintf("policy %s: %s %d allows everything", c.view.Name, c.word(), c.rule)}
	case c.view.direction == egress && (everywhere || isWorld(peer)):
		return []string{fmt.Sprintf("policy %s: %s %d opens the internet, and no name is checked there", c.view.Name, c.word(), c.rule)}
	}
	return nil
}

// isWorld reports whether a peer is every host outside of the cluster, or every one of a family.
func isWorld(peer ciliumPeerRef) bool {
	switch {
	case peer.cidr != nil:
		prefix, err := netip.ParsePrefix(peer.cidr.CIDR)
		return err == nil && prefix.Bits() == 0
	case peer.endpoint != nil:
		return selectsOthers(peer.endpoint)
	case peer.name != nil:
		return peer.name.Matches("a.b") && peer.name.Matches("c.d.e")
	}
	return peer.entity == cilium.World
}

// deniedReason says what keeps the nearest rule from allowing a flow.
func (c ciliumCandidate) deniedReason(f flow.Flow, first string) string {
	if c.rule < 0 {
		return fmt.Sprintf("policy %s has no %s rules that allow anything, it denies everything", first, c.view.direction)
	}
	rule, far := c.String(), c.view.direction.far(f)
	if c.view.Name != first {
		rule += " of policy " + c.view.Name
	}
	port := fmt.Sprintf("%d/%s", f.Port, f.Protocol)
	if f.Protocol.IsICMP() {
		f.ICMPType = uint8(icmpType(f))
		port = f.Message()
	} else {
		port = "port " + port
	}
	switch c.fit.peer {
	case peerFits:
		allowed := c.view.openings.read(strconv.Itoa(c.rule), func() opened {
			rule := c.view.rules[c.rule]
			return opened{describeOpenTo(rule), rule.namesOfPorts()}
		})
		return fmt.Sprintf("%s, %s allows %s", port, rule, allowed.text) + c.view.scope.explainPortNames(allowed.ports, f)
	case unseen:
		return fmt.Sprintf("%s never matches: no rule lets Cilium read the look-up of %s (toPorts with rules.dns, to the resolver at port %d)", rule, far.Name, resolverPort)
	case otherNamespace:
		return fmt.Sprintf("%s is in another namespace than %s", c.view.scope.describe(c.view.direction, far), rule)
	case excepted:
		return fmt.Sprintf("%s is in the range %s that %s excepts", address(far), exceptIn(c.ref().cidr.Except, address(far)), rule)
	case unnamed:
		return fmt.Sprintf("%s is not in toFQDNs, and %s is for an address without a name", c.view.scope.describe(c.view.direction, far), rule)
	case otherPeer, otherSort:
		if c.fit.port == portFits && (c.fit.peer == otherPeer || far.Kind == flow.Anyone) {
			return fmt.Sprintf("no %s is for %s; %s allows %s", c.word(), c.view.scope.describe(c.view.direction, far), rule, port)
		}
	}
	return fmt.Sprintf("no %s is for %s", c.word(), c.view.scope.describe(c.view.direction, far))
}

// describe names the far end of a flow in a reason.
func (c Cilium) describe(d direction, e flow.Endpoint) string {
	if usesHostNetwork(e) {
		return e.String() + " (pods on the network of their nodes, which toEntities calls host and remote-node)"
	}
	if isNode(e) {
		return e.String() + " (a process of the node, which toEntities calls " + cilium.Host + ")"
	}
	return c.Scope.describe(d, e)
}

// ciliumPoliciesOf returns the policies of views.
func ciliumPoliciesOf(views []ciliumView) ciliumPolicies {
	var policies ciliumPolicies
	for _, v := range views {
		policies = append(policies, v.NetworkPolicy)
	}
	return policies
}
