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

// followed maps the goroutine.ID of tests that a package's recording follows to their names, and back.
var followed struct {
	sync.Mutex
	ids   map[string]goroutine.ID
	names map[goroutine.ID]string
}

// follow returns the ID of a test.
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

// followedTest returns the test of an ID; "" where that is none.
func followedTest(id goroutine.ID) string {
	followed.Lock()
	defer followed.Unlock()
	return followed.names[id]
}

// EnterTest labels the calling goroutine, and what it starts, as a test's that this recording is to name. leave takes that back on
// the same goroutine.
func (m *Recording) EnterTest(test string) (leave func()) {
	c := m.recorder
	if c.unseparated != "" {
		return func() {}
	}
	note := func(err error) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.fail(err)
	}
	id := follow(test)
	unmark := goroutine.Mark(id)
	labels := goroutine.Labels()
	note(errors.Join(c.session.Probe.Own(id), c.session.Probe.OwnLabels(labels, id)))
	return func() {
		err := c.session.Probe.OwnLabels(labels, 0) // first, as in release
		note(errors.Join(err, c.session.Probe.Own(unmark())))
	}
}

// testOf names the test that opened a flow, or says in brackets what is known instead. It is "" for what runs in a container.
func (r *Recorder) testOf(e *probe.FlowEvent) string {
	if e.Cgroup != r.session.Leaf.ID {
		return ""
	}
	own := e.Process.PID == r.self
	if test := followedTest(e.Recording); test != "" {
		return test
	}
	for _, m := range r.members {
		if m.goroutine == e.Recording && !m.isPackage {
			return m.test
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
	case slices.ContainsFunc(r.members, func(m *Recording) bool { return m.isPackage && m.goroutine == e.Recording }):
		return "TestMain"
	case e.Process.PID == 0:
		return "(not known: the kernel tells no process)"
	case r.unseparated != "":
		return "(not known: " + r.unseparated + ")"
	case e.Recording == goroutine.Unread:
		return "(not known: the goroutine could not be read at that moment)"
	case own:
		return "(a goroutine that no test started)"
	}
	return "(a process that no test started)"
}

// testFunction returns the function, without its package, by which package testing runs the test to which calls lead: "TestShop"
// or, of a subtest, "TestShop.func1"; "" where they lead to none.
func testFunction(calls []flow.Frame) string {
	runner := slices.IndexFunc(calls, func(f flow.Frame) bool { return slices.Contains(runners, f.Function) })
	for i := runner - 1; i >= 0; i-- {
		if strings.HasPrefix(calls[i].Function, between) {
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

// testLiteral returns the function, without its package, of which a function literal is among the calls, where that is a test:
// of a goroutine that a timer started no more is known.
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
	between = "github.com/netzero-dev/netzero/netzerotest.(*PackageRecording)." // what Run puts between them and a test
)

// IsRecordedChild reports whether this process was started, directly or not, by a recorded process of the same program: its
// flows are in that one's recording.
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
