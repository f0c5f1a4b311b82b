package check

import (
	"fmt"

	"github.com/netzero-dev/netzero/golden"
	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/internal/recording"
	"github.com/netzero-dev/netzero/internal/report"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// stillDenied returns a line for each flow or request that policies deny after an update, with the reason. An update keeps deny
// rules, because they were written by hand. No rule can allow a flow without a known destination.
func stillDenied(d dialect, updated []golden.Policy, flows []flow.Flow) []string {
	var lines []string
	evaluate := d.Evaluator(updated)
	for _, f := range flow.Fold(d.Required(flows)) {
		reported := make(map[flow.Request]bool)
		for _, v := range judge(evaluate, f) {
			if reported[kind(v.request)] {
				continue
			}
			reported[kind(v.request)] = true
			switch v.Outcome {
			case policy.Denied:
				lines = append(lines, fmt.Sprintf("%s: policy %s: %s", f.Target(), v.Policy, v.Reason))
			case policy.Inexpressible:
				lines = append(lines, fmt.Sprintf("%s: no policy can allow it: %s", f.Target(), v.Reason))
			}
		}
	}
	return lines
}

// noticeDenied notes in the report that an update cannot accept everything. If it can accept nothing, the report has no
// command.
func noticeDenied(result *report.Report, d dialect, committed []golden.Policy, flows []flow.Flow) {
	if len(result.Denied) == 0 {
		return
	}
	denied := stillDenied(d, d.Extend(committed, flows), flows)
	if len(denied) == 0 {
		return
	}
	result.Notices = append(result.Notices, recording.Noticef(recording.CodeDenyRules,
		"an update keeps deny rules: if a flow is intended, remove by hand the rule that denies it, or leave the flow "+
			"out with Ignore"))
	if len(denied) == len(result.Denied) && len(result.Unprotected) == 0 {
		result.Accept = ""
	}
}
