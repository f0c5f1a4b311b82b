// Package clientname decides which host name a flow gets if DNS alone is ambiguous: several names resolve to one
// address at once, or no name was looked up.
//
// The evidence is the client hint: the TLS server name or the HTTP/1 Host that a client sends first. The package is
// pure: it does not use the kernel or the clock, and it resolves no names. If some client of a flow sends nothing of
// the kind, every candidate stays possible.
package clientname

import (
	"slices"
	"strings"

	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// Payload identifies what a client sent first. The kernel counts how many connections of a flow sent it.
type Payload struct {
	Hash    uint64
	Queried bool // a DNS query had been sent before, maybe by another client
	Outer   bool // an outer TLS server name (ECH): the client may mean another host
}

// Counter returns how many connections of a flow sent a payload.
type Counter func(Payload) uint64

// Hint is one name that clients sent.
type Hint struct {
	Evidence flow.Evidence
	Payloads []Payload // all that contain this name
}

// Hints are the names that the clients of one flow sent. The kernel limits how many it reports.
type Hints struct {
	Candidates []string         // the DNS names that led to the address; empty if none did
	Names      map[string]*Hint // by name
	Nameless   bool             // a client sent something that contains no name of a host
}

// Add records that clients sent a name, and returns the best evidence for it so far, so that the order in which events
// arrive does not show.
func (h *Hints) Add(name string, evidence flow.Evidence, p Payload) flow.Evidence {
	if h.Names == nil {
		h.Names = make(map[string]*Hint)
	}
	hint := h.Names[name]
	if hint == nil {
		hint = &Hint{Evidence: evidence}
		h.Names[name] = hint
	}
	if rank(evidence) < rank(hint.Evidence) {
		hint.Evidence = evidence
	}
	hint.Payloads = append(hint.Payloads, p)
	return hint.Evidence
}

// rank orders the evidence for one name, best first.
func rank(e flow.Evidence) int {
	return slices.Index([]flow.Evidence{flow.ByDNS, flow.ByTLS, flow.ByTLSOuter, flow.ByHTTP}, e)
}

// IsFormOf reports whether a client that sent name may have looked up queried: the name itself, or the name with a
// domain that the resolver appended.
func IsFormOf(queried, name string) bool {
	return queried == name || strings.HasPrefix(queried, name+".")
}

// IsCandidate reports whether a name that clients sent is one of the candidates of DNS.
func (h *Hints) IsCandidate(name string) bool {
	return slices.ContainsFunc(h.Candidates, func(queried string) bool { return IsFormOf(queried, name) })
}

// Match returns the names known from DNS that a client may have looked up before it sent name. It is empty for an outer
// TLS server name, which says nothing about the host that is meant.
func Match(known []string, name string, p Payload) []string {
	switch {
	case p.Outer:
		return nil
	case slices.Contains(known, name):
		return []string{name}
	}
	return slices.DeleteFunc(slices.Clone(known), func(queried string) bool { return !IsFormOf(queried, name) })
}

// NamesOneOf reports whether a client sent one of the DNS names as the name of the server itself.
func (h *Hints) NamesOneOf(queried []string) bool {
	for name, hint := range h.Names {
		sent := slices.ContainsFunc(hint.Payloads, func(p Payload) bool { return !p.Outer })
		if sent && slices.ContainsFunc(queried, func(q string) bool { return IsFormOf(q, name) }) {
			return true
		}
	}
	return false
}

// Count returns how many connections sent one of the names for which is returns true.
func (h *Hints) Count(count Counter, is func(name string) bool) (n uint64) {
	for name, hint := range h.Names {
		if !is(name) {
			continue
		}
		for _, p := range hint.Payloads {
			n += count(p)
		}
	}
	return n
}

// tally says how many connections of a flow sent which kind of name.
type tally struct {
	candidates uint64 // one of the candidates of DNS
	others     uint64 // another name

	// Of others: a query was pending or may have been. Either it was another client's, or the client has two names for
	// the server.
	queried uint64
}

// isComplete reports whether every one of so many connections sent a name.
func (t tally) isComplete(all uint64) bool {
	return t.candidates+t.others >= all && t.candidates+t.others > 0
}

func (h *Hints) tally(queryUnknown bool, count Counter) (t tally) {
	counted := make(map[Payload]bool) // a short form of several candidates is one payload
	for _, candidate := range []bool{true, false} {
		for name, hint := range h.Names {
			if h.IsCandidate(name) != candidate {
				continue
			}
			for _, p := range hint.Payloads {
				if counted[p] {
					continue
				}
				counted[p] = true
				switch n := count(p); {
				case candidate && !p.Outer:
					t.candidates += n
				case !candidate && (p.Queried || queryUnknown):
					t.others, t.queried = t.others+n, t.queried+n
				case !candidate:
					t.others += n
				}
			}
		}
	}
	return t
}

// Observed is a flow as it was observed under one DNS name, or under none.
type Observed struct {
	Names      []string      // the DNS names under which it was observed
	Evidence   flow.Evidence // of its destination
	OnlyAddr   bool          // only the address of another machine is known
	Ambiguous  bool          // several names match: the kernel could not distinguish them
	NoQuestion bool          // the kernel does not know the query that led to the address

	Connections uint64 // that the kernel counts now
	Earlier     uint64 // that it counted before, and has dropped

	// NamedElsewhere reports whether a client of any flow to the address sent one of Names.
	NamedElsewhere func() bool
}

// CountForName returns how many connections of a flow belong to one of the names under which it was observed, and false
// if none does. If every connection sent a name, each belongs to that name only. Otherwise they may belong to each
// candidate.
func (h *Hints) CountForName(o Observed, count Counter) (n uint64, belongs bool) {
	// If the kernel could not read the answer, it does not know which connection the query was for.
	t := h.tally(len(h.Candidates) > 0 && o.NoQuestion, count)
	left := o.Connections - min(t.others, o.Connections)
	complete := t.isComplete(o.Connections + o.Earlier)
	own := t.candidates
	if o.Ambiguous {
		own = h.Count(count, func(name string) bool {
			return slices.ContainsFunc(o.Names, func(queried string) bool { return IsFormOf(queried, name) })
		})
	}
	switch {
	case o.OnlyAddr:
		return left, h.Nameless
	case o.Evidence != flow.ByDNS: // it may hold for one of the names only
		return o.Connections, !o.Ambiguous || !complete || t.candidates == 0 || own > 0
	case complete && own > 0:
		return own, true
	case complete && t.queried > 0:
		// The query consumed here belonged to another connection. Keep the name unless another client used it.
		return left, !o.NamedElsewhere()
	}
	return left, !complete
}
