package check

import (
	"net/netip"
	"slices"

	"github.com/netzero-dev/netzero/golden"
	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/internal/recording"
	"github.com/netzero-dev/netzero/internal/report"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// compare adds to the report the flows that the golden file denies, the programs that it does not list, and the
// workloads that it does not isolate. initiators are those of the recording; nil if they are not known.
func compare(result *report.Report, d dialect, file *golden.File, flows []flow.Flow,
	initiators map[recording.Program]recording.Initiator) {
	compareFlows(result, d, file, flows)
	compareBinaries(result, d, file, flows, initiators)
}

// verdicts returns the flows and those that they imply, each with the verdict of the golden file.
func verdicts(d dialect, file *golden.File, flows []flow.Flow) []FlowVerdict {
	var all []FlowVerdict
	evaluate := d.Evaluator(file.Policies)
	for i, f := range d.Required(flows) {
		v := FlowVerdict{Flow: f, Implied: i >= len(flows), Verdict: evaluate(f)}
		if f.Opaque == "" {
			for _, g := range f.PerRequest() {
				if len(g.Requests) > 0 {
					v.Requests = append(v.Requests, evaluate(g))
				}
			}
		}
		all = append(all, v)
	}
	return all
}

// compareFlows adds to the report the flows and the requests that the golden file denies, the flows that only the
// kernel refused, and the workloads that the file does not isolate.
func compareFlows(result *report.Report, d dialect, file *golden.File, flows []flow.Flow) {
	committed := file.Policies
	result.Unprotected = d.NotIsolated(committed, flows)
	result.Protected = d.Protects(committed)
	required := d.Required(flows)
	folded := flow.Fold(required)
	denied := make(map[policyKey][]*report.Denied) // one for each denied request
	others := make(map[policyKey]policy.Verdict)
	whole := make(map[policyKey]flow.Flow) // the folded flows
	for _, f := range folded {
		whole[policyKeyOf(f)] = f
	}
	evaluate := d.Evaluator(committed)
	noticed := make(map[recording.Notice]bool)
	for _, notice := range result.Notices {
		noticed[notice] = true
	}
	for _, f := range required {
		key := policyKeyOf(f)
		f.Opaque = whole[key].Opaque // policies see no difference
		for _, verdict := range judge(evaluate, f) {
			for _, text := range verdict.Notices {
				notice := recording.Notice{Code: recording.CodeWideRule, Text: text}
				if !noticed[notice] {
					noticed[notice] = true
					result.Notices = append(result.Notices, notice)
				}
			}
			if verdict.Outcome != policy.Denied && verdict.Outcome != policy.Inexpressible {
				others[key] = verdict.Verdict
				continue
			}
			request := kind(verdict.request)
			i := slices.IndexFunc(denied[key], func(d *report.Denied) bool { return kind(d.Request) == request })
			if i < 0 {
				i = len(denied[key])
				denied[key] = append(denied[key], &report.Denied{
					Flow: whole[key], Request: verdict.request, Policy: verdict.Policy, Reason: verdict.Reason,
				})
			}
			entry := denied[key][i]
			entry.WouldRefuse = entry.WouldRefuse || verdict.byPort && wouldRefuse(f, verdict.Verdict)
			if a := f.Destination.Addr; a.IsValid() && !slices.Contains(entry.Addrs, a) {
				entry.Addrs = append(entry.Addrs, a)
			}
		}
	}
	for _, f := range folded {
		all := denied[policyKeyOf(f)]
		slices.SortStableFunc(all, func(a, b *report.Denied) int { return a.Request.Compare(b.Request) })
		for _, d := range all {
			slices.SortFunc(d.Addrs, netip.Addr.Compare)
			result.Denied = append(result.Denied, *d)
		}
		isQuestion := f.Destination.Kind == flow.Resolver // refused questions are lookups of their own
		if len(all) == 0 && isRefused(f) && !isQuestion {
			addRefused(result, f, others[policyKeyOf(f)])
		}
	}
}

// noticeForeign adds notices about a golden file, or policies in it, that seem to belong to others than its owner. With
// Strict, such policies are unused instead.
func noticeForeign(c *checker, d dialect, file *golden.File) {
	f := c.options.File
	if other := file.OtherTest(f.owner); !f.isShared() && other != "" {
		c.notice(recording.CodeOtherTest, "the golden file says that it belongs to "+other)
	}
	if !c.options.Strict {
		for _, text := range f.foreign(d, file) {
			c.notice(recording.CodeForeignPolicy, text)
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
