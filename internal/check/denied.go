package check

import (
	"fmt"

	"github.com/netzero-dev/netzero/golden"
	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/internal/report"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// stillDenied returns a line for each flow that policies deny after an update, with the reason. An update keeps deny
// rules, because they were written by hand. No rule can allow a flow without a known destination.
func stillDenied[P golden.Policy](d dialect[P], updated []P, flows []flow.Flow) []string {
	var lines []string
	evaluate := d.rules.Evaluator(updated)
	for _, f := range flow.Fold(d.rules.Required(flows)) {
		switch v := evaluate(f); v.Outcome {
		case policy.Denied:
			lines = append(lines, fmt.Sprintf("%s: policy %s: %s", f.Target(), v.Policy, v.Reason))
		case policy.Inexpressible:
			lines = append(lines, fmt.Sprintf("%s: no policy can allow it: %s", f.Target(), v.Reason))
		}
	}
	return lines
}

// noticeDenied notes in the report that an update cannot accept everything. If it can accept nothing, the report has no
// command.
func noticeDenied[P golden.Policy](result *report.Report, d dialect[P], committed []P, flows []flow.Flow) {
	if len(result.Denied) == 0 {
		return
	}
	denied := stillDenied(d, d.rules.Extend(committed, flows), flows)
	if len(denied) == 0 {
		return
	}
	result.Notices = append(result.Notices, "an update keeps rules that deny: where a flow is meant, "+
		"remove by hand what denies it, or leave it out with Ignore")
	if len(denied) == len(result.Denied) && len(result.Unprotected) == 0 {
		result.Accept = ""
	}
}
