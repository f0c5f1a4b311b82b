package netzerotest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/netzero-dev/netzero/internal/cgroup"
	"github.com/netzero-dev/netzero/internal/probe"
	"github.com/netzero-dev/netzero/internal/session"
)

// doctor is the command that says what a machine lacks.
const doctor = "go run github.com/netzero-dev/netzero/netzerotest/doctor"

// cannotRecord says in one line why recording is impossible, what to do, and who knows more.
func cannotRecord(tb host, update bool, err error) string {
	text := fmt.Sprintf("cannot record: %v", err)
	if advice := session.Advice(err, "record with: "+runCommand(tb, session.ExecSudo, update), runCommand(tb, "", update)); advice != "" {
		text += "; " + advice
	}
	return text + "; all that is missing: " + doctor
}

// isExpected reports whether an error is one of a developer's machine on which tests run unrecorded. All others mean
// that something is broken.
func isExpected(err error) bool {
	for _, class := range []error{
		probe.ErrNotPermitted, probe.ErrNotSupported, cgroup.ErrNotPermitted, cgroup.ErrNoTree, cgroup.ErrReadOnly,
	} {
		if errors.Is(err, class) {
			return true
		}
	}
	return false
}

var said sync.Map // texts that were announced

// runUnrecorded says that the test is not recorded: in the test's log, and once for each reason to whoever watches.
func (r *Recording) runUnrecorded(reason string) {
	r.tb.Helper()
	r.tb.Logf("netzero: %s: NOT RECORDED: %s", r.tb.Name(), reason)
	spoilCache()
	announce("NOT RECORDED: " + reason)
}

// announce writes a line to standard error and, where go test would hide that, to the terminal: once for each text.
func announce(text string) {
	if _, again := said.LoadOrStore(text, true); again {
		return
	}
	line := fmt.Sprintf("netzero: %s\n", text)
	fmt.Fprint(os.Stderr, line)
	if isTerminal(os.Stderr) {
		return
	}
	// With a list of packages, go test shows nothing of a test binary that passes.
	if tty, err := os.OpenFile("/dev/tty", os.O_WRONLY, 0); err == nil {
		fmt.Fprint(tty, line)
		tty.Close()
	}
}

func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// spoilCache keeps go test from replaying this run, which says nothing about a run with other privileges: those are not
// in the key of its cache. But the files are that a test opens within its module, and a run that opened one that is
// newer than a moment is not kept. What is below /proc is always new; the path leads there from within the module.
var spoilCache = sync.OnceFunc(func() {
	up := strings.Repeat("/..", strings.Count(filepath.ToSlash(string(packageDir)), "/"))
	if f, err := os.Open(string(packageDir) + up + "/proc/self/stat"); err == nil {
		f.Close()
	}
})
