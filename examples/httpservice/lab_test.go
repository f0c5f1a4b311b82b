package httpservice_test

import (
	"bufio"
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

// ratesdVariable passes the path of the program ratesd to the tests.
const ratesdVariable = "EXAMPLE_RATESD"

func TestMain(m *testing.M) {
	if os.Getenv(ratesdVariable) != "" || os.Geteuid() != 0 {
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
	dir, err := os.MkdirTemp("", "httpservice-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	programs := []string{"./cmd/ratesd", "../../internal/testnet/cmd/netlab"}
	build := exec.Command("go", append([]string{"build", "-buildvcs=false", "-o", dir + "/"}, programs...)...)
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build ratesd and netlab: %w\n%s", err, out)
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	authority := filepath.Join(dir, "ca.pem")
	args := []string{"-f", "testdata/lab.conf", "-ca", authority, "--", self}
	tests := exec.Command(filepath.Join(dir, "netlab"), append(args, os.Args[1:]...)...)
	tests.Env = append(os.Environ(), ratesdVariable+"="+filepath.Join(dir, "ratesd"), "SSL_CERT_FILE="+authority)
	tests.Stdout, tests.Stderr = os.Stdout, os.Stderr
	return tests.Run()
}

// requireLab skips the test if the hosts do not exist, or fails it if no test may be skipped.
func requireLab(t *testing.T) {
	t.Helper()
	if os.Getenv(ratesdVariable) != "" {
		return
	}
	if os.Getenv("NETZERO_TEST_REQUIRE") == "1" {
		t.Fatal("the hosts that this test calls are created by root only")
	}
	t.Skip("the hosts that this test calls are created by root only: go test -exec 'sudo --preserve-env'")
}

// startRatesd starts the rates server, as a test starts any program that its service needs.
func startRatesd(t *testing.T) {
	t.Helper()
	requireLab(t)
	ratesd := exec.CommandContext(t.Context(), os.Getenv(ratesdVariable), "-listen", "127.0.0.1:7070")
	out, err := ratesd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := ratesd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ratesd.Wait() }) // killed when t.Context ended
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatalf("ratesd does not listen: %v", err)
	}
}
