package kubeyaml

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// UnixLines returns the text without a byte order mark, and with LF line ends.
func UnixLines(text []byte) string {
	s := strings.TrimPrefix(string(text), "\ufeff")
	return strings.ReplaceAll(s, "\r\n", "\n")
}

// checkText finds faults for which YAML's own messages would not help.
func checkText(text string) *Fault {
	n := 0
	for line := range strings.Lines(text) {
		n++
		if !utf8.ValidString(line) {
			return &Fault{Line: n, Problem: "not UTF-8", Advice: "save the file as UTF-8"}
		}
		if isConflictMarker(line) {
			return &Fault{Line: n, Problem: fmt.Sprintf("merge conflict marker %q", strings.TrimSpace(line)),
				Advice: ResolveConflict}
		}
		for _, r := range strings.TrimSuffix(line, "\n") {
			if r < ' ' && r != '\t' || r == 0x7f || r == '\u2028' || r == '\u2029' || r == '\ufeff' ||
				0x80 <= r && r < 0xa0 {
				// YAML takes some of these for line ends, and editors do not show them.
				return &Fault{Line: n, Problem: fmt.Sprintf("control character %q", r), Advice: "remove it"}
			}
		}
	}
	return nil
}

func isConflictMarker(line string) bool {
	for _, c := range []string{"<", "=", ">", "|"} {
		if rest, ok := strings.CutPrefix(line, strings.Repeat(c, 7)); ok &&
			(rest == "" || rest[0] == ' ' || rest[0] == '\n') {
			return true
		}
	}
	return false
}
