package policy

import (
	"slices"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"

	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// Outcome is what policies do to a flow.
type Outcome uint8

// The outcomes.
const (
	Denied        Outcome = iota // a policy isolates a subject, and no rule allows the flow
	Allowed                      // rules allow the flow, at every end that is asked
	Unprotected                  // no policy isolates the subject: Kubernetes lets everything pass
	Inexpressible                // nothing allows the flow, and nothing in a policy could: an end of it has neither name nor address
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

// Verdict is an outcome and what it rests on. Of two policies that were asked, source and destination, the first that
// has the outcome counts.
type Verdict struct {
	Outcome Outcome
	Policy  string   // the policy that allowed the flow or, denied, the first that isolates the subject; else empty
	Rule    int      // the index of the rule that allowed the flow among that policy's egress or ingress rules; else -1, also where an annotation did
	Reason  string   // one line for a person: the rule, or for a denied flow the nearest rule and what differs
	Notices []string // a line each about an allowed flow that deserves a look; mostly none
}

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
func (s Scope) Evaluate(policies []*networkingv1.NetworkPolicy, f flow.Flow) Verdict {
	s = s.normal()
	judged := s.byAddress(f)
	v := s.evaluateAt(judged, func(g flow.Flow) Verdict {
		return s.ends(g, s.wordless, func(subject Workload, d direction) Verdict { return s.side(policies, subject, d, g) })
	})
	return explainAddress(v, f, judged)
}

// ends joins what side says of each end of a flow at which there is a subject.
func (s Scope) ends(f flow.Flow, wordless func(flow.Flow) string, side func(Workload, direction) Verdict) Verdict {
	var asked []Verdict
	for _, d := range directions {
		subject, ok := s.subject(d.near(f))
		if !ok || d == ingress && f.Lookup {
			continue
		}
		if d == ingress && wordless(f) != "" && !(otherWords{Scope: s}).judges(d, f) {
			continue
		}
		v := side(subject, d)
		if d == ingress && v.Outcome == Unprotected && len(asked) > 0 {
			continue // whoever is not isolated takes everything; NotIsolated tells where that is a fault
		}
		asked = append(asked, v)
	}
	if len(asked) == 0 {
		return Verdict{Outcome: Unprotected, Rule: -1, Reason: "neither " + f.Source.String() + " nor " + f.Destination.String() + " is in scope"}
	}
	return join(asked)
}

// join returns the verdict of the ends that were asked: the worst of them, with the reasons of all that reach it.
func join(asked []Verdict) Verdict {
	var joined Verdict
	for _, outcome := range []Outcome{Allowed, Unprotected, Inexpressible, Denied} {
		first := true
		for _, v := range asked {
			switch {
			case v.Outcome != outcome:
			case first:
				joined, first = v, false
			case v.Reason != joined.Reason:
				joined.Reason += "; " + ofPolicy(v)
			}
		}
	}
	joined.Notices = nil
	for _, v := range asked {
		joined.Notices = append(joined.Notices, v.Notices...)
	}
	return joined
}

// ofPolicy returns a reason with the policy that it is about.
func ofPolicy(v Verdict) string {
	name := "policy " + v.Policy
	if v.Policy == "" || strings.HasPrefix(v.Reason, name+" ") {
		return v.Reason
	}
	return name + ": " + v.Reason
}

// side tells what the policies do to a flow of the subject in one direction.
func (s Scope) side(policies []*networkingv1.NetworkPolicy, subject Workload, d direction, f flow.Flow) Verdict {
	isolating := s.views(policies, subject, d)
	switch other := !f.Lookup && s.wordless(f) != ""; {
	case other && d == ingress:
		selecting := slices.DeleteFunc(slices.Clone(policies), func(p *networkingv1.NetworkPolicy) bool { return overlooks(p, subject) != "" })
		return judgeOther(s.otherWords(), selecting, "", subject, d, f)
	case other && len(isolating) > 0:
		return judgeOther(s.otherWords(), policiesOf(isolating), isolating[0].Name, subject, d, f)
	}
	if len(isolating) == 0 {
		_, why := isolates(policies, subject, d)
		return Verdict{Outcome: Unprotected, Rule: -1, Reason: why}
	}
	return s.overViews(isolating, subject, d, f)
}

// overViews is side for policies of which each isolates the subject.
func (s Scope) overViews(isolating []view, subject Workload, d direction, f flow.Flow) Verdict {
	nearest := candidate{view: isolating[0], rule: -1}
	for _, v := range isolating {
		for i, rule := range v.rules {
			for peer, port := range rule.pairs() {
				c := candidate{v, i, peer, v.match(peer, port, f)}
				if c.fit.allows() {
					return Verdict{Allowed, v.Name, i, c.allowedReason(), c.notices()}
				}
				if nearest.rule < 0 || c.fit.compare(nearest.fit) > 0 {
					nearest = c
				}
			}
		}
	}
	return s.notAllowed(isolating, nearest, subject, d, f)
}

// notAllowed is the verdict where no rule allows a flow.
func (s Scope) notAllowed(isolating []view, nearest candidate, subject Workload, d direction, f flow.Flow) Verdict {
	if f.Lookup {
		return judgeLookup(s, policiesOf(isolating), isolating[0].Name, subject, f)
	}
	if why := s.inexpressible(d, f); why != "" {
		return Verdict{Outcome: Inexpressible, Rule: -1, Reason: why}
	}
	first := isolating[0].Name
	return Verdict{Outcome: Denied, Policy: first, Rule: -1, Reason: nearest.deniedReason(f, first)}
}

// policiesOf returns the policies of views.
func policiesOf(views []view) []*networkingv1.NetworkPolicy {
	var policies []*networkingv1.NetworkPolicy
	for _, v := range views {
		policies = append(policies, v.NetworkPolicy)
	}
	return policies
}
