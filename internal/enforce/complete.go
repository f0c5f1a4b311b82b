package enforce

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

// CompleteNames adds each name with each domain of a search list, because a resolver queries those forms too.
func (b *Builder) CompleteNames(domains []string) {
	var completed []Name
	for key, ports := range b.names {
		for _, domain := range domains {
			if key.host != "" { // else it stands for those forms already
				completed = append(completed, Name{key.host + "." + domain, key.match, ports})
			}
		}
	}
	for _, n := range completed {
		b.AllowName(n)
	}
}
