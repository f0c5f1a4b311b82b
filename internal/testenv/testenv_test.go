package testenv

import "testing"

// outcome is a testing.TB that notes how a test would have ended. The embedded one is nil: nothing else may be called.
type outcome struct {
	testing.TB
	ended string
}

func (o *outcome) Helper()      {}
func (o *outcome) Fatal(...any) { o.ended = "failed" }
func (o *outcome) Skip(...any)  { o.ended = "skipped" }

func TestSkipFailsWhereTheTestIsRequired(t *testing.T) {
	for _, c := range []struct {
		reason   string
		required bool
		want     string
	}{
		{"a developer's machine", false, "skipped"},
		{"CI", true, "failed"},
	} {
		o := &outcome{}
		skip(o, c.required, "no root")
		if o.ended != c.want {
			t.Errorf("%s: %q, want %q", c.reason, o.ended, c.want)
		}
	}
}
