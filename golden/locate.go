package golden

import (
	"regexp"
	"strconv"
	"strings"
)

// step is one level of the place in a block-style document that a line belongs to.
type step struct {
	indent int
	key    string
	index  int // of a list's element; -1 for a mapping's key
}

// keyInBrackets is how Kubernetes writes the keys of labels and annotations, which may hold dots.
var keyInBrackets = regexp.MustCompile(`\[([^]]*[^]0-9][^]]*)\]`)

var keyOfLine = regexp.MustCompile(`^["']?([^"':\s]+)["']?\s*:(\s|$)`)

// locate returns the line of a field such as "spec.egress[1].to", or 0 where it is not the only candidate. A field
// without indexes stands for any. Documents in flow style are not searched: an error without a line is better than one
// with a wrong line.
func locate(d document, field string) int {
	if field == "" {
		return 0
	}
	field = keyInBrackets.ReplaceAllString(field, ".$1")
	found, candidates := 0, 0
	var place []step
	n := d.line - 1
	for line := range strings.Lines(d.body) {
		n++
		rest := strings.TrimLeft(line, " ")
		indent := len(line) - len(rest)
		if !isContent(rest) {
			continue
		}
		for rest == "-\n" || strings.HasPrefix(rest, "- ") {
			for len(place) > 0 && place[len(place)-1].indent > indent {
				place = place[:len(place)-1]
			}
			if last := len(place) - 1; last >= 0 && place[last].indent == indent && place[last].index >= 0 {
				place[last].index++
			} else {
				place = append(place, step{indent: indent})
			}
			after := strings.TrimLeft(rest[1:], " ")
			indent += len(rest) - len(after)
			rest = after
			if matches(place, field) {
				found, candidates = n, candidates+1
			}
		}
		m := keyOfLine.FindStringSubmatch(rest)
		if m == nil {
			continue
		}
		for len(place) > 0 && place[len(place)-1].indent >= indent {
			place = place[:len(place)-1]
		}
		place = append(place, step{indent: indent, key: m[1], index: -1})
		if matches(place, field) {
			found, candidates = n, candidates+1
		}
	}
	if candidates != 1 {
		return 0
	}
	return found
}

func matches(place []step, field string) bool {
	var full, keys strings.Builder
	for _, s := range place {
		if s.index >= 0 {
			full.WriteString("[" + strconv.Itoa(s.index) + "]")
			continue
		}
		for _, b := range []*strings.Builder{&full, &keys} {
			if b.Len() > 0 {
				b.WriteByte('.')
			}
			b.WriteString(s.key)
		}
	}
	ofList := len(place) > 0 && place[len(place)-1].index >= 0
	return full.String() == field || keys.String() == field && !ofList
}
