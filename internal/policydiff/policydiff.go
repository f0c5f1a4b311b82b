// Package policydiff says in words what a change of policies allows more and less.
//
// It compares what policies mean, not their text. Policies of one kind and namespace are a union, as in a cluster: for
// each set of pods that one of them selects, it compares what all that select these pods allow. So rules may move
// between rules and between policies, and lists may be written in another order, without a difference.
//
// A difference in meaning is always reported. The reverse does not hold: the package does not know which pods exist, so
// it cannot know that two selectors select the same ones. It opens no file. A policy that package golden refuses is an
// error.
package policydiff

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/netzero-dev/netzero/golden"
	"github.com/netzero-dev/netzero/internal/policy"
)

// Kind is the kind of a change.
type Kind string

// The kinds of change.
const (
	reach Kind = "reach" // the ports of a peer
	// conditional is reach in a policy that does not deny by default, so that its rules matter only to pods that another
	// policy isolates.
	conditional Kind = "conditional"
	denial      Kind = "denial"     // a deny rule of Cilium, which takes precedence over rules that allow
	isolation   Kind = "isolation"  // the first policy that denies by default, or the last
	lookups     Kind = "lookups"    // DNS names that may be looked up
	annotation  Kind = "annotation" // flows without a rule, which an annotation lists
	programs    Kind = "programs"   // programs that may open connections, which an annotation lists
)

// Change is one thing that the policies allow more, or less.
type Change struct {
	Direction policy.Direction
	Kind      Kind
	More      bool     // false if the policies allow less
	Peer      string   // the other end, in words; empty if it is not one
	Ports     string   // in words, such as "443/TCP, 8000-8100/UDP"; empty for some kinds
	Rules     []Origin // of NEW that allow more, or of OLD that allowed it; for a denial, those that deny
	Allowed   []string // of an isolation, all that its rules allow, sorted; the sentence has the first ones
	Flows     []Flow   // recorded flows with another verdict because of the change

	peer   peer
	at     []segment // of a peer with addresses
	open   ports
	format string   // of the sentence, with %s for each name
	names  []string // from policies, so they need quotes where their characters have a meaning
}

// Flow is a recorded flow with its verdicts before and after.
type Flow struct {
	Source string
	Target string   // the destination with the port
	Tests  []string // that recorded it, sorted
	Before policy.Verdict
	After  policy.Verdict
}

func (c *Change) say(format string, names ...string) { c.format, c.names = format, names }

// Sentence returns the change in words, with its direction. quote is applied to each name from a policy.
func (c Change) Sentence(quote func(string) string) string {
	var quoted []any
	for _, n := range c.names {
		quoted = append(quoted, quote(n))
	}
	return fmt.Sprintf(c.format, quoted...) + " (" + c.Direction.String() + ")"
}

// implies reports whether another change of the subject says what a change of lookups follows from: the list of a host
// with its port, or the rule that lets Cilium read lookups.
func (s Subject) implies(c Change) bool {
	return c.Kind == lookups && slices.ContainsFunc(s.Changes, func(d Change) bool {
		if d.Kind != reach || d.More != c.More || d.Direction != c.Direction {
			return false
		}
		if c.peer.kind == lookup {
			return d.peer.kind == listed && d.peer.name == c.peer.name || d.peer.kind == addresses && c.peer.name == everyName
		}
		return slices.ContainsFunc(c.Rules, func(r Origin) bool { return slices.Contains(d.Rules, r) })
	})
}

// same reports whether two changes of different subjects are the same one.
func (c Change) same(d Change) bool {
	return c.Direction == d.Direction && c.Kind == d.Kind && c.More == d.More && c.Peer == d.Peer && c.Ports == d.Ports &&
		c.format == d.format && (c.Kind != isolation && c.Kind != programs || slices.Equal(c.names[1:], d.names[1:]))
}

