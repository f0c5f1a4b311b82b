package page

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/net/publicsuffix"

	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// The largest graph that is drawn. A larger one is hard to read.
const (
	maxNodes = 80
	maxLines = 300
)

// group finds the domains that a large graph draws as one node: "*.example.com" for two or more names below it.
func (m *model) group() {
	m.groups = make(map[int]int)
	if len(m.Nodes) <= maxNodes {
		return
	}
	members := make(map[string][]int)
	var domains []string // in the order of their first names
	for i, n := range m.Nodes {
		domain := registered(n.Label)
		if n.Kind != flow.External || domain == n.Label {
			continue
		}
		if members[domain] == nil {
			domains = append(domains, domain)
		}
		members[domain] = append(members[domain], i)
	}
	for _, domain := range domains {
		if len(members[domain]) < 2 {
			continue
		}
		for _, i := range members[domain] {
			m.groups[i] = len(m.Nodes) + len(m.Domains)
		}
		m.Domains = append(m.Domains, node{"*." + domain, flow.External})
	}
}

// registered returns the domain that somebody registered, of a name below it: "example.com" of "a.b.example.com". Names
// that a provider gives to its customers, such as those below s3.amazonaws.com, are below the domain of the provider.
func registered(name string) string {
	for domain := name; ; {
		_, parent, hasParent := strings.Cut(domain, ".")
		suffix, isICANN := publicsuffix.PublicSuffix(parent)
		if !hasParent || suffix == parent && (isICANN || !strings.Contains(parent, ".")) {
			return domain
		}
		domain = parent
	}
}

// ends returns the nodes, and then the domains.
func (m *model) ends() []node { return slices.Concat(m.Nodes, m.Domains) }

// drawn returns the end that stands for a node in the graph: itself or its domain.
func (m *model) drawn(i int) int {
	if domain, is := m.groups[i]; is {
		return domain
	}
	return i
}

// lines returns the traffic between the ends that the graph draws, and says which are left out. Those with denied flows
// come first, and then those with the most traffic.
func (m *model) lines() (shown map[pair]traffic, more string) {
	all := make(map[pair]traffic)
	for p, t := range m.pairs() {
		p = pair{m.drawn(p.from), m.drawn(p.to)}
		all[p] = sum(all[p], t)
	}
	var order []pair
	ends := make(map[int]bool)
	for p := range all {
		order = append(order, p)
		ends[p.from], ends[p.to] = true, true
	}
	slices.SortFunc(order, func(a, b pair) int {
		return cmp.Or(
			cmp.Compare(all[b].denied, all[a].denied), cmp.Compare(all[b].count, all[a].count),
			cmp.Compare(a.from, b.from), cmp.Compare(a.to, b.to),
		)
	})
	shown = make(map[pair]traffic)
	nodes := make(map[int]bool)
	for _, p := range order {
		added := 0
		for _, end := range slices.Compact([]int{p.from, p.to}) {
			if !nodes[end] {
				added++
			}
		}
		if len(shown) < maxLines && len(nodes)+added <= maxNodes {
			shown[p] = all[p]
			nodes[p.from], nodes[p.to] = true, true
		}
	}
	var parts []string
	if len(m.Domains) > 0 {
		parts = append(parts, "A node with an asterisk is all names below a domain.")
	}
	if len(shown) < len(all) {
		parts = append(parts, fmt.Sprintf("Shown are %d of %s and %d of %s: those with denied flows and the most "+
			"traffic. The table below has all flows.", len(nodes), count(len(ends), "node"), len(shown),
			count(len(all), "line")))
	}
	return shown, strings.Join(parts, " ")
}
