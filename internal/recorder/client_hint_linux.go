package recorder

import (
	"slices"

	"github.com/netzero-dev/netzero/internal/endpoint"
	"github.com/netzero-dev/netzero/internal/hostname"
	"github.com/netzero-dev/netzero/internal/probe"
	"github.com/netzero-dev/netzero/internal/recorder/clientname"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// flowHints are the names that clients sent on the connections of a flow.
type flowHints struct {
	clientname.Hints
	event *probe.FlowEvent // nil until it arrives
}

func (r *Recorder) hintsOf(k probe.Key) *flowHints {
	hints := r.hints[k]
	if hints == nil {
		hints = &flowHints{}
		r.hints[k] = hints
	}
	return hints
}

// handleName handles what a client sent first.
func (r *Recorder) handleName(e *probe.NameEvent, batches map[*Recording]*endpoint.Batch) {
	hints := r.hintsOf(e.Key)
	name, evidence := sentName(e)
	r.keepServerName(e.Hash, serverName{name, evidence})
	if name == "" {
		hints.Nameless = true
		return
	}
	payload, names := clientname.Payload{Hash: e.Hash, Queried: e.DNSMatch, Outer: evidence == flow.ByTLSOuter}, []string{name}
	if e.DNSMatch {
		const ever = 1
		known := clientname.Match(r.names.Lookup(e.Cgroup, e.Addr, 0, ever), name, payload)
		if len(known) > 0 || payload.Outer {
			names, evidence = known, flow.ByDNS
		}
	}
	for _, name := range names {
		r.nameFlow(hints, name, hints.Add(name, evidence, payload), batches)
	}
}

// sentName returns the name that a client sent. It is empty if the payload has none that a host can have.
func sentName(e *probe.NameEvent) (name string, evidence flow.Evidence) {
	var err error
	switch e.Source {
	case probe.NamesByTLS:
		evidence = flow.ByTLS
		name, err = hostname.FromTLS(e.Text)
	case probe.NamesByTLSOuter:
		evidence = flow.ByTLSOuter
		name, err = hostname.FromTLS(e.Text)
	case probe.NamesByHTTP:
		evidence = flow.ByHTTP
		name, err = hostname.FromHTTP(e.Text)
	}
	if err != nil {
		return "", flow.NoEvidence // clients can send anything: the flow stays an address
	}
	return name, evidence
}

// nameFlow gives a flow a name that clients sent, in the recordings that know only the address of another machine or a
// name that DNS was queried for on another connection.
func (r *Recorder) nameFlow(hints *flowHints, name string, evidence flow.Evidence, batches map[*Recording]*endpoint.Batch) {
	e := hints.event
	if e == nil || hints.IsCandidate(name) {
		return
	}
	_, why := r.recipients(e)
	for _, m := range r.allRecordings() {
		if !m.sawRemote(e.Key, hints.Candidates) {
			continue
		}
		identity := r.identify(m, e, name, batches)
		if identity.Endpoint.Evidence == flow.ByDNS {
			identity.Endpoint.Evidence = evidence
		}
		m.record(e, name, identity, why)
		key := observationKey{e.Key, identity.Endpoint.Name}
		o := m.observations[key]
		if !slices.Contains(o.sentNames, name) {
			o.sentNames = append(slices.Clip(o.sentNames), name)
			m.observations[key] = o
		}
	}
}

// sawRemote reports whether the recording has the flow as one to another machine that is known by its address only or by
// DNS. A Peer that is known by its name only was identified by DNS too.
func (m *Recording) sawRemote(k probe.Key, candidates []string) bool {
	if len(candidates) == 0 {
		o, seen := m.observations[observationKey{k, ""}]
		return seen && o.isOnlyAddress()
	}
	for key, o := range m.observations {
		if key.Key != k {
			continue
		}
		switch o.flow.Destination.Evidence {
		case flow.ByDNS:
			return true
		case flow.ByOption:
			if !o.identity.Local && m.identifier.Peer(k.Addr, k.Port) == (endpoint.Peer{}) {
				return true
			}
		}
	}
	return false
}

// isOnlyAddress reports whether nothing but an address of another machine is known of the destination.
func (o observation) isOnlyAddress() bool {
	return o.name == "" && !o.identity.Local && o.flow.Destination.Kind == flow.Address
}
