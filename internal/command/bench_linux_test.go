package command

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/netzero-dev/netzero/internal/testenv"
)

// BenchmarkExec is what netzero exec costs a package that records nothing: a test binary without tests is started by
// itself, by a built netzero, and by the go command's "go tool".
func BenchmarkExec(b *testing.B) {
	testenv.RequireRoot(b)
	dir := b.TempDir()
	run := func(name string, args ...string) {
		b.Helper()
		if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
			b.Fatalf("%s %q: %v\n%s", name, args, err, out)
		}
	}
	binary, netzero, mod := filepath.Join(dir, "x.test"), filepath.Join(dir, "netzero"), filepath.Join(dir, "go.mod")
	const pkg = "github.com/netzero-dev/netzero/netzerotest/cmd/netzero"
	run("go", "test", "-c", "-o", binary, "../../netzerotest/flow")
	run("go", "build", "-o", netzero, pkg)
	for _, name := range []string{"go.mod", "go.sum"} {
		text, err := os.ReadFile(filepath.Join("../..", name))
		if err != nil {
			b.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil {
			b.Fatal(err)
		}
	}
	run("go", "mod", "edit", "-tool="+pkg, mod)
	for _, row := range []struct {
		name    string
		command []string
	}{
		{"directly", []string{binary}},
		{"built", []string{netzero, "exec", binary}},
		{"gotool", []string{"go", "tool", "-modfile=" + mod, "netzero", "exec", binary}},
	} {
		b.Run(row.name, func(b *testing.B) {
			for b.Loop() {
				run(row.command[0], append(row.command[1:len(row.command):len(row.command)], "-test.run=^$")...)
			}
		})
	}
}
