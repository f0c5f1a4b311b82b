package policy

import (
	"strings"

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

// Ends joins what side says of each end of a flow at which there is a subject.
func (s Scope) Ends(f flow.Flow, wordless func(flow.Flow) string, side func(Workload, Direction) Verdict) Verdict {
	var asked []Verdict
	for _, d := range Directions {
		subject, ok := s.SubjectOf(d.SubjectEnd(f))
		if !ok || d == Ingress && f.Lookup {
			continue
		}
		if d == Ingress && wordless(f) != "" && !(OtherFlows{Scope: s}).Decides(d, f) {
			continue
		}
		v := side(subject, d)
		if d == Ingress && v.Outcome == Unprotected && len(asked) > 0 {
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
