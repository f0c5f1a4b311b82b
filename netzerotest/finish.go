package netzerotest

import (
	"cmp"
	"errors"
	"io/fs"
	"path/filepath"
	"runtime"
	"slices"

	"github.com/netzero-dev/netzero/golden"
	"github.com/netzero-dev/netzero/internal/goroutine"
	"github.com/netzero-dev/netzero/internal/recording"
	"github.com/netzero-dev/netzero/internal/report"
)

// finish ends the recording and judges it.
func (r *Recording) finish() {
	r.tb.Helper()
	before, byItself := r.tb.Failed(), failedByItself(r.tb)
	defer func() {
		if !before && r.tb.Failed() {
			noteFailure(r.tb)
		}
	}()
	recorded, err := r.stop(byItself)
	defer r.writeRecording(recorded, err)
	name := r.tb.Name()
	if r.tb.Skipped() {
		skipped.Store(true)
	}
	var option *recording.OptionError
	switch {
	case unwinding() && !r.tb.Failed() && !r.tb.Skipped():
		return // a panic, or a goroutine that was left, says why the test failed
	case byItself && r.env.update:
		r.tb.Logf("netzero: %s: %s was not updated: %s failed", name, relative(r.golden), what(r.tb))
		return
	case byItself:
		return // whatever it opened, it did not work: the test's own words come first
	case errors.As(err, &option):
		r.tb.Errorf("netzero: %s: %v", name, option)
	case err != nil:
		r.tb.Errorf("%s", report.Report{Test: name, Golden: relative(r.golden), Workload: r.config.workload, Lost: err.Error()})
	case r.tb.Skipped():
		r.tb.Logf("netzero: %s: not compared: the test was skipped", name)
	case r.env.update && before: // by a part of it that NetZero failed
		r.tb.Logf("netzero: %s: %s was not updated: %s failed", name, relative(r.golden), what(r.tb))
	default:
		r.judge(recorded)
	}
	r.tellLeftovers()
}

// stop takes out of the capture what the test saw, and leaves it. What has to be printed of it is, unless quiet.
func (r *Recording) stop(quiet bool) (recording.Recording, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	released := r.live.Unmark()
	recorded, err := r.live.Resolve()
	r.left = r.live.Leftovers()
	err = errors.Join(released, r.live.Check(), err)
	err = errors.Join(err, r.live.Close())
	for _, text := range recorded.Announced {
		if !quiet {
			announce(text)
		}
	}
	r.final = append(make([]Flow, 0, len(recorded.Flows)), recorded.Flows...)
	return recorded, err
}

// unwinding reports whether this cleanup runs because the test panicked or its goroutine exited, both of which
// tb.Failed does not know of yet.
func unwinding() bool { return unwindsBy("runtime.gopanic") || unwindsBy("runtime.Goexit") }

// unwindsBy reports whether the caller runs as a deferred function of this function of the runtime.
func unwindsBy(function string) bool { return hasCaller(func(f string) bool { return f == function }) }

// hasCaller reports whether a function by a name like this is among the caller's callers.
func hasCaller(like func(function string) bool) bool {
	pcs := make([]uintptr, 128)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs)])
	for {
		frame, more := frames.Next()
		if like(frame.Function) {
			return true
		}
		if !more {
			return false
		}
	}
}

// judge holds the flows against the golden file, or writes it.
func (r *Recording) judge(settled recording.Recording) {
	r.tb.Helper()
	flows, scope, notices, err := r.config.deploy(settled)
	if err != nil {
		r.tb.Errorf("netzero: %s: %v", r.tb.Name(), err)
		return
	}
	if err := r.refuseChanging(settled, scope); err != nil {
		r.tb.Errorf("netzero: %s: %v", r.tb.Name(), err)
		return
	}
	r.programs = settled.Initiators
	result := report.Report{
		Test: r.tb.Name(), Golden: relative(r.golden), Workload: r.config.workload, Module: goroutine.Module(),
		Strict: r.config.strict, Notices: slices.Concat(settled.Notices, notices), Accept: acceptCommandHere(r.tb),
	}
	r.tellUnanswered(&result, settled.Unserved)
	switch {
	case r.shared != nil && r.config.cilium:
		holdShared(r, ciliums(scope), result, flows)
	case r.shared != nil:
		holdShared(r, kubernetes(scope), result, flows)
	case r.config.cilium:
		hold(r, ciliums(scope), result, flows)
	default:
		hold(r, kubernetes(scope), result, flows)
	}
}

