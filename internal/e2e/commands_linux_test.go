package e2e

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// commands are the script commands that inspect the script itself.
var commands = map[string]func(ts *testscript.TestScript, neg bool, args []string){
	"accept":  accept,
	"waitfor": waitFor,
	"cgroups": cgroups,
	"says":    says,
}

var offered = regexp.MustCompile(`(?m)To accept:\s+(go test .*)$`)

// accept runs the printed command, as a person does who copies it into a shell.
func accept(ts *testscript.TestScript, neg bool, args []string) {
	m := offered.FindStringSubmatch(ts.ReadFile("stdout"))
	if m == nil {
		ts.Fatalf("the last output offers no command that accepts the flows")
	}
	args = append(args, "sh", "-c", m[1])
	err := ts.Exec(args[0], args[1:]...)
	if (err != nil) != neg {
		ts.Fatalf("%s: %v", m[1], err)
	}
}

// says searches the last output for a text, ignoring line breaks.
func says(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: [!] says TEXT")
	}
	oneLine := func(s string) string { return strings.Join(strings.Fields(s), " ") }
	if found := strings.Contains(oneLine(ts.ReadFile("stdout")), oneLine(args[0])); found == neg {
		ts.Fatalf("found %q in the last output: %t", args[0], found)
	}
}

func waitFor(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: waitfor FILE")
	}
	path := ts.MkAbs(args[0])
	if !within(time.Minute, func() bool { _, err := os.Stat(path); return err == nil }) {
		ts.Fatalf("%s does not appear", args[0])
	}
}

func cgroups(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: cgroups N")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	paths, err := filepath.Glob(filepath.Join(ts.Getenv(cgroupVariable), "netzero-*"))
	ts.Check(err)
	if len(paths) != want {
		ts.Fatalf("recordings have left %d cgroups, want %d: %q", len(paths), want, paths)
	}
}

// within waits until a condition is true, and reports whether that happened in time.
func within(d time.Duration, condition func() bool) bool {
	for deadline := time.Now().Add(d); !condition(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			return false
		}
	}
	return true
}
