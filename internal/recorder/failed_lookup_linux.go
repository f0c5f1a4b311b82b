package recorder

import (
	"cmp"
	"slices"
	"strings"

	"github.com/netzero-dev/netzero/internal/dns"
	"github.com/netzero-dev/netzero/internal/endpoint"
	"github.com/netzero-dev/netzero/internal/probe"
	"github.com/netzero-dev/netzero/internal/recorder/clientname"
	"github.com/netzero-dev/netzero/internal/recorder/containers"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// maxLookups bounds how many names a recording keeps. Most workloads look up a dozen.
const maxLookups = 1 << 16

// lookupKey is the name of a host that a cgroup looks up.
type lookupKey struct {
	cgroup uint64
	name   string
}

// lookup is what a recording knows about a lookup.
type lookup struct {
	event        *probe.FlowEvent // the first query; nil if it was not observed
	search       endpoint.Search  // the search domains of the client's resolver
	searchIsOurs bool             // search is that of this process, because the client's container has ended
	unattributed unattributed
	answered     bool // with an address
}

// recordLookup adds a question to its recordings.
func (r *Recorder) recordLookup(e *probe.FlowEvent, question string) {
	name := dns.HostOf(question)
	if name == "" {
		return
	}
	recordings, why := r.recipients(e)
	for _, rec := range recordings {
		l := rec.lookupOf(lookupKey{e.Cgroup, name})
		if l.event == nil {
			search, known := r.searchDomainsOf(rec, e)
			l.event, l.unattributed, l.search = e, why, search
			l.searchIsOurs = !known && e.Cgroup != r.session.Leaf.ID
		}
	}
}

// searchDomainsOf returns the search domains of a client's resolver. If the client has ended, it uses another process
// of the same cgroup, or what was known of the cgroup before. If there is none, it returns false and the domains of
// this process. The caller holds mu.
func (r *Recorder) searchDomainsOf(rec *Recording, e *probe.FlowEvent) (endpoint.Search, bool) {
	search, known := rec.identifier.Search(e.Process.PID)
	if earlier, found := r.correlation.searchDomains[e.Cgroup]; !known && found {
		return earlier, true
	}
	if !known && e.Cgroup != r.session.Leaf.ID {
		pids, _ := r.session.Tree.Members(e.Cgroup) // an error means that there is no other process
		for _, pid := range pids {
			if other, found := rec.identifier.Search(pid); found {
				search, known = other, true
				break
			}
		}
	}
	if known {
		r.correlation.keepSearchDomains(e.Cgroup, search)
	}
	return search, known
}

// handleQuestion records a question over UDP.
func (r *Recorder) handleQuestion(e *probe.QuestionEvent) {
	if name, ok := dns.WireName(e.Name); ok {
		r.recordLookup(&probe.FlowEvent{
			Time: e.Time,
			Key: probe.Key{
				Cgroup: e.Cgroup, Netns: e.Netns, Recording: e.Recording, Generation: e.Generation,
			}, Initiator: e.Initiator,
		}, name)
	}
}

// handleTCPQuestion records the questions that a segment to a resolver completes.
func (r *Recorder) handleTCPQuestion(e *probe.DNSEvent) {
	for _, q := range r.correlation.questionsIn(e) {
		if dns.IsLookup(q.Type) {
			r.recordLookup(clientOf(e), q.Name)
		}
	}
}

// recordAnswered records that a lookup returned an address.
func (r *Recorder) recordAnswered(e *probe.DNSEvent, a dns.Answer) {
	name := dns.HostOf(a.Question)
	if len(a.Addrs) == 0 && !a.Service || name == "" {
		return
	}
	recordings, _ := r.recipients(clientOf(e))
	for _, rec := range recordings {
		rec.lookupOf(lookupKey{e.Cgroup, name}).answered = true
	}
}

// clientOf returns the client that sent a question, or that gets this answer.
func clientOf(e *probe.DNSEvent) *probe.FlowEvent {
	return &probe.FlowEvent{
		Time: e.Time,
		Key:  probe.Key{Cgroup: e.Cgroup, Recording: e.Recording, Generation: e.Generation},
	}
}

func (rec *Recording) lookupOf(k lookupKey) *lookup {
	l := rec.lookups[k]
	if l == nil {
		l = &lookup{}
		if len(rec.lookups) >= maxLookups {
			rec.recorder.droppedLookups++
			return l
		}
		rec.lookups[k] = l
	}
	return l
}

// isLookedUp reports whether a cgroup looked a name up.
func (s *snapshot) isLookedUp(cgroup uint64, name string) bool {
	_, known := s.lookups[lookupKey{cgroup, name}]
	return known
}

// writtenName returns the name that a program looked up, without the search domain that the resolver appended. A
// resolver queries all forms of a name without an address, unless it gives up early.
func (s *snapshot) writtenName(k lookupKey, l lookup) string {
	if l.searchIsOurs {
		return s.shortestPrefix(k)
	}
	search := l.search
	written, ok := search.Cut(k.name)
	if !ok {
		return k.name
	}
	if s.isLookedUp(k.cgroup, written) {
		return written
	}
	for _, domain := range search.Domains {
		if s.isLookedUp(k.cgroup, k.name+"."+domain) {
			return k.name // the resolver completed this name itself
		}
	}
	if search.First(written) {
		return written
	}
	return k.name
}

// shortestPrefix returns the shortest name that was looked up and is a prefix of a name. A resolver may have completed
// it.
func (s *snapshot) shortestPrefix(k lookupKey) string {
	for i := range k.name {
		if k.name[i] == '.' && s.isLookedUp(k.cgroup, k.name[:i]) {
			return k.name[:i]
		}
	}
	return k.name
}

// areForms reports whether two names may be one name that a resolver completed with two search domains, one of which is
// a suffix of the other. The search domains of a cluster are like that.
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

// isAnswered reports whether any form of a name has an address.
func (s *snapshot) isAnswered(k lookupKey, first lookup) bool {
	if first.searchIsOurs {
		for other, l := range s.lookups {
			if l.answered && other.cgroup == k.cgroup && (clientname.IsFormOf(other.name, k.name) ||
				areForms(k.name, other.name)) {
				return true
			}
		}
		return false
	}
	search := first.search
	has := func(name string) bool { return s.lookups[lookupKey{k.cgroup, name}].answered }
	return has(k.name) || slices.ContainsFunc(search.Domains, func(domain string) bool {
		return has(k.name + "." + domain)
	})
}

// isReservedName reports whether a name never stands for a host: reserved names (RFC 6761), and names of reverse
// lookups.
func isReservedName(name string) bool {
	return slices.ContainsFunc([]string{"invalid", "localhost", "in-addr.arpa", "ip6.arpa"}, func(zone string) bool {
		return name == zone || strings.HasSuffix(name, "."+zone)
	})
}

// failedLookups returns the names that were looked up and have no address, as attempts with an unknown port.
func (s *resolution) failedLookups() []resolvedFlow {
	first := make(map[lookupKey]lookup)
	refused := make(map[lookupKey]bool)
	for k, l := range s.lookups {
		if search, known := s.searchDomains[k.cgroup]; known && l.searchIsOurs {
			l.search, l.searchIsOurs = search, false
		}
		if l.event == nil || l.answered || isUnrelatedCgroup(s.cgroups, k.cgroup) {
			continue
		}
		written := lookupKey{k.cgroup, s.writtenName(k, l)}
		if isReservedName(written.name) || s.isAnswered(written, l) {
			continue
		}
		refused[written] = refused[written] || s.isRefusedLookup(k)
		earlier, known := first[written]
		if !known || cmp.Or(
			cmp.Compare(l.event.Time, earlier.event.Time), cmp.Compare(l.event.PID, earlier.event.PID),
		) < 0 {
			first[written] = l
		}
	}
	var all []resolvedFlow
	for k, l := range first {
		identity := s.identifier.Named(k.name)
		f := resolvedFlow{
			observation: observation{
				event: l.event, name: k.name, identity: identity, unattributed: l.unattributed,
				flow: flow.Flow{
					Source: s.source, Destination: identity.Endpoint, Lookup: true, Count: 1,
					First: max(l.event.Time-s.started, 0), Process: l.event.Process,
				},
			},
		}
		if refused[k] {
			f.flow.Refused = 1
		}
		if k.cgroup != s.ownCgroup {
			f.from = containers.Innermost(s.engine, s.cgroups[k.cgroup].ids)
			f.missing = f.from == nil
		}
		all = append(all, f)
	}
	return all
}
