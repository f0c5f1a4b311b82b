package gotest

import (
	"strings"
	"testing"
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
