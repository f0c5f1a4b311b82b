package cost

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/netzero-dev/netzero/internal/testenv"
)

// An application is a test of package boutique, which starts the twelve containers of a public application, lets each
// call those that it depends on, and stops them.
type application struct{ test, row string }

var applications = []application{
	{"TestBoutique", "Online Boutique, 12 containers that start and call each other"},
	{"TestBoutique_Calls", "the same by gRPC, and the recording reads the requests"},
}

// TestApplication measures a test of a public application with a recording, and without.
func TestApplication(t *testing.T) {
	testenv.RequireRoot(t)
	testenv.Image(t, "peer")
	dir, err := filepath.Abs("../boutique")
	if err != nil {
		t.Fatal(err)
	}
	binary := filepath.Join(t.TempDir(), "boutique.test")
	runGo(t, dir, nil, "test", "-c", "-o", binary, ".")
	// The starts of containers vary more than what a recording adds to them.
	measured, n := applications, 2**rounds
	if *output == "" {
		measured, n = applications[:1], 1
	}
	var b strings.Builder
	for _, a := range measured {
		run := func(netzero string) float64 { return runTest(t, binary, dir, a.test, "NETZERO="+netzero) }
		var without, with []float64
		for range n {
			without = append(without, run("off"))
			with = append(with, run("require"))
		}
		ratio := median(ratios(with, without))
		fmt.Fprintf(&b, "| %s | %.2f s | %.3f |\n", a.row, median(without), ratio)
		figure(t, a.test, ratio)
		figure(t, a.test+"/seconds", median(without))
	}
	write(t, "application.md", b.String())
}

// runTest runs one test of a test binary, and returns the seconds that it took.
func runTest(t *testing.T, binary, dir, test, variable string) float64 {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), binary, "-test.run", "^"+test+"$", "-test.v")
	cmd.Dir, cmd.Env = dir, append(os.Environ(), variable)
	begin := time.Now()
	out, err := cmd.CombinedOutput()
	took := time.Since(begin).Seconds()
	if err != nil || !strings.Contains(string(out), "--- PASS: "+test+" ") {
		t.Fatalf("%v with %s: %v\n%s", cmd.Args, variable, err, out)
	}
	return took
}
