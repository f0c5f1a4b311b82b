package stress

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/netzero-dev/netzero/internal/testnet"
)

// 64 tests at the same time, each allowed its own destinations and nothing else, dial each other's destinations too.
func TestEnforce_NoWrongVerdict(t *testing.T) {
	lab := testnet.New(t)
	lab.ResolverTimeout(time.Minute)
	zone := testnet.MustZone()
	for test := range tests {
		if err := zone.Add(fmt.Sprintf("%s A %s", name(test), sharedAddress(test))); err != nil {
			t.Fatal(err)
		}
		lab.ServeTCP(byAddress(test), nil)
		lab.ServeUDP(byAddress(test), nil)
		if test%namesPerAddress == 0 {
			lab.ServeTCP(sharedAddress(test)+":7000", nil)
		}
	}
	lab.ServeDNS(resolver, zone)

	goldens := t.TempDir()
	run(t, lab, goldens, "TestEnforce", "-update")
	for range *rounds {
		checkVerdicts(t, enforced(t, lab, goldens))
	}
	t.Logf("%d tests at the same time, %d dials in each run", tests, tests*dials)
}

// enforced runs the tests with Enforce and returns their output.
func enforced(t *testing.T, lab *testnet.Net, goldens string) []byte {
	t.Helper()
	cmd := userCommand(t, lab, goldens, "TestEnforce", "-test.v")
	cmd.Env = append(cmd.Env, othersVariable+"=1")
	out, err := cmd.CombinedOutput()
	if err == nil {
		t.Fatalf("the tests pass, though each dials what it may not:\n%s", out)
	}
	return out
}

func checkVerdicts(t *testing.T, out []byte) {
	t.Helper()
	for line := range bytes.Lines(out) {
		if bytes.Contains(line, []byte(wrongVerdict)) {
			t.Errorf("%s", bytes.TrimSpace(line))
		}
	}
	for what, want := range map[string]int{
		allDialled: tests,
		fmt.Sprintf(": %d unexpected flows refused in the kernel ", others*len(destinations(0))): tests,
	} {
		if got := bytes.Count(out, []byte(what)); got != want {
			t.Errorf("%q is %d times in the output, want %d", what, got, want)
		}
	}
	if t.Failed() {
		t.Logf("%s", out)
	}
}
