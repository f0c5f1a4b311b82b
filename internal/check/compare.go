package check

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/netzero-dev/netzero/golden"
	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/internal/report"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// compare adds to the report the flows that the golden file denies, and the workloads that it does not isolate.
func compare[P golden.Policy](result *report.Report, d dialect[P], file *golden.File, flows []flow.Flow) {
	committed := d.of(file)
	result.Unprotected = d.rules.NotIsolated(committed, flows)
	result.Protected = d.rules.Protects(committed)
	required := d.rules.Required(flows)
	folded := flow.Fold(required)
	denied := make(map[policyKey]*report.Denied)
	whole := make(map[policyKey]flow.Flow) // the folded flows
	for _, f := range folded {
		whole[policyKeyOf(f)] = f
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
			key := policyKeyOf(f)
			entry := denied[key]
			if entry == nil {
				entry = &report.Denied{Flow: whole[key], Policy: verdict.Policy, Reason: verdict.Reason}
				denied[key] = entry
			}
			if a := f.Destination.Addr; a.IsValid() && !slices.Contains(entry.Addrs, a) {
				entry.Addrs = append(entry.Addrs, a)
			}
		}
	}
	for _, f := range folded {
		if d := denied[policyKeyOf(f)]; d != nil {
			slices.SortFunc(d.Addrs, netip.Addr.Compare)
			result.Denied = append(result.Denied, *d)
		}
	}
}

// compareRest adds to the report the parts of the golden file that the flows do not need. It only applies to files of
// one test.
func compareRest[P golden.Policy](result *report.Report, d dialect[P], file *golden.File, flows []flow.Flow) {
	committed := d.of(file)
	if other := file.OtherTest(result.Test); other != "" {
		result.Notices = append(result.Notices, fmt.Sprintf("the golden file says that it belongs to %s", other))
	}
	result.Unused = d.rules.Unused(committed, flows)
	if slices.ContainsFunc(d.scope.Subjects, func(s policy.Subject) bool { return s.AllTraffic }) {
		for _, p := range d.rules.Foreign(committed) { // of a container that no longer exists, or written by hand
			text := fmt.Sprintf("policy %s is for no workload of this run: "+
				"an update keeps it; delete it where its container is no more", p.GetName())
			if result.Strict {
				result.Unused = append(result.Unused, text)
			} else {
				result.Notices = append(result.Notices, text)
			}
		}
	}
}

// policyKey has the fields of a flow that a policy can match. [flow.Fold] merges flows with the same key.
type policyKey struct {
	source, destination flow.Endpoint // without the fields that [flow.Endpoint.Identity] drops
	port                uint16
	protocol            flow.Protocol
	icmpType            uint8
	lookup              bool
}

func policyKeyOf(f flow.Flow) policyKey {
	return policyKey{f.Source.Identity(), f.Destination.Identity(), f.Port, f.Protocol, f.ICMPType, f.Lookup}
}
