package gotest

import (
	"flag"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestPackageRun_LogsAsATestDoes(t *testing.T) {
	for _, row := range []struct {
		reason, verbose string
		failed          bool
		want            string
	}{
		{"passes", "false", false, ""},
		{"passes, with -v", "true", false, "one 1\n"},
		{"passes, with -json", "test2json", false, "one 1\n"},
		{"a test failed", "false", true, "one 1\n"},
	} {
		p := NewPackageRun()
		p.SetFailed(row.failed)
		if got := stderrOf(t, row.verbose, func() { p.Logf("one %d\n", 1) }); got != row.want {
			t.Errorf("%s: Logf writes %q, want %q", row.reason, got, row.want)
		}
		if p.Failed() != row.failed {
			t.Errorf("%s: Logf changes the outcome", row.reason)
		}
		if got := stderrOf(t, row.verbose, func() { p.Errorf("two %d", 2) }); got != "two 2\n" || !p.Failed() {
			t.Errorf("%s: Errorf writes %q, and the run has failed: %v", row.reason, got, p.Failed())
		}
	}
}

func TestPackageRun_VerboseAsPackageTesting(t *testing.T) {
	for _, value := range []string{"true", "false", "test2json"} {
		var got, want bool
		withVerbose(t, value, func() { got, want = isVerbose(), testing.Verbose() })
		if got != want {
			t.Errorf("-test.v=%s: %v, want %v", value, got, want)
		}
	}
}

func TestPackageRun_CleanupsRunInReverse(t *testing.T) {
	p := NewPackageRun()
	var got []string
	for _, name := range []string{"first", "second", "third"} {
		p.Cleanup(func() { got = append(got, name) })
	}
	p.RunCleanups()
	if diff := cmp.Diff([]string{"third", "second", "first"}, got); diff != "" {
		t.Errorf("order of cleanups (-want +got):\n%s", diff)
	}
}

func TestPackageRun_Subtests(t *testing.T) {
	p := NewPackageRun()
	for _, test := range []string{"TestB", "TestA", "TestB"} { // again with -count
		p.AddSubtests(test)
	}
	if got := p.WithSubtests(); !slices.Equal(got, []string{"TestA", "TestB"}) {
		t.Errorf("got %v", got)
	}
}

// stderrOf returns the text that f writes to standard error with a value of -test.v.
func stderrOf(t *testing.T, verbose string, f func()) string {
	t.Helper()
	file, err := os.Create(filepath.Join(t.TempDir(), "stderr"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	before := os.Stderr
	os.Stderr = file
	withVerbose(t, verbose, f)
	os.Stderr = before
	text, err := os.ReadFile(file.Name())
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// withVerbose calls f with a value of -test.v.
func withVerbose(t *testing.T, value string, f func()) {
	t.Helper()
	before := Flag("test.v")
	if err := flag.Set("test.v", value); err != nil {
		t.Fatal(err)
	}
	f()
	if err := flag.Set("test.v", before); err != nil {
		t.Fatal(err)
	}
}
