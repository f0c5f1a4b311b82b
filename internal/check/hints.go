package check

import (
	"net/netip"

	"github.com/netzero-dev/netzero/internal/recording"
	"github.com/netzero-dev/netzero/internal/report"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// addReverseDNS adds reverse DNS names to a report of failure, for addresses without another name: for denied flows or,
// if there is no golden file yet, for all. The names only help the reader. No policy contains them.
func addReverseDNS(result *report.Report, flows []flow.Flow, lookup func([]netip.Addr) map[netip.Addr]string) {
	var nameless []netip.Addr
	add := func(e flow.Endpoint) {
		if e.Kind == flow.Address {
			nameless = append(nameless, e.Addr)
		}
	}
	for _, d := range result.Denied {
		add(d.Flow.Destination)
	}
	if result.Missing {
		for _, f := range flows {
			add(f.Destination)
		}
	}
	if len(nameless) == 0 || lookup == nil {
		return
	}
	names := lookup(nameless)
	for i, d := range result.Denied {
		if e := d.Flow.Destination; e.Kind == flow.Address {
			result.Denied[i].ReverseDNS = names[e.Addr]
		}
	}
	if !result.Missing {
		return
	}
	noticed := make(map[netip.Addr]bool)
	for _, addr := range nameless {
		if name := names[addr]; name != "" && !noticed[addr] {
			noticed[addr] = true
			result.Notices = append(result.Notices,
				recording.Noticef(recording.CodeReverseDNS, "%s: reverse DNS says %s (set by the owner of the "+
					"address; no policy uses it)", addr, name))
		}
	}
}
