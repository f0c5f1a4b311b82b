package netzerotest

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"

	"github.com/netzero-dev/netzero/internal/check"
	"github.com/netzero-dev/netzero/internal/ci"
	"github.com/netzero-dev/netzero/internal/goroutine"
	"github.com/netzero-dev/netzero/internal/gotest"
	"github.com/netzero-dev/netzero/internal/rdns"
	"github.com/netzero-dev/netzero/internal/recorder"
	"github.com/netzero-dev/netzero/internal/recording"
	"github.com/netzero-dev/netzero/internal/report"
	"github.com/netzero-dev/netzero/internal/scrub"
)

// finish ends the recording and checks it.
func (r *Recording) finish() {
	r.tb.Helper()
	before, alone := r.tb.Failed(), r.tb.failedAlone()
	defer func() {
		if !before && r.tb.Failed() {
			failures.Add(r.tb.Name())
		}
	}()
	recorded, err := r.stop(alone)
	var result check.Result
	defer func() { r.writeRecording(recorded, err, result) }()
	result, err = r.conclude(recorded, err, before, alone)
}

// conclude checks a recording, or says why not. err is that of the recording. before and alone say that the test had
// failed, and that it had failed by itself. The result is zero if the recording was not checked. The returned error is
// err, and why the test may have opened more flows.
func (r *Recording) conclude(recorded recording.Recording, err error, before, alone bool) (check.Result, error) {
	r.tb.Helper()
	var result check.Result
	name := r.tb.Name()
	if r.tb.Skipped() {
		used.AddSkipped()
	}
	var option *recording.OptionError
	switch {
	case gotest.IsUnwinding() && !r.tb.Failed() && !r.tb.Skipped():
		err = errors.Join(err, errors.New("the test panicked, or its goroutine exited")) // it may have opened more flows
		r.reportRefusals(recorded)
		return result, err
	case alone && r.settings.Update:
		r.tb.Logf("netzero: %s: %s was not updated: %s failed", name, packageDir.Relative(r.golden), r.tb)
		return result, err
	case alone: // the test did not work, so its own message comes first
		r.reportRefusals(recorded)
		return result, err
	case errors.As(err, &option):
		r.tb.Errorf("netzero: %s: %v", name, option)
	case err != nil:
		lost, _, _ := check.Refusals(recorded, r.checkOptions()) // the loss is the graver failure
		lost.Lost = err.Error()
		r.tb.Errorf("%s", lost)
		r.publish(lost, nil)
	case r.tb.Skipped():
		r.tb.Logf("netzero: %s: not compared: the test was skipped", name)
		r.reportRefusals(recorded)
	case r.settings.Update && before: // NetZero failed a part of it
		r.tb.Logf("netzero: %s: %s was not updated: %s failed", name, packageDir.Relative(r.golden), r.tb)
	default:
		result = r.check(recorded)
	}
	r.reportLeftovers()
	return result, err
}

// stop ends the live recording and returns it. Unless quiet is set, it prints the lines that are shown even without -v.
func (r *Recording) stop(quiet bool) (recording.Recording, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	released := r.live.Unmark()
	recorded, err := r.live.Resolve()
	r.left = r.live.Leftovers()
	err = errors.Join(released, r.live.Check(), err)
	err = errors.Join(err, r.live.Close())
	recorded.Losses = recording.LossesOf(err)
	for _, n := range recorded.Notices {
		if n.Code.Announced() && !quiet {
			gotest.Announce(r.tb.Name() + ": " + n.Text)
		}
	}
	r.final = append(make([]Flow, 0, len(recorded.Flows)), recorded.Flows...)
	return recorded, err
}

// check compares the recording with the golden file, or updates the file.
func (r *Recording) check(recorded recording.Recording) check.Result {
	r.tb.Helper()
	result, err := check.Run(recorded, r.checkOptions())
	for _, line := range result.Announced {
		gotest.Announce(r.tb.Name() + ": " + line)
	}
	for _, m := range result.Messages {
		if m.Fails {
			r.tb.Errorf("%s", m.Text)
		} else {
			r.tb.Logf("%s", m.Text)
		}
	}
	if err != nil {
		r.tb.Errorf("netzero: %s: %v", r.tb.Name(), err)
	}
	if err == nil || result.Report.Unusable != "" {
		r.publish(result.Report, result.Placed.Flows)
	}
	return result
}

