package endpoint

import (
	"net/netip"
	"os"
	"strconv"
	"strings"
)

// Search describes how a resolver completes names: with each of these domains in turn. For names with fewer dots than
// Dots it tries the domains before the bare name.
type Search struct {
	Domains []string // in lower case, without a trailing dot
	Dots    int
}

// parseSearch reads the search list of a resolv.conf: the last line with search or domain counts. The default is the
// domain of this machine's host name.
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
				if n, err := strconv.Atoi(strings.TrimPrefix(option, "ndots:")); err == nil &&
					strings.HasPrefix(option, "ndots:") {
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

// Cut removes the longest matching domain from a completed name; false if none matches.
func (s Search) Cut(name string) (string, bool) {
	bare, found := "", false
	for _, domain := range s.Domains {
		if rest, ok := strings.CutSuffix(name, "."+domain); ok && rest != "" && (!found || len(rest) < len(bare)) {
			bare, found = rest, true
		}
	}
	return bare, found
}

// First reports whether a name is completed before the bare name is tried.
func (s Search) First(name string) bool { return strings.Count(name, ".") < s.Dots }

// Search returns how a process completes names. If it is gone or pid is 0, it returns this process's list and false.
func (id *Identifier) Search(pid int) (Search, bool) { return id.resolvers.Search(pid) }

// Named identifies a name without an address: a Peer with any port, a workload for a name of the cluster, otherwise an
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
