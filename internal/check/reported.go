package check

import (
	"fmt"

	"github.com/netzero-dev/netzero/internal/report"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// reportFaultOnce marks a report of a file that cannot be used, if another test of the file has reported that.
func (f *GoldenFile) reportFaultOnce(result *report.Report) {
	if !f.isShared() {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	key := "unusable\x00" + result.Unusable
	if by, again := f.reported[key]; again && by != result.Test {
		result.UnusableReportedBy = by
		return
	}
	f.reported[key] = result.Test
}

// reportOnce marks the parts of a test's report that another test of the same file has reported. Each of these tests
// fails, and the first one gives the reason.
func (f *GoldenFile) reportOnce(result *report.Report, flows []flow.Flow) {
	f.mu.Lock()
	defer f.mu.Unlock()
	reportedBy := func(key string) string {
		if by, again := f.reported[key]; again && by != result.Test {
			return by
		}
		f.reported[key] = result.Test
		return ""
	}
	isNew := len(result.Denied) == 0 // the diff may show another change
	for i := range result.Denied {
		d := &result.Denied[i]
		d.ReportedBy = reportedBy(flowKey(d.Flow) + "\x00" + d.Policy + "\x00" + d.Reason)
		isNew = isNew || d.ReportedBy == ""
	}
	for i := range result.Binaries {
		b := &result.Binaries[i]
		b.ReportedBy = reportedBy(flowKey(b.Flow) + "\x00" + b.Reason)
	}
	if !isNew {
		result.Diff = ""
	}
	if !result.Missing {
		return
	}
	all := true // other tests have proposed every change of this one
	for _, folded := range flow.Fold(flows) {
		for _, f := range folded.PerRequest() {
			by := reportedBy("proposed\x00" + flowKey(f) + "\x00" + f.Opaque + fmt.Sprint(f.Requests))
			all = all && by != ""
			result.MissingReportedBy = by
		}
	}
	if !all {
		result.MissingReportedBy = ""
	}
}

func flowKey(f flow.Flow) string { return f.Source.String() + " -> " + f.Target() }
