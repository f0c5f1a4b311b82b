// Package testenv checks the requirements of this repository's own tests, and skips tests that cannot run.
//
// If NETZERO_TEST_REQUIRE=1 is set, as in CI, such a test fails instead. The package is for tests only.
package testenv

import (
	"os"
	"os/exec"
	"testing"
)

// Required reports whether a test that cannot run has to fail.
func Required() bool { return os.Getenv("NETZERO_TEST_REQUIRE") == "1" }

// RequireRoot skips the test unless it runs as root.
func RequireRoot(tb testing.TB) {
	tb.Helper()
	if os.Geteuid() != 0 {
		skip(tb, Required(), "this test needs root: run it with `make test`, or with go test -exec 'sudo "+
			"--preserve-env'")
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

// RequireCommand skips the test unless a program is installed; debian is the Debian package with the program.
func RequireCommand(tb testing.TB, program, debian string) {
	tb.Helper()
	if _, err := exec.LookPath(program); err != nil {
		skip(tb, Required(), "this test needs "+program+": apt-get install "+debian)
	}
}

// RequireFile skips the test unless a file exists; debian is the Debian package with the file.
func RequireFile(tb testing.TB, path, debian string) {
	tb.Helper()
	if _, err := os.Stat(path); err != nil {
		skip(tb, Required(), "this test needs "+path+": apt-get install "+debian)
	}
}
