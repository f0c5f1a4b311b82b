package billing_test

import (
	"os"
	"os/exec"
	"regexp"
	"testing"
)

// strayVariable names the workload that makes a request that the policies do not list.
const strayVariable = "EXAMPLE_STRAY"

// stray adds a request to a workload's command if the variable names the workload.
func stray(workload, method, path string, command ...string) []string {
	if os.Getenv(strayVariable) == workload {
		command = append(command, method, "http://billing:8080"+path)
	}
	return command
}

// With one more request of one workload, TestBilling and TestBillingCilium fail, although its port is allowed. Your
// test does not need this one.
func TestBilling_StrayRequest(t *testing.T) {
	requireRoot(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	requests := []struct {
		workload string
		denied   []string
		allowed  string
	}{
		{
			"checkout", []string{`checkout -> billing:8080/TCP.*GET /api/v1/invoices/17`,
				`checkout -> ledger:9090/TCP.*POST /shop\.Ledger/Balance`}, `(auditing|monitoring) -> `,
		},
		{
			"auditing", []string{`auditing -> billing:8080/TCP.*POST /api/v1/charge`}, `(checkout|monitoring) -> `,
		},
		{
			"monitoring", []string{`monitoring -> billing:8080/TCP.*GET /api/v1/invoices/17`}, `(checkout|auditing) -> `,
		},
	}
	for _, name := range []string{"TestBilling", "TestBillingCilium"} {
		for _, r := range requests {
			t.Run(name+"/"+r.workload, func(t *testing.T) {
				t.Parallel() // each is a process of its own
				test := exec.CommandContext(t.Context(), self, "-test.paniconexit0", "-test.run=^"+name+"$")
				test.Env = append(os.Environ(), strayVariable+"="+r.workload)
				out, err := test.CombinedOutput()
				if err == nil {
					t.Errorf("the test passes:\n%s", out)
				}
				for _, want := range r.denied {
					if !regexp.MustCompile(want).Match(out) {
						t.Errorf("the output has no match for %q:\n%s", want, out)
					}
				}
				if regexp.MustCompile(r.allowed).Match(out) {
					t.Errorf("the output has a match for %q:\n%s", r.allowed, out)
				}
			})
		}
	}
}

// requireRoot skips the test if this process cannot load eBPF programs, or fails it if no test may be skipped.
func requireRoot(t *testing.T) {
	t.Helper()
	switch {
	case os.Geteuid() == 0 && os.Getenv("NETZERO") != "off":
	case os.Getenv("NETZERO_TEST_REQUIRE") == "1":
		t.Fatal("only root can run this test")
	default:
		t.Skip("only root can run this test: go test -exec 'sudo --preserve-env'")
	}
}
