package netzerotest

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"
)

// updateModule is a module with users of -update. The test copies updateFiles into it, so it needs no other file of
// this module and no network. Go initialises packages in the order of their import paths: a... before netzerotest and
// settings, z... after them.
const updateModule = `
-- go.mod --
module github.com/netzero-dev/netzero

go 1.25
-- netzerotest/say.go --
package netzerotest

import (
	"testing"

	"github.com/netzero-dev/netzero/internal/settings"
)

func Say(t *testing.T, more ...any) {
	update, err := settings.Updating()
	t.Log(append([]any{"updating:", update, err}, more...)...)
}
-- internal/settings/export.go --
package settings

func Updating() (bool, error) { return updating() }
-- plain/x_test.go --
package plain

import (
	"testing"

	"github.com/netzero-dev/netzero/netzerotest"
)

func TestX(t *testing.T) { netzerotest.Say(t) }
-- own/x_test.go --
package own

import (
	"flag"
	"testing"

	"github.com/netzero-dev/netzero/netzerotest"
)

var update = flag.Bool("update", false, "my own")

func TestX(t *testing.T) { netzerotest.Say(t, "own:", *update) }
-- agolden/a.go --
package agolden

import "flag"

var Update *bool

func init() {
	if flag.Lookup("update") == nil {
		Update = flag.Bool("update", false, "guarded, as gotest.tools/golden does")
	}
}
-- zgolden/z.go --
package zgolden

import "flag"

var Update *bool

func init() {
	if flag.Lookup("update") == nil {
		Update = flag.Bool("update", false, "guarded, as gotest.tools/golden does")
	}
}
-- agoldie/a.go --
package agoldie

import "flag"

var Update = flag.Bool("update", false, "not guarded, as goldie does")
-- zgoldie/z.go --
package zgoldie

import "flag"

var Update = flag.Bool("update", false, "not guarded, as goldie does")
-- guardedbefore/x_test.go --
package guardedbefore

import (
	"testing"

	"github.com/netzero-dev/netzero/agolden"
	"github.com/netzero-dev/netzero/netzerotest"
)

func TestX(t *testing.T) { netzerotest.Say(t, "theirs:", *agolden.Update) }
-- guardedafter/x_test.go --
package guardedafter

import (
	"testing"

	"github.com/netzero-dev/netzero/netzerotest"
	"github.com/netzero-dev/netzero/zgolden"
)

func TestX(t *testing.T) { netzerotest.Say(t, "theirs:", *zgolden.Update) }
-- unguardedbefore/x_test.go --
package unguardedbefore

import (
	"testing"

	"github.com/netzero-dev/netzero/agoldie"
	"github.com/netzero-dev/netzero/netzerotest"
)

func TestX(t *testing.T) { netzerotest.Say(t, "theirs:", *agoldie.Update) }
-- unguardedafter/x_test.go --
package unguardedafter

import (
	"testing"

	"github.com/netzero-dev/netzero/netzerotest"
	"github.com/netzero-dev/netzero/zgoldie"
)

func TestX(t *testing.T) { netzerotest.Say(t, "theirs:", *zgoldie.Update) }
-- parsing/x_test.go --
package parsing

import (
	"flag"
	"os"
	"testing"

	"github.com/netzero-dev/netzero/netzerotest"
)

var color = flag.String("color", "red", "")

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(m.Run())
}

func TestX(t *testing.T) { netzerotest.Say(t, "color:", *color) }
-- exiting/x_test.go --
package exiting

import (
	"os"
	"testing"

	"github.com/netzero-dev/netzero/netzerotest"
)

func TestX(t *testing.T) {
	netzerotest.Say(t)
	os.Exit(0)
}
-- without/x_test.go --
package without

import "testing"

func TestX(t *testing.T) {}
-- program/main.go --
package main

import (
	"flag"
	"fmt"

	_ "github.com/netzero-dev/netzero/netzerotest"
)

func main() {
	fmt.Println("flags of tests:", flag.Lookup("test.v") != nil, "update:", flag.Lookup("update") != nil)
}
`

