package recorder

import (
	"cmp"
	"slices"
	"strings"

	"github.com/netzero-dev/netzero/internal/dns"
	"github.com/netzero-dev/netzero/internal/endpoint"
	"github.com/netzero-dev/netzero/internal/probe"
	"github.com/netzero-dev/netzero/internal/recorder/clientname"
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
	event        *probe.FlowEvent // who asked first; nil where that was not seen
	search       endpoint.Search  // how its resolver completes names
	guess        bool             // search is not its own: a container's process that asked has gone, and its cgroup with it
	unattributed unattributed
	answered     bool // with an address
}

// recordLookup gives a question to the recordings to which it belongs.
func (r *Recorder) recordLookup(e *probe.FlowEvent, question string) {
	name := dns.HostOf(question)
	if name == "" {
		return
	}
	to, stray := r.recipients(e)
	for _, m := range to {
		l := m.lookupOf(lookupKey{e.Cgroup, name})
		if l.event == nil {
			search, its := r.searchDomainsOf(m, e)
			l.event, l.unattributed, l.search = e, stray, search
			l.guess = !its && e.Cgroup != r.session.Leaf.ID
		}
	}
}

// searchDomainsOf returns how the resolver of who asks completes names: of one that has gone, as another process of its cgroup does or did. False
// where neither is known; then it is how this process does. The caller holds mu.
func (r *Recorder) searchDomainsOf(m *Recording, e *probe.FlowEvent) (endpoint.Search, bool) {
	search, its := m.identifier.Search(e.Process.PID)
	if known, is := r.searchDomains[e.Cgroup]; !its && is {
		return known, true
	}
	if !its && e.Cgroup != r.session.Leaf.ID {
		pids, _ := r.session.Tree.Members(e.Cgroup) // without, it is not known
		for _, pid := range pids {
			if other, is := m.identifier.Search(pid); is {
				search, its = other, true
				break
			}
		}
	}
	if its {
		if r.searchDomains == nil {
			r.searchDomains = make(map[uint64]endpoint.Search)
		}
		r.searchDomains[e.Cgroup] = search
	}
	return search, its
}

// handleQuestion is lookUp for a question over UDP.
func (r *Recorder) handleQuestion(e *probe.QuestionEvent) {
	if name, ok := dns.WireName(e.Name); ok {
		r.recordLookup(&probe.FlowEvent{
			Time: e.Time, Key: probe.Key{Cgroup: e.Cgroup, Netns: e.Netns, Recording: e.Recording, Generation: e.Generation}, Opener: e.Opener,
		}, name)
	}
}

// handleTCPQuestion is lookUp for a segment to a resolver.
func (r *Recorder) handleTCPQuestion(e *probe.DNSEvent) {
	for _, q := range r.questionsIn(e) {
		if dns.IsLookup(q.Type) {
			r.recordLookup(askerOf(e), q.Name)
		}
	}
}

// recordAnswered notes that the recordings to which a question belongs have got an address.
func (r *Recorder) recordAnswered(e *probe.DNSEvent, a dns.Answer) {
	name := dns.HostOf(a.Question)
	if len(a.Addrs) == 0 && !a.Service || name == "" {
		return
	}
	to, _ := r.recipients(askerOf(e))
	for _, m := range to {
		m.lookupOf(lookupKey{e.Cgroup, name}).answered = true
	}
}

// askerOf returns who asks, or asked what this answers.
func askerOf(e *probe.DNSEvent) *probe.FlowEvent {
	return &probe.FlowEvent{Time: e.Time, Key: probe.Key{Cgroup: e.Cgroup, Recording: e.Recording, Generation: e.Generation}}
}

func (m *Recording) lookupOf(k lookupKey) *lookup {
	l := m.lookups[k]
	if l == nil {
		l = &lookup{}
		if len(m.lookups) >= maxLookups {
			m.recorder.droppedLookups++
			return l
		}
		m.lookups[k] = l
	}
	return l
}

// writtenName returns the name that a program looked up, of those by which the resolver asked for it: without the domain by which
// the resolver completed it. All are asked for where none has an address, but for a resolver that gives up early.
func (s *snapshot) writtenName(k lookupKey, l *lookup) string {
	if l.guess {
		return s.shortestPrefix(k)
	}
	search := l.search
	written, ok := search.Cut(k.name)
	if !ok {
		return k.name
	}
	if s.lookups[lookupKey{k.cgroup, written}] != nil {
		return written
	}
	for _, domain := range search.Domains {
		if s.lookups[lookupKey{k.cgroup, k.name + "." + domain}] != nil {
			return k.name // which was completed itself
		}
	}
	if search.First(written) {
		return written
	}
	return k.name
}

// shortestPrefix returns the shortest name that was looked up and that a name begins with: what the resolver may have completed.
func (s *snapshot) shortestPrefix(k lookupKey) string {
	for i := range k.name {
		if k.name[i] == '.' && s.lookups[lookupKey{k.cgroup, k.name[:i]}] != nil {
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
func (s *snapshot) isAnswered(k lookupKey, asked *lookup) bool {
	if asked.guess {
		for other, l := range s.lookups {
			if l.answered && other.cgroup == k.cgroup && (clientname.IsFormOf(other.name, k.name) || areForms(k.name, other.name)) {
				return true
			}
		}
		return false
	}
	search := asked.search
	has := func(name string) bool {
		l := s.lookups[lookupKey{k.cgroup, name}]
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

// failedLookups returns the names that were looked up and got no address, as attempts of which the port is not known.
func (r *resolution) failedLookups() []attributedFlow {
	for k, l := range r.lookups {
		if search, known := r.searchDomains[k.cgroup]; known && l.guess {
			l.search, l.guess = search, false
		}
	}
	first := make(map[lookupKey]*lookup)
	for k, l := range r.lookups {
		if l.event == nil || l.answered || isUnrelatedCgroup(r.cgroups, k.cgroup) {
			continue
		}
		written := lookupKey{k.cgroup, r.writtenName(k, l)}
		if staysHere(written.name) || r.isAnswered(written, l) {
			continue
		}
		if before := first[written]; before == nil || cmp.Or(cmp.Compare(l.event.Time, before.event.Time), cmp.Compare(l.event.PID, before.event.PID)) < 0 {
			first[written] = l
		}
	}
	var all []attributedFlow
	for k, l := range first {
		identity := r.identifier.Named(k.name)
		seen := attributedFlow{observation: observation{event: l.event, name: k.name, identity: identity, unattributed: l.unattributed, flow: flow.Flow{
			Source: r.source, Destination: identity.Endpoint, Lookup: true, Count: 1,
			First: max(l.event.Time-r.started, 0), Process: l.event.Process,
		}}}
		if k.cgroup != r.ownCgroup {
			seen.from = r.container(r.cgroups[k.cgroup].ids)
			seen.missing = seen.from == nil
		}
		all = append(all, seen)
	}
	return all
}
