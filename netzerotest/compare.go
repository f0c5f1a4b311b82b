package netzerotest

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/netzero-dev/netzero/golden"
	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/internal/report"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// compare puts into the report what the golden file's policies say of the flows.
func compare[P golden.Policy](result *report.Report, d dialect[P], file *golden.File, flows []Flow) {
	committed := d.of(file)
	result.Unprotected = d.rules.NotIsolated(committed, flows)
	result.Protected = d.rules.Protects(committed)
	required := d.rules.Required(flows)
	denied := make(map[Flow]*report.Denied) // by the folded flow
	folded := flow.Fold(required)
	whole := make(map[Flow]Flow) // folded, by what a policy sees of it
	for _, f := range folded {
		whole[asSeen(f)] = f
	}
	evaluate := d.rules.Evaluator(committed)
	noticed := make(map[string]bool)
	for _, notice := range result.Notices {
		noticed[notice] = true
	}
	for _, f := range required {
		verdict := evaluate(f)
		for _, notice := range verdict.Notices {
			if !noticed[notice] {
				noticed[notice] = true
				result.Notices = append(result.Notices, notice)
			}
		}
		switch verdict.Outcome {
		case policy.Denied, policy.Inexpressible:
			whole := whole[asSeen(f)]
			entry := denied[whole]
			if entry == nil {
				entry = &report.Denied{Flow: whole, Policy: verdict.Policy, Reason: verdict.Reason}
				denied[whole] = entry
			}
			if a := f.Destination.Addr; a.IsValid() && !slices.Contains(entry.Addrs, a) {
				entry.Addrs = append(entry.Addrs, a)
			}
		}
	}
	for _, whole := range folded {
		if d := denied[whole]; d != nil {
			slices.SortFunc(d.Addrs, netip.Addr.Compare)
			result.Denied = append(result.Denied, *d)
		}
	}
}

// compareRest puts into the report what in the golden file's policies the flows do not need. Of a file that other tests
// share no single test can tell.
func compareRest[P golden.Policy](result *report.Report, d dialect[P], file *golden.File, flows []Flow) {
	committed := d.of(file)
	if other := file.OtherTest(result.Test); other != "" {
		result.Notices = append(result.Notices, fmt.Sprintf("the golden file says that it belongs to %s", other))
	}
	result.Unused = d.rules.Unused(committed, flows)
	if slices.ContainsFunc(d.scope.Subjects, func(s policy.Subject) bool { return s.AllTraffic }) {
		for _, p := range d.rules.Foreign(committed) { // of a container that has gone, or somebody's own
			text := fmt.Sprintf("policy %s is for no workload of this run: an update keeps it; delete it where its container is no more", p.GetName())
			if result.Strict {
				result.Unused = append(result.Unused, text)
			} else {
				result.Notices = append(result.Notices, text)
			}
		}
	}
}

// asSeen returns what a policy sees of a flow.
func asSeen(f Flow) Flow {
	return Flow{
		Source: f.Source.Identity(), Destination: f.Destination.Identity(), Port: f.Port, Protocol: f.Protocol, ICMPType: f.ICMPType, Lookup: f.Lookup,
	}
}
