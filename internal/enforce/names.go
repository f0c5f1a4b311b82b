package enforce

import (
	"cmp"
	"slices"
	"strings"
)

// EveryName stands for all names, which may be looked up.
var EveryName = Name{Match: AnyLabels}

// names are allowed names with their ports.
type names map[nameKey][]PortRange

type nameKey struct {
	host  string
	match Match
}

// add adds a name, or ports to it.
func (n *names) add(name Name) {
	if *n == nil {
		*n = make(names)
	}
	key := nameKey{name.Host, name.Match}
	(*n)[key] = Join((*n)[key], name.Ports)
}

// list returns the names in the form of [Table].Names: sorted, each with the ports of the wider ones. It returns a
// [*LimitError] if a name has more than most ranges of ports.
func (n names) list(most int) ([]Name, error) {
	var all []Name
	for key := range n {
		all = append(all, Name{key.host, key.match, n.portsAt(key)})
		deeper := nameKey{key.host, AnyLabels}
		if _, has := n[deeper]; key.match == OneLabel && !has && n.hasWider(key.host) {
			all = append(all, Name{key.host, AnyLabels, n.portsAt(deeper)})
		}
	}
	slices.SortFunc(all, func(a, b Name) int {
		return cmp.Or(cmp.Compare(a.Host, b.Host), cmp.Compare(a.Match, b.Match))
	})
	for _, name := range all {
		if len(name.Ports) > most {
			return nil, &LimitError{describeName(name), len(name.Ports)}
		}
	}
	return all, nil
}

// portsAt returns the ports of all entries that stand for the same names as one does.
func (n names) portsAt(key nameKey) []PortRange {
	lists := [][]PortRange{n[key]}
	if key.match == OneLabel {
		lists = append(lists, n[nameKey{key.host, AnyLabels}])
	}
	isParent := key.match == Exact
	for host := range wider(key.host) {
		if isParent {
			lists = append(lists, n[nameKey{host, OneLabel}])
			isParent = false
		}
		lists = append(lists, n[nameKey{host, AnyLabels}])
	}
	return Join(lists...)
}

// hasWider reports whether an entry stands for all names below a host, and for more.
func (n names) hasWider(host string) bool {
	for above := range wider(host) {
		if _, has := n[nameKey{above, AnyLabels}]; has {
			return true
		}
	}
	return false
}

// wider yields the domains that a host is in, the nearest first. The last one is the root, "".
func wider(host string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for host != "" {
			_, host, _ = strings.Cut(host, ".")
			if !yield(host) {
				return
			}
		}
	}
}

func describeName(n Name) string {
	if n.Match == Exact {
		return n.Host
	}
	return strings.TrimSuffix("*."+n.Host, ".")
}
