package netzerotest

import (
	"slices"
	"strings"
	"testing"
)

func TestUpdate_BinaryWithoutGoTest(t *testing.T) {
	for _, row := range []struct{ reason, args, want string }{
		{"-update alone", "x.test -update", "x.test -test.paniconexit0=false -update"},
		{"with two dashes and a value", "x.test --update=true", "x.test -test.paniconexit0=false --update=true"},
		{"behind others", "x.test -test.v -update", "x.test -test.paniconexit0=false -test.v -update"},
		{"as go test runs it", "x.test -test.paniconexit0 -test.v -update", "x.test -test.paniconexit0 -test.v -update"},
		{"nothing to update", "x.test -test.v", "x.test -test.v"},
		{"another flag", "x.test -updates -test.v", "x.test -updates -test.v"},
		{"an argument of the test's", "x.test -- -update", "x.test -- -update"},
		{"a word", "x.test update", "x.test update"},
		{"no arguments at all", "", ""},
	} {
		args := strings.Fields(row.args)
		before := slices.Clone(args)
		if got := strings.Join(withFirstFlag(args), " "); got != row.want {
			t.Errorf("%s: %q, want %q", row.reason, got, row.want)
		}
		if !slices.Equal(args, before) {
			t.Errorf("%s: the caller's arguments are changed", row.reason)
		}
	}
}
