package netzerotest

import (
	"errors"
	"fmt"
	"io/fs"
	"sync"

	"github.com/netzero-dev/netzero/golden"
	"github.com/netzero-dev/netzero/internal/goroutine"
	"github.com/netzero-dev/netzero/internal/recording"
	"github.com/netzero-dev/netzero/internal/report"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// testOver is what is needed of a test that has ended to judge what its goroutines and processes open since then.
type testOver struct {
	tb     host
	name   string
	golden string // the file's path
	config config
}

// recordedTests maps the [recorder.Recording.ID] of each recording of this process to its testOver.
var recordedTests sync.Map

// leftover is what was opened by goroutines and processes of a test that had ended.
type leftover struct {
	test     testOver
	recorded recording.Recording
	err      error
}

// toldLeftovers keeps a flow of an ended test from failing more than one of its neighbours: by test, file and target.
var toldLeftovers sync.Map

// tellLeftovers fails the test where one that ended before has left behind what its own golden file does not allow. It says whose
// fault that is: package testing lets nobody fail a test that has ended.
func (r *Recording) tellLeftovers() {
	r.tb.Helper()
	for _, ended := range r.left {
		test, _ := recordedTests.Load(ended.ID)
		left := leftover{test.(testOver), ended.Recorded, ended.Err}
		if text := left.judge(r.tb.Name()); text != "" {
			r.tb.Errorf("%s", text)
		}
	}
}

// judge returns the failure text, or "".
func (l leftover) judge(neighbour string) string {
	t := l.test
	flows, scope, _, err := t.config.deploy(l.recorded)
	if err = errors.Join(l.err, err); err != nil {
		return fmt.Sprintf("netzero: %s: what a goroutine or a process opened that %s left behind cannot be judged: %v", neighbour, t.name, err)
	}
	result := report.Report{
		Test: t.name, Golden: relative(t.golden), Workload: t.config.workload, Module: goroutine.Module(),
		Accept: acceptCommandHere(t.tb), Neighbour: neighbour,
	}
	if t.config.cilium {
		err = judgeLeftover(&result, t, ciliums(scope), flows)
	} else {
		err = judgeLeftover(&result, t, kubernetes(scope), flows)
	}
	if err != nil {
		return fmt.Sprintf("netzero: %s: %v", t.name, err)
	}
	if !result.Failed() {
		return ""
	}
	addOwners(&result, nil)
	return result.String()
}

// judgeLeftover puts into the report which flows the golden file of the ended test does not allow, and that were not told yet.
func judgeLeftover[P golden.Policy](result *report.Report, t testOver, d dialect[P], flows []Flow) error {
	file, err := golden.Read(t.golden)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		for _, f := range flow.Fold(flows) {
			result.Denied = append(result.Denied, report.Denied{Flow: f, Reason: "no policy is committed"})
		}
	case err != nil:
		return err
	default:
		if err := t.config.otherDialect(file); err != nil {
			return err
		}
		compare(result, d, file, flows)
		compareBinaries(result, d, file, flows, nil)
		result.Unprotected, result.Notices = nil, nil // which the test itself was told
	}
	isNew := func(f Flow) bool {
		_, again := toldLeftovers.LoadOrStore([3]string{t.name, t.golden, f.Source.String() + " " + f.Target()}, true)
		return !again
	}
	var denied []report.Denied
	for _, d := range result.Denied {
		if isNew(d.Flow) {
			denied = append(denied, d)
		}
	}
	var binaries []report.Binary
	for _, b := range result.Binaries {
		if isNew(b.Flow) {
			binaries = append(binaries, b)
		}
	}
	result.Denied, result.Binaries = denied, binaries
	return nil
}
