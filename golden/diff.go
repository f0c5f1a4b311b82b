package golden

import (
	"fmt"
	"slices"
	"strings"
)

const (
	diffHeader  = "(-golden +recorded)\n"
	diffContext = 3 // equal lines around a change
)

// Diff returns a readable diff between the committed and the recorded policies, or "" if they are equivalent. The first
// line is "(-golden +recorded)". Order and defaults are normalized first, because they have no effect.
//
// A policy that only the golden file holds takes one line, since [File.Rewrite] leaves it alone. The same policies give
// the same text. If policies cannot be compared, because they are not of one dialect, the text says so.
func Diff(golden, recorded []Policy) string {
	if _, err := commonDialect(slices.Concat(golden, recorded)); err != nil {
		return diffHeader + err.Error() + "\n"
	}
	var b strings.Builder
	old := slices.SortedStableFunc(slices.Values(golden), compareNames)
	got := slices.SortedStableFunc(slices.Values(recorded), compareNames)
	for len(old) > 0 || len(got) > 0 {
		switch c := compareFirst(old, got); {
		case c < 0:
			fmt.Fprintf(&b, "@@ %s: only in the golden file, kept @@\n", title(old[0]))
			old = old[1:]
		case c > 0:
			writeHunks(&b, title(got[0]), changes(nil, normalLines(got[0])))
			got = got[1:]
		default:
			if !same(old[0], got[0]) {
				writeHunks(&b, title(old[0]), changes(normalLines(old[0]), normalLines(got[0])))
			}
			old, got = old[1:], got[1:]
		}
	}
	if b.Len() == 0 {
		return ""
	}
	return diffHeader + b.String()
}

// compareFirst compares the first names of two lists, not both empty. An empty list comes last.
func compareFirst(old, got []Policy) int {
	switch {
	case len(old) == 0:
		return 1
	case len(got) == 0:
		return -1
	}
	return compareNames(old[0], got[0])
}

// change is one line of a diff; sign is '-', '+' or ' '.
type change struct {
	sign byte
	line string
}

// changes returns the lines of both sides in order, as align pairs them.
func changes(old, got []string) []change {
	var all []change
	for _, r := range align(old, got) {
		switch {
		case r.got < 0:
			all = append(all, change{'-', old[r.old]})
		case r.old < 0:
			all = append(all, change{'+', got[r.got]})
		default:
			all = append(all, change{' ', old[r.old]})
		}
	}
	return all
}

// writeHunks writes the changes with some equal lines around them, and their place in the policy.
func writeHunks(b *strings.Builder, title string, all []change) {
	shown := make([]bool, len(all))
	for i, c := range all {
		if c.sign == ' ' {
			continue
		}
		for j := max(0, i-diffContext); j <= min(len(all)-1, i+diffContext); j++ {
			shown[j] = true
		}
	}
	for i := range all {
		if !shown[i] {
			continue
		}
		if i == 0 || !shown[i-1] {
			fmt.Fprintf(b, "@@ %s @@\n", strings.TrimSuffix(title+": "+section(all, i), ": "))
		}
		fmt.Fprintf(b, "%c%s\n", all[i].sign, all[i].line)
	}
}

// section returns the field of the policy that the first change from a row on is in, such as "spec.egress".
func section(all []change, from int) string {
	top, field := "", ""
	for i, c := range all {
		switch indent := len(c.line) - len(strings.TrimLeft(c.line, " ")); {
		case indent == 0:
			top, field = strings.TrimSuffix(c.line, ":"), ""
		case indent == 2 && c.line[2] != '-':
			key, _, _ := strings.Cut(c.line[2:], ":")
			field = "." + key
		}
		if i >= from && c.sign != ' ' {
			break
		}
	}
	if strings.Contains(top, ": ") { // apiVersion, kind
		return ""
	}
	return top + field
}

// title returns the kind and the name of a policy.
func title(p Policy) string { return string(implementationOf(p).dialect()) + " " + nameOf(p).String() }

// normalLines returns the lines of a policy's normal form.
func normalLines(p Policy) []string {
	text, err := policyText(normalize(p))
	if err != nil {
		return []string{err.Error()}
	}
	return strings.Split(strings.TrimSuffix(text, "\n"), "\n")
}
