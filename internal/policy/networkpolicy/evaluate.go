package networkpolicy

import (
	"slices"

	networkingv1 "k8s.io/api/networking/v1"

	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// Evaluate tells what the policies do to one flow, by the rules of networking.k8s.io/v1: they are a union, only those
// count that isolate a subject, and a flow needs one rule of one of them, where its source is a subject for egress, and
// where its destination is one that is isolated for ingress, for ingress too. Where both deny it, the reason is both.
// It does not ask for the flows that this one implies; see [Required]. For many flows, see [Scope.Evaluator].
//
// An ipBlock never holds a pod, and a pod selector never anything else; only a rule without peers is for
// [flow.Anyone]. A port with a name is the one that goes by it at the flow's destination; see [Workload]. Port 53 or 5353 by number, to any peer, is taken for the
// cluster's resolver, which goes by other labels in some clusters; and so is a rule that says less of ports, if its peer
// speaks of DNS. With [Scope].Resolvers each of them has to be allowed, and a rule for one does not stand for another.
//
// In a policy with [NamesAnnotation] the internet (0.0.0.0/0 or ::/0) is open only to external flows that match an
// entry, and external flows need one for a single address (/32 or /128) too. An external name that no policy can hold is
// its address.
//
// A flow that no rule is for, because of its protocol, needs an entry of [OtherAnnotation]. A look-up that got no address
// is allowed by what allows its name at any port, and by an entry of [NamesAnnotation] for it.
func (s Dialect) Evaluate(policies []*networkingv1.NetworkPolicy, f flow.Flow) policy.Verdict {
	s.Scope = s.Normalized()
	judged := s.ByAddress(f)
	v := s.EvaluateAtResolvers(judged, func(g flow.Flow) policy.Verdict {
		return s.Ends(g, s.wordless, func(subject policy.Workload, d policy.Direction) policy.Verdict {
			return s.EvaluateEnd(policies, subject, d, g)
		})
	})
	return policy.ExplainAddress(v, f, judged)
}

// EvaluateEnd tells what the policies do to a flow of the subject in one direction.
func (s Dialect) EvaluateEnd(policies []*networkingv1.NetworkPolicy, subject policy.Workload, d policy.Direction, f flow.Flow) policy.Verdict {
	isolating := s.applicablePolicies(policies, subject, d)
	switch other := !f.Lookup && s.wordless(f) != ""; {
	case other && d == policy.Ingress:
		selecting := slices.DeleteFunc(slices.Clone(policies), func(p *networkingv1.NetworkPolicy) bool { return doesNotSelect(p, subject) != "" })
		return policy.EvaluateOther(s.otherWords(), selecting, "", subject, d, f)
	case other && len(isolating) > 0:
		return policy.EvaluateOther(s.otherWords(), policiesOf(isolating), isolating[0].Name, subject, d, f)
	}
	if len(isolating) == 0 {
		_, why := isolates(policies, subject, d)
		return policy.Verdict{Outcome: policy.Unprotected, Rule: -1, Reason: why}
	}
	return s.overViews(isolating, subject, d, f)
}

// overViews is side for policies of which each isolates the subject.
func (s Dialect) overViews(isolating []applicable, subject policy.Workload, d policy.Direction, f flow.Flow) policy.Verdict {
	nearest := candidate{view: isolating[0], rule: -1}
	for _, v := range isolating {
		for i, rule := range v.rules {
			for peer, port := range rule.pairs() {
				c := candidate{v, i, peer, v.match(peer, port, f)}
				if c.match.Allows() {
					return policy.Verdict{Outcome: policy.Allowed, Policy: v.Name, Rule: i, Reason: c.allowedReason(), Notices: c.notices()}
				}
				if nearest.rule < 0 || c.match.Compare(nearest.match) > 0 {
					nearest = c
				}
			}
		}
	}
	return s.notAllowed(isolating, nearest, subject, d, f)
}

// notAllowed is the verdict where no rule allows a flow.
func (s Dialect) notAllowed(isolating []applicable, nearest candidate, subject policy.Workload, d policy.Direction, f flow.Flow) policy.Verdict {
	if f.Lookup {
		return policy.EvaluateLookup(s.Scope, policiesOf(isolating), isolating[0].Name, subject, f)
	}
	if why := s.inexpressible(d, f); why != "" {
		return policy.Verdict{Outcome: policy.Inexpressible, Rule: -1, Reason: why}
	}
	first := isolating[0].Name
	return policy.Verdict{Outcome: policy.Denied, Policy: first, Rule: -1, Reason: nearest.deniedReason(f, first)}
}

// policiesOf returns the policies of views.
func policiesOf(views []applicable) []*networkingv1.NetworkPolicy {
	var policies []*networkingv1.NetworkPolicy
	for _, v := range views {
		policies = append(policies, v.NetworkPolicy)
	}
	return policies
}
