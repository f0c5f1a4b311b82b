package recorder

import (
	"strings"
	"testing"

	"github.com/netzero-dev/netzero/netzerotest/flow"
)

func TestBinariesAreNamedSoThatNoNameIsAPattern(t *testing.T) {
	for _, c := range []struct{ reason, file, want string }{
		{"as it is", "psql", "psql"},
		{"all that needs no escape", "g++-12.1_x@Z", "g++-12.1_x@Z"},
		{"not known", "", ""},
		{"a blank", "my tool", "my%20tool"},
		{"what parts entries", "a,b", "a%2Cb"},
		{"what is a pattern", "*", "%2A"},
		{"what escapes", "a%20b", "a%2520b"},
		{"other letters", "日", "%E6%97%A5"},
		{"what is no text", "\xff\n", "%FF%0A"},
		{"a file in memory", "memfd:x", "memfd%3Ax"},
		{"longer than the kernel tells", strings.Repeat("x", 200), strings.Repeat("x", 63)},
		{"cut within a letter", strings.Repeat("x", 62) + "é", strings.Repeat("x", 62) + "%C3"},
	} {
		if got := binaryName(c.file); got != c.want {
			t.Errorf("%s: %q is %q, want %q", c.reason, c.file, got, c.want)
		}
	}
}

func TestOwnBinaryIsNoProgram(t *testing.T) {
	s := snapshot{self: 7}
	own := ownBinary
	for _, c := range []struct {
		reason    string
		process   flow.Process
		contained bool
		want      string
	}{
		{"the test process", flow.Process{PID: 7, Name: "anything"}, false, ""},
		{"a child that runs the test's binary", flow.Process{PID: 8, Name: own}, false, ""},
		{"another program", flow.Process{PID: 8, Name: "curl"}, false, "curl"},
		{"one that is not known", flow.Process{PID: 8}, false, ""},
		{"of the same name, in a container", flow.Process{PID: 8, Name: own}, true, own},
		{"of the same number, in a container", flow.Process{PID: 7, Name: "curl"}, true, "curl"},
	} {
		if got := s.binaryOf(c.process, c.contained); got != c.want {
			t.Errorf("%s: %q, want %q", c.reason, got, c.want)
		}
	}
}
