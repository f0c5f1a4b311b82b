package httpservice_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/netzero-dev/netzero/internal/testenv"
	"github.com/netzero-dev/netzero/internal/testnet"
	"github.com/netzero-dev/netzero/netzerotest"
)

// A test of yours needs nothing of this file: the hosts that it talks to exist. Here TestMain makes them, in a small
// internet of their own (package testnet), and runs the tests within it.

// ratesdVariable tells the tests within where the program ratesd is.
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

// runWithin runs this test binary once more, with its flags, where the hosts are.
func runWithin() (err error) {
	dir, err := os.MkdirTemp("", "httpservice-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	ratesd, authority := filepath.Join(dir, "ratesd"), filepath.Join(dir, "ca.pem")
	if out, err := exec.Command("go", "build", "-buildvcs=false", "-o", ratesd, "./cmd/ratesd").CombinedOutput(); err != nil {
		return fmt.Errorf("build ratesd: %w\n%s", err, out)
	}

	lab, err := testnet.Open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lab.Close()) }()
	_, dnsErr := lab.ServeDNS("203.0.113.53:53", testnet.MustZone("api.quotes.test A 203.0.113.7", "api.discounts.test A 203.0.113.8"))
	_, quotesErr := lab.ServeTLS("203.0.113.7:443", number(18), "api.quotes.test")
	_, discountsErr := lab.ServeTLS("203.0.113.8:443", number(0), "api.discounts.test")
	pem, pemErr := lab.CAPEM()
	if err := errors.Join(dnsErr, quotesErr, discountsErr, pemErr, os.WriteFile(authority, pem, 0o644)); err != nil {
		return err
	}

	self, err := os.Executable()
	if err != nil {
		return err
	}
	tests := lab.Command(context.Background(), self, os.Args[1:]...)
	tests.Env = append(os.Environ(), ratesdVariable+"="+ratesd, "SSL_CERT_FILE="+authority)
	tests.Stdout, tests.Stderr = os.Stdout, os.Stderr
	return tests.Run()
}

func number(n int) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, n) })
}

// startRatesd starts the rates server, as a test starts any program that its service needs.
func startRatesd(t *testing.T) {
	t.Helper()
	testenv.RequireRoot(t)
	ratesd := exec.CommandContext(t.Context(), os.Getenv(ratesdVariable), "-listen", "127.0.0.1:7070")
	out, err := ratesd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := ratesd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ratesd.Wait() }) // it was killed when t.Context ended
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatalf("ratesd does not listen: %v", err)
	}
}
