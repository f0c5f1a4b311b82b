package netzerotest

import (
	"fmt"
	"slices"
	"strings"

	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/internal/report"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// refused says, in a line each, which flows are denied by policies that an update has made, and why: a rule that denies is
// somebody's word, which no update takes back, and a flow to nowhere that is known has nothing that could allow it.
func (d dialect[P]) refused(updated []P, flows []Flow) []string {
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

// noticeRefused puts into the report what an update could not accept. Where that is all that failed, there is nothing to
// type.
func (d dialect[P]) noticeRefused(result *report.Report, committed []P, flows []Flow) {
	if len(result.Denied) == 0 {
		return
	}
	refused := d.refused(d.rules.Extend(committed, flows), flows)
	if len(refused) == 0 {
		return
	}
	result.Notices = append(result.Notices, "an update keeps rules that deny: where a flow is meant, remove by hand what denies it, or leave it out with Ignore")
	if len(refused) == len(result.Denied) && len(result.Unprotected) == 0 {
		result.Accept = ""
	}
}

// tellRefused fails an update after which the test would fail.
func (r *Recording) tellRefused(lines []string) {
	r.tb.Helper()
	if len(lines) > 0 {
		r.tb.Errorf("netzero: %s: an update keeps rules that deny, and they deny what was recorded; remove them by hand from %s, or the calls:\n  %s",
			r.tb.Name(), relative(r.golden), strings.Join(slices.Compact(lines), "\n  "))
	}
}
