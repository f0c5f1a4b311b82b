package check

import (
	"cmp"
	"errors"
	"io/fs"

	"github.com/netzero-dev/netzero/golden"
	"github.com/netzero-dev/netzero/internal/placement"
	"github.com/netzero-dev/netzero/internal/recording"
	"github.com/netzero-dev/netzero/internal/report"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// Evaluate compares a recording that was read from a file with the golden file at o.Golden. Of the options it also
// needs Package.Dir, Module, and Accept for a golden file that does not exist or names no command. It returns the
// report, and the recording's flows in the cluster, with the processes that opened them where these are known.
//
// A recording's file does not have all that its test knows, so the report differs from that of the test:
//
//   - Nothing is strict.
//   - The diff only shows what the recording needs.
//   - No rule counts as unused: other recordings may need it. See [Union.Unused].
//
// A golden file that cannot be read is in the report. The error says which option in the recording's file is not valid.
func Evaluate(v recording.File, o Options) (report.Report, []flow.Flow, error) {
	settings, err := placement.FromRecorded(v.Options)
	if err != nil {
		return report.Report{}, nil, err
	}
	settings.Workload = testWorkload(v)
	placed, err := placement.FromFile(v, settings)
	if err != nil {
		return report.Report{}, nil, err
	}
	o.Test, o.Placement, o.Enforced = v.Test, settings, v.Enforced
	c := checker{options: o}
	c.Report = o.report()
	c.addNotices(v.Recording.Notices, v.Placed.Notices)
	result, flows := c.Report, placed.Flows
	result.Accept, result.Lost = o.Accept, v.Incomplete
	if v.Incomplete != "" {
		return result, flows, nil // the test does not compare it either
	}
	file, err := golden.Read(o.Golden)
	if errors.Is(err, fs.ErrNotExist) {
		result.Missing = true
		addUncommitted(&result, flows)
		return result, flows, nil
	}
	if err != nil {
		o.noteUnusable(&result, err)
		return result, flows, nil
	}
	result.Accept = cmp.Or(file.Header.Command, o.Accept)
	d := dialectFor(cmp.Or(file.Dialect, golden.Kubernetes), placed.Scope)
	noticeOpaque(&result, d, flows)
	compare(&result, d, file, flows, v.Recording.Initiators)
	addIgnored(&result, v.Recording.Flows, o)
	result.Diff = golden.Diff(file.Policies, d.Extend(file.Policies, flows))
	noticeDenied(&result, d, file.Policies, flows)
	return result, flows, nil
}

// testWorkload returns the name of the workload that the test process stands for, or "".
func testWorkload(v recording.File) string {
	for _, w := range v.Recording.Workloads {
		if !w.AllTraffic {
			return w.Name
		}
	}
	return ""
}
