package check

import (
	"fmt"
	"strings"

	"github.com/netzero-dev/netzero/golden"
	"github.com/netzero-dev/netzero/internal/recording"
	"github.com/netzero-dev/netzero/internal/report"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// noticeWidened adds to the report the ports that an update would open to anyone instead of to named callers. During an
// update, the lines are also announced.
func noticeWidened(c *checker, d dialect, committed []golden.Policy, flows []flow.Flow) {
	for _, w := range d.Widened(committed, flows) {
		at := report.Caller(w.Flow.Process.Stack, c.options.Module)
		if at != "" {
			at = " at " + at
		}
		verb := "would open"
		if c.options.Update {
			verb = "opens"
		}
		line := fmt.Sprintf("an update %s %s to anyone, although it has rules for its callers (%s), because the test "+
			"process connected to it%s: if that call only inspects %s, leave it out: Ignore(%q)",
			verb, w.Flow.Target(), strings.Join(w.Callers, ", "), at,
			w.Flow.Destination.Name, fmt.Sprintf("%s:%d", w.Flow.Destination.Name, w.Flow.Port))
		c.notice(recording.CodeWidened, line)
		if c.options.Update {
			c.Announced = append(c.Announced, line)
		}
	}
}
