package recorder

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/netzero-dev/netzero/internal/cgroup"
	"github.com/netzero-dev/netzero/internal/goroutine"
	"github.com/netzero-dev/netzero/internal/probe"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// followed maps the names of tests that a package's recording follows to their goroutine.ID, and back.
var followed struct {
	sync.Mutex
	ids   map[string]goroutine.ID
	names map[goroutine.ID]string
}

// follow returns the ID of a test, and creates one if necessary.
func follow(test string) goroutine.ID {
	followed.Lock()
	defer followed.Unlock()
	id, known := followed.ids[test]
	if !known {
		if followed.ids == nil {
			followed.ids, followed.names = make(map[string]goroutine.ID), make(map[goroutine.ID]string)
		}
		id = goroutine.NewID()
		followed.ids[test], followed.names[id] = id, test
	}
	return id
}

// followedTest returns the test with an ID, or "".
func followedTest(id goroutine.ID) string {
	followed.Lock()
	defer followed.Unlock()
	return followed.names[id]
}

// EnterTest labels the calling goroutine, and all goroutines that it starts, with a test that this recording names.
// Call leave on the same goroutine to undo that.
func (rec *Recording) EnterTest(test string) (leave func()) {
	r := rec.recorder
	if r.attribution.unseparated != "" {
		return func() {}
	}
	fail := func(err error) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.fail(err)
	}
	id := follow(test)
	fail(r.enforcement.enter(id, rec))
	unmark := goroutine.Mark(id)
	labels := goroutine.Labels()
	fail(errors.Join(r.session.Probe.AttributeGoroutine(id), r.session.Probe.AttributeLabels(labels, id)))
	return func() {
		err := r.session.Probe.AttributeLabels(labels, 0) // first, as in Unmark
		fail(errors.Join(err, r.session.Probe.AttributeGoroutine(unmark())))
	}
}

// testOf returns the test that opened a flow, or a reason in brackets if the test is unknown. It returns "" for flows
// of containers.
func (a *attribution) testOf(e *probe.FlowEvent) string {
	if e.Cgroup != a.ownCgroup {
		return ""
	}
	own := e.Process.PID == a.self
	if test := followedTest(e.Recording); test != "" {
		return test
	}
	for _, rec := range a.recordings {
		if rec.goroutine == e.Recording && !rec.isPackage {
			return rec.test
		}
	}
	if test, over := endedByID.Load(e.Recording); over {
		return test.(*endedRecording).name
	}
	if test := cmp.Or(testFunction(e.Process.Stack), testLiteral(e.Process.Stack)); test != "" && own {
		test, _, _ = strings.Cut(test, ".") // without the number of a subtest's function
		return test
	}
	switch {
	case slices.ContainsFunc(a.recordings, func(rec *Recording) bool {
		return rec.isPackage && rec.goroutine == e.Recording
	}):
		return "TestMain"
	case e.Process.PID == 0:
		return "(not known: the kernel tells no process)"
	case a.unseparated != "":
		return "(not known: " + a.unseparated + ")"
	case e.Recording == goroutine.Unread:
		return "(not known: the goroutine could not be read at that moment)"
	case own:
		return "(a goroutine that no test started)"
	}
	return "(a process that no test started)"
}

// testFunction returns the test function of a call stack, without its package: "TestShop", or "TestShop.func1" for a
// subtest. It returns "" if package testing is not in the stack.
func testFunction(calls []flow.Frame) string {
	runner := slices.IndexFunc(calls, func(f flow.Frame) bool { return slices.Contains(runners, f.Function) })
	for i := runner - 1; i >= 0; i-- {
		if strings.HasPrefix(calls[i].Function, runFrames) {
			continue
		}
		function := strings.TrimPrefix(calls[i].Function, calls[i].Package()+".")
		if isTest.MatchString(function) {
			return function
		}
		return ""
	}
	return ""
}

// testLiteral returns the test function, without its package, that a function literal in the stack is defined in, or
// "". The stack of a goroutine that a timer started shows nothing else.
func testLiteral(calls []flow.Frame) string {
	for _, call := range slices.Backward(calls) {
		function := strings.TrimPrefix(call.Function, call.Package()+".")
		if isTest.MatchString(function) && strings.HasSuffix(call.File, "_test.go") {
			return function
		}
	}
	return ""
}

var (
	runners = []string{"testing.tRunner", "testing.fRunner", "testing.(*B).runN", "testing.runExample"}
	isTest  = regexp.MustCompile(`^(Test|Benchmark|Fuzz|Example)`)

	// the functions of netzerotest between package testing and a test
	runFrames = "github.com/netzero-dev/netzero/netzerotest.beforeEach."
)

// IsRecordedChild reports whether a recorded process of the same program is an ancestor of this process. The ancestor
// then records the flows of this process.
func IsRecordedChild() bool {
	in, err := cgroup.OfProcess(os.Getpid())
	if err != nil {
		return false
	}
	self, err := os.Stat("/proc/self/exe")
	if err != nil {
		return false
	}
	for ; in != "/" && in != "."; in = path.Dir(in) {
		pid, ok := cgroup.LeafOwner(path.Base(in))
		if !ok || pid == os.Getpid() {
			continue
		}
		if other, err := os.Stat(fmt.Sprintf("/proc/%d/exe", pid)); err == nil && os.SameFile(self, other) {
			return true
		}
	}
	return false
}
