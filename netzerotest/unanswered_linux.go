package netzerotest

import (
	"cmp"
	"slices"
	"strings"

	"github.com/netzero-dev/netzero/internal/dns"
	"github.com/netzero-dev/netzero/internal/endpoint"
	"github.com/netzero-dev/netzero/internal/probe"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// maxLookups bounds how many names of a recording are kept. Most workloads look up a dozen.
const maxLookups = 1 << 16

// lookupKey is a host's name that a cgroup looks up.
type lookupKey struct {
	cgroup uint64
	name   string
}

// lookup is what became of it in a recording.
type lookup struct {
	event    *probe.FlowEvent // who asked first; nil where that was not seen
	search   endpoint.Search  // how its resolver completes names
	guess    bool             // search is not its own: a container's process that asked has gone, and its cgroup with it
	stray    stray
	answered bool // with an address
}

// lookUp gives a question to the recordings to which it belongs.
func (c *capture) lookUp(e *probe.FlowEvent, question string) {
	name := dns.HostOf(question)
	if name == "" {
		return
	}
	to, stray := c.recipients(e)
	for _, m := range to {
		l := m.lookupOf(lookupKey{e.Cgroup, name})
		if l.event == nil {
			search, its := c.searchOf(m, e)
			l.event, l.stray, l.search = e, stray, search
			l.guess = !its && e.Cgroup != c.session.Leaf.ID
		}
	}
}

// searchOf returns how the resolver of who asks completes names: of one that has gone, as another process of its cgroup does or did. False
// where neither is known; then it is how this process does. The caller holds mu.
func (c *capture) searchOf(m *membership, e *probe.FlowEvent) (endpoint.Search, bool) {
	search, its := m.identifier.Search(e.Process.PID)
	if known, is := c.searches[e.Cgroup]; !its && is {
		return known, true
	}
	if !its && e.Cgroup != c.session.Leaf.ID {
		pids, _ := c.session.Tree.Members(e.Cgroup) // without, it is not known
		for _, pid := range pids {
			if other, is := m.identifier.Search(pid); is {
				search, its = other, true
				break
			}
		}
	}
	if its {
		if c.searches == nil {
			c.searches = make(map[uint64]endpoint.Search)
		}
		c.searches[e.Cgroup] = search
	}
	return search, its
}

// ask is lookUp for a question over UDP.
func (c *capture) ask(e *probe.QuestionEvent) {
	if name, ok := dns.WireName(e.Name); ok {
		c.lookUp(&probe.FlowEvent{
			Time: e.Time, Key: probe.Key{Cgroup: e.Cgroup, Netns: e.Netns, Recording: e.Recording, Generation: e.Generation}, Opener: e.Opener,
		}, name)
	}
}

// askedOverTCP is lookUp for a segment to a resolver.
func (c *capture) askedOverTCP(e *probe.DNSEvent) {
	for _, q := range c.asks(e) {
		if dns.IsLookup(q.Type) {
			c.lookUp(askerOf(e), q.Name)
		}
	}
}

// answered notes that the recordings to which a question belongs have got an address.
func (c *capture) answered(e *probe.DNSEvent, a dns.Answer) {
	name := dns.HostOf(a.Question)
	if len(a.Addrs) == 0 && !a.Service || name == "" {
		return
	}
	to, _ := c.recipients(askerOf(e))
	for _, m := range to {
		m.lookupOf(lookupKey{e.Cgroup, name}).answered = true
	}
}

// askerOf returns who asks, or asked what this answers.
func askerOf(e *probe.DNSEvent) *probe.FlowEvent {
	return &probe.FlowEvent{Time: e.Time, Key: probe.Key{Cgroup: e.Cgroup, Recording: e.Recording, Generation: e.Generation}}
}

func (m *membership) lookupOf(k lookupKey) *lookup {
	l := m.lookups[k]
	if l == nil {
		l = &lookup{}
		if len(m.lookups) >= maxLookups {
			m.capture.unkept++
			return l
		}
		m.lookups[k] = l
	}
	return l
}

// asWritten returns the name that a program looked up, of those by which the resolver asked for it: without the domain by which
// the resolver completed it. All are asked for where none has an address, but for a resolver that gives up early.
func (m *membership) asWritten(k lookupKey, l *lookup) string {
	if l.guess {
		return m.shortest(k)
	}
	search := l.search
	written, ok := search.Cut(k.name)
	if !ok {
		return k.name
	}
	if m.lookups[lookupKey{k.cgroup, written}] != nil {
		return written
	}
	for _, domain := range search.Domains {
		if m.lookups[lookupKey{k.cgroup, k.name + "." + domain}] != nil {
			return k.name // which was completed itself
		}
	}
	if search.First(written) {
		return written
	}
	return k.name
}

// shortest returns the shortest name that was looked up and that a name begins with: what the resolver may have completed.
func (m *membership) shortest(k lookupKey) string {
	for i := range k.name {
		if k.name[i] == '.' && m.lookups[lookupKey{k.cgroup, k.name[:i]}] != nil {
			return k.name[:i]
		}
	}
	return k.name
}

// areForms reports whether two names may be one name that a resolver completed by two domains, one of which lies in the other, as
// the domains of a cluster do.
func areForms(a, b string) bool {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return false
		}
		if a[i] == '.' && (strings.HasSuffix(a[i:], b[i:]) || strings.HasSuffix(b[i:], a[i:])) {
			return true
		}
	}
	return false
}

