package gotest

import "testing"

func TestPartial_ElementsOfPattern(t *testing.T) {
	for _, row := range []struct {
		reason, pattern string
		want            int
	}{
		{"no pattern", "", 1},
		{"a test", "^TestA$", 1},
		{"a subtest", "^TestA$/^b$", 2},
		{"a subtest of a subtest", "A/b/c", 3},
		{"the longest alternative comes last", "A|B/c", 2},
		{"the longest alternative comes first", "A/b|C", 2},
		{"a slash in a class", "A[/]b", 1},
		{"a slash in parentheses", "(A/x|B)", 1},
		{"an escaped slash", `A\/b`, 1},
		{"an open class", "A[", 1},
	} {
		if got := elements(row.pattern); got != row.want {
			t.Errorf("%s: %q has %d elements, want %d", row.reason, row.pattern, got, row.want)
		}
	}
}
