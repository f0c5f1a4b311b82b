package recorder

import (
	"fmt"
	"net/netip"

	"github.com/netzero-dev/netzero/internal/endpoint"
	"github.com/netzero-dev/netzero/internal/goroutine"
	"github.com/netzero-dev/netzero/internal/probe"
	"github.com/netzero-dev/netzero/internal/session"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// A TCP connection that was opened before a recording becomes one of its flows when it sends something. Its peer is
// identified then, like that of any flow. But the name for its address was looked up earlier: during this recorder,
// during an earlier one of this process, or while nothing was recorded.

// connections are open TCP connections by their socket cookie, which the kernel does not reuse while the machine runs.
// Before Linux 5.12 cookies are unique in one network namespace only, so the address is part of the key.
type connections map[connectionKey]connection

type connectionKey struct {
	id   uint64
	addr netip.Addr
	port uint16
}

// connection is what is known about an open connection.
type connection struct {
	names     []string // candidates for the server; none if the client dialled the address
	evidence  flow.Evidence
	initiator flow.Process
	recording goroutine.ID
}

// maxConnections bounds how many connections a recorder leaves to the next one.
const maxConnections = 65536

// openConnections returns the connections that are open now, for later recorders. It leaves out connections without any
// information: the next recording reports them if they go to another machine.
func (r *Recorder) openConnections() connections {
	var cgroups []string
	r.mu.Lock()
	defer r.mu.Unlock()
	for id, c := range r.containers.cgroups {
		if dir, err := r.session.Tree.Path(id); err == nil && len(c.ids) > 0 {
			cgroups = append(cgroups, dir)
		}
	}
	open, _ := r.session.Connections(cgroups...)
	next := make(connections)
	for _, o := range open {
		key := connectionKey{o.ID, o.Addr, o.Port}
		known, ok := r.earlierConnections[key]
		if o.Generation != 0 {
			known, ok = connection{recording: o.Recording}, true
			known.names, known.evidence = r.correlation.serverNamesOf(o.Key, o.Hint)
			if hints := r.correlation.hints[o.Key]; hints != nil && hints.event != nil {
				known.initiator = hints.event.Process
			}
		}
		if ok && len(next) < maxConnections {
			next[key] = known
		}
	}
	return next
}

// handleConnection adds the flow of a connection from before the generation to its recordings, under each candidate
// name.
func (r *Recorder) handleConnection(e *probe.FlowEvent, machine machineReadings) {
	known, ok := r.earlierConnections[connectionKey{e.Connection(), e.Addr, e.Port}]
	if e.Opened != 0 {
		known, ok = connection{}, true
		known.names, known.evidence = r.correlation.serverNamesOf(e.Key, e.Hint)
	}
	if e.Stack == nil && known.initiator.PID != 0 && known.initiator.PID == e.Process.PID { // else the sender decides
		e.Process = known.initiator
	}
	names := known.names
	if len(names) == 0 {
		names = []string{""}
	}
	sender := *e // a copy, because the event's recording is part of the kernel's key
	// For this process the kernel reports the sender.
	if sender.Recording == 0 && known.initiator.PID != r.attribution.self {
		sender.Recording = known.recording
	}
	recordings, why := r.recipients(&sender)
	for _, rec := range recordings {
		for _, name := range names {
			identity := r.identify(rec, e, name, machine)
			if identity.Endpoint.Evidence == flow.ByDNS {
				identity.Endpoint.Evidence = known.evidence
			}
			rec.record(e, name, identity, why).isUnnamed = !ok
		}
	}
}

// openedBefore reports whether a flow is a connection from before this recording. It may only be from before another
// one that started later.
func (rec *Recording) openedBefore(e *probe.FlowEvent) bool {
	return e.Connection() != 0 && e.Opened < rec.generation
}

// countOfConnection is countOf for a connection from before the generation. A connection that was opened during the
// recording has been counted already.
func countOfConnection(o observation, flows map[probe.Key]uint64) uint64 {
	if !o.flow.Before {
		return 0
	}
	return flows[o.event.Key]
}

// unnamedConnection returns an error text for a connection to another machine with an unknown name, because the name
// was looked up before anything was recorded. The address alone may change with the next run.
func (s *resolution) unnamedConnection(f resolvedFlow) []string {
	to := f.flow.Destination
	if f.identity.Relation != endpoint.Other || to.Kind != flow.Address || to.Addr == flow.MetadataService ||
		s.options.Ignored.Has(f.flow) {
		return nil
	}
	return []string{fmt.Sprintf("%s was opened outside this recording and used in it, and the name that was looked up "+
		"for it is not known: start the recording before the connection is opened (RecordPackage in TestMain records "+
		"everything that the package does; Record, before the client is made, records one test), or name it: Peer(%q, "+
		"%q)",
		f.flow.Target(), netip.AddrPortFrom(to.Addr, f.flow.Port), "name"+endpoint.ExamplePort)}
}

// trackConnections records the connections that a container opened before it was watched.
func trackConnections(session *session.Session, container, dir string, cgroup uint64) error {
	if err := session.TrackConnections(dir, cgroup); err != nil {
		return fmt.Errorf("connections that container %s opened before it was recorded are not known: %w: start it "+
			"after Record, or run the tests as root",
			container[:min(len(container), 12)], err)
	}
	return nil
}

// announceSharedConnections reports on the terminal that parallel tests share connections, if it is not known which
// test used them.
func (s *resolution) announceSharedConnections(all []resolvedFlow) {
	if len(s.overlapping) == 0 {
		return
	}
	for _, f := range all {
		if f.flow.Before && f.unattributed.initiator != "" && f.identity.Relation == endpoint.Other {
			s.options.Announce("tests that run in parallel share connections that were opened before them, " +
				"and the policy of each has what any of them sends: " +
				"RecordPackage in TestMain records them as a whole")
			return
		}
	}
}
