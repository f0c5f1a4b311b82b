package golden

import (
	"slices"
	"strings"
)

// row pairs a line of the old text with one of the new text; -1 if a side has none.
type row struct{ old, got int }

// maxCells limits the table for one alignment. Larger inputs, such as two policies of a thousand different rules each,
// count as changed everywhere: such a diff is not readable anyway.
const maxCells = 4 << 20

// align pairs the equal lines of two policies. Whole rules that are equal are paired first: many lines of a rule
// ("protocol: TCP") stand in every rule, and pairing lines alone would tear rules apart. The result depends on the
// lines only.
func align(old, got []string) []row {
	oldBlocks, gotBlocks := blocks(old), blocks(got)
	var rows []row
	var oldLeft, gotLeft []int // lines that no whole block pairs, since the last pair
	flush := func() {
		rows = append(rows, pair(oldLeft, gotLeft, func(i, j int) bool { return old[i] == got[j] })...)
		oldLeft, gotLeft = nil, nil
	}
	equal := func(i, j int) bool {
		a, b := oldBlocks[i], gotBlocks[j]
		return slices.Equal(old[a.from:a.to], got[b.from:b.to])
	}
	for _, r := range pair(indexes(len(oldBlocks)), indexes(len(gotBlocks)), equal) {
		switch {
		case r.got < 0:
			oldLeft = append(oldLeft, oldBlocks[r.old].lines()...)
		case r.old < 0:
			gotLeft = append(gotLeft, gotBlocks[r.got].lines()...)
		default:
			flush()
			for i, line := range oldBlocks[r.old].lines() {
				rows = append(rows, row{line, gotBlocks[r.got].from + i})
			}
		}
	}
	flush()
	return rows
}

// block is a range of lines: a rule, or a single line outside of rules.
type block struct{ from, to int }

func (b block) lines() []int {
	lines := make([]int, 0, b.to-b.from)
	for i := b.from; i < b.to; i++ {
		lines = append(lines, i)
	}
	return lines
}

// blocks splits the YAML of a policy. Its rules are list elements at indent 2.
func blocks(lines []string) []block {
	var all []block
	inRule := false
	for i, line := range lines {
		if inRule && strings.HasPrefix(line, "   ") {
			all[len(all)-1].to = i + 1
			continue
		}
		inRule = strings.HasPrefix(line, "  - ")
		all = append(all, block{i, i + 1})
	}
	return all
}

// pair finds a longest common subsequence of a and b. Of several it takes the one that pairs a's elements first.
func pair(a, b []int, equal func(i, j int) bool) []row {
	var rows, tail []row
	for len(a) > 0 && len(b) > 0 && equal(a[0], b[0]) {
		rows = append(rows, row{a[0], b[0]})
		a, b = a[1:], b[1:]
	}
	for len(a) > 0 && len(b) > 0 && equal(a[len(a)-1], b[len(b)-1]) {
		tail = append(tail, row{a[len(a)-1], b[len(b)-1]})
		a, b = a[:len(a)-1], b[:len(b)-1]
	}
	slices.Reverse(tail)
	if len(a)*len(b) > maxCells {
		for _, i := range a {
			rows = append(rows, row{i, -1})
		}
		for _, j := range b {
			rows = append(rows, row{-1, j})
		}
		return append(rows, tail...)
	}

	// longest[i][j] is the length of a longest common subsequence of a[i:] and b[j:].
	longest := make([][]int32, len(a)+1)
	for i := range longest {
		longest[i] = make([]int32, len(b)+1)
	}
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			if equal(a[i], b[j]) {
				longest[i][j] = longest[i+1][j+1] + 1
			} else {
				longest[i][j] = max(longest[i+1][j], longest[i][j+1])
			}
		}
	}
	for i, j := 0, 0; i < len(a) || j < len(b); {
		switch {
		case i < len(a) && j < len(b) && equal(a[i], b[j]):
			rows = append(rows, row{a[i], b[j]})
			i, j = i+1, j+1
		case j == len(b) || i < len(a) && longest[i+1][j] >= longest[i][j+1]:
			rows = append(rows, row{a[i], -1})
			i++
		default:
			rows = append(rows, row{-1, b[j]})
			j++
		}
	}
	return append(rows, tail...)
}

func indexes(n int) []int { return block{0, n}.lines() }
