package check

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// fakeUse is a run in which these tests ended. The value false marks a skipped test.
type fakeUse struct {
	ran     map[string]bool
	goldens []string
}

func (u fakeUse) HasGolden(path string) bool { return slices.Contains(u.goldens, path) }

func (u fakeUse) Whole(tests []string) bool {
	if len(tests) == 0 {
		return !slices.Contains(slices.Collect(maps.Values(u.ran)), false)
	}
	return !slices.ContainsFunc(tests, func(test string) bool {
		top, _, _ := strings.Cut(test, "/")
		return !u.ran[top]
	})
}

// Other tests create their files, through temporary ones, during the search.
func TestStale_FilesComeAndGo(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "z.yaml"), []byte("# test: TestGone\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	end := make(chan struct{})
	var done sync.WaitGroup
	defer done.Wait()
	defer close(end)
	for _, name := range []string{"a.yaml", "b"} {
		done.Go(func() {
			path := filepath.Join(dir, name)
			for {
				select {
				case <-end:
					return
				default:
				}
				if name == "b" {
					_ = os.MkdirAll(filepath.Join(path, "c"), 0o755)
					_ = os.RemoveAll(path)
					continue
				}
				_ = os.WriteFile(path, nil, 0o644)
				_ = os.Remove(path)
			}
		})
	}
	for range 2000 {
		stale, err := staleSearch{names: []string{"TestKept"}, use: fakeUse{}, goldens: new(Register)}.in(dir)
		if err != nil {
			t.Fatal(err)
		}
		if len(stale) != 1 || !strings.Contains(stale[0].why, "TestGone") {
			t.Fatalf("got %v, want the one of TestGone", stale)
		}
	}
}

// A file is stale if no recording of a whole run used it, whatever its header says, and the run can know that.
func TestStale_Files(t *testing.T) {
	const policy = "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: mine}\n" +
		"spec: {podSelector: {}}\n"
	pkg := Package{Path: "example.com/shop"}
	own := pkg.TestName("")
	for _, c := range []struct{ reason, text, want string }{
		{
			"a copy of another test's", "# test: TestKept\n" + policy,
			"no test has it, not even TestKept, which its header names",
		},
		{
			"a subtest's that no longer records", "# test: TestKept/sub\n",
			"no test has it, not even TestKept/sub, which its header names",
		},
		{"of a test that is gone", "# test: TestGone\n", "there is no test TestGone"},
		{"of a subtest of a test that is gone", "# test: TestGone/sub\n", "there is no test TestGone/sub"},
		{"of a test that was skipped", "# test: TestSkipped\n", ""},
		{"of a test that was skipped in one of two runs", "# test: TestSkippedOnce\n", ""},
		{"of a benchmark that did not run", "# test: BenchmarkKept\n", ""},
		{"of a package that does not record", "# package: example.com/shop\n", "no RecordPackage has this file"},
		{
			"shared by tests that ran, and have another file now",
			"# shared by: " + own + "TestKept\n# shared by: " + own + "TestAlso\n",
			"no test has it, not even TestAlso, which its header names",
		},
		{
			"shared by tests, one of which was skipped",
			"# shared by: " + own + "TestKept\n# shared by: " + own + "TestSkipped\n",
			"",
		},
		{
			"shared by another package's test too",
			"# shared by: " + own + "TestKept\n# shared by: example.com/other.TestKept\n",
			"",
		},
		{"shared by tests that are gone", "# shared by: " + own + "TestGone\n", "there is no test " + own + "TestGone"},
		{"no policies, and no header", "kind: Deployment\n", ""},
		{"policies without a header, after a run in which a test was skipped", policy, ""},
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "x.yaml"), []byte(c.text), 0o644); err != nil {
			t.Fatal(err)
		}
		use := fakeUse{
			ran: map[string]bool{"TestKept": true, "TestAlso": true, "TestSkipped": false, "TestSkippedOnce": false},
		}
		names := []string{"TestKept", "TestAlso", "TestSkipped", "TestSkippedOnce", "BenchmarkKept"}
		stale, err := staleSearch{pkg, names, use, new(Register)}.in(dir)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, s := range stale {
			got = append(got, s.why)
		}
		if diff := cmp.Diff(c.want, strings.Join(got, ", ")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.reason, diff)
		}
		use.goldens = append(use.goldens, filepath.Join(dir, "x.yaml"))
		if stale, err := (staleSearch{pkg, names, use, new(Register)}).in(dir); err != nil || len(stale) > 0 {
			t.Errorf("%s: stale, though a recording has it: %v (%v)", c.reason, stale, err)
		}
	}
}

func TestStale_HandWrittenFiles(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "mine.yaml")
	if err := os.WriteFile(path, []byte("apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\n"+
		"metadata: {name: mine}\nspec: {podSelector: {}}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	use := fakeUse{ran: map[string]bool{"TestKept": true}}
	stale, err := staleSearch{names: []string{"TestKept"}, use: use, goldens: new(Register)}.in(dir)
	if want := fmt.Sprint([]staleGolden{{path, "no test has it", false}}); err != nil || fmt.Sprint(stale) != want {
		t.Errorf("stale are %v (%v), want %s", stale, err, want)
	}
}
