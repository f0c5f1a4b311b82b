package netzerotest

import (
	"errors"
	"path/filepath"
	"runtime"

	"github.com/netzero-dev/netzero/internal/check"
	"github.com/netzero-dev/netzero/internal/recording"
	"github.com/netzero-dev/netzero/internal/report"
)

// finish ends the recording and checks it.
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
		return // the reason for the failure is a panic or a goroutine that exited
	case byItself && r.env.update:
		r.tb.Logf("netzero: %s: %s was not updated: %s failed", name, packageDir.Relative(r.golden), what(r.tb))
		return
	case byItself:
		return // the test did not work, so its own message comes first
	case errors.As(err, &option):
		r.tb.Errorf("netzero: %s: %v", name, option)
	case err != nil:
		lost := report.Report{Test: name, Golden: packageDir.Relative(r.golden), Workload: r.config.workload, Lost: err.Error()}
		r.tb.Errorf("%s", lost)
	case r.tb.Skipped():
		r.tb.Logf("netzero: %s: not compared: the test was skipped", name)
	case r.env.update && before: // NetZero failed a part of it
		r.tb.Logf("netzero: %s: %s was not updated: %s failed", name, packageDir.Relative(r.golden), what(r.tb))
	default:
		r.check(recorded)
	}
	r.tellLeftovers()
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
	for _, text := range recorded.Announced {
		if !quiet {
			announce(text)
		}
	}
	r.final = append(make([]Flow, 0, len(recorded.Flows)), recorded.Flows...)
	return recorded, err
}

// unwinding reports whether this cleanup runs because the test panicked or its goroutine exited. tb.Failed does not
// report either of them yet.
func unwinding() bool { return unwindsBy("runtime.gopanic") || unwindsBy("runtime.Goexit") }

// unwindsBy reports whether the caller runs in a deferred call, started by the given function of the runtime.
func unwindsBy(function string) bool { return hasCaller(func(f string) bool { return f == function }) }

// hasCaller reports whether like returns true for a function on the call stack.
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

// check compares the recording with the golden file, or updates the file.
func (r *Recording) check(recorded recording.Recording) {
	r.tb.Helper()
	result, err := check.Run(recorded, r.checkOptions())
	for _, line := range result.Announced {
		announce(r.tb.Name() + ": " + line)
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
}

// writeRecording writes a recording to the directory in NETZERO_RECORDINGS, if that is set. incomplete is the error of
// the recording.
func (r *Recording) writeRecording(recorded recording.Recording, incomplete error) {
	r.tb.Helper()
	if r.env.recordings == "" {
		return
	}
	v := check.File(recorded, incomplete, r.checkOptions())
	file := filepath.Join(r.env.recordings, check.FileName(v, packageDir, fileOf(r.tb)))
	if err := v.Write(file); err != nil {
		r.tb.Errorf("netzero: %s: NETZERO_RECORDINGS: %v", r.tb.Name(), err)
	}
}
