package recorder

import (
	"slices"

	"github.com/netzero-dev/netzero/internal/endpoint"
	"github.com/netzero-dev/netzero/internal/hostname"
	"github.com/netzero-dev/netzero/internal/probe"
	"github.com/netzero-dev/netzero/internal/recorder/clientname"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// handleName handles what a client sent first.
func (r *Recorder) handleName(e *probe.NameEvent, machine machineReadings) {
	hints := r.correlation.hintsOf(e.Key)
	name, evidence := sentName(e)
	r.correlation.keepServerName(e.Hash, serverName{name, evidence})
	if name == "" {
		hints.Nameless = true
		return
	}
	payload := clientname.Payload{Hash: e.Hash, Queried: e.DNSMatch, Outer: evidence == flow.ByTLSOuter}
	names := []string{name}
	if e.DNSMatch {
		known := clientname.Match(r.correlation.queried(e.Key), name, payload)
		if len(known) > 0 || payload.Outer {
			names, evidence = known, flow.ByDNS
		}
	}
	for _, name := range names {
		r.nameFlow(hints, name, hints.Add(name, evidence, payload), machine)
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
func (r *Recorder) nameFlow(
	hints *flowHints, name string, evidence flow.Evidence, machine machineReadings,
) {
	e := hints.event
	if e == nil || hints.IsCandidate(name) {
		return
	}
	_, why := r.recipients(e)
	for _, rec := range r.allRecordings() {
		if !rec.sawRemote(e.Key, hints.Candidates) {
			continue
		}
		identity := r.identify(rec, e, name, machine)
		if identity.Endpoint.Evidence == flow.ByDNS {
			identity.Endpoint.Evidence = evidence
		}
		o := rec.record(e, name, identity, why)
		if !slices.Contains(o.sentNames, name) {
			o.sentNames = append(slices.Clip(o.sentNames), name)
		}
	}
}

// sawRemote reports whether the recording has the flow as one to another machine that is known by its address only or
// by DNS. A Peer that is known by its name only was identified by DNS too.
func (rec *Recording) sawRemote(k probe.Key, candidates []string) bool {
	if len(candidates) == 0 {
		o, seen := rec.observations[k][""]
		return seen && o.isOnlyAddress()
	}
	for _, o := range rec.observations[k] {
		switch o.flow.Destination.Evidence {
		case flow.ByDNS:
			return true
		case flow.ByOption:
			if !o.identity.Local && rec.identifier.Peer(k.Addr, k.Port) == (endpoint.Peer{}) {
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
