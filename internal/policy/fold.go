package policy

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/netzero-dev/netzero/internal/cilium"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// CheckFold says why a pattern cannot be one of [Scope.Fold], or returns nil where it can. It has to leave no doubt about
// which hosts it is for: it needs an asterisk, and a last label without one.
func CheckFold(pattern string) error {
	last := pattern[strings.LastIndexByte(pattern, '.')+1:]
	switch {
	case pattern == "":
		return errors.New("is empty")
	case strings.ContainsAny(pattern, ":/"):
		return errors.New("want a name alone: each port that is asked stands beside it")
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

// folded returns the pattern of Fold that a host's name is written as, or the name. Of several patterns it is the widest:
// with the fewest characters that are no asterisks, then the first in alphabetical order. So whether another host was seen
// that only the wider one matches, which makes the narrower one idle, changes nothing for this one.
func (s Scope) folded(host string) string {
	fold := ""
	for _, p := range s.Fold {
		if matchHost(p, host) && (fold == "" || compareFolds(p, fold) < 0) {
			fold = p
		}
	}
	return cmp.Or(fold, host)
}

func compareFolds(p, q string) int {
	letters := func(p string) int { return len(p) - strings.Count(p, "*") }
	return cmp.Or(cmp.Compare(letters(p), letters(q)), cmp.Compare(p, q))
}

// entryOf returns the entry of [NamesAnnotation] that an external flow is written as.
func (s Scope) entryOf(f flow.Flow) string {
	n := nameOf(f)
	n.host = s.folded(n.host)
	return n.String()
}

// foldNames writes the names that a policy lists, and that Fold has a pattern for, as that pattern, in their place.
// Patterns that people wrote stay.
func (s Scope) foldNames(p metav1.Object) {
	entries := entriesOf(p, NamesAnnotation)
	var folded []string
	for _, entry := range entries {
		if n, err := parseName(entry); err == nil && isHost(n.host) && !isWorkloadLookup(entry) {
			n.host = s.folded(n.host)
			entry = n.String()
		}
		if !slices.Contains(folded, entry) {
			folded = append(folded, entry)
		}
	}
	if slices.ContainsFunc(entries, func(entry string) bool { return !slices.Contains(folded, entry) }) {
		setEntries(p, NamesAnnotation, folded)
	}
}

// fqdn returns what a host's name is written as in this dialect. A leading asterisk is one label there, and two are any
// number of them: a host with one label in their place needs no more than the former.
func (c Cilium) fqdn(host string) cilium.FQDN {
	pattern := c.folded(host)
	if pattern == host {
		return cilium.FQDN{MatchName: host}
	}
	if single := (cilium.FQDN{MatchPattern: pattern}); single.Matches(host) {
		return single
	}
	return cilium.FQDN{MatchPattern: "*" + pattern}
}

// writes reports whether Generate may write a name, or a pattern, as it is.
func (c Cilium) writes(n cilium.FQDN) bool {
	return n.MatchName != "" || slices.ContainsFunc(c.Fold, func(p string) bool { return n.MatchPattern == p || n.MatchPattern == "*"+p })
}

// foldNames is that of [Scope]. Rules that come to be for one pattern, and differ in their ports, become one.
func (c Cilium) foldNames(p *cilium.NetworkPolicy) {
	c.Scope.foldNames(p)
	var kept []ciliumRule
	folded := false
	for _, r := range ciliumRulesOf(p, egress) {
		changed := false
		var names []cilium.FQDN
		for _, n := range r.names {
			if n.MatchName != "" && c.fqdn(n.MatchName).MatchPattern != "" {
				n, changed = c.fqdn(n.MatchName), true
			}
			if !slices.Contains(names, n) {
				names = append(names, n)
			}
		}
		if !changed {
			kept = append(kept, r)
			continue
		}
		r.names, folded = names, true
		same := slices.IndexFunc(kept, func(other ciliumRule) bool {
			return slices.Equal(other.names, names) && (other.hasPlainPorts() && r.hasPlainPorts() || equality.Semantic.DeepEqual(other.openTo(), r.openTo()))
		})
		if same < 0 {
			kept = append(kept, r)
			continue
		}
		for _, ref := range r.openTo() {
			if ref.port != nil {
				kept[same].addPort(*ref.port)
			}
		}
	}
	if folded {
		setCiliumRules(p, egress, kept)
	}
}

// hasPlainPorts reports whether all that a rule opens is ports, whatever is said there.
func (r ciliumRule) hasPlainPorts() bool {
	return len(r.ports) > 0 && !slices.ContainsFunc(r.ports, func(p cilium.PortRule) bool { return p.Rules != nil })
}
