package cost

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"testing"
)

// A suite is the tests of a public module's root package. They open thousands of connections on loopback.
type suite struct {
	module, version string
	skip            string // tests that fail now and then without a recording, too; "" if there are none
}

var suites = []suite{
	{"github.com/valyala/fasthttp", "v1.78.0", ""},
	// Join_IPv6 expects that both members have learned of each other as soon as one of them has.
	{"github.com/hashicorp/memberlist", "v0.7.0", "^TestMemberlist_Join_IPv6$"},
}

// suiteMain records a package. Its connections on loopback are no flows.
const suiteMain = `package %s

import (
	"os"
	"testing"

	"github.com/netzero-dev/netzero/netzerotest"
)

func TestMain(m *testing.M) { os.Exit(netzerotest.RecordPackage().Run(m)) }
`

// TestSuites measures public test suites with a recording of the whole package, and without.
func TestSuites(t *testing.T) {
	if *output == "" {
		t.Log("with -write only: it takes minutes")
		return
	}
	var b strings.Builder
	for _, s := range suites {
		without, with := s.measure(t)
		fmt.Fprintf(&b, "| `go test` of %s %s | %.1f s | %.3f |\n",
			s.module, s.version, median(without), median(ratios(with, without)))
	}
	write(t, "suites.md", b.String())
}

// measure returns the seconds of each run.
func (s suite) measure(t *testing.T) (without, with []float64) {
	t.Helper()
	dir := copyModule(t, s.module+"@"+s.version)
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	main := fmt.Sprintf(suiteMain, path.Base(s.module))
	if err := os.WriteFile(filepath.Join(dir, "netzero_test.go"), []byte(main), 0o644); err != nil {
		t.Fatal(err)
	}
	runGo(t, dir, nil, "mod", "edit", "-require=github.com/netzero-dev/netzero@v0.0.0",
		"-replace=github.com/netzero-dev/netzero="+root)
	runGo(t, dir, nil, "mod", "tidy")
	args := []string{"test", "-count=1", "."}
	if s.skip != "" {
		args = append(args, "-skip", s.skip)
	}
	runGo(t, dir, []string{"NETZERO=require", "CI="}, append(args, "-update")...)
	for range min(*rounds, 3) {
		without = append(without, runGo(t, dir, []string{"NETZERO=off"}, args...))
		with = append(with, runGo(t, dir, []string{"NETZERO=require", "CI="}, args...))
	}
	return without, with
}

// copyModule returns a directory with a copy of a module's source.
func copyModule(t *testing.T, module string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "mod", "download", "-json", module).Output()
	if err != nil {
		t.Fatalf("download %s: %v", module, err)
	}
	var downloaded struct{ Dir string }
	if err := json.Unmarshal(out, &downloaded); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "module")
	if err := os.CopyFS(dir, os.DirFS(downloaded.Dir)); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("chmod", "-R", "u+w", dir).CombinedOutput(); err != nil {
		t.Fatalf("chmod: %v: %s", err, strings.TrimSpace(string(out)))
	}
	return dir
}
