package recorded

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/netzero-dev/netzero/netzerotest"
)

// userTests are the user's tests. They open real flows; the tests of this package check the reports.
var userTests = []testing.InternalTest{
	{Name: "TestShop", F: userShop},
	{Name: "TestBurst", F: userBurst},
	{Name: "TestCalls", F: userCalls},
}

// userShop opens the flows in OPEN. A child that is older than the recording opens those in EARLY.
func userShop(t *testing.T) {
	if words := os.Getenv("EARLY"); words != "" {
		check(t, startEarly(words))
	}
	var options []netzerotest.Option
	if os.Getenv("STRICT") != "" {
		options = append(options, netzerotest.Strict())
	}
	netzerotest.Record(t, options...)
	check(t, open(os.Getenv(openVariable)))
}

// userBurst opens many refused connections without a pause. The loop has no point at which the scheduler could run
// another goroutine.
func userBurst(t *testing.T) {
	netzerotest.Record(t)
	if errno := connectAll([4]byte{203, 0, 113, 10}, 1000, 300); errno != 0 {
		t.Fatal(errno)
	}
}

// self is this binary as another process.
func self(as string, environment ...string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe")
	cmd.Args[0] = filepath.Base(os.Args[0])
	cmd.Env = append(os.Environ(), append(environment, asVariable+"="+as)...)
	return cmd
}
