package netzerotest

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/netzero-dev/netzero/golden"
	"github.com/netzero-dev/netzero/internal/flow"
	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/internal/report"
)

// compare puts into the report what the golden file's policies say of the flows.
func compare[P golden.Policy](result *report.Report, d dialect[P], file *golden.File, flows []Flow) {
	committed := d.of(file)
	result.Unprotected = d.rules.NotIsolated(committed, flows)
	result.Protected = d.rules.Protects(committed)
	required := d.rules.Required(flows)
	denied := make(map[Flow]*report.Denied) // by the folded flow
	folded := flow.Fold(required)
	for _, f := range required {
		verdict := d.rules.Evaluate(committed, f)
		for _, notice := range verdict.Notices {
			if !slices.Contains(result.Notices, notice) {
				result.Notices = append(result.Notices, notice)
			}
		}
		switch verdict.Outcome {
		case policy.Denied, policy.Inexpressible:
			whole := folded[slices.IndexFunc(folded, func(g Flow) bool { return sameFold(f, g) })]
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
	if slices.ContainsFunc(d.scope.Subjects, func(s policy.Subject) bool { return s.Whole }) {
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

// sameFold reports whether a policy sees two flows as one.
func sameFold(f, g Flow) bool {
	return f.Source.Identity() == g.Source.Identity() && f.Destination.Identity() == g.Destination.Identity() &&
		f.Port == g.Port && f.Protocol == g.Protocol && f.ICMPType == g.ICMPType && f.Lookup == g.Lookup
}
