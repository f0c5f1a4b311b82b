package kubeyaml

import (
	gojson "encoding/json"
	"slices"
)

// pair is an old and a new element of a list; -1 means none.
type pair struct{ old, new int }

// mostCells limits the table for one list.
const mostCells = 1 << 20

// The weights for pairing the elements of two lists: equal ones first.
const (
	equalElements   = 1 << 20
	sameElement     = 1 << 10 // of the same identity
	relatedElements = 1
)

// pairUp pairs the elements of two lists, in order. It reports false for lists that are too long.
func pairUp(from, to []any, identity func(any) string) ([]pair, bool) {
	if len(from)*len(to) > mostCells {
		return nil, false
	}
	// best[i][j] is the weight of the elements from i and j on.
	best := make([][]int, len(from)+1)
	for i := range best {
		best[i] = make([]int, len(to)+1)
	}
	olds, news := describe(from, identity), describe(to, identity)
	similarity := func(i, j int) int { return olds[i].similarity(news[j]) }
	for i := len(from) - 1; i >= 0; i-- {
		for j := len(to) - 1; j >= 0; j-- {
			best[i][j] = max(best[i+1][j], best[i][j+1])
			if w := similarity(i, j); w > 0 {
				best[i][j] = max(best[i][j], w+best[i+1][j+1])
			}
		}
	}
	var pairs []pair
	for i, j := 0, 0; i < len(from) || j < len(to); {
		switch {
		case i < len(from) && j < len(to) && similarity(i, j) > 0 && best[i][j] == similarity(i, j)+best[i+1][j+1]:
			pairs = append(pairs, pair{i, j})
			i, j = i+1, j+1
		case j == len(to) || i < len(from) && best[i][j] == best[i+1][j]:
			pairs = append(pairs, pair{i, -1})
			i++
		default:
			pairs = append(pairs, pair{-1, j})
			j++
		}
	}
	return pairs, true
}

// element is a list's element in a form for comparison.
type element struct {
	value          any
	text, identity string
}

func describe(list []any, identity func(any) string) []element {
	var all []element
	for _, v := range list {
		x := element{value: v, text: encode(v)}
		if identity != nil {
			x.identity = identity(v)
		}
		all = append(all, x)
	}
	return all
}

func (x element) similarity(y element) int {
	switch {
	case x.text == y.text:
		return equalElements
	case x.identity != "" && x.identity == y.identity:
		return sameElement
	case related(x.value, y.value):
		return relatedElements
	}
	return 0
}

// related reports whether one mapping may have become another: fields were only removed or only added, and the common
// ones are equal or related.
func related(a, b any) bool {
	x, isMapping := a.(map[string]any)
	y, areMappings := b.(map[string]any)
	if !isMapping || !areMappings {
		return false
	}
	common := 0
	for key, v := range x {
		w, has := y[key]
		if !has {
			continue
		}
		common++
		switch v := v.(type) {
		case map[string]any:
			if encode(v) != encode(w) && !related(v, w) {
				return false
			}
		case []any:
			w, isList := w.([]any)
			if !isList || len(v)+len(w) > 0 && !overlap(v, w) {
				return false
			}
		default:
			if encode(v) != encode(w) {
				return false
			}
		}
	}
	return common > 0 && common == min(len(x), len(y))
}

func overlap(a, b []any) bool {
	var texts []string
	for _, v := range a {
		texts = append(texts, encode(v))
	}
	return slices.ContainsFunc(b, func(w any) bool { return slices.Contains(texts, encode(w)) })
}

// encode returns a tree as JSON. Trees are equal if their JSON is.
func encode(v any) string {
	text, err := gojson.Marshal(v)
	if err != nil {
		panic(err) // a tree comes from JSON
	}
	return string(text)
}
