package cost

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// TestPackages measures go test ./... of a module with many packages, each with one recorded test.
func TestPackages(t *testing.T) {
	packages, n := 50, min(*rounds, 5)
	if *output == "" {
		packages, n = 2, 1
	}
	dir := t.TempDir()
	if err := writeModule(dir, packages); err != nil {
		t.Fatal(err)
	}
	runGo(t, dir, nil, "mod", "tidy")
	runGo(t, dir, []string{"NETZERO=require", "CI="}, "test", "./...", "-update")
	var without, with []float64
	for range n {
		without = append(without, runGo(t, dir, []string{"NETZERO=off"}, "test", "-count=1", "./..."))
		with = append(with, runGo(t, dir, []string{"NETZERO=require"}, "test", "-count=1", "./..."))
	}
	ratio := median(ratios(with, without))
	write(t, "packages.md", fmt.Sprintf("| `go test ./...` of %d packages, one recorded test each | %.2f s | %.3f |\n",
		packages, median(without), ratio))
	figure(t, "packages", ratio)
	figure(t, "packages/seconds", median(without)/float64(packages))
}

// runGo runs the go command in a module, and returns the seconds that it took.
func runGo(t *testing.T, dir string, env []string, args ...string) float64 {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	begin := time.Now()
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", cmd.Args, err, out)
	}
	return time.Since(begin).Seconds()
}

const packageTest = `package shop

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/netzero-dev/netzero/netzerotest"
)

func TestShop(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	netzerotest.Record(t, netzerotest.Peer(server.Listener.Addr().String(), "orders:8080"))
	for range 100 {
		response, err := server.Client().Get(server.URL)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
	}
}
`

// writeModule writes a module that uses this tree.
func writeModule(dir string, packages int) error {
	root, err := filepath.Abs("../..")
	if err != nil {
		return err
	}
	sums, err := os.ReadFile(filepath.Join(root, "go.sum"))
	if err != nil {
		return err
	}
	files := map[string]string{
		"go.mod": "module example.test/shops\n\ngo 1.25.0\n\nrequire github.com/netzero-dev/netzero v0.0.0\n\n" +
			"replace github.com/netzero-dev/netzero => " + fmt.Sprintf("%q", root) + "\n",
		"go.sum": string(sums),
	}
	for i := range packages {
		files[fmt.Sprintf("shop%d/shop_test.go", i)] = packageTest
	}
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}