// tellUnanswered puts into the report the attempts at this machine that nobody answered, where [Strict] forbids them. Without
// it they are notices, which package testing hides where the test passes, so that they are announced too.
func (r *Recording) tellUnanswered(result *report.Report, lines []string) {
	if r.config.strict {
		result.Unanswered = lines
		return
	}
	result.Notices = append(result.Notices, lines...)
	for _, line := range lines {
		announce(r.tb.Name() + ": " + line)
	}
}

// hold is judge for policies of one dialect.
func hold[P golden.Policy](r *Recording, d dialect[P], result report.Report, flows []Flow) {
	r.tb.Helper()
	recorded := d.rules.Generate(flows)
	file, err := golden.Read(r.golden)
	if err == nil {
		err = cmp.Or(r.config.otherDialect(file), notShared(file))
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		file = nil
	case err != nil:
		r.tb.Errorf("netzero: %s: %v", r.tb.Name(), err)
		return
	default:
		compare(&result, d, file, flows)
		compareBinaries(&result, d, file, flows, r.programs)
		compareRest(&result, d, file, flows)
		if isPartial(r.tb) {
			result.Unused = nil // who knows
		}
		result.Diff = golden.Diff(d.of(file), recorded)
		noticeWidened(r, &result, d, d.of(file), flows)
	}
	header := headerOf(r.tb)
	if file == nil {
		text, err := golden.Format(header, recorded)
		if err != nil {
			r.tb.Errorf("netzero: %s: %v", r.tb.Name(), err)
			return
		}
		result.Missing, result.Proposed = true, string(text)
		noticeWidened(r, &result, d, nil, flows)
		if tests, err := filepath.Glob(filepath.Join(packageDir, "*_test.go")); err == nil && len(tests) == 0 {
			result.Notices = append(result.Notices, "there are no tests in this directory: run a test binary in the directory of its package, as go test does: "+
				"there its golden files are, and that is whose name the workload has")
		}
	}
	if r.tb.Failed() {
		result.Accept = ""
		result.Notices = append(result.Notices, failedBefore(r.tb))
	}
	if file != nil {
		d.noticeRefused(&result, d.of(file), flows)
	}
	if r.env.update {
		update(r, d, result, file, header, flows)
		return
	}
	if result.Failed() {
		addOwners(&result, flows)
		r.tb.Errorf("%s", result)
	} else if notes := result.Notes(); notes != "" {
		r.tb.Logf("%s", notes)
	}
}

// update writes the golden file, unless it says just what was seen already. One that exists keeps what people wrote.
func update[P golden.Policy](r *Recording, d dialect[P], result report.Report, file *golden.File, header golden.Header, flows []Flow) {
	r.tb.Helper()
	merge := d.rules.Merge
	switch at := mayHaveSkipped(r.tb); {
	case isPartial(r.tb):
		merge = d.rules.Extend
	case at != "" && len(result.Unused) > 0:
		merge = d.rules.Extend
		result.Notices = append(result.Notices, "an update keeps what is unused, since a subtest may have been skipped: "+at)
		for _, u := range result.Unused {
			result.Notices = append(result.Notices, "unused: "+u)
		}
	}
	if file != nil && !result.Failed() && len(result.Unused) == 0 && golden.Diff(d.of(file), merge(d.of(file), flows)) == "" {
		return
	}
	var refused []string
	changed, err := golden.Update(r.golden, func(file *golden.File) ([]byte, error) {
		if file == nil {
			return []byte(result.Proposed), nil
		}
		merged := merge(d.of(file), flows)
		refused = d.refused(merged, flows)
		return d.rewrite(file, header, merged)
	})
	r.tellUpdate(result, changed, refused, err)
}

// tellUpdate tells what came of an update: whether the file changed, what it still refuses, and what else is to be known.
func (r *Recording) tellUpdate(result report.Report, changed bool, refused []string, err error) {
	r.tb.Helper()
	if err != nil {
		r.tb.Errorf("netzero: %s: %v", r.tb.Name(), err)
		return
	}
	if changed {
		r.tb.Logf("netzero: %s: wrote %s", r.tb.Name(), relative(r.golden))
	}
	r.tellRefused(refused)
	if len(result.Unanswered) > 0 {
		r.tb.Errorf("%s", report.Report{Test: result.Test, Golden: result.Golden, Unanswered: result.Unanswered})
	}
	if notes := (report.Report{Test: result.Test, Golden: result.Golden, Notices: result.Notices}).Notes(); notes != "" {
		r.tb.Logf("%s", notes)
	}
}

// goldenPath returns the file of an option, or the default one of a test.
func goldenPath(option, test string) (string, error) {
	switch {
	case option == "":
		return golden.Path(packageDir, test)
	case filepath.IsAbs(option):
		return filepath.Clean(option), nil
	}
	return filepath.Join(packageDir, option), nil
}
