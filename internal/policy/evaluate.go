package policy

import (
	"strings"

	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// Outcome is the effect of policies on a flow.
type Outcome uint8

// The outcomes.
const (
	Denied        Outcome = iota // a policy isolates a subject, and no rule allows the flow
	Allowed                      // rules allow the flow at every end that was evaluated
	Unprotected                  // no policy isolates the subject: Kubernetes allows all traffic
	Inexpressible                // no rule allows the flow, and none could: an end has neither name nor address
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

// Verdict is an outcome and the reason for it. If the policies of both source and destination were evaluated, it
// describes the first of them with this outcome.
type Verdict struct {
	Outcome   Outcome
	Direction Direction // of the policies that it describes: Ingress for those of the destination
	Policy    string    // the policy that allowed the flow or, denied, the first that isolates the subject; else empty
	Rule      int       // of the allowing rule, among that policy's rules of one direction; -1 if none or an annotation
	Reason    string    // one line for a person: the rule; for a denied flow, the nearest rule and how it differs
	Notices   []string  // one line each on an allowed flow that deserves attention; usually empty
}

// Ends combines the verdicts that side returns for each end of a flow that is a subject.
func (s Scope) Ends(f flow.Flow, inexpressible func(flow.Flow) string, side func(Workload, Direction) Verdict) Verdict {
	var verdicts []Verdict
	for _, d := range Directions {
		subject, ok := s.SubjectOf(d.SubjectEnd(f))
		if !ok || d == Ingress && f.Lookup {
			continue
		}
		if d == Ingress && inexpressible(f) != "" && !(OtherFlows{Scope: s}).Decides(d, f) {
			continue
		}
		v := side(subject, d)
		v.Direction = d
		if d == Ingress && v.Outcome == Unprotected && len(verdicts) > 0 {
			// A subject that is not isolated accepts all traffic; NotIsolated reports it where that is an error.
			continue
		}
		verdicts = append(verdicts, v)
	}
	if len(verdicts) == 0 {
		return Verdict{
			Outcome: Unprotected, Rule: -1,
			Reason: "neither " + f.Source.String() + " nor " + f.Destination.String() + " is in scope",
		}
	}
	return join(verdicts)
}

// join returns the combined verdict of the evaluated ends: the worst outcome, with the reasons of all that have it.
func join(verdicts []Verdict) Verdict {
	var joined Verdict
	for _, outcome := range bySeverity {
		first := true
		for _, v := range verdicts {
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
	for _, v := range verdicts {
		joined.Notices = append(joined.Notices, v.Notices...)
	}
	return joined
}

// ofPolicy returns a reason prefixed with the policy that it refers to.
func ofPolicy(v Verdict) string {
	name := "policy " + v.Policy
	if v.Policy == "" || strings.HasPrefix(v.Reason, name+" ") {
		return v.Reason
	}
	return name + ": " + v.Reason
}
