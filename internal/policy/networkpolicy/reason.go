package networkpolicy

import (
	"fmt"
	"strconv"

	networkingv1 "k8s.io/api/networking/v1"

	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// candidate is a rule that allows a flow or comes near it, with the peer and port that match best.
type candidate struct {
	policy applicable
	rule   int // -1 if no policy has a rule
	peer   *networkingv1.NetworkPolicyPeer
	match  policy.Match
}

// String names the rule and its peer in a reason.
func (c candidate) String() string {
	return fmt.Sprintf("%s %d (%s)", c.word(), c.rule, describePeer(c.policy.direction, c.peer))
}

func (c candidate) word() string { return c.policy.scope.RuleWord(c.policy.direction) }

func (c candidate) allowedReason() string {
	if c.match.Redirect && c.match.Peer != policy.PeerMatches {
		return c.String() + " names a port of DNS, and so stands for the cluster's resolver"
	}
	return c.String()
}

func (c candidate) notices() []string {
	switch rule := c.policy.rules[c.rule]; {
	case len(rule.Peers) == 0 && len(rule.Ports) == 0:
		return []string{fmt.Sprintf("policy %s: %s %d is {}, which allows everything", c.policy.Name, c.word(), c.rule)}
	case c.policy.direction == policy.Egress && isInternet(c.peer) && !c.policy.annotated:
		return []string{
			fmt.Sprintf("policy %s: %s %d opens the internet, and without the annotation %s no name is checked",
				c.policy.Name, c.word(), c.rule, policy.NamesAnnotation),
		}
	}
	return nil
}

// deniedReason returns why the nearest rule does not allow a flow. It names the rule's policy unless that is the
// first.
func (c candidate) deniedReason(f flow.Flow, first string) string {
	if c.rule < 0 {
		return fmt.Sprintf("policy %s has no %s rules: it denies everything", first, c.policy.direction)
	}
	rule, peerEnd := c.String(), c.policy.direction.PeerEnd(f)
	if c.policy.Name != first {
		rule += " of policy " + c.policy.Name
	}
	port := fmt.Sprintf("%d/%s", f.Port, f.Protocol)
	switch c.match.Peer {
	case policy.PeerMatches:
		allowed := c.policy.descriptions.Get(strconv.Itoa(c.rule), func() policy.Description {
			ports := c.policy.rules[c.rule].Ports
			return policy.Description{Text: describePorts(ports), PortNames: namesOfPorts(ports)}
		})
		return fmt.Sprintf("port %s, %s allows %s", port, rule, allowed.Text) +
			c.policy.scope.ExplainPortNames(allowed.PortNames, f)
	case policy.OtherNamespace:
		return fmt.Sprintf("%s is in another namespace than %s", c.policy.scope.Describe(c.policy.direction, peerEnd), rule)
	case policy.Excepted:
		return fmt.Sprintf("%s is in the range %s that %s excepts",
			policy.EndpointAddress(peerEnd), policy.ExceptionFor(c.peer.IPBlock.Except, policy.EndpointAddress(peerEnd)), rule)
	case policy.Reserved:
		return c.explainReserved(rule, f)
	case policy.NamedElsewhere:
		return fmt.Sprintf("port %s, the annotation %s of %s allows %s",
			port, policy.NamesAnnotation, rule, c.namesOf(peerEnd.Name))
	case policy.NameNotListed:
		if peerEnd.Kind != flow.External {
			return fmt.Sprintf("%s has no name, and %s is only for the names in the annotation %s",
				c.policy.scope.Describe(c.policy.direction, peerEnd), rule, policy.NamesAnnotation)
		}
		return fmt.Sprintf("%s is not in the annotation %s, which limits %s", nameOf(f), policy.NamesAnnotation, rule)
	case policy.OtherPeer, policy.OtherKind:
		if c.match.Port == policy.PortMatches && (c.match.Peer == policy.OtherPeer || peerEnd.Kind == flow.Anyone) {
			return fmt.Sprintf("no %s is for %s; %s allows %s",
				c.word(), c.policy.scope.Describe(c.policy.direction, peerEnd), rule, port)
		}
	}
	return fmt.Sprintf("no %s is for %s", c.word(), c.policy.scope.Describe(c.policy.direction, peerEnd))
}

// namesOf describes the entries of the annotation for a host's name.
func (c candidate) namesOf(host string) string {
	// rules have numbers as keys, and no host is a number
	return c.policy.descriptions.Get(host, func() policy.Description {
		var entries []string
		for _, n := range c.policy.names {
			if policy.MatchHost(n.Host, host) {
				entries = append(entries, n.String())
			}
		}
		return policy.Description{Text: policy.Abbreviate(entries, ", ")}
	}).Text
}
