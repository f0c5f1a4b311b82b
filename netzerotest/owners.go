package netzerotest

import (
	"context"
	"fmt"
	"net/netip"

	"github.com/netzero-dev/netzero/internal/rdns"
	"github.com/netzero-dev/netzero/internal/recorder"
	"github.com/netzero-dev/netzero/internal/report"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// addOwners puts into a report of failure what the owners of addresses call them that nobody has a name for: of those that
// are denied or, where there is no policy yet, of all. That is for its reader alone. Nothing is asked while this process is
// recorded for another test, or by the process that started it: what is asked would be a flow there.
func addOwners(result *report.Report, flows []Flow) {
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
	if len(nameless) == 0 {
		return
	}
	var names map[netip.Addr]string
	recorder.Unrecorded(func() { names = rdns.Names(context.Background(), nameless) })
	for i, d := range result.Denied {
		if e := d.Flow.Destination; e.Kind == flow.Address {
			result.Denied[i].ReverseDNS = names[e.Addr]
		}
	}
	if result.Missing {
		for _, addr := range nameless {
			if name := names[addr]; name != "" {
				result.Notices = append(result.Notices, fmt.Sprintf("%s: reverse DNS says %s (set by the owner of the address; no policy uses it)", addr, name))
				delete(names, addr) // said once
			}
		}
	}
}
