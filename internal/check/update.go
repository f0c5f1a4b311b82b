package check

import (
	"fmt"
	"slices"
	"strings"

	"github.com/netzero-dev/netzero/golden"
	"github.com/netzero-dev/netzero/internal/report"
)

// update writes the golden file. It keeps manual edits of an existing file. It also keeps unused rules until all tests
// of the file have shown that they are unused.
func update[P golden.Policy](c *checker, d dialect[P], file *golden.File) error {
	o, flows := c.options, c.placed.Flows
	all := func([]string) (part, bool) { return part{d.scope, flows}, !o.Partial }
	if o.Shared != nil {
		if err := o.Shared.end(o.Test, o.skipped(), part{d.scope, flows}); err != nil {
			return err
		}
		all = func(tests []string) (part, bool) {
			all, known := o.Shared.whole(tests)
			return all, known && !o.AtEnd
		}
	} else if at := o.skipped(); !o.Partial && at != "" && len(c.Report.Unused) > 0 {
		all = func([]string) (part, bool) { return part{}, false }
		c.notice("an update keeps what is unused, since a subtest may have been skipped: " + at)
		for _, u := range c.Report.Unused {
			c.notice("unused: " + u)
		}
	}
	written := func(file *golden.File, header golden.Header) []P {
		if all, known := all(header.Tests); known {
			return d.with(all.scope).rules.Merge(d.of(file), all.flows)
		}
		return d.rules.Extend(d.of(file), flows)
	}
	if o.Shared == nil && file != nil && !c.Report.Failed() && len(c.Report.Unused) == 0 &&
		golden.Diff(d.of(file), written(file, o.Header)) == "" {
		return nil // an update would change nothing
	}
	var denied []string
	changed, err := golden.Update(o.Golden, func(file *golden.File) ([]byte, error) {
		header := o.header(file)
		if file == nil {
			return golden.Format(header, d.rules.Generate(flows))
		}
		if err := o.otherDialect(file); err != nil {
			return nil, err
		}
		policies := written(file, header)
		denied = stillDenied(d, policies, flows)
		return d.rewrite(file, header, policies)
	})
	if err != nil {
		return err
	}
	if changed {
		c.log(fmt.Sprintf("netzero: %s: wrote %s", o.Test, o.relativeGolden()))
	}
	if len(denied) > 0 {
		c.fail(fmt.Sprintf("netzero: %s: an update keeps rules that deny, and they deny what was recorded; "+
			"remove them by hand from %s, or the calls:\n  %s",
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
