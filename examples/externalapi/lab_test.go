package externalapi_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/netzero-dev/netzero/internal/testnet"
	"github.com/netzero-dev/netzero/netzerotest"
)

// A test of yours needs nothing of this file: the hosts that it talks to exist. Here TestMain makes them, in a small
// internet of their own (package testnet), and runs the tests within it.

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

// runWithin runs this test binary once more, with its flags, where the hosts are.
func runWithin() (err error) {
	dir, err := os.MkdirTemp("", "externalapi-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	lab, err := testnet.Open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lab.Close()) }()
	_, dnsErr := lab.ServeDNS("203.0.113.53:53", testnet.MustZone(
		"api.rates.test A 203.0.113.7",
		"api.payments.test CNAME edge.cdn.test", "edge.cdn.test A 203.0.113.8",
	))
	_, ratesErr := lab.ServeTLS("203.0.113.7:443", says(func(*http.Request) string { return "175" }), "api.rates.test")
	_, paymentsErr := lab.ServeTLS("203.0.113.8:8443", says(func(r *http.Request) string {
		return fmt.Sprintf("paid %s at %s with %s", r.FormValue("amount"), r.FormValue("rate"), r.Header.Get("Authorization"))
	}), "api.payments.test")
	_, metadataErr := lab.ServeHTTP("169.254.169.254:80", says(func(*http.Request) string { return "secret" }))
	pem, pemErr := lab.CAPEM()
	authority := filepath.Join(dir, "ca.pem")
	if err := errors.Join(dnsErr, ratesErr, paymentsErr, metadataErr, pemErr, os.WriteFile(authority, pem, 0o644)); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	tests := lab.Command(context.Background(), self, os.Args[1:]...)
	tests.Env = append(os.Environ(), withinVariable+"=1", "SSL_CERT_FILE="+authority)
	tests.Stdout, tests.Stderr = os.Stdout, os.Stderr
	return tests.Run()
}

func says(text func(*http.Request) string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprintln(w, text(r)) })
}
