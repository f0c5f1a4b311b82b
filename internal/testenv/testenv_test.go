package testenv

import (
	"fmt"
	"strings"
	"testing"
)

// outcome is a testing.TB that records how a test would have ended. The embedded one is nil: no other method may be
// called.
type outcome struct {
	testing.TB
	ended   string
	cleanup []func()
	log     []string
}

func (o *outcome) Helper()          {}
func (o *outcome) Fatal(...any)     { o.ended = "failed" }
func (o *outcome) Skip(...any)      { o.ended = "skipped" }
func (o *outcome) Failed() bool     { return o.ended == "failed" }
func (o *outcome) Skipped() bool    { return o.ended == "skipped" }
func (o *outcome) Cleanup(f func()) { o.cleanup = append(o.cleanup, f) }
func (o *outcome) Log(args ...any)  { o.log = append(o.log, fmt.Sprint(args...)) }

func (o *outcome) end() {
	for i := len(o.cleanup) - 1; i >= 0; i-- {
		o.cleanup[i]()
	}
}

func TestSkip_FailsIfRequired(t *testing.T) {
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

func TestCapability_OnlyIfPassed(t *testing.T) {
	for _, c := range []struct {
		reason, ended string
		late          string // what a cleanup finds
		want          string
	}{
		{"it passed", "", "", `kernel capability: {"Name":"TCP","State":"refused","Text":"no wire"}`},
		{"it failed later", "failed", "", ""},
		{"it was skipped", "skipped", "", ""},
		{"its cleanup failed", "", "failed", ""},
	} {
		o := &outcome{}
		Refused(o, "TCP", "no wire")
		if len(o.log) > 0 {
			t.Errorf("%s: said before the end: %q", c.reason, o.log)
		}
		o.ended = c.ended
		if c.late != "" {
			o.Cleanup(func() { o.ended = c.late })
		}
		o.end()
		if got := strings.Join(o.log, "\n"); got != c.want {
			t.Errorf("%s: said %q, want %q", c.reason, got, c.want)
		}
	}
}
