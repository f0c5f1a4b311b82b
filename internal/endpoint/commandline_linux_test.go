package endpoint

import (
	"os/exec"
	"testing"
)

func TestCommandLine_ShellRoundTrip(t *testing.T) {
	for _, arg := range []string{"plain", "", "it's", "a b", "$x `y` \\z", "a\tb\nc", "\x01\x1b2", "\\'", "é ü", "~",
		"#", "!x"} {
		out, err := exec.Command("bash", "-c", "printf %s "+quote(arg)).Output()
		if err != nil || string(out) != arg {
			t.Errorf("%s reads as %q, %v, want %q", quote(arg), out, err, arg)
		}
	}
}
