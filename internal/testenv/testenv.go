// Package testenv says what this repository's own tests need, and skips those that cannot run.
//
// It refuses to skip where NETZERO_TEST_REQUIRE=1 is set, as CI does: there a test that cannot run has failed. It is
// for tests only.
package testenv

import (
	"os"
	"os/exec"
	"testing"
)

// Required reports whether a test that cannot run shall fail.
func Required() bool { return os.Getenv("NETZERO_TEST_REQUIRE") == "1" }

// RequireRoot skips the test unless it runs as root.
func RequireRoot(tb testing.TB) {
	tb.Helper()
	if os.Geteuid() != 0 {
		skip(tb, Required(), "this test needs root: run it with `make test`, or with go test -exec 'sudo --preserve-env'")
	}
}

func skip(tb testing.TB, required bool, reason string) {
	tb.Helper()
	if required {
		tb.Fatal("NETZERO_TEST_REQUIRE=1: " + reason)
	} else {
		tb.Skip(reason)
	}
}

// RequireCommand skips the test unless a program is installed; debian is the Debian package that has it.
func RequireCommand(tb testing.TB, program, debian string) {
	tb.Helper()
	if _, err := exec.LookPath(program); err != nil {
		skip(tb, Required(), "this test needs "+program+": apt-get install "+debian)
	}
}
