package netzerotest

import (
	"fmt"
	"strings"

	"github.com/netzero-dev/netzero/golden"
	"github.com/netzero-dev/netzero/internal/goroutine"
	"github.com/netzero-dev/netzero/internal/report"
)

// noticeWidened puts into the report which ports an update would open to anyone in place of named callers. With an
// update, which does it, the lines are printed without -v too.
func noticeWidened[P golden.Policy](r *Recording, result *report.Report, d dialect[P], committed []P, flows []Flow) {
	for _, w := range d.rules.Widened(committed, flows) {
		at := report.Caller(w.Flow.Process.Stack, goroutine.Module())
		if at != "" {
			at = " at " + at
		}
		verb := "would open"
		if r.env.update {
			verb = "opens"
		}
		line := fmt.Sprintf("an update %s %s to anyone, where it names its callers (%s), because the test process called it itself%s: "+
			"if that call only looks into %s, leave it out: Ignore(%q)", verb, w.Flow.Target(), strings.Join(w.Callers, ", "), at,
			w.Flow.Destination.Name, fmt.Sprintf("%s:%d", w.Flow.Destination.Name, w.Flow.Port))
		result.Notices = append(result.Notices, line)
		if r.env.update {
			announce(r.tb.Name() + ": " + line)
		}
	}
}
