package policy

import (
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// Direction is the direction of a flow, as seen by the pods that a policy selects.
type Direction uint8

const (
	Egress Direction = iota
	Ingress
)

// Directions holds both directions, in the order in which policies are written and reported.
var Directions = []Direction{Egress, Ingress}

// String returns the direction in lower case.
func (d Direction) String() string {
	if d == Ingress {
		return "ingress"
	}
	return "egress"
}

// SubjectEnd returns the end of a flow that a policy of this direction selects.
func (d Direction) SubjectEnd(f flow.Flow) flow.Endpoint {
	if d == Ingress {
		return f.Destination
	}
	return f.Source
}

// PeerEnd returns the end of a flow that the peers of a rule of this direction match.
func (d Direction) PeerEnd(f flow.Flow) flow.Endpoint {
	if d == Ingress {
		return f.Source
	}
	return f.Destination
}
