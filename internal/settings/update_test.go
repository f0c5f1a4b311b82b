package settings

import (
	"flag"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// value is a flag.Value without a Get method.
type value string

func (v value) String() string   { return string(v) }
func (v value) Set(string) error { return nil }

func TestUpdate_ForeignFlags(t *testing.T) {
	flags := flag.NewFlagSet("", flag.ContinueOnError)
	flags.Bool("bool", true, "")
	flags.Bool("false", false, "")
	flags.String("string", "true", "")
	flags.String("pattern", "1", "")
	flags.Int("number", 1, "")
	flags.Duration("duration", 1, "")
	flags.Var(value("true"), "other", "")
	flags.Var(value("yes"), "another", "")
	got := make(map[string]bool)
	flags.VisitAll(func(f *flag.Flag) { got[f.Name] = isTrue(f) })
	want := map[string]bool{
		"bool": true, "string": true, "other": true,
		"false": false, "pattern": false, "number": false, "duration": false, "another": false,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("flags that ask for an update (-want +got):\n%s", diff)
	}
	if isTrue(nil) {
		t.Error("no flag asks for an update")
	}
}

func TestUpdate_Variable(t *testing.T) {
	for _, c := range []struct {
		value     string
		want, err bool
	}{
		{"", false, false},
		{"0", false, false},
		{"no", false, false},
		{"False", false, false},
		{"1", true, false},
		{"true", true, false},
		{"YES", true, false},
		{"on", false, true},
		{" 1", false, true},
		{"2", false, true},
	} {
		t.Setenv(updateVariable, c.value)
		got, err := updating()
		if wanted := c.want || isTrue(flag.Lookup(updateFlag)); got != wanted || (err != nil) != c.err {
			t.Errorf("%q: %v, %v", c.value, got, err)
		}
	}
}

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
