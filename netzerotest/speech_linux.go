package netzerotest

import (
	"slices"

	"github.com/netzero-dev/netzero/internal/endpoint"
	"github.com/netzero-dev/netzero/internal/flow"
	"github.com/netzero-dev/netzero/internal/probe"
	"github.com/netzero-dev/netzero/internal/servername"
)

// speech is what the clients of a flow to which no DNS question led call its server. As many are kept as the kernel tells
// of, which is bounded there.
type speech struct {
	event    *probe.FlowEvent    // nil until it has come
	names    map[string]*calling // by name
	nameless bool                // a client sent something that has no name in it, or none that a host can have
}

// calling is one name by which clients call the server of a flow.
type calling struct {
	evidence flow.Evidence
	hashes   []uint64 // of all that is this name to us
}

func (c *capture) speechOf(k probe.Key) *speech {
	s := c.speeches[k]
	if s == nil {
		s = &speech{names: make(map[string]*calling)}
		c.speeches[k] = s
	}
	return s
}

// hear takes in what clients call a server.
func (c *capture) hear(e *probe.NameEvent, batches map[*membership]*endpoint.Batch) {
	s := c.speechOf(e.Key)
	name, evidence := calledBy(e)
	if name == "" {
		s.nameless = true
		return
	}
	call := s.names[name]
	if call == nil {
		call = &calling{evidence: evidence}
		s.names[name] = call
	}
	if rank(evidence) < rank(call.evidence) {
		call.evidence = evidence
	}
	call.hashes = append(call.hashes, e.Hash)
	if s.event != nil {
		c.call(s.event, name, call.evidence, batches)
	}
}

// calledBy returns the name in what a client sent; "" where there is none that a host can have.
func calledBy(e *probe.NameEvent) (name string, evidence flow.Evidence) {
	var err error
	switch e.Source {
	case probe.NamesByTLS:
		evidence = flow.ByTLS
		name, err = servername.FromTLS(e.Text)
	case probe.NamesByTLSOuter:
		evidence = flow.ByTLSOuter
		name, err = servername.FromTLS(e.Text)
	case probe.NamesByHTTP:
		evidence = flow.ByHTTP
		name, err = servername.FromHTTP(e.Text)
	}
	if err != nil {
		return "", flow.NoEvidence // anybody can send anything: the flow stays an address
	}
	return name, evidence
}

// rank orders evidence of one name, best first, so that which came first does not show.
func rank(e flow.Evidence) int {
	return slices.Index([]flow.Evidence{flow.ByTLS, flow.ByTLSOuter, flow.ByHTTP}, e)
}

// call gives a flow that has been seen by its bare address a name that clients call its server by.
func (c *capture) call(e *probe.FlowEvent, name string, evidence flow.Evidence, batches map[*membership]*endpoint.Batch) {
	for _, m := range c.members {
		if bare, seen := m.seen[sightingKey{e.Key, ""}]; !seen || !bare.isBare() {
			continue
		}
		identity := c.identify(m, e, name, batches)
		if identity.Endpoint.Evidence == flow.ByDNS {
			identity.Endpoint.Evidence = evidence
		}
		m.note(e, name, identity)
		key := sightingKey{e.Key, identity.Endpoint.Name}
		s := m.seen[key]
		if !slices.Contains(s.called, name) {
			s.called = append(slices.Clip(s.called), name)
			m.seen[key] = s
		}
	}
}

// isBare reports whether nothing but an address of another machine is known of the other end.
func (s sighting) isBare() bool {
	return s.name == "" && !s.identity.Local && s.flow.Destination.Kind == flow.Address
}

// countOf returns how often a sighting was seen; false where its connections are all those of names, which are sightings of
// their own. An attempt on which nothing was sent is no other flow: it went where the names are, also where the kernel kept
// it apart because something started meanwhile.
func (m *membership) countOf(s sighting, named map[probe.Key]bool, flows map[probe.Key]uint64, names map[probe.ServerNameKey]uint64) (count uint64, counts bool) {
	key := s.event.Key
	said := m.capture.speeches[key]
	alone := said == nil || len(said.names) == 0
	silent := alone && (said == nil || !said.nameless)
	switch {
	case silent && s.isBare() && named[timeless(key)]:
		return 0, false
	case alone, s.name != "" && len(s.called) == 0, s.name == "" && !s.isBare():
		return flows[key], true
	case s.name == "" && !said.nameless:
		return 0, false
	}
	for name, call := range said.names {
		if s.name == "" || slices.Contains(s.called, name) {
			for _, hash := range call.hashes {
				count += names[probe.ServerNameKey{Key: key, Hash: hash}]
			}
		}
	}
	if s.name == "" {
		return flows[key] - min(count, flows[key]), true
	}
	return count, true
}

// named returns where this recording's flows have names that clients call the server by.
func (m *membership) named() map[probe.Key]bool {
	named := make(map[probe.Key]bool)
	for _, s := range m.seen {
		if len(s.called) > 0 {
			named[timeless(s.event.Key)] = true
		}
	}
	return named
}

// timeless returns what a flow's key says of who connects where, without what tells one time from another.
func timeless(k probe.Key) probe.Key {
	return probe.Key{Cgroup: k.Cgroup, Netns: k.Netns, Addr: k.Addr, Port: k.Port, Protocol: k.Protocol}
}
