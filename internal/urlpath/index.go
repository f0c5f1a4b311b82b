package urlpath

import (
	"iter"
	"strings"
)

// Index finds those of many patterns that match a path, without comparing each. The zero value is empty.
type Index struct {
	literal map[string][]int      // the numbers of patterns without placeholders
	prefix  map[string][]numbered // of the others, by their text before the first placeholder; it ends with a slash
}

type numbered struct {
	Pattern
	n int
}

// Add adds a pattern that [Parse] or [Of] returned, with a number of the caller's.
func (x *Index) Add(p Pattern, n int) {
	if x.literal == nil {
		x.literal, x.prefix = make(map[string][]int), make(map[string][]numbered)
	}
	if first := strings.IndexByte(string(p), '{'); first >= 0 {
		before := string(p[:first])
		x.prefix[before] = append(x.prefix[before], numbered{p, n})
	} else {
		x.literal[string(p)] = append(x.literal[string(p)], n)
	}
}

// Matching yields the number of each pattern that matches a path, as [Pattern.Matches] reports.
func (x *Index) Matching(path string) iter.Seq[int] {
	return func(yield func(int) bool) {
		spelled := path
		if !isPlain(path) {
			spelled = encode(path)
		}
		for _, n := range x.literal[spelled] {
			if !yield(n) {
				return
			}
		}
		if len(x.prefix) == 0 {
			return
		}
		for i := range len(spelled) {
			if spelled[i] != '/' {
				continue
			}
			for _, p := range x.prefix[spelled[:i+1]] {
				if p.Matches(path) && !yield(p.n) {
					return
				}
			}
		}
	}
}
