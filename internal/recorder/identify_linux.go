package recorder

import (
	"fmt"
	"slices"

	"github.com/netzero-dev/netzero/internal/endpoint"
	"github.com/netzero-dev/netzero/internal/probe"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// identify returns what the destination of a flow is to a recording, if the client meant name.
func (r *Recorder) identify(m *Recording, e *probe.FlowEvent, name string, batches map[*Recording]*endpoint.Batch) endpoint.Identity {
	if batches[m] == nil {
		batches[m] = m.identifier.Batch()
	}
	contained := e.Cgroup != r.session.Leaf.ID
	b := batches[m]
	identity := b.Identify(endpoint.Query{
		PID: e.Process.PID, Protocol: e.Protocol, Addr: e.Addr, Port: e.Port, Name: name, Bound: r.listeners.at(e.Key),
		Container: contained, OwnNetwork: contained && e.Netns != r.session.Self.Netns,
		OtherNetwork: !contained && e.Netns != 0 && e.Netns != r.session.Self.Netns, MaybeOtherNetwork: !contained && e.Netns == 0,
	})
	if err := b.Err(); err != nil && r.failure == nil {
		r.fail(fmt.Errorf("look at this machine: %w", err))
	}
	return identity
}

// observe returns an observation of a flow.
func (m *Recording) observe(e *probe.FlowEvent, name string, identity endpoint.Identity, why unattributed) observation {
	o := observation{
		event: e,
		name:  name,
		flow: flow.Flow{
			Source: m.source, Destination: identity.Endpoint, Protocol: e.Protocol, Port: identity.Port, ICMPType: e.ICMPType,
			First: max(e.Time-m.started, 0), Process: e.Process, Before: m.openedBefore(e),
		},
		identity:           identity,
		unattributed:       why,
		listenerContainers: m.recorder.containersOf(identity.Listener.PID),
	}
	if m.isPackage {
		o.flow.Process.Test = m.recorder.testOf(e)
	}
	return o
}

// record keeps an observation of a flow. If the kernel has forgotten the flow meanwhile, it is still the same
// observation.
func (m *Recording) record(e *probe.FlowEvent, name string, identity endpoint.Identity, why unattributed) {
	o := m.observe(e, name, identity, why)
	key := observationKey{e.Key, identity.Endpoint.Name}
	if earlier, known := m.observations[key]; known {
		o.flow.Count, o.flow.First, o.sentNames, o.lookedUpNames = earlier.flow.Count, earlier.flow.First, earlier.sentNames, earlier.lookedUpNames
	}
	if !slices.Contains(o.lookedUpNames, name) {
		o.lookedUpNames = append(slices.Clip(o.lookedUpNames), name)
	}
	m.observations[key] = o
}
