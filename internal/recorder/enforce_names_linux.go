package recorder

import (
	"cmp"
	"slices"
	"strings"

	"github.com/netzero-dev/netzero/internal/enforce"
)

// nameSet is a DNS name, or all names below one.
type nameSet struct {
	host  string
	match enforce.Match
}

// names are the ports of the addresses of DNS names. A name without ports may only be looked up.
type names map[nameSet][]enforce.PortRange

// allow adds a name, and ports to one that is known.
func (n names) allow(name enforce.Name) {
	key := nameSet{name.Host, name.Match}
	n[key] = unite(n[key], name.Ports)
}

// allowExact adds names of hosts.
func (n names) allowExact(ports []enforce.PortRange, hosts ...string) {
	for _, host := range hosts {
		n.allow(enforce.Name{Host: host, Ports: ports})
	}
}

// at returns the ports of a host, and whether any name stands for it.
func (n names) at(host string) (ports []enforce.PortRange, known bool) {
	ports, known = n[nameSet{host, enforce.Exact}]
	parent := parentOf(host)
	if below, found := n[nameSet{parent, enforce.OneLabel}]; found && parent != "" {
		ports, known = unite(ports, below), true
	}
	wider, found := n.anyLabelsAbove(host)
	return unite(ports, wider), known || found
}

// anyLabelsAbove returns the ports of the names that stand for all names below a parent of this one.
func (n names) anyLabelsAbove(host string) (ports []enforce.PortRange, known bool) {
	for parent := parentOf(host); parent != ""; parent = parentOf(parent) {
		if wider, found := n[nameSet{parent, enforce.AnyLabels}]; found {
			ports, known = unite(ports, wider), true
		}
	}
	return ports, known
}

// parentOf returns a name without its first label; "" if it has only one.
func parentOf(name string) string {
	_, parent, _ := strings.Cut(name, ".")
	return parent
}

// complete adds each name with each domain of a search list, because a resolver queries those forms too.
func (n names) complete(domains []string) {
	completed := make(names)
	for key, ports := range n {
		for _, domain := range domains {
			completed.allow(enforce.Name{Host: key.host + "." + domain, Match: key.match, Ports: ports})
		}
	}
	for key, ports := range completed {
		n.allow(enforce.Name{Host: key.host, Match: key.match, Ports: ports})
	}
}

// sorted returns the names. The most specific one that stands for a host decides alone, so each has the ports of those
// that are wider.
func (n names) sorted() []enforce.Name {
	var all []enforce.Name
	for key, ports := range n {
		all = append(all, enforce.Name{Host: key.host, Match: key.match, Ports: unite(ports, n.wider(key))})
	}
	slices.SortFunc(all, func(a, b enforce.Name) int {
		return cmp.Or(strings.Compare(a.Host, b.Host), cmp.Compare(a.Match, b.Match))
	})
	return all
}

// wider returns the ports of all names that stand for at least the same hosts.
func (n names) wider(key nameSet) []enforce.PortRange {
	above, _ := n.anyLabelsAbove(key.host)
	switch key.match {
	case enforce.Exact:
		above, _ = n.at(key.host)
	case enforce.OneLabel:
		above = unite(above, n[nameSet{key.host, enforce.AnyLabels}])
	}
	return above
}
