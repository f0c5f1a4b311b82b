package endpoint

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestCommandLine_Quoting(t *testing.T) {
	for _, tt := range []struct{ in, want, reason string }{
		{"", "", "a kernel thread has none"},
		{"\x00\x00", "", "only padding"},
		{"psql\x00-h\x00db\x00", "psql -h db", "plain"},
		{"sh\x00-c\x00echo hi\x00", "sh -c 'echo hi'", "a space is quoted"},
		{"x\x00\x00y\x00", "x '' y", "an empty argument stays one"},
		{"nginx: master process\x00\x00\x00\x00", "'nginx: master process'", "a title that leaves padding"},
		{"x\x00it's\x00", `x 'it'\''s'`, "a quote"},
		{"x\x00$HOME;*\x00", `x '$HOME;*'`, "what a shell would interpret"},
		{"x\x00a\x1b[31m\nb\x00", `x $'a\033[31m\nb'`, "control characters do not reach a terminal"},
		{"x\x00\xff1\x00", `x $'\3771'`, "not UTF-8"},
		{"x\x00a\u202eb\x00", `x $'a\U0000202Eb'`, "a character that turns the line around"},
		{"x\x00é\x00", "x é", "a letter is a letter"},
	} {
		if got := commandLine([]byte(tt.in)); got != tt.want {
			t.Errorf("%s: commandLine(%q) = %s, want %s", tt.reason, tt.in, got, tt.want)
		}
	}
}

func TestCommandLine_Cut(t *testing.T) {
	for _, in := range []string{
		strings.Repeat("x", 10000),
		strings.Repeat("é", 5000),
		strings.Repeat("a\x00", 5000),
		strings.Repeat("\x01", 5000),
	} {
		got := commandLine([]byte(in))
		if len(got) > maxCommand || !strings.HasSuffix(got, cutMark) || !utf8.ValidString(got) {
			t.Errorf("%d bytes of %q become %d, ending in %q", len(in), in[:2], len(got), got[len(got)-5:])
		}
	}
	if got := commandLine([]byte(strings.Repeat("x", maxCommand))); strings.HasSuffix(got, cutMark) {
		t.Error("a command line of just the greatest length was cut")
	}
}
