package recorder

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/netzero-dev/netzero/internal/endpoint"
	"github.com/netzero-dev/netzero/internal/goroutine"
	"github.com/netzero-dev/netzero/internal/probe"
	"github.com/netzero-dev/netzero/internal/recorder/clientname"
	"github.com/netzero-dev/netzero/internal/session"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// A TCP connection that was opened before a recording is a flow of it as soon as it sends something. Who is at the other
// end is found out then, as for any flow. But the name that led to its address was looked up earlier: in this recorder, in
// an earlier one of this process, or before anybody listened.

// connections are open TCP connections, by what the kernel does not use again while the machine runs. Before Linux 5.12
// that holds for each network namespace only, so that the address counts too.
type connections map[connectionKey]connection

type connectionKey struct {
	id   uint64
	addr netip.Addr
	port uint16
}

// connection is what is known of one.
type connection struct {
	names     []string // that its server may have; none where the address itself was dialled
	evidence  flow.Evidence
	opener    flow.Process
	recording goroutine.ID
}

// maxConnections bounds what is remembered from one recorder to the next one.
const maxConnections = 65536

// serverName is what a client named its server by; "" where that is no name that a host can have.
type serverName struct {
	name     string
	evidence flow.Evidence
}

func (r *Recorder) keepServerName(hash uint64, name serverName) {
	if r.serverNames == nil {
		r.serverNames = make(map[uint64]serverName)
	}
	r.serverNames[hash] = name
}

// openConnections returns what is known of the connections that are open now, for the recorders to come. A connection of
// which nothing is known is left out: if it goes to another machine, the next recording that sees it says so.
func (r *Recorder) openConnections() connections {
	var others []string
	r.mu.Lock()
	defer r.mu.Unlock()
	for id, b := range r.containers.cgroups {
		if dir, err := r.session.Tree.Path(id); err == nil && len(b.ids) > 0 {
			others = append(others, dir)
		}
	}
	open, _ := r.session.Connections(others...)
	next := make(connections)
	for _, o := range open {
		key := connectionKey{o.ID, o.Addr, o.Port}
		known, ok := r.earlierConnections[key]
		if o.Generation != 0 {
			known, ok = r.serverNamesOf(o.Key, o.Said), true
			known.recording = o.Recording
			if s := r.hints[o.Key]; s != nil && s.event != nil {
				known.opener = s.event.Process
			}
		}
		if ok && len(next) < maxConnections {
			next[key] = known
		}
	}
	return next
}

// serverNamesOf returns which names the server of a connection of this recorder may have. What its client called it counts
// most, and next the names that DNS was asked for.
func (r *Recorder) serverNamesOf(k probe.Key, said uint64) connection {
	names := r.names.Lookup(k.Cgroup, k.Addr, k.Question(), k.Since)
	called, ok := r.serverNames[said]
	if !ok || called.name == "" || called.evidence == flow.ByTLSOuter && len(names) > 0 {
		return connection{names: names, evidence: flow.ByDNS}
	}
	const ever = 1
	asked := r.names.Lookup(k.Cgroup, k.Addr, 0, ever)
	if slices.Contains(asked, called.name) {
		return connection{names: []string{called.name}, evidence: flow.ByDNS}
	}
	asked = slices.DeleteFunc(asked, func(asked string) bool { return !clientname.IsFormOf(asked, called.name) })
	if len(asked) > 0 {
		return connection{names: asked, evidence: flow.ByDNS}
	}
	return connection{names: []string{called.name}, evidence: called.evidence}
}

// handleConnection gives the flow of a connection from before the generation to the recordings to which it belongs, under
// each name that its server may have.
func (r *Recorder) handleConnection(e *probe.FlowEvent, batches map[*Recording]*endpoint.Batch) {
	known, ok := r.earlierConnections[connectionKey{e.Connection(), e.Addr, e.Port}]
	if e.Opened != 0 {
		known, ok = r.serverNamesOf(e.Key, e.Said), true
	}
	if e.Stack == nil && known.opener.PID != 0 && known.opener.PID == e.Process.PID { // else it is of who sends
		e.Process = known.opener
	}
	names := known.names
	if len(names) == 0 {
		names = []string{""}
	}
	asked := *e                                             // the recording of the event is a part of the kernel's key
	if asked.Recording == 0 && known.opener.PID != r.self { // of this process's the kernel tells who sends
		asked.Recording = known.recording
	}
	to, stray := r.recipients(&asked)
	for _, m := range to {
		for _, name := range names {
			identity := r.identify(m, e, name, batches)
			if identity.Endpoint.Evidence == flow.ByDNS {
				identity.Endpoint.Evidence = known.evidence
			}
			m.record(e, name, identity, stray)
			key := observationKey{e.Key, identity.Endpoint.Name}
			s := m.observations[key]
			s.isUnnamed = !ok
			m.observations[key] = s
		}
	}
}

// openedBefore reports whether a flow is a connection from before this recording, rather than from before another one that
// began later.
func (m *Recording) openedBefore(e *probe.FlowEvent) bool {
	return e.Connection() != 0 && e.Opened < m.generation
}

// countOfConnection is countOf for a connection from before the generation. One that was opened during the recording was
// counted then.
func countOfConnection(s observation, flows map[probe.Key]uint64) uint64 {
	if !s.flow.Before {
		return 0
	}
	return flows[s.event.Key]
}

// unnamedConnection says what to do about a connection to another machine of which nothing but the address is known,
// because its name was looked up before anybody listened. Its address may be another one tomorrow.
func (r *resolution) unnamedConnection(f attributedFlow) []string {
	to := f.flow.Destination
	if f.identity.Relation != endpoint.Other || to.Kind != flow.Address || to.Addr == flow.MetadataService || r.options.Ignored.Has(f.flow) {
		return nil
	}
	return []string{fmt.Sprintf("%s was opened outside this recording and used in it, and which name was looked up for it is not known: "+
		"let the recording begin before the connection is opened (RecordPackage in TestMain records all that the package does; "+
		"Record, before the client is made, what one test does), or say what it is: Peer(%q, %q)",
		f.flow.Target(), netip.AddrPortFrom(to.Addr, f.flow.Port), "name"+endpoint.ExamplePort)}
}

// adoptConnections makes up for what a container opened before it was watched.
func adoptConnections(session *session.Session, container, dir string, cgroup uint64) error {
	if err := session.TrackConnections(dir, cgroup); err != nil {
		return fmt.Errorf("connections that container %s opened before it was recorded cannot be told: %w: start it after Record, or run the tests as root",
			container[:min(len(container), 12)], err)
	}
	return nil
}

// announceSharedConnections says on the terminal that tests that run in parallel share connections, where it is not known which of
// them has sent.
func (r *resolution) announceSharedConnections(all []attributedFlow) {
	if len(r.overlapping) == 0 {
		return
	}
	for _, f := range all {
		if f.flow.Before && f.unattributed.initiator != "" && f.identity.Relation == endpoint.Other {
			r.options.Announce("tests that run in parallel share connections that were opened before them, and the policy of each has what any of them sends: " +
				"RecordPackage in TestMain records them as a whole")
			return
		}
	}
}
