package networkpolicy

import (
	"slices"

	networkingv1 "k8s.io/api/networking/v1"

	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// Evaluate returns the verdict of the policies on one flow, by the rules of networking.k8s.io/v1. Policies are a
// union, and only those that isolate a subject count. If the flow's source is a subject, one egress rule of one
// policy has to allow the flow. If its destination is a subject that is isolated for ingress, an ingress rule has to
// allow it too. If both ends deny it, the reason names both. Evaluate does not check the flows that this one implies;
// see [Required]. For many flows, see [Dialect.Evaluator].
//
// An ipBlock never matches a pod, and a pod selector matches only pods. Only a rule without peers matches
// [flow.Anyone]. A named port is the port with that name at the flow's destination; see [policy.Workload]. The number
// 53 or 5353 counts as the cluster's resolver with any peer, because some clusters label the resolver differently. A
// rule that is less specific about ports counts too if its peer mentions DNS. If Resolvers of the [policy.Scope] is
// set, the policies have to allow each of them, and a rule for one does not stand for another.
//
// In a policy with [policy.NamesAnnotation] the internet (0.0.0.0/0 or ::/0) is open only to external flows that
// match an entry. External flows to a single address (/32 or /128) need an entry too. An external name that no policy
// can hold counts as its address.
//
// A flow with a protocol that rules cannot name needs an entry of [policy.OtherAnnotation]. A lookup that got no
// address is allowed by a rule or entry that allows its name at any port, and by an entry of [policy.NamesAnnotation]
// for it.
//
// A flow with several requests is evaluated for each of them; see [policy.PerRequest]. If a policy whose rules allow a
// flow has entries of [policy.RequestsAnnotation] for its destination and port, the policy allows only the requests
// that match one of them, and no flow that is opaque. [policy.KafkaAnnotation] of any of the policies limits the Kafka
// requests to those that one of them lists.
func (d Dialect) Evaluate(policies []*networkingv1.NetworkPolicy, f flow.Flow) policy.Verdict {
	d.Scope = d.Normalized()
	return policy.PerRequest(f, func(f flow.Flow) policy.Verdict {
		evaluated := d.ByAddress(f)
		v := d.EvaluateAtResolvers(evaluated, func(g flow.Flow) policy.Verdict {
			return d.Ends(g, d.inexpressibleKind, func(subject policy.Workload, direction policy.Direction) policy.Verdict {
				return d.EvaluateEnd(policies, subject, direction, g)
			})
		})
		return policy.ExplainAddress(v, f, evaluated)
	})
}

// EvaluateEnd returns the verdict of the policies on a flow of the subject in one direction. The flow has at most one
// request, or is opaque.
func (d Dialect) EvaluateEnd(
	policies []*networkingv1.NetworkPolicy, subject policy.Workload, direction policy.Direction, f flow.Flow,
) policy.Verdict {
	isolating := d.applicablePolicies(policies, subject, direction)
	switch other := !f.Lookup && d.inexpressibleKind(f) != ""; {
	case other && direction == policy.Ingress:
		selecting := slices.DeleteFunc(slices.Clone(policies), func(p *networkingv1.NetworkPolicy) bool {
			return doesNotSelect(p, subject) != ""
		})
		return policy.EvaluateOther(d.otherFlows(), selecting, "", subject, direction, f)
	case other && len(isolating) > 0:
		return policy.EvaluateOther(d.otherFlows(), policiesOf(isolating), isolating[0].Name, subject, direction, f)
	}
	if len(isolating) == 0 {
		_, why := isolates(policies, subject, direction)
		return policy.Verdict{Outcome: policy.Unprotected, Rule: -1, Reason: why}
	}
	return d.byRequest(isolating, subject, direction, f, d.evaluateApplicable(isolating, subject, direction, f))
}

// evaluateApplicable evaluates a flow against the rules of policies that all isolate the subject.
func (d Dialect) evaluateApplicable(
	isolating []applicable, subject policy.Workload, direction policy.Direction, f flow.Flow,
) policy.Verdict {
	nearest := candidate{policy: isolating[0], rule: -1}
	for _, v := range isolating {
		for i, rule := range v.rules {
			for peer, port := range rule.pairs() {
				c := candidate{v, i, peer, v.match(peer, port, f)}
				if c.match.Allows() {
					return policy.Verdict{
						Outcome: policy.Allowed, Policy: v.Name, Rule: i, Reason: c.allowedReason(), Notices: c.notices(),
					}
				}
				if nearest.rule < 0 || c.match.Compare(nearest.match) > 0 {
					nearest = c
				}
			}
		}
	}
	return d.notAllowed(isolating, nearest, subject, direction, f)
}

// notAllowed returns the verdict on a flow that no rule allows.
func (d Dialect) notAllowed(
	isolating []applicable, nearest candidate, subject policy.Workload, direction policy.Direction, f flow.Flow,
) policy.Verdict {
	if f.Lookup {
		return policy.EvaluateLookup(d.Scope, policiesOf(isolating), isolating[0].Name, subject, f)
	}
	if why := d.inexpressible(direction, f); why != "" {
		return policy.Verdict{Outcome: policy.Inexpressible, Rule: -1, Reason: why}
	}
	first := isolating[0].Name
	return policy.Verdict{Outcome: policy.Denied, Policy: first, Rule: -1, Reason: nearest.deniedReason(f, first)}
}

// policiesOf returns the policy objects of applicable policies.
func policiesOf(applied []applicable) []*networkingv1.NetworkPolicy {
	var policies []*networkingv1.NetworkPolicy
	for _, v := range applied {
		policies = append(policies, v.NetworkPolicy)
	}
	return policies
}
