package enforce

import (
	"cmp"
	"slices"

	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// Everything returns the range that holds each port of each protocol.
func Everything() []PortRange { return []PortRange{{AnyProtocol, 0, 65535}} }

// Contains reports whether one of the ranges holds a port of a protocol.
func Contains(ranges []PortRange, protocol flow.Protocol, port uint16) bool {
	return slices.ContainsFunc(ranges, func(r PortRange) bool { return r.contains(protocol, port) })
}

func (r PortRange) contains(protocol flow.Protocol, port uint16) bool {
	return r.Protocol == AnyProtocol || r.Protocol == protocol && r.First <= port && port <= r.Last
}

// Join returns the ports of all lists, sorted and without overlaps.
func Join(lists ...[]PortRange) []PortRange {
	all := slices.Concat(lists...)
	slices.SortFunc(all, func(a, b PortRange) int {
		return cmp.Or(cmp.Compare(a.Protocol, b.Protocol), cmp.Compare(a.First, b.First))
	})
	if len(all) > 0 && all[0].Protocol == AnyProtocol {
		return Everything()
	}
	joined := all[:0]
	for _, r := range all {
		if n := len(joined); n > 0 && joined[n-1].Protocol == r.Protocol && int(r.First) <= int(joined[n-1].Last)+1 {
			joined[n-1].Last = max(joined[n-1].Last, r.Last)
			continue
		}
		joined = append(joined, r)
	}
	return joined
}

// Intersect returns the ports that two joined lists have in common.
func Intersect(a, b []PortRange) []PortRange {
	var common []PortRange
	for _, r := range a {
		for _, s := range b {
			switch {
			case r.Protocol == AnyProtocol:
				common = append(common, s)
			case s.Protocol == AnyProtocol:
				common = append(common, r)
			case r.Protocol == s.Protocol && r.First <= s.Last && s.First <= r.Last:
				common = append(common, PortRange{r.Protocol, max(r.First, s.First), min(r.Last, s.Last)})
			}
		}
	}
	return Join(common)
}

// Subtract returns the ports of a joined list without those of another. Of everything, less some ports, it returns what
// is left of the protocols with a name, because no list can hold the others.
func Subtract(from, without []PortRange) []PortRange {
	switch {
	case len(from) == 0 || len(without) == 0:
		return from
	case without[0].Protocol == AnyProtocol:
		return nil
	case from[0].Protocol == AnyProtocol:
		from = nil
		for _, protocol := range []flow.Protocol{flow.ICMP, flow.TCP, flow.UDP, flow.ICMPv6, flow.SCTP, flow.UDPLite} {
			from = append(from, PortRange{protocol, 0, 65535})
		}
	}
	var left []PortRange
	for _, r := range from {
		left = append(left, r.subtract(without)...)
	}
	return left
}

// subtract returns what is left of a range without the ports of a joined list.
func (r PortRange) subtract(without []PortRange) []PortRange {
	var left []PortRange
	first := int(r.First)
	for _, s := range without {
		if s.Protocol != r.Protocol || int(s.Last) < first || s.First > r.Last {
			continue
		}
		if first < int(s.First) {
			left = append(left, PortRange{r.Protocol, uint16(first), s.First - 1})
		}
		first = int(s.Last) + 1
	}
	if first <= int(r.Last) {
		left = append(left, PortRange{r.Protocol, uint16(first), r.Last})
	}
	return left
}

// atMost returns a joined list with at most n ranges. If there are more, it fills the smallest gaps between ranges.
func atMost(n int, ranges []PortRange) []PortRange {
	for len(ranges) > n {
		best := -1
		for i := 1; i < len(ranges); i++ {
			if ranges[i].Protocol == ranges[i-1].Protocol && (best < 0 || gap(ranges, i) < gap(ranges, best)) {
				best = i
			}
		}
		if best < 0 {
			return Everything()
		}
		ranges = slices.Clone(ranges)
		ranges[best-1].Last = ranges[best].Last
		ranges = slices.Delete(ranges, best, best+1)
	}
	return ranges
}

// gap returns the number of ports between a range and the one before it.
func gap(ranges []PortRange, i int) int { return int(ranges[i].First) - int(ranges[i-1].Last) }
