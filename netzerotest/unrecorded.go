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

// doctor is the command that lists the missing prerequisites of a machine.
const doctor = "go run github.com/netzero-dev/netzero/netzerotest/doctor"

// cannotRecord says in one line why recording is impossible, how to fix it, and where to find details.
func cannotRecord(tb host, update bool, err error) string {
	text := fmt.Sprintf("cannot record: %v", err)
	if advice := session.Advice(err, "record with: "+runCommand(tb, session.ExecSudo, update), runCommand(tb, "", update)); advice != "" {
		text += "; " + advice
	}
	return text + "; all that is missing: " + doctor
}

// isExpected reports whether an error is normal on a developer's machine, where tests run unrecorded. All other errors
// mean that something is broken.
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

var said sync.Map // lines that were announced

// runUnrecorded says that the test is not recorded, in the test's log and, once for each reason, with announce.
func (r *Recording) runUnrecorded(reason string) {
	r.tb.Helper()
	r.tb.Logf("netzero: %s: NOT RECORDED: %s", r.tb.Name(), reason)
	spoilCache()
	announce("NOT RECORDED: " + reason)
}

// announce writes a line to standard error, once for each text. If go test would hide it, it also writes to the
// terminal.
func announce(text string) {
	if _, again := said.LoadOrStore(text, true); again {
		return
	}
	line := fmt.Sprintf("netzero: %s\n", text)
	fmt.Fprint(os.Stderr, line)
	if isTerminal(os.Stderr) {
		return
	}
	// With a list of packages, go test hides the output of a test binary that passes.
	if tty, err := os.OpenFile("/dev/tty", os.O_WRONLY, 0); err == nil {
		fmt.Fprint(tty, line)
		tty.Close()
	}
}

func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// spoilCache keeps go test from caching this run. The key of the cache does not contain privileges, and with other
// privileges the test might be recorded. The key does contain the files that a test opens within its module, and go
// test does not cache a run that opened a file modified just before. Files below /proc are always new. The path starts
// within the module and leads there.
var spoilCache = sync.OnceFunc(func() {
	up := strings.Repeat("/..", strings.Count(filepath.ToSlash(string(packageDir)), "/"))
	if f, err := os.Open(string(packageDir) + up + "/proc/self/stat"); err == nil {
		f.Close()
	}
})
