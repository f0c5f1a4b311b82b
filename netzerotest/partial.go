package netzerotest

import (
	"flag"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
)

// isPartial reports whether the command line may have kept parts of a test from running: -run with elements below it,
// -skip or -short. What such a run did not use, a whole one may need.
func isPartial(tb host) bool {
	if p, ok := tb.(*packageRun); ok {
		return p.isPartial()
	}
	if testing.Short() || flagValue("test.skip") != "" {
		return true
	}
	return elements(flagValue("test.run")) > strings.Count(tb.Name(), "/")+1
}

// skipped says that a test was skipped while it was recorded: what it does not need today, it may need tomorrow.
var skipped atomic.Bool

// isWhole reports whether the command line let all tests of the package run, and none was seen to be skipped.
func isWhole() bool {
	everything := []string{"", ".", ".*", "^", "Test", "^Test"}
	return !testing.Short() && !skipped.Load() && slices.Contains(everything, flagValue("test.run")) && flagValue("test.skip") == "" &&
		flagValue("test.list") == "" && flagValue("test.fuzz") == "" && flagValue("test.count") != "0"
}

func flagValue(name string) string {
	if f := flag.Lookup(name); f != nil {
		return f.Value.String()
	}
	return ""
}

// elements counts the slash-separated elements of a pattern of -run; slashes in brackets separate nothing. Of
// alternatives the longest counts.
func elements(pattern string) int {
	most, n, brackets := 0, 1, 0
	for i := 0; i < len(pattern); i++ {
		switch c := pattern[i]; {
		case c == '\\':
			i++
		case c == '[' || c == '(':
			brackets++
		case c == ']' || c == ')':
			brackets = max(brackets-1, 0)
		case c == '/' && brackets == 0:
			n++
		case c == '|' && brackets == 0:
			most, n = max(most, n), 1
		}
	}
	return max(most, n)
}
