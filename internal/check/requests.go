package check

import (
	"fmt"

	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/internal/recording"
	"github.com/netzero-dev/netzero/internal/report"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// noRequests says why the requests of a test without the option Requests are not known.
const noRequests = "a test without the option Requests"

// judged is the verdict on a flow, or on one of its requests.
type judged struct {
	policy.Verdict
	request flow.Request // zero if the verdict is about the flow, whatever it sends
	byPort  bool         // the verdict does not depend on what the flow sends
}

// judge returns a verdict for each request of a flow, in their order, or one if the flow is opaque or has none. If its
// port is denied, there is one verdict.
func judge(evaluate func(flow.Flow) policy.Verdict, f flow.Flow) []judged {
	isRead := f.Opaque == "" && len(f.Requests) > 0
	var all []judged
	for _, g := range f.PerRequest() {
		j := judged{Verdict: evaluate(g), byPort: f.Opaque == "" && !isRead}
		if isRead {
			j.request = g.Requests[0]
		}
		if j.Outcome != policy.Allowed && !j.byPort {
			f.Requests, f.Opaque = nil, ""
			if v := evaluate(f); v.Outcome != policy.Allowed {
				return []judged{{Verdict: v, byPort: true}}
			}
		}
		all = append(all, j)
	}
	return all
}

// kind returns a request without what no policy depends on, so that requests that differ only there are reported once.
func kind(r flow.Request) flow.Request {
	r.Host, r.Query = "", ""
	return r
}

// MarkOpaque returns the flows of one of the tests that share a golden file. If any of these tests records requests and
// this one does not, its flows over TCP are opaque: policies have to allow every request.
func MarkOpaque(flows []flow.Flow, of policy.Scope, anyRecords bool) []flow.Flow {
	if !anyRecords || of.Requests {
		return flows
	}
	return policy.MapFlows(flows, func(f flow.Flow) flow.Flow {
		if f.Protocol == flow.TCP && !f.Lookup && f.Destination.Kind != flow.Resolver {
			f.Opaque = noRequests
		}
		return f
	})
}

// noticeOpaque adds a notice to the report for each destination to which policies allow every request because the flow
// is opaque, and for each reason of that.
func noticeOpaque(result *report.Report, d dialect, flows []flow.Flow) {
	if !d.scope.Requests {
		return
	}
	noticed := make(map[string]bool)
	for _, f := range flow.Fold(flows) {
		_, isSource := d.scope.SubjectOf(f.Source)
		_, isDestination := d.scope.SubjectOf(f.Destination)
		text := fmt.Sprintf("%s: policies list no requests: %s", f.Target(), f.Opaque)
		if f.Opaque == "" || !isSource && !isDestination || noticed[text] {
			continue
		}
		noticed[text] = true
		result.Notices = append(result.Notices, recording.Notice{Code: recording.CodeOpaqueRequests, Text: text})
	}
}
