package policy

import (
	"fmt"

	networkingv1 "k8s.io/api/networking/v1"

	"github.com/netzero-dev/netzero/internal/flow"
)

// Outcome is what policies do to a flow.
type Outcome uint8

// The outcomes.
const (
	Denied        Outcome = iota // a policy isolates the subject, and no rule allows the flow
	Allowed                      // a rule allows the flow
	Unprotected                  // no policy isolates the subject: Kubernetes lets everything pass
	Inexpressible                // no rule allows the flow, and none could: a NetworkPolicy has no words for it
)

// String returns the outcome in lower case.
func (o Outcome) String() string {
	switch o {
	case Denied:
		return "denied"
	case Allowed:
		return "allowed"
	case Unprotected:
		return "unprotected"
	case Inexpressible:
		return "inexpressible"
	}
	return "unknown"
}

// Verdict is an outcome and what it rests on.
type Verdict struct {
	Outcome Outcome
	Policy  string // the policy that allowed the flow or, denied, the first that isolates the subject; else empty
	Rule    int    // the index in that policy's egress list of the rule that allowed the flow; else -1
	Reason  string // one line for a person: the rule, or for a denied flow the nearest rule and what differs
	Notice  string // one line about an allowed flow that deserves a look; mostly empty
}

// Evaluate tells what the policies do to one flow of the subject, by the rules of networking.k8s.io/v1: they are a
// union, only those count that isolate the subject (see [Isolated]), and a flow needs one rule of one of them. It
// does not ask for the flows that this one implies; see [Required].
//
// An ipBlock never holds a pod, and a pod selector never anything else. A port with a name matches nothing. Port 53
// or 5353 by number, to any peer, is taken for the cluster's resolver, which goes by other labels in some clusters.
//
// In a policy with [NamesAnnotation] the internet (0.0.0.0/0 or ::/0) is open only to external flows that match an
// entry, and external flows need one for a single address (/32 or /128) too.
func Evaluate(policies []*networkingv1.NetworkPolicy, subject Workload, f flow.Flow) Verdict {
	isolating := views(policies, subject)
	if len(isolating) == 0 {
		_, why := Isolated(policies, subject)
		return Verdict{Outcome: Unprotected, Rule: -1, Reason: why}
	}
	nearest := candidate{view: isolating[0], rule: -1}
	for _, v := range isolating {
		for i := range v.Spec.Egress {
			for peer, port := range pairs(&v.Spec.Egress[i]) {
				c := candidate{v, i, peer, v.match(peer, port, f)}
				if c.fit.allows() {
					return Verdict{Allowed, v.Name, i, c.allowedReason(), c.notice()}
				}
				if nearest.rule < 0 || c.fit.compare(nearest.fit) > 0 {
					nearest = c
				}
			}
		}
	}
	if why := inexpressible(f); why != "" {
		return Verdict{Outcome: Inexpressible, Rule: -1, Reason: why}
	}
	first := isolating[0].Name
	return Verdict{Outcome: Denied, Policy: first, Rule: -1, Reason: nearest.deniedReason(f, first)}
}

// candidate is a rule that allows a flow or comes near it, and the peer in it that does.
type candidate struct {
	view view
	rule int // -1 where no policy has any
	peer *networkingv1.NetworkPolicyPeer
	fit  fit
}

func (c candidate) egress() *networkingv1.NetworkPolicyEgressRule { return &c.view.Spec.Egress[c.rule] }

func (c candidate) String() string {
	return fmt.Sprintf("rule %d (%s)", c.rule, describePeer(c.peer))
}

func (c candidate) allowedReason() string {
	if c.fit.redirect && c.fit.peer != peerFits {
		return c.String() + " names a port of DNS, and so stands for the cluster's resolver"
	}
	return c.String()
}

func (c candidate) notice() string {
	switch rule := c.egress(); {
	case len(rule.To) == 0 && len(rule.Ports) == 0:
		return fmt.Sprintf("policy %s: rule %d is {}, which allows everything", c.view.Name, c.rule)
	case isInternet(c.peer) && !c.view.annotated:
		return fmt.Sprintf("policy %s: rule %d opens the internet, and without the annotation %s no name is checked", c.view.Name, c.rule, NamesAnnotation)
	}
	return ""
}

// deniedReason says what keeps the nearest rule from allowing a flow. It names the rule's policy where that is not
// the first.
func (c candidate) deniedReason(f flow.Flow, first string) string {
	if c.rule < 0 {
		return fmt.Sprintf("policy %s has no egress rules, it denies everything", first)
	}
	rule, to := c.String(), f.Destination
	if c.view.Name != first {
		rule += " of policy " + c.view.Name
	}
	port := fmt.Sprintf("%d/%s", f.Port, f.Protocol)
	switch c.fit.peer {
	case peerFits:
		reason := fmt.Sprintf("port %s, %s allows %s", port, rule, describePorts(c.egress().Ports))
		if c.fit.port == portByName {
			reason += ", a name that only the pods resolve: write the number"
		}
		return reason
	case otherNamespace:
		return fmt.Sprintf("%s is in another namespace than %s", describeEndpoint(to), rule)
	case excepted:
		return fmt.Sprintf("%s is in the range %s that %s excepts", address(to), exceptOf(c.peer.IPBlock, address(to)), rule)
	case namedElsewhere:
		return fmt.Sprintf("port %s, the annotation %s of %s allows %s", port, NamesAnnotation, rule, c.namesOf(to.Name))
	case unnamed:
		if to.Kind != flow.External {
			return fmt.Sprintf("%s has no name, and %s is only for the names in the annotation %s", describeEndpoint(to), rule, NamesAnnotation)
		}
		return fmt.Sprintf("%s is not in the annotation %s that %s asks", nameOf(f), NamesAnnotation, rule)
	case otherPeer:
		if c.fit.port == portFits {
			return fmt.Sprintf("no rule is for %s; %s allows %s", describeEndpoint(to), rule, port)
		}
	}
	return "no rule is for " + describeEndpoint(to)
}

// namesOf lists what the annotation allows under a host's name.
func (c candidate) namesOf(host string) string {
	var entries []string
	for _, n := range c.view.names {
		if matchHost(n.host, host) {
			entries = append(entries, n.String())
		}
	}
	return abbreviate(entries, ", ")
}

// describeEndpoint names a destination in a reason.
func describeEndpoint(e flow.Endpoint) string {
	if e.Kind == flow.Resolver {
		return fmt.Sprintf("the cluster's resolver (pods %s in namespace %s)", resolverLabels, flow.ClusterResolver.Namespace)
	}
	return e.String()
}
