package ci

import (
	"fmt"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netzero-dev/netzero/internal/report"
)

// section is what the process with a number appends.
func section(n int) string {
	return fmt.Sprintf("### begin %d\n%s### end %d\n", n, strings.Repeat("a line of a section\n", 500), n)
}

// TestMain appends a section if TestAppendSection_ByManyProcesses has started this process.
func TestMain(m *testing.M) {
	n, err := strconv.Atoi(os.Getenv("NETZERO_TEST_SECTION"))
	if err != nil {
		os.Exit(m.Run())
	}
	if err := appendSection(os.Getenv(summaryVariable), section(n)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func summary(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "summary.md")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestAppendSection_ByManyProcesses(t *testing.T) {
	const processes = 20
	name := summary(t, "")
	var running []*exec.Cmd
	for n := range processes {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), "NETZERO_TEST_SECTION="+strconv.Itoa(n), summaryVariable+"="+name)
		cmd.Stderr = os.Stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		running = append(running, cmd)
	}
	for _, cmd := range running {
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	}
	text := read(t, name)
	want := 0
	for n := range processes {
		if strings.Count(text, "\n\n"+section(n)) != 1 {
			t.Errorf("section %d is not there once, and whole", n)
		}
		want += len("\n\n" + section(n))
	}
	if len(text) != want {
		t.Errorf("%d bytes, want %d", len(text), want)
	}
}

func TestAppendSection_StopsBeforeTheLimit(t *testing.T) {
	name := summary(t, "")
	large := strings.Repeat("x", maxSummary/3)
	for range 6 {
		if err := appendSection(name, large); err != nil {
			t.Fatal(err)
		}
	}
	text := read(t, name)
	if want := strings.Repeat("\n\n"+large, 2) + rest; text != want {
		t.Errorf("%d bytes that end with %q, want %d", len(text), text[max(0, len(text)-200):], len(want))
	}
	if err := appendSection(name, "a short one"); err != nil || !strings.HasSuffix(read(t, name), "a short one") {
		t.Errorf("a section that fits is not there: %v", err)
	}
}

func TestAppendSection_OthersHaveFilledIt(t *testing.T) {
	full := strings.Repeat("x", maxSummary)
	name := summary(t, full)
	if err := appendSection(name, "one"); err != nil || read(t, name) != full {
		t.Errorf("the file has changed: %v", err)
	}
}

func TestSummarize(t *testing.T) {
	name := summary(t, "a line of the step")
	t.Setenv(summaryVariable, name)
	for _, section := range []string{"one\n", "", "two\n"} {
		if err := Summarize(section); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff("a line of the step\n\none\n\n\ntwo\n", read(t, name)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestSummarize_NoSummary(t *testing.T) {
	t.Setenv(summaryVariable, "")
	if err := Summarize("one\n"); err != nil {
		t.Error(err)
	}
	missing := filepath.Join(t.TempDir(), "missing")
	t.Setenv(summaryVariable, missing)
	if err := Summarize("one\n"); err == nil || !strings.Contains(err.Error(), summaryVariable) {
		t.Errorf("of a file that does not exist: %v", err)
	}
	if _, err := os.Stat(missing); err == nil {
		t.Error("the file was made: GitHub would not read it")
	}
}

func TestTreeOf(t *testing.T) {
	root := t.TempDir()
	for _, dir := range []string{".git", "services/pay/api", "no"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(root, "services", "go.mod"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(root, link); err != nil {
		t.Fatal(err)
	}
	tests := map[string]token.Position{"TestA": {Filename: "a_test.go", Line: 7}}
	places := func(file string) map[string]report.Place {
		return map[string]report.Place{"TestA": {File: file, Line: 7}}
	}
	for _, row := range []struct {
		reason, root, dir string
		want              report.Tree
	}{
		{
			"below the root", root, filepath.Join(root, "services/pay"),
			report.Tree{
				Module: "services", Package: "services/pay", Golden: "services/all.yaml", Tests: places("services/pay/a_test.go"),
			},
		},
		{
			"no root", "", filepath.Join(root, "services/pay"),
			report.Tree{
				Module: "services", Package: "services/pay", Golden: "services/all.yaml", Tests: places("services/pay/a_test.go"),
			},
		},
		{
			"another root", t.TempDir(), filepath.Join(root, "services"),
			report.Tree{Module: "services", Package: "services", Golden: "all.yaml", Tests: places("services/a_test.go")},
		},
		{
			"a symbolic link", link, filepath.Join(link, "services/pay"),
			report.Tree{
				Module: "services", Package: "services/pay", Golden: "services/all.yaml", Tests: places("services/pay/a_test.go"),
			},
		},
		{
			"the root is below the module", filepath.Join(root, "services/pay"), filepath.Join(root, "services/pay/api"),
			report.Tree{Package: "api", Golden: "all.yaml", Tests: places("api/a_test.go")},
		},
		{
			"no module", root, filepath.Join(root, "no"),
			report.Tree{Package: "no", Golden: "all.yaml", Tests: places("no/a_test.go")},
		},
	} {
		got := TreeOf(row.root, row.dir, filepath.Join(row.dir, "..", "all.yaml"), tests)
		if diff := cmp.Diff(row.want, got); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", row.reason, diff)
		}
	}
	module := filepath.Join(root, "services")
	got := TreeOf(module, module, filepath.Join(root, "all.yaml"), nil) // outside of the repository
	if diff := cmp.Diff(report.Tree{Module: ".", Package: "."}, got); diff != "" {
		t.Errorf("the module is the root: (-want +got)\n%s", diff)
	}
}
