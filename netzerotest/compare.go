package netzerotest

import (
	"fmt"
	"net/netip"
	"slices"

	networkingv1 "k8s.io/api/networking/v1"

	"github.com/netzero-dev/netzero/golden"
	"github.com/netzero-dev/netzero/internal/flow"
	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/internal/report"
)

type policies = []*networkingv1.NetworkPolicy

// compare puts into the report what the golden file's policies say of the flows.
func compare(result *report.Report, scope policy.Scope, file *golden.File, flows []Flow) {
	if other := file.OtherTest(result.Test); other != "" {
		result.Notices = append(result.Notices, fmt.Sprintf("the golden file says that it belongs to %s", other))
	}
	result.Unprotected = scope.NotIsolated(file.Policies, flows)
	result.Protected = scope.Protects(file.Policies)
	required := policy.Required(flows)
	denied := make(map[Flow]*report.Denied) // by the folded flow
	folded := flow.Fold(required)
	for _, f := range required {
		verdict := scope.Evaluate(file.Policies, f)
		for _, notice := range verdict.Notices {
			if !slices.Contains(result.Notices, notice) {
				result.Notices = append(result.Notices, notice)
			}
		}
		switch verdict.Outcome {
		case policy.Inexpressible:
			result.Notices = append(result.Notices, fmt.Sprintf("%s: %s", f.Target(), verdict.Reason))
		case policy.Denied:
			whole := folded[slices.IndexFunc(folded, func(g Flow) bool { return sameFold(f, g) })]
			d := denied[whole]
			if d == nil {
				d = &report.Denied{Flow: whole, Policy: verdict.Policy, Reason: verdict.Reason}
				denied[whole] = d
			}
			if a := f.Destination.Addr; a.IsValid() && !slices.Contains(d.Addrs, a) {
				d.Addrs = append(d.Addrs, a)
			}
		}
	}
	for _, whole := range folded {
		if d := denied[whole]; d != nil {
			slices.SortFunc(d.Addrs, netip.Addr.Compare)
			result.Denied = append(result.Denied, *d)
		}
	}
	result.Unused = scope.Unused(file.Policies, flows)
	if slices.ContainsFunc(scope.Subjects, func(s policy.Subject) bool { return s.Whole }) {
		for _, p := range scope.Foreign(file.Policies) { // of a container that has gone, or somebody's own
			text := fmt.Sprintf("policy %s is for no workload of this run: an update keeps it; delete it where its container is no more", p.Name)
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
		f.Port == g.Port && f.Protocol == g.Protocol
}
