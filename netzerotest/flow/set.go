package flow

import (
	"cmp"
	"maps"
	"slices"
)

// key is what two observations of one flow have in common.
type key struct {
	source, destination Endpoint
	protocol            Protocol
	port                uint16
	icmpType            uint8
	lookup              bool
}

// Set collects flows: one that is added again only raises the count of the first. The zero value is empty and ready.
// It is not safe for concurrent use.
type Set struct {
	flows map[key]Flow
}

// Add merges f into the set: counts, refusals and binaries add up, and the earlier observation keeps its time and
// process.
func (s *Set) Add(f Flow) {
	if s.flows == nil {
		s.flows = make(map[key]Flow)
	}
	k := key{f.Source, f.Destination, f.Protocol, f.Port, f.ICMPType, f.Lookup}
	if old, ok := s.flows[k]; ok {
		f.Count += old.Count
		f.Refused += old.Refused
		f.Binaries = uniteBinaries(old.Binaries, f.Binaries)
		f.Before = f.Before && old.Before
		f.uniteRequests(old)
		if old.First <= f.First {
			f.First, f.Process, f.Dialled, f.Named = old.First, old.Process, old.Dialled, old.Named
		}
	}
	s.flows[k] = f
}

// Len returns the number of different flows.
func (s *Set) Len() int { return len(s.flows) }

// Sorted returns the flows in the order of [Flow.Compare], ties by evidence and time.
func (s *Set) Sorted() []Flow {
	return slices.SortedFunc(maps.Values(s.flows), func(a, b Flow) int {
		if c := a.Compare(b); c != 0 {
			return c
		}
		if c := int(a.Source.Evidence) - int(b.Source.Evidence); c != 0 {
			return c
		}
		return int(a.Destination.Evidence) - int(b.Destination.Evidence)
	})
}

// Fold merges the flows that are alike to a policy: same protocol and port, and ends with the same [Endpoint.Identity].
// All addresses of one name become one flow: the earliest of them, with the sums of their counts. The result is sorted.
func Fold(flows []Flow) []Flow {
	folded := make(map[key]Flow)
	for _, f := range flows {
		k := key{f.Source.Identity(), f.Destination.Identity(), f.Protocol, f.Port, f.ICMPType, f.Lookup}
		old, ok := folded[k]
		if !ok {
			folded[k] = f
			continue
		}
		first := old
		if f.First < old.First {
			first = f
		}
		first.Count, first.Refused = old.Count+f.Count, old.Refused+f.Refused
		first.Binaries = uniteBinaries(old.Binaries, f.Binaries)
		first.Before = old.Before && f.Before
		old.uniteRequests(f)
		first.Requests, first.Opaque = old.Requests, old.Opaque
		folded[k] = first
	}
	return slices.SortedFunc(maps.Values(folded), func(a, b Flow) int {
		a.Source, a.Destination = a.Source.Identity(), a.Destination.Identity()
		b.Source, b.Destination = b.Source.Identity(), b.Destination.Identity()
		return a.Compare(b) // not by addresses that the fold has hidden
	})
}

// uniteBinaries returns the union of two lists of [Flow].Binaries. It changes neither of them.
func uniteBinaries(a, b []string) []string { return union(a, b, cmp.Compare) }
