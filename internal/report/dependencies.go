package report

import (
	"slices"
	"strings"

	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// dependency is what is told in one block: a flow, or all look-ups of one source, which another dependency may imply.
type dependency struct {
	Denied
	protocols []string // of look-ups, each with its port; empty for any other flow
	others    bool     // of look-ups: the source has other unexpected flows, and looks names up for them
}

// dependencies returns the unexpected flows as a person counts them: the look-ups of a source are one, behind its others.
func (r Report) dependencies() []dependency {
	var all []dependency
	for i := 0; i < len(r.Denied); {
		source := r.Denied[i].Flow.Source.Identity()
		var lookups []Denied
		others := false
		for ; i < len(r.Denied) && r.Denied[i].Flow.Source.Identity() == source; i++ {
			if r.Denied[i].Flow.Destination.Kind == flow.Resolver {
				lookups = append(lookups, r.Denied[i])
				continue
			}
			others = true
			all = append(all, dependency{Denied: r.Denied[i]})
		}
		for len(lookups) > 0 {
			var same, rest []Denied
			for _, d := range lookups {
				if d.Flow.Destination.Identity() == lookups[0].Flow.Destination.Identity() && d.Told == lookups[0].Told {
					same = append(same, d)
				} else {
					rest = append(rest, d)
				}
			}
			all, lookups = append(all, lookUp(same, others)), rest
		}
	}
	return all
}

// lookUp is the dependency of a source's look-ups. One that was seen goes before one that is implied, with its process.
func lookUp(flows []Denied, others bool) dependency {
	slices.SortStableFunc(flows, func(a, b Denied) int {
		switch {
		case isImplied(a.Flow) == isImplied(b.Flow):
			return 0
		case isImplied(b.Flow):
			return -1
		}
		return 1
	})
	d := dependency{Denied: flows[0], others: others}
	var reasons []string
	for _, f := range flows {
		_, port, _ := strings.Cut(f.Flow.Target(), f.Flow.Destination.String()+":")
		d.protocols = append(d.protocols, port)
		reasons = append(reasons, reason(f))
	}
	slices.Sort(d.protocols)
	slices.Reverse(d.protocols) // UDP first, as resolvers do
	slices.Sort(reasons)
	d.Policy, d.Reason = "", strings.Join(slices.Compact(reasons), "; ")
	return d
}

// counted reports whether a dependency is one by itself: look-ups for others are not.
func (d dependency) counted() bool { return !d.others }

// countOf is the number of dependencies that are ones by themselves.
func countOf(all []dependency) (n int) {
	for _, d := range all {
		if d.counted() {
			n++
		}
	}
	return n
}

// target is the destination as the block's title has it: "kube-dns.kube-system:53/UDP and 53/TCP" for look-ups.
func (d dependency) target() string {
	if len(d.protocols) < 2 {
		return d.Flow.Target()
	}
	return d.Flow.Destination.String() + ":" + strings.Join(d.protocols, " and ")
}

// implied says why look-ups are needed that nobody was seen to make, or returns "" where all were seen.
func (d dependency) implied() string {
	switch {
	case d.others:
		return "by the flows above: pods look names up, over UDP and, where an answer does not fit, over TCP"
	case isImplied(d.Flow):
		return "pods look names up: over UDP and, where an answer does not fit, over TCP"
	}
	return ""
}
