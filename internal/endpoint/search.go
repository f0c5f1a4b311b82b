package endpoint

import (
	"net/netip"
	"os"
	"strconv"
	"strings"
)

// Search is how a resolver completes names: by each of these domains in turn, and first of all names with fewer dots than Dots.
type Search struct {
	Domains []string // in lower case, without a dot at the end
	Dots    int
}

// parseSearch reads the lines of a resolv.conf that are about it: the last one of search or domain counts. Where there is none,
// the domain is that of this machine's name.
func parseSearch(text string) Search {
	s := Search{Dots: 1}
	found := false
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) == 0 {
			continue
		}
		switch f[0] {
		case "search", "domain":
			found, s.Domains = true, nil
			for _, domain := range f[1:] {
				s.add(domain)
			}
		case "options":
			for _, option := range f[1:] {
				if n, err := strconv.Atoi(strings.TrimPrefix(option, "ndots:")); err == nil && strings.HasPrefix(option, "ndots:") {
					s.Dots = n
				}
			}
		}
	}
	if !found {
		name, _ := os.Hostname()
		_, domain, _ := strings.Cut(name, ".")
		s.add(domain)
	}
	return s
}

func (s *Search) add(domain string) {
	if domain = canonicalName(domain); domain != "" {
		s.Domains = append(s.Domains, domain)
	}
}

// Cut returns what a name was before it was completed by one of the domains, the longest that fits; false where it ends in none.
func (s Search) Cut(name string) (string, bool) {
	asked, found := "", false
	for _, domain := range s.Domains {
		if rest, ok := strings.CutSuffix(name, "."+domain); ok && rest != "" && (!found || len(rest) < len(asked)) {
			asked, found = rest, true
		}
	}
	return asked, found
}

// First reports whether a name is completed before it is tried as it is.
func (s Search) First(name string) bool { return strings.Count(name, ".") < s.Dots }

// Search returns how a process completes names; where it is gone or pid is 0, how this one does, and false.
func (id *Identifier) Search(pid int) (Search, bool) { return id.resolvers.Search(pid) }

// Named says who is meant by a name that has no address: a Peer, at whatever port, a workload for a name of the cluster, else an
// external host.
func (id *Identifier) Named(name string) Identity {
	if peer := id.config.Peers.named(name); peer != (Peer{}) {
		return Identity{Endpoint: id.OfPeer(peer, netip.Addr{}), Relation: Other, Peer: peer}
	}
	return Identity{Endpoint: id.byName(0, name, netip.Addr{}), Relation: Other}
}

// named is Match for a name without an address, at any port.
func (p Peers) named(name string) Peer {
	for _, peer := range p.specificFirst {
		if peer.Pattern.Match(netip.Addr{}, peer.Pattern.port, name) {
			return peer
		}
	}
	return Peer{}
}
