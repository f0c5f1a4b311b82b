package check

import (
	"fmt"
	"strings"

	"github.com/netzero-dev/netzero/golden"
	"github.com/netzero-dev/netzero/internal/report"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// noticeWidened adds to the report the ports that an update would open to anyone instead of to named callers. During an
// update, the lines are also announced.
func noticeWidened[P golden.Policy](c *checker, d dialect[P], committed []P, flows []flow.Flow) {
	for _, w := range d.rules.Widened(committed, flows) {
		at := report.Caller(w.Flow.Process.Stack, c.options.Module)
		if at != "" {
			at = " at " + at
		}
		verb := "would open"
		if c.options.Update {
			verb = "opens"
		}
		line := fmt.Sprintf("an update %s %s to anyone, where it names its callers (%s), "+
			"because the test process called it itself%s: if that call only looks into %s, leave it out: Ignore(%q)",
			verb, w.Flow.Target(), strings.Join(w.Callers, ", "), at,
			w.Flow.Destination.Name, fmt.Sprintf("%s:%d", w.Flow.Destination.Name, w.Flow.Port))
		c.notice(line)
		if c.options.Update {
			c.Announced = append(c.Announced, line)
		}
	}
}
