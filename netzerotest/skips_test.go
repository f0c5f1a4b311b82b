package netzerotest

import (
	"strings"
	"testing"
)

func skipsSometimes(t *testing.T, when bool) {
	if when {
		t.Skip("not today") // the subject of the tests below, where it is never called with true
	}
}

func TestSubtestsThatMaySkip(t *testing.T) {
	if got := mayHaveSkipped(t); got != "" {
		t.Errorf("before any subtest: %s", got)
	}
	t.Run("inside", func(t *testing.T) { skipsSometimes(t, false) })
	if got := mayHaveSkipped(t); !strings.HasPrefix(got, "skips_test.go:") {
		t.Errorf("with a subtest that may skip: %q", got)
	}
}

func TestSubtestsThatNeverSkip(t *testing.T) {
	t.Run("inside", func(t *testing.T) {})
	if !hadSubtests(t) {
		t.Error("package testing does not show subtests any more")
	}
	if got := mayHaveSkipped(t); got != "" {
		t.Errorf("with a subtest that cannot skip: %s", got)
	}
}
