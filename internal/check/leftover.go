package check

import (
	"errors"
	"fmt"
	"sync"

	"github.com/netzero-dev/netzero/internal/placement"
	"github.com/netzero-dev/netzero/internal/recording"
	"github.com/netzero-dev/netzero/internal/report"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// Leftovers checks flows that goroutines and processes of a test opened after the test had ended. It reports a flow
// once, so that it fails only one of the tests that run meanwhile. The zero value is ready to use, by several
// goroutines.
type Leftovers struct {
	options  sync.Map // of each recording, by its id
	reported sync.Map // by the ended test, its golden file and the flow
}

// Add registers the options of a recording, for flows that its test opens after it has ended. id identifies the
// recording in this process.
func (l *Leftovers) Add(id uint64, o Options) { l.options.Store(id, o) }

// Check compares flows of an ended test with its golden file. id is that of its recording. neighbour is the running
// test. incomplete is the error of the recording. The error names a test.
func (l *Leftovers) Check(
	id uint64, recorded recording.Recording, incomplete error, neighbour string,
) (report.Report, error) {
	registered, _ := l.options.Load(id)
	o := registered.(Options)
	placed, err := placement.Place(recorded, o.Placement)
	if err = errors.Join(incomplete, err); err != nil {
		return report.Report{}, fmt.Errorf("%s: flows of a goroutine or process that %s left behind cannot be "+
			"checked: %w", neighbour, o.Test, err)
	}
	result := o.report()
	result.Accept, result.RunningTest = o.Accept, neighbour
	err = checkLeftover(l, &result, o, dialectFor(o.dialect(), placed.Scope), placed.Flows)
	if err != nil {
		return report.Report{}, fmt.Errorf("%s: %w", o.Test, err)
	}
	if result.Failed() {
		addReverseDNS(&result, nil, o.ReverseDNS)
	}
	return result, nil
}

// checkLeftover adds to the report the flows that the golden file of the ended test does not allow, and that were not
// reported before.
func checkLeftover(l *Leftovers, result *report.Report, o Options, d dialect, flows []flow.Flow) error {
	if _, err := compareGolden(result, o, d, flows); err != nil {
		return err
	}
	result.Unprotected, result.Notices = nil, nil // the test itself has reported them
	isNew := func(f flow.Flow, request flow.Request) bool {
		what := f.Source.String() + " " + f.Target()
		if request != (flow.Request{}) {
			what += " " + request.String()
		}
		_, again := l.reported.LoadOrStore([3]string{o.Test, o.Golden, what}, true)
		return !again
	}
	var denied []report.Denied
	for _, d := range result.Denied {
		if isNew(d.Flow, d.Request) {
			denied = append(denied, d)
		}
	}
	var binaries []report.Binary
	for _, b := range result.Binaries {
		if isNew(b.Flow, flow.Request{}) {
			binaries = append(binaries, b)
		}
	}
	result.Denied, result.Binaries = denied, binaries
	return nil
}
