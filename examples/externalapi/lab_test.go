package externalapi_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/netzero-dev/netzero/netzerotest"
)

// Your tests need only netzerotest.Main from this file, because the hosts that they call exist. Here, TestMain runs the
// tests in a small private network, in which the command netlab creates the hosts (testdata/lab.conf).

// withinVariable tells the tests that the hosts exist.
const withinVariable = "EXAMPLE_WITHIN"

func TestMain(m *testing.M) {
	if os.Getenv(withinVariable) != "" || os.Geteuid() != 0 {
		os.Exit(netzerotest.Main(m))
	}
	err := runWithin()
	if exit := new(exec.ExitError); errors.As(err, &exit) {
		os.Exit(exit.ExitCode())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// runWithin runs this test binary again, with its flags, in the network of the hosts.
func runWithin() (err error) {
	dir, err := os.MkdirTemp("", "externalapi-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	netlab := filepath.Join(dir, "netlab")
	build := exec.Command("go", "build", "-buildvcs=false", "-o", netlab, "../../internal/testnet/cmd/netlab")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build netlab: %w\n%s", err, out)
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	authority := filepath.Join(dir, "ca.pem")
	args := []string{"-f", "testdata/lab.conf", "-ca", authority, "--", self}
	tests := exec.Command(netlab, append(args, os.Args[1:]...)...)
	tests.Env = append(os.Environ(), withinVariable+"=1", "SSL_CERT_FILE="+authority)
	tests.Stdout, tests.Stderr = os.Stdout, os.Stderr
	return tests.Run()
}

// requireLab skips the test if the hosts do not exist, or fails it if no test may be skipped.
func requireLab(t *testing.T) {
	t.Helper()
	if os.Getenv(withinVariable) != "" {
		return
	}
	if os.Getenv("NETZERO_TEST_REQUIRE") == "1" {
		t.Fatal("the hosts that this test calls are created by root only")
	}
	t.Skip("the hosts that this test calls are created by root only: go test -exec 'sudo --preserve-env'")
}
