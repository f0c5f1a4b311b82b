package policy

import (
	"fmt"
	"maps"
	"strconv"

	networkingv1 "k8s.io/api/networking/v1"

	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// candidate is a rule that allows a flow or comes near it, and the peer in it that does.
type candidate struct {
	view view
	rule int // -1 where no policy has any
	peer *networkingv1.NetworkPolicyPeer
	fit  fit
}

func (c candidate) String() string {
	return fmt.Sprintf("%s %d (%s)", c.word(), c.rule, describePeer(c.view.direction, c.peer))
}

func (c candidate) word() string { return c.view.scope.ruleWord(c.view.direction) }

func (c candidate) allowedReason() string {
	if c.fit.redirect && c.fit.peer != peerFits {
		return c.String() + " names a port of DNS, and so stands for the cluster's resolver"
	}
	return c.String()
}

func (c candidate) notices() []string {
	switch rule := c.view.rules[c.rule]; {
	case len(rule.peers) == 0 && len(rule.ports) == 0:
		return []string{fmt.Sprintf("policy %s: %s %d is {}, which allows everything", c.view.Name, c.word(), c.rule)}
	case c.view.direction == egress && isInternet(c.peer) && !c.view.annotated:
		return []string{fmt.Sprintf("policy %s: %s %d opens the internet, and without the annotation %s no name is checked", c.view.Name, c.word(), c.rule, NamesAnnotation)}
	}
	return nil
}

// deniedReason says what keeps the nearest rule from allowing a flow. It names the rule's policy where that is not
// the first.
func (c candidate) deniedReason(f flow.Flow, first string) string {
	if c.rule < 0 {
		return fmt.Sprintf("policy %s has no %s rules, it denies everything", first, c.view.direction)
	}
	rule, far := c.String(), c.view.direction.far(f)
	if c.view.Name != first {
		rule += " of policy " + c.view.Name
	}
	port := fmt.Sprintf("%d/%s", f.Port, f.Protocol)
	switch c.fit.peer {
	case peerFits:
		allowed := c.view.openings.read(strconv.Itoa(c.rule), func() opened {
			ports := c.view.rules[c.rule].ports
			return opened{describePorts(ports), namesOfPorts(ports)}
		})
		return fmt.Sprintf("port %s, %s allows %s", port, rule, allowed.text) + c.view.scope.explainPortNames(allowed.ports, f)
	case otherNamespace:
		return fmt.Sprintf("%s is in another namespace than %s", c.view.scope.describe(c.view.direction, far), rule)
	case excepted:
		return fmt.Sprintf("%s is in the range %s that %s excepts", address(far), exceptIn(c.peer.IPBlock.Except, address(far)), rule)
	case reserved:
		return c.explainReserved(rule, f)
	case namedElsewhere:
		return fmt.Sprintf("port %s, the annotation %s of %s allows %s", port, NamesAnnotation, rule, c.namesOf(far.Name))
	case unnamed:
		if far.Kind != flow.External {
			return fmt.Sprintf("%s has no name, and %s is only for the names in the annotation %s", c.view.scope.describe(c.view.direction, far), rule, NamesAnnotation)
		}
		return fmt.Sprintf("%s is not in the annotation %s that %s asks", nameOf(f), NamesAnnotation, rule)
	case otherPeer, otherSort:
		if c.fit.port == portFits && (c.fit.peer == otherPeer || far.Kind == flow.Anyone) {
			return fmt.Sprintf("no %s is for %s; %s allows %s", c.word(), c.view.scope.describe(c.view.direction, far), rule, port)
		}
	}
	return fmt.Sprintf("no %s is for %s", c.word(), c.view.scope.describe(c.view.direction, far))
}

// namesOf lists what the annotation allows under a host's name.
func (c candidate) namesOf(host string) string {
	return c.view.openings.read(host, func() opened { // no host is a number
		var entries []string
		for _, n := range c.view.names {
			if matchHost(n.host, host) {
				entries = append(entries, n.String())
			}
		}
		return opened{text: abbreviate(entries, ", ")}
	}).text
}

// describe names the far end of a flow in a reason: pods with their labels, where these do not follow from the name, since
// it is labels that a rule asks for.
func (s Scope) describe(d direction, e flow.Endpoint) string {
	switch e.Kind {
	case flow.Workload:
		w, _ := s.workload(e)
		w = w.at(d)
		e.Namespace = w.Namespace
		if usesHostNetwork(e) {
			return e.String() + " (pods on the network of their nodes, where no selector finds them)"
		}
		if !maps.Equal(w.labels(), Workload{Name: e.Name}.labels()) {
			return fmt.Sprintf("%s (pods %s)", e, w.labels())
		}
	case flow.Resolver:
		return fmt.Sprintf("the cluster's resolver (%s)", s.resolverOf(e))
	case flow.APIServer:
		if e.Addr.IsValid() {
			return fmt.Sprintf("the API server at %s (which no selector finds)", e.Addr)
		}
		return "the API server (which no selector finds)"
	case flow.Anyone:
		return "callers from anywhere"
	}
	return e.String()
}