// reportRefusals fails a test that is not compared, if the kernel refused a flow of it. A refused call is often why
// such a test failed, panicked or skipped itself. Nothing is accepted.
func (r *Recording) reportRefusals(recorded recording.Recording) {
	r.tb.Helper()
	result, flows, err := check.Refusals(recorded, r.checkOptions())
	switch {
	case err != nil:
		r.tb.Errorf("netzero: %s: the kernel refused flows, and they cannot be compared: %v", r.tb.Name(), err)
	case result.Failed():
		r.tb.Errorf("%s", result)
		r.publish(result, flows)
	}
}

// publish shows a report of the recording, with its flows in the cluster, where CI systems look for it.
func (r *Recording) publish(of report.Report, flows []Flow) {
	if !r.settings.CI.Attributes {
		return
	}
	result := report.Result{
		Report: of, Package: testedPackage().Path, Flows: flows,
		Tree: ci.TreeOf(r.settings.CI.Workspace, string(packageDir), packageDir.Join(of.Golden), testPlaces()),
	}
	if of.RunningTest == "" { // otherwise it is that of another test
		for _, a := range result.Attributes() {
			r.tb.Attr(a.Name, a.Value)
		}
	}
	if !r.settings.CI.GitHub {
		return
	}
	ci.Annotate(result)
	summarize(r.tb.Name(), result.Section())
}

// summarize appends a section about a test, or about a package, to GitHub's step summary.
func summarize(name, section string) {
	if err := ci.Summarize(section); err != nil {
		gotest.Announce(name + ": " + err.Error())
	}
}

// writeRecording writes a recording to the directory in NETZERO_RECORDINGS, and with -artifacts to that of the test.
// incomplete is the error of the recording, and result that of check.
func (r *Recording) writeRecording(recorded recording.Recording, incomplete error, result check.Result) {
	r.tb.Helper()
	artifacts := r.tb.artifacts()
	if r.settings.Recordings == "" && artifacts == "" {
		return
	}
	if !r.settings.Unscrubbed {
		recorded = scrub.Recording(recorded)
	}
	v := check.RecordingFile(recorded, incomplete, result, r.checkOptions())
	if !r.settings.Unscrubbed {
		scrub.Placed(&v)
	}
	v.Started = r.started.UTC()
	name := check.RecordingFileName(v, packageDir, r.tb.goldenName())
	for variable, dir := range map[string]string{"NETZERO_RECORDINGS": r.settings.Recordings, "-artifacts": artifacts} {
		if dir == "" {
			continue
		}
		if err := v.Write(filepath.Join(dir, name)); err != nil {
			r.tb.Errorf("netzero: %s: %s: %v", r.tb.Name(), variable, err)
		}
	}
}

// leftovers checks flows that tests of this process opened after they had ended.
var leftovers check.Leftovers

// reportLeftovers fails the running test if an earlier test left behind flows that its own golden file does not allow.
// The message names the earlier test. Package testing does not allow failing a test that has ended.
func (r *Recording) reportLeftovers() {
	r.tb.Helper()
	for _, ended := range r.left {
		result, err := leftovers.Check(uint64(ended.ID), ended.Recorded, ended.Err, r.tb.Name())
		if err != nil {
			r.tb.Errorf("netzero: %v", err)
		} else if result.Failed() {
			r.tb.Errorf("%s", result)
			r.publish(result, nil)
		}
	}
}

// leftoverOptions returns the settings for checking flows that the test opens after it has ended.
func (r *Recording) leftoverOptions() check.Options {
	return check.Options{
		Test: r.tb.Name(), Package: testedPackage(), Golden: r.golden, Placement: r.config.placement,
		Module: goroutine.Module(), Accept: acceptCommandHere(r.tb).String(), ReverseDNS: reverseDNS,
	}
}

// checkOptions returns the settings for checking the recording.
func (r *Recording) checkOptions() check.Options {
	o := r.leftoverOptions()
	o.Header, o.File = r.tb.header(), r.file
	o.Header.Command = acceptCommand(r.tb).String()
	o.Strict, o.Update, o.Enforced = r.config.strict, r.settings.Update, r.enforced
	o.Partial, o.Skipped = r.tb.isPartial(), r.tb.skippedAt
	if r.tb.Failed() { // NetZero failed a part of it
		o.Failed = fmt.Sprintf(
			"%s had already failed: fix that first, because an update writes nothing after a failure", r.tb)
	}
	return o
}

// reverseDNS returns the names of addresses. It queries nothing while this process is recorded for another test, or by
// the process that started it, because the queries would be flows of that recording.
func reverseDNS(addrs []netip.Addr) (names map[netip.Addr]string) {
	recorder.Unrecorded(func() { names = rdns.Names(context.Background(), addrs) })
	return names
}
