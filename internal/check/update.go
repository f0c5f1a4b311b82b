package check

import (
	"fmt"
	"slices"
	"strings"

	"github.com/netzero-dev/netzero/golden"
	"github.com/netzero-dev/netzero/internal/recording"
	"github.com/netzero-dev/netzero/internal/report"
)

// update writes the golden file. It keeps manual edits of an existing file. It also keeps unused rules until all tests
// of the file have shown that they are unused.
func update(c *checker, d dialect, file *golden.File) error {
	o, flows := c.options, c.placed.Flows
	if len(c.Report.Unused) > 0 {
		if at := o.skipped(); at != "" {
			o.File.keepUnused()
			c.notice(recording.CodeUnusedKept, "an update keeps unused rules, because a subtest may have been skipped: "+at)
			for _, u := range c.Report.Unused {
				c.notice(recording.CodeUnusedKept, "unused: "+u)
			}
		}
	}
	written := func(file *golden.File) []golden.Policy {
		if all, complete := o.File.recorded(listedIn(file), nil); complete {
			return dialectFor(o.dialect(), all.scope).Merge(file.Policies, all.flows)
		}
		return d.Extend(file.Policies, flows)
	}
	if !o.File.isShared() && file != nil && !c.Report.Failed() && len(c.Report.Unused) == 0 &&
		golden.Diff(file.Policies, written(file)) == "" {
		return nil // an update would change no policy, and the header may be edited; a shared file has to list the test
	}
	var denied []string
	changed, err := golden.Update(o.Golden, func(file *golden.File) ([]byte, error) {
		header := o.header(file)
		if file == nil {
			return golden.Format(header, d.Generate(flows))
		}
		if err := o.otherDialect(file); err != nil {
			return nil, err
		}
		policies := written(file)
		denied = stillDenied(d, policies, flows)
		return file.Rewrite(header, policies)
	})
	if err != nil {
		return err
	}
	if changed {
		c.log(fmt.Sprintf("netzero: %s: wrote %s", o.Test, o.relativeGolden()))
	}
	if len(denied) > 0 {
		c.fail(fmt.Sprintf("netzero: %s: an update keeps deny rules, and they deny recorded flows; remove the rules "+
			"by hand from %s, or remove the calls:\n  %s",
			o.Test, o.relativeGolden(), strings.Join(slices.Compact(denied), "\n  ")))
	}
	only := report.Report{Test: o.Test, Golden: o.relativeGolden(), Unanswered: c.Report.Unanswered}
	if only.Failed() {
		c.fail(only.String())
	}
	only = report.Report{Test: o.Test, Golden: o.relativeGolden(), Notices: c.Report.Notices}
	c.log(only.Notes())
	return nil
}
