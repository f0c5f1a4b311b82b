package stress

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/netzero-dev/netzero/internal/testnet"
)

var rounds = flag.Int("rounds", 1, "how often the tests run with -update, and against the written policies")

func TestAttribution_EachFlowInOneRecording(t *testing.T) {
	lab := testnet.New(t)
	lab.ResolverTimeout(time.Minute)
	serve(t, lab)
	for range *rounds {
		goldens := t.TempDir()
		run(t, lab, goldens, "TestStress", "-update")
		if written, _ := filepath.Glob(filepath.Join(goldens, "*.yaml")); len(written) != tests {
			t.Fatalf("there are %d policies, want %d", len(written), tests)
		}
		run(t, lab, goldens, "TestStress")
	}
	t.Logf("%d runs, each with %d tests at the same time, each with %d destinations", 2**rounds, tests, ways*each)
}

// run runs a test of the user in the lab. It has to pass.
func run(t *testing.T, lab *testnet.Net, goldens, test string, args ...string) {
	t.Helper()
	out, err := userCommand(t, lab, goldens, test, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %q: %v\n%s", test, args, err, out)
	}
	if bytes.Contains(out, []byte("notice")) {
		t.Errorf("%s %q prints a notice:\n%s", test, args, out)
	}
}

// userCommand returns a command that runs a test of the user in the lab.
func userCommand(t *testing.T, lab *testnet.Net, goldens, test string, args ...string) *exec.Cmd {
	// These are flags that go test passes.
	flags := []string{
		"-test.paniconexit0", "-test.timeout=10m", fmt.Sprint("-test.parallel=", tests), "-test.run=^" + test + "$",
	}
	cmd := lab.Command(t.Context(), "/proc/self/exe", append(flags, args...)...)
	cmd.Env = []string{
		goldensVariable + "=" + goldens, "NETZERO=require", "HOME=" + os.Getenv("HOME"), "PATH=" + os.Getenv("PATH"),
		"TMPDIR=" + os.Getenv("TMPDIR"),
	}
	return cmd
}

// serve starts a server for each destination.
func serve(t *testing.T, lab *testnet.Net) {
	zone := testnet.MustZone()
	for test := range tests {
		if err := zone.Add(fmt.Sprintf("%s A %s", name(test), named(test))); err != nil {
			t.Fatal(err)
		}
	}
	lab.ServeDNS(resolver, zone)
	relay, calls := relayTo(startPostgres(t)), serveGRPC(t)
	for test := range tests {
		for n := range each {
			lab.ServeHTTP(at(named(test), overHTTP, n), nil)
			lab.ServeTCP(at(named(test), overSQL, n), relay)
			lab.ServeTCP(at(named(test), overGRPC, n), calls.serve)
			lab.ServeDNS(at(unnamed(test), overDNS, n), zone)
			lab.ServeTCP(at(unnamed(test), byChild, n), nil)
		}
	}
}
