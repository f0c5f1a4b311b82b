package policy

import (
	"slices"

	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// PerRequest evaluates a flow request by request, and returns the worst of the verdicts: the first that has its
// outcome. evaluate is called with flows that have at most one request, or are opaque. Its reason for the denial of a
// request names the request. The notices are those of all requests.
func PerRequest(f flow.Flow, evaluate func(flow.Flow) Verdict) Verdict {
	var worst Verdict
	var notices []string
	for i, g := range f.PerRequest() {
		v := evaluate(g)
		for _, notice := range v.Notices {
			if !slices.Contains(notices, notice) {
				notices = append(notices, notice)
			}
		}
		if i == 0 || v.Outcome.severity() > worst.Outcome.severity() {
			worst = v
		}
	}
	worst.Notices = notices
	return worst
}

// severity orders outcomes as [Scope.Ends] does: the greater one is worse.
func (o Outcome) severity() int { return slices.Index(bySeverity, o) }

var bySeverity = []Outcome{Allowed, Unprotected, Inexpressible, Denied}
