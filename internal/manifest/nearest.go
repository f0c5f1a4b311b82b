package manifest

import "strings"

// editDistance counts the letters to add, drop or replace to turn one name into the other.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

// nearest returns the name that another one most likely stands for: one that differs in few letters, otherwise one that
// contains all words of the other, or the reverse ("db" and "orders-db"). It returns "" if none or several match.
func nearest(name string, names []string) string {
	name = strings.ToLower(strings.ReplaceAll(name, "_", "-"))
	best, at := "", max(1, len(name)/3)+1
	for _, n := range names {
		short, _, _ := strings.Cut(n, ".")
		if distance := min(editDistance(name, short), editDistance(name, n)); distance < at {
			best, at = n, distance
		}
	}
	if best != "" {
		return best
	}
	for _, n := range names {
		short, _, _ := strings.Cut(n, ".")
		if hasWords(short, name) || hasWords(name, short) {
			if best != "" {
				return ""
			}
			best = n
		}
	}
	return best
}

// hasWords reports whether name contains words as consecutive hyphen-separated words.
func hasWords(name, words string) bool {
	return words != "" && strings.Contains("-"+name+"-", "-"+words+"-")
}
