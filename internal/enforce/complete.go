package enforce

import "strings"

// AllowTable adds what a table allows by addresses and names.
func (b *Builder) AllowTable(t Table) {
	for _, g := range t.blocks() {
		b.Allow(g.Block, g.ports)
	}
	for _, n := range t.Names {
		b.AllowName(n)
	}
}

// PortsOf returns the ports that the names so far allow for a host.
func (b *Builder) PortsOf(host string) []PortRange { return b.names.portsAt(nameKey{host, Exact}) }

// CompleteNames adds each name with each domain of a search list, because a resolver queries those forms too. A name
// below one of the domains may be queried in its short form, which the resolver completes with the domains in turn.
// Some give up at the first query that fails, so the other forms may be looked up.
func (b *Builder) CompleteNames(domains []string) {
	var completed []Name
	for key, ports := range b.names {
		if key.host == "" { // it stands for those forms already
			continue
		}
		for _, domain := range domains {
			completed = append(completed, Name{key.host + "." + domain, key.match, ports})
			short, below := strings.CutSuffix(key.host, "."+domain)
			if !below {
				continue
			}
			completed = append(completed, Name{Host: short, Match: key.match})
			for _, other := range domains {
				completed = append(completed, Name{Host: short + "." + other, Match: key.match})
			}
		}
	}
	for _, n := range completed {
		b.AllowName(n)
	}
}
