package gotest

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func skipsSometimes(t *testing.T, when bool) {
	if when {
		t.Skip("not today") // the subject of the tests below, where it is never called with true
	}
}

// skipOf returns where a subtest of a test of this package may have skipped itself.
func skipOf(t *testing.T) string {
	if !HadSubtests(t) {
		return ""
	}
	return Source(".").SkipInSubtests([]string{t.Name()})
}

func TestSource_SubtestsMaySkip(t *testing.T) {
	if got := skipOf(t); got != "" {
		t.Errorf("before any subtest: %s", got)
	}
	t.Run("inside", func(t *testing.T) { skipsSometimes(t, false) })
	if got := skipOf(t); !strings.HasPrefix(got, "source_test.go:") {
		t.Errorf("with a subtest that may skip: %q", got)
	}
}

func TestSource_SubtestsNeverSkip(t *testing.T) {
	t.Run("inside", func(t *testing.T) {})
	if !HadSubtests(t) {
		t.Error("package testing does not show subtests any more")
	}
	if got := skipOf(t); got != "" {
		t.Errorf("with a subtest that cannot skip: %s", got)
	}
}

func TestSource_Places(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"a_test.go": "package a\n\nfunc TestA(t *T) {}\n\nfunc (s S) TestB() {}\nfunc other() {}\nfunc FuzzC(f *F) {}\n",
		"b_test.go": "//go:build ignore\n\npackage a_test\n\nfunc TestA(t *T) {}\nfunc TestMain(m *M) {}\n",
		"c_test.go": "no Go\n",
		"d.go":      "package a\n\nfunc TestD() {}\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got := make(map[string]string)
	for name, place := range Source(dir).Places() {
		got[name] = place.Filename + ":" + strconv.Itoa(place.Line)
	}
	want := map[string]string{"TestA": "a_test.go:3", "FuzzC": "a_test.go:7", "TestMain": "b_test.go:6"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}
