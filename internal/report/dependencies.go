package report

import (
	"slices"
	"strings"

	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// dependency is the content of one block: a flow, all denied requests of a flow, or all lookups of one source, which
// another dependency may imply.
type dependency struct {
	Denied
	protocols []string // of lookups, each with its port; empty for any other flow
	others    bool     // of lookups: the source has other unexpected flows, which need the lookups
	requests  []string // of a flow whose requests are denied: all of them as texts, Denied.Request first
	added     map[flow.Request]bool
}

// dependencies groups the unexpected flows for people: the lookups of a source are one dependency, after its others.
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
			d := dependency{Denied: r.Denied[i]}
			if d.isRequest() {
				if same := sameFlow(all, d.Denied); same != nil {
					same.addRequest(d.Request)
					continue
				}
				d.addRequest(d.Request)
			}
			all = append(all, d)
		}
		for len(lookups) > 0 {
			var same, rest []Denied
			for _, d := range lookups {
				if d.Flow.Destination.Identity() == lookups[0].Flow.Destination.Identity() &&
					d.ReportedBy == lookups[0].ReportedBy {
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

// lookUp returns the dependency of a source's lookups. An observed one, with its process, precedes an implied one.
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
	slices.Reverse(d.protocols) // UDP first, like resolvers
	slices.Sort(reasons)
	d.Policy, d.Reason = "", strings.Join(slices.Compact(reasons), "; ")
	return d
}

// counted reports whether a dependency counts by itself: lookups for others do not.
func (d dependency) counted() bool { return !d.others }

// countOf returns the number of dependencies that count by themselves.
func countOf(all []dependency) (n int) {
	for _, d := range all {
		if d.counted() {
			n++
		}
	}
	return n
}

// source returns the name of the source, which is the workload of the test process if the flow does not say.
func (d dependency) source(workload string) string {
	s := d.Flow.Source
	if s.Name == "" && !s.Addr.IsValid() && s.Kind != flow.Anyone {
		return workload
	}
	return s.String()
}

// title returns both ends in one line.
func (d dependency) title(workload string) string { return ends(d.source(workload), d.target()) }

// target returns the destination for the block's title: "kube-dns.kube-system:53/UDP and 53/TCP" for lookups.
func (d dependency) target() string {
	if len(d.protocols) < 2 {
		return d.Flow.Target()
	}
	return d.Flow.Destination.String() + ":" + strings.Join(d.protocols, " and ")
}

// implied explains why lookups are needed that were not observed; "" if all were.
func (d dependency) implied() string {
	switch {
	case d.others:
		return "by the flows above: pods resolve names over UDP, and over TCP if an answer does not fit"
	case isImplied(d.Flow):
		return "pods resolve names over UDP, and over TCP if an answer does not fit"
	}
	return ""
}
