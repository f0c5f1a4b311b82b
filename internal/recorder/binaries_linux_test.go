package recorder

import (
	"strings"
	"testing"

	"github.com/netzero-dev/netzero/netzerotest/flow"
)

func TestBinaries_EscapedName(t *testing.T) {
	for _, c := range []struct{ reason, file, want string }{
		{"a plain name", "psql", "psql"},
		{"all characters without an escape", "g++-12.1_x@Z", "g++-12.1_x@Z"},
		{"unknown", "", ""},
		{"a blank", "my tool", "my%20tool"},
		{"the separator of entries", "a,b", "a%2Cb"},
		{"a pattern", "*", "%2A"},
		{"the escape character", "a%20b", "a%2520b"},
		{"other letters", "日", "%E6%97%A5"},
		{"not UTF-8", "\xff\n", "%FF%0A"},
		{"a file in memory", "memfd:x", "memfd%3Ax"},
		{"longer than the kernel reports", strings.Repeat("x", 200), strings.Repeat("x", 63)},
		{"truncated within a character", strings.Repeat("x", 62) + "é", strings.Repeat("x", 62) + "%C3"},
	} {
		if got := binaryName(c.file); got != c.want {
			t.Errorf("%s: %q is %q, want %q", c.reason, c.file, got, c.want)
		}
	}
}

func TestBinaries_OwnBinary(t *testing.T) {
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
		{"an unknown program", flow.Process{PID: 8}, false, ""},
		{"the same name, in a container", flow.Process{PID: 8, Name: own}, true, own},
		{"the same process ID, in a container", flow.Process{PID: 7, Name: "curl"}, true, "curl"},
	} {
		if got := s.binaryOf(c.process, c.contained); got != c.want {
			t.Errorf("%s: %q, want %q", c.reason, got, c.want)
		}
	}
}