// isAnswered reports whether a name has got an address by any of its forms.
func (m *membership) isAnswered(k lookupKey, asked *lookup) bool {
	if asked.guess {
		for other, l := range m.lookups {
			if l.answered && other.cgroup == k.cgroup && (is(other.name, k.name) || areForms(k.name, other.name)) {
				return true
			}
		}
		return false
	}
	search := asked.search
	has := func(name string) bool {
		l := m.lookups[lookupKey{k.cgroup, name}]
		return l != nil && l.answered
	}
	return has(k.name) || slices.ContainsFunc(search.Domains, func(domain string) bool { return has(k.name + "." + domain) })
}

// staysHere reports whether a name never means a host: those that are reserved for it (RFC 6761), and those of reverse look-ups.
func staysHere(name string) bool {
	return slices.ContainsFunc([]string{"invalid", "localhost", "in-addr.arpa", "ip6.arpa"}, func(zone string) bool {
		return name == zone || strings.HasSuffix(name, "."+zone)
	})
}

// unanswered returns the names that were looked up and got no address, as attempts of which the port is not known. The caller
// holds capture.mu.
func (s *settling) unanswered() []located {
	for k, l := range s.lookups {
		if search, known := s.capture.searches[k.cgroup]; known && l.guess {
			l.search, l.guess = search, false
		}
	}
	first := make(map[lookupKey]*lookup)
	for k, l := range s.lookups {
		if l.event == nil || l.answered || s.capture.isNobodys(k.cgroup) {
			continue
		}
		written := lookupKey{k.cgroup, s.asWritten(k, l)}
		if staysHere(written.name) || s.isAnswered(written, l) {
			continue
		}
		if before := first[written]; before == nil || cmp.Or(cmp.Compare(l.event.Time, before.event.Time), cmp.Compare(l.event.PID, before.event.PID)) < 0 {
			first[written] = l
		}
	}
	var all []located
	for k, l := range first {
		identity := s.identifier.Named(k.name)
		seen := located{sighting: sighting{event: l.event, name: k.name, identity: identity, stray: l.stray, flow: flow.Flow{
			Source: s.source, Destination: identity.Endpoint, Lookup: true, Count: 1,
			First: max(l.event.Time-s.started, 0), Process: l.event.Process,
		}}}
		if k.cgroup != s.capture.session.Leaf.ID {
			seen.from = s.container(s.capture.containers.cgroups[k.cgroup].ids)
			seen.missing = seen.from == nil
		}
		all = append(all, seen)
	}
	return all
}
