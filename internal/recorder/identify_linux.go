package recorder

import (
	"fmt"
	"slices"

	"github.com/netzero-dev/netzero/internal/endpoint"
	"github.com/netzero-dev/netzero/internal/probe"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// machineReadings are what the recordings have read of this machine: its sockets, interfaces and processes. Each
// recording reads them once for all events that are handled together.
type machineReadings map[*Recording]*endpoint.Batch

// of returns the reading of a recording.
func (m machineReadings) of(rec *Recording) *endpoint.Batch {
	if m[rec] == nil {
		m[rec] = rec.identifier.Batch()
	}
	return m[rec]
}

// identify identifies the destination of a flow for a recording, assuming the client connected to name. A port that a
// container publishes has the engine's proxy as listener, or none: the resolution replaces it by the container.
func (r *Recorder) identify(
	rec *Recording, e *probe.FlowEvent, name string, machine machineReadings,
) endpoint.Identity {
	contained := e.Cgroup != r.session.Leaf.ID
	b := machine.of(rec)
	identity := b.Identify(endpoint.Query{
		PID: e.Process.PID, Protocol: e.Protocol, Addr: e.Addr, Port: e.Port, Name: name, Bound: r.listeners.at(e.Key),
		Container: contained, OwnNetwork: contained && e.Netns != r.session.Self.Netns,
		OtherNetwork:      !contained && e.Netns != 0 && e.Netns != r.session.Self.Netns,
		MaybeOtherNetwork: !contained && e.Netns == 0,
	})
	if err := b.Err(); err != nil && r.failure == nil {
		r.fail(fmt.Errorf("inspect this machine: %w", err))
	}
	return identity
}

// observe returns an observation of a flow.
func (rec *Recording) observe(
	e *probe.FlowEvent, name string, identity endpoint.Identity, why unattributed,
) observation {
	o := observation{
		event: e,
		name:  name,
		flow: flow.Flow{
			Source: rec.source, Destination: identity.Endpoint, Protocol: e.Protocol, Port: identity.Port, ICMPType: e.ICMPType,
			First: max(e.Time-rec.started, 0), Process: e.Process, Before: rec.openedBefore(e),
		},
		identity:           identity,
		unattributed:       why,
		listenerContainers: rec.recorder.containersOf(identity),
	}
	if rec.isPackage {
		o.flow.Process.Test = rec.recorder.attribution.testOf(e)
	}
	return o
}

// record keeps an observation of a flow, and returns it. If the kernel has forgotten the flow meanwhile, it is still
// the same observation.
func (rec *Recording) record(
	e *probe.FlowEvent, name string, identity endpoint.Identity, why unattributed,
) *observation {
	o := rec.observe(e, name, identity, why)
	if earlier, known := rec.observations[e.Key][identity.Endpoint.Name]; known {
		o.flow.Count, o.flow.First = earlier.flow.Count, earlier.flow.First
		o.sentNames, o.lookedUpNames = earlier.sentNames, earlier.lookedUpNames
	}
	if !slices.Contains(o.lookedUpNames, name) {
		o.lookedUpNames = append(slices.Clip(o.lookedUpNames), name)
	}
	rec.observations.put(identity.Endpoint.Name, &o)
	return &o
}

// observations are those of a recording: of each flow, by the name of its destination. A flow has few of them, however
// many flows there are.
type observations map[probe.Key]map[string]*observation

func (all observations) put(name string, o *observation) {
	if all[o.event.Key] == nil {
		all[o.event.Key] = make(map[string]*observation)
	}
	all[o.event.Key][name] = o
}

// each yields all observations.
func (all observations) each(yield func(*observation) bool) {
	for _, named := range all {
		for _, o := range named {
			if !yield(o) {
				return
			}
		}
	}
}