// updateFiles are the files that declare -update, relative to the root of this module.
var updateFiles = []string{"netzerotest/update.go", "internal/settings/update.go"}

func TestUpdate_FlagOfRealTests(t *testing.T) {
	if testing.Short() {
		t.Skip("runs go test")
	}
	dir := updateModuleDir(t)
	const packages = "./plain ./own ./guardedbefore ./guardedafter ./unguardedbefore ./unguardedafter ./parsing"
	binary := filepath.Join(dir, "plain.test")
	goTool(t, dir, "", "test", "-c", "-o", binary, "./plain")

	for _, c := range []struct {
		reason string
		env    string
		args   []string
		want   []string // patterns of the output
		fails  bool
	}{
		{
			reason: "nobody asks for an update",
			args:   append([]string{"go", "test", "-v"}, strings.Fields(packages)...),
			want:   slices.Repeat([]string{`updating: false <nil>`}, 7),
		},
		{
			reason: "everybody's own flag is honoured, and several packages at once",
			args:   append(append([]string{"go", "test", "-v"}, strings.Fields(packages)...), "-update"),
			want: []string{
				`updating: true <nil>\n--- PASS: TestX .*\nPASS\nok  	github.com/netzero-dev/netzero/plain`,
				`updating: true <nil> own: true\n--- PASS: TestX .*\nPASS\nok  	github.com/netzero-dev/netzero/own`,
				`updating: true <nil> theirs: true\n--- PASS: TestX .*\nPASS\nok  	github.com/netzero-dev/netzero/guardedbefore`,
				`updating: true <nil> theirs: true\n--- PASS: TestX .*\nPASS\nok  	github.com/netzero-dev/netzero/guardedafter`,
				`updating: true <nil> theirs: true\n--- PASS: TestX .*\nPASS\nok  	github.com/netzero-dev/netzero/unguardedbefore`,
				`updating: true <nil> theirs: true\n--- PASS: TestX .*\nPASS\nok  	github.com/netzero-dev/netzero/unguardedafter`,
				`updating: true <nil> color: red\n--- PASS: TestX .*\nPASS\nok  	github.com/netzero-dev/netzero/parsing`,
			},
		},
		{
			reason: "before the other flags",
			args:   []string{"go", "test", "./plain", "-update", "-run", "TestX", "-v", "-count=1"},
			want:   []string{`updating: true <nil>`},
		},
		{
			reason: "with flags of the package's own TestMain",
			args:   []string{"go", "test", "-v", "./parsing", "-color", "blue", "-update=true"},
			want:   []string{`updating: true <nil> color: blue`},
		},
		{
			reason: "the flag says no",
			args:   []string{"go", "test", "-v", "./plain", "-update=false"},
			want:   []string{`updating: false <nil>`},
		},
		{
			reason: "the flag is no bool",
			args:   []string{"go", "test", "./plain", "-update=perhaps"},
			want:   []string{`invalid boolean value "perhaps" for -update`},
			fails:  true,
		},
		{
			reason: "another flag is still unknown",
			args:   []string{"go", "test", "./plain", "-updat"},
			want:   []string{`flag provided but not defined: -updat\n`},
			fails:  true,
		},
		{
			reason: "a package without netzerotest does not know the flag",
			args:   []string{"go", "test", "./plain", "./without", "-update"},
			want:   []string{`ok  	github.com/netzero-dev/netzero/plain`, `flag provided but not defined: -update`},
			fails:  true,
		},
		{
			reason: "the variable is for such packages",
			env:    "NETZERO_UPDATE=1",
			args:   []string{"go", "test", "-v", "./plain", "./without", "./own"},
			want: []string{
				`updating: true <nil>\n`, `ok  	github.com/netzero-dev/netzero/without`, `updating: true <nil> own: false`,
			},
		},
		{
			reason: "the variable is misspelt",
			env:    "NETZERO_UPDATE=on",
			args:   []string{"go", "test", "-v", "./plain"},
			want:   []string{`updating: false read NETZERO_UPDATE: "on" is neither 1, true or yes nor 0, false or no`},
		},
		{
			reason: "a test binary that is started by hand, with the variable",
			env:    "NETZERO_UPDATE=yes",
			args:   []string{binary, "-test.v"},
			want:   []string{`updating: true <nil>`},
		},
		{
			reason: "a test binary that is started by hand as go test does it",
			args:   []string{binary, "-test.paniconexit0", "-test.v", "-update"},
			want:   []string{`updating: true <nil>`},
		},
		{
			reason: "a test binary that is started by hand with the flag",
			args:   []string{binary, "-test.v", "-update"},
			want:   []string{`updating: true`},
		},
		{
			reason: "the flag that is wrapped still works",
			args:   []string{"go", "test", "-v", "./exiting"},
			want:   []string{`updating: false`, `unexpected call to os.Exit\(0\) during test`},
			fails:  true,
		},
		{
			reason: "help shows the flag, and does not stumble over the wrapped one",
			args:   []string{"go", "test", "./plain", "-args", "-h"},
			want:   []string{`  -test.paniconexit0\n`, `  -update\n\s+write the golden files of netzerotest`},
		},
		{
			reason: "a program is no test",
			args:   []string{"go", "run", "./program"},
			want:   []string{`flags of tests: false update: false`},
		},
	} {
		cmd := command(dir, c.env, c.args...)
		out, err := cmd.CombinedOutput()
		if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
			t.Fatal(err)
		}
		if (err != nil) != c.fails {
			t.Errorf("%s: %v", c.reason, err)
		}
		rest := string(out)
		for _, pattern := range c.want {
			at := regexp.MustCompile(pattern).FindStringIndex(rest)
			if at == nil {
				t.Errorf("%s: no %q in the rest of the output of %s:\n%s", c.reason, pattern, cmd, out)
				break
			}
			rest = rest[at[1]:]
		}
		if strings.Contains(string(out), "flag redefined") || strings.Contains(string(out), "panic calling") {
			t.Errorf("%s: output of %s:\n%s", c.reason, cmd, out)
		}
	}
}

