package policy

import (
	"cmp"
	"errors"
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// CheckFold returns why a pattern cannot be one of [Scope].Fold, or nil if it can. The pattern has to identify its
// hosts clearly: it needs an asterisk, and a last label without one.
func CheckFold(pattern string) error {
	last := pattern[strings.LastIndexByte(pattern, '.')+1:]
	switch {
	case pattern == "":
		return errors.New("is empty")
	case strings.ContainsAny(pattern, ":/"):
		return errors.New("want a host name without a port: an update writes the recorded ports")
	case pattern != strings.ToLower(pattern) || strings.HasSuffix(pattern, "."):
		return errors.New("want lower case, without a dot at the end")
	case strings.Contains(pattern, "**"):
		return errors.New("two asterisks side by side: one at the start, before a dot, stands for any number of labels")
	case !isHostPattern(pattern):
		return errors.New("is no host name with asterisks")
	case !strings.Contains(pattern, "*"):
		return errors.New("has no asterisk: a host with this name is written as it is")
	case !strings.Contains(pattern, "."):
		return errors.New("has no dot: such a name is a workload's, never an external host's")
	case strings.Contains(last, "*"):
		return fmt.Errorf("the last label, %q, has an asterisk: that would fold hosts of any domain", last)
	}
	return nil
}

// Folded returns the pattern of Fold that replaces a host's name, or the name. Of several patterns it picks the
// widest: the one with the fewest characters that are not asterisks, then the first in alphabetical order. The choice
// must not depend on whether the run also saw a host that only the wider pattern matches.
func (s Scope) Folded(host string) string {
	fold := ""
	for _, p := range s.Fold {
		if MatchHost(p, host) && (fold == "" || compareFolds(p, fold) < 0) {
			fold = p
		}
	}
	return cmp.Or(fold, host)
}

func compareFolds(p, q string) int {
	letters := func(p string) int { return len(p) - strings.Count(p, "*") }
	return cmp.Or(cmp.Compare(letters(p), letters(q)), cmp.Compare(p, q))
}

// FoldNames replaces each listed name of a policy that matches a pattern of Fold by that pattern, in place. Patterns
// that people wrote stay.
func (s Scope) FoldNames(p metav1.Object) {
	if len(s.Fold) == 0 {
		return
	}
	mapEntries(p, NamesAnnotation, func(entry string) string {
		n, err := ParseName(entry)
		if err != nil || !IsHost(n.Host) || isWorkloadLookup(entry) {
			return entry
		}
		n.Host = s.Folded(n.Host)
		return n.String()
	})
}
