package stress

import (
	"bytes"
	"flag"
	"fmt"
	"os"
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
		run(t, lab, goldens, "-update")
		if written, _ := filepath.Glob(filepath.Join(goldens, "*.yaml")); len(written) != tests {
			t.Fatalf("there are %d policies, want %d", len(written), tests)
		}
		run(t, lab, goldens)
	}
	t.Logf("%d runs, each with %d tests at the same time, each with %d destinations", 2**rounds, tests, ways*each)
}

// run runs the user's tests in the lab.
func run(t *testing.T, lab *testnet.Net, goldens string, args ...string) {
	t.Helper()
	// These are flags that go test passes.
	flags := []string{"-test.paniconexit0", "-test.timeout=10m", fmt.Sprint("-test.parallel=", tests)}
	args = append(flags, args...)
	cmd := lab.Command(t.Context(), "/proc/self/exe", args...)
	cmd.Env = []string{
		goldensVariable + "=" + goldens, "NETZERO=require", "HOME=" + os.Getenv("HOME"), "PATH=" + os.Getenv("PATH"),
		"TMPDIR=" + os.Getenv("TMPDIR"),
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%q: %v\n%s", args, err, out)
	}
	if bytes.Contains(out, []byte("notice")) {
		t.Errorf("%q prints a notice:\n%s", args, out)
	}
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