// If an update's result came from the test cache, no update would have happened.
func TestUpdate_NotCached(t *testing.T) {
	if testing.Short() {
		t.Skip("runs go test")
	}
	dir := updateModuleDir(t)
	for _, c := range []struct {
		reason, env string
		args        []string
		cached      bool
	}{
		{"the first time", "", nil, false},
		{"the second time", "", nil, true},
		{"with the variable", "NETZERO_UPDATE=1", nil, false},
		{"with the flag", "", []string{"-update"}, false},
		{"with the flag, again", "", []string{"-update"}, false},
	} {
		out := goTool(t, dir, c.env, append([]string{"test", "./plain"}, c.args...)...)
		if strings.Contains(out, "(cached)") != c.cached {
			t.Errorf("%s: cached should be %v: %s", c.reason, c.cached, out)
		}
	}
}

// updateModuleDir writes the module.
func updateModuleDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	archive := txtar.Parse([]byte(updateModule))
	for _, name := range updateFiles {
		text, err := os.ReadFile(filepath.Join("..", filepath.FromSlash(name)))
		if err != nil {
			t.Fatal(err)
		}
		archive.Files = append(archive.Files, txtar.File{Name: name, Data: text})
	}
	for _, file := range archive.Files {
		path := filepath.Join(dir, filepath.FromSlash(file.Name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, file.Data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func goTool(t *testing.T, dir, env string, args ...string) string {
	t.Helper()
	out, err := command(dir, env, append([]string{"go"}, args...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// command returns a command that runs in a directory, without the NETZERO variables and GOFLAGS of this process.
func command(dir, env string, args ...string) *exec.Cmd {
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Dir = dir
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "NETZERO_") && !strings.HasPrefix(v, "GOFLAGS=") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	cmd.Env = append(cmd.Env, "GOFLAGS=", "GOWORK=off", "GOPROXY=off", "GOTOOLCHAIN=local")
	if env != "" {
		cmd.Env = append(cmd.Env, env)
	}
	return cmd
}
