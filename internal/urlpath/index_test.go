package urlpath

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// An index finds the patterns that match a path when each of them is compared with it.
func TestIndex_AgreesWithMatches(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	words := []string{
		"", "a", "b", "7", "{digits}", "{name}", "{uuid}", "%2C", "%2c", "%61", "%2F", ",", "a%7Bb", "{", "é", "*",
	}
	draw := func() string {
		if r.IntN(20) == 0 {
			return "*"
		}
		var path strings.Builder
		for range 1 + r.IntN(4) {
			path.WriteString("/" + words[r.IntN(len(words))])
		}
		return path.String()
	}
	var patterns []Pattern
	var x Index
	for range 500 {
		p, err := Parse(draw())
		if err != nil {
			p = Of(draw(), nil)
		}
		x.Add(p, len(patterns))
		patterns = append(patterns, p)
	}
	matched := 0
	for range 2000 {
		path := draw()
		var want []int
		for i, p := range patterns {
			if p.Matches(path) {
				want = append(want, i)
			}
		}
		got := slices.Sorted(x.Matching(path))
		if !slices.Equal(got, want) {
			t.Errorf("%q matches %v of %q, want %v", path, got, patterns, want)
		}
		matched += len(got)
		for range x.Matching(path) { // a caller may stop
			break
		}
	}
	if matched < 1000 {
		t.Errorf("only %d patterns matched", matched)
	}
	for n := range new(Index).Matching("/a") {
		t.Errorf("an empty index has pattern %d", n)
	}
}