// Subject is a set of pods that policies select, with what changes for them.
type Subject struct {
	Name      string // of the workload, or its selector in words
	Namespace string // empty is the namespace that the file is applied to
	Selector  string // as kubectl takes it; empty selects all pods
	Dialect   golden.Dialect
	Changes   []Change // those that allow more first, then by direction and sentence

	selector selector
}

func (s *Subject) add(c Change) { s.Changes = append(s.Changes, c) }

// Title returns the name of the subject with its namespace.
func (s Subject) Title() string {
	if s.Namespace == "" {
		return s.Name
	}
	return s.Name + " in namespace " + s.Namespace
}

// File is one pair of files.
type File struct {
	Path     string // relative to the compared directories; empty if files were compared
	Subjects []Subject
	Others   []Flow // with another verdict that no change explains
}

// group is the policies that apply together: those of one dialect in one namespace.
type group struct {
	dialect   golden.Dialect
	namespace string
}

func groups(policies []golden.Policy) map[group][]golden.Policy {
	all := make(map[group][]golden.Policy)
	for _, p := range policies {
		g := group{golden.Kubernetes, p.GetNamespace()}
		if _, is := p.(*golden.CiliumNetworkPolicy); is {
			g.dialect = golden.Cilium
		}
		all[g] = append(all[g], p)
	}
	return all
}

// Compare returns the subjects for which policies changed, sorted by namespace, name and selector.
func Compare(before, after []golden.Policy) []Subject {
	was, is := groups(before), groups(after)
	var all []Subject
	for _, g := range slices.SortedFunc(maps.Keys(union(was, is)), func(a, b group) int {
		return cmp.Or(cmp.Compare(a.namespace, b.namespace), cmp.Compare(a.dialect, b.dialect))
	}) {
		all = append(all, compareGroup(g, was[g], is[g])...)
	}
	return all
}

func union[K comparable, V any](a, b map[K]V) map[K]bool {
	all := make(map[K]bool)
	for key := range a {
		all[key] = true
	}
	for key := range b {
		all[key] = true
	}
	return all
}

func compareGroup(g group, before, after []golden.Policy) []Subject {
	selectors := make(map[string]selector)
	for _, p := range slices.Concat(before, after) {
		for _, s := range subjectsOf(p) {
			selectors[s.String()] = s
		}
	}
	var all []Subject
	for _, key := range slices.Sorted(maps.Keys(selectors)) {
		s := selectors[key]
		subject := Subject{Name: s.name(), Namespace: g.namespace, Selector: key, Dialect: g.dialect, selector: s}
		for _, d := range policy.Directions {
			comparison{&subject, d, sideOf(g, before, s.labels(), d), sideOf(g, after, s.labels(), d)}.compare()
		}
		subject.addProbes(before, after)
		all = append(all, subject)
	}
	return arranged(all)
}

// arranged removes the changes that a wider subject has too, and sorts the rest.
func arranged(all []Subject) []Subject {
	var kept []Subject
	for _, s := range all {
		s.Changes = slices.DeleteFunc(slices.Clone(s.Changes), func(c Change) bool {
			return s.implies(c) || slices.ContainsFunc(all, func(wider Subject) bool {
				return wider.Selector != s.Selector && wider.selector.covers(s.selector) &&
					slices.ContainsFunc(wider.Changes, c.same)
			})
		})
		if len(s.Changes) == 0 {
			continue
		}
		slices.SortStableFunc(s.Changes, func(a, b Change) int {
			plain := func(s string) string { return s }
			return cmp.Or(strings.Compare(strconv.FormatBool(b.More), strconv.FormatBool(a.More)),
				cmp.Compare(a.Direction, b.Direction), strings.Compare(a.Sentence(plain), b.Sentence(plain)))
		})
		kept = append(kept, s)
	}
	slices.SortStableFunc(kept, func(a, b Subject) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.Selector, b.Selector))
	})
	return kept
}
