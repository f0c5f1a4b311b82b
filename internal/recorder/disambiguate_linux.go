package recorder

import (
	"maps"
	"slices"

	"github.com/netzero-dev/netzero/internal/probe"
	"github.com/netzero-dev/netzero/internal/recorder/clientname"
)

// counterOf returns the kernel's counts of what the clients of one flow sent.
func counterOf(k probe.Key, names map[probe.ServerNameKey]uint64) clientname.Counter {
	return func(p clientname.Payload) uint64 {
		return names[probe.ServerNameKey{Key: k, Hash: p.Hash, DNSMatch: p.Queried}]
	}
}

// countedObservations returns the observations of a recording, with those of the infrastructure, and with the number of
// their connections. The caller holds Recorder.mu.
func (rec *Recording) countedObservations(
	flows map[probe.Key]uint64, names map[probe.ServerNameKey]uint64,
) []observation {
	named := rec.namedFlows()
	var all []observation
	for kept := range rec.observations.each {
		o := *kept
		if count, belongs := rec.countOf(o, named, flows, names); belongs {
			o.flow.Count += count
			all = append(all, o)
		}
	}
	return slices.AppendSeq(all, maps.Values(rec.infrastructure))
}

// countOf returns how many connections an observation stands for. It returns false if every connection belongs to a
// named observation. A connection without payload counts for the named observations too, even if another recording made
// the kernel report it separately.
func (rec *Recording) countOf(
	o observation, named map[probe.Key]bool, flows map[probe.Key]uint64, names map[probe.ServerNameKey]uint64,
) (count uint64, belongs bool) {
	key := o.event.Key
	if key.Connection() != 0 {
		return countOfConnection(o, flows), true
	}
	hints := rec.recorder.correlation.hints[key]
	if hints == nil {
		hints = &flowHints{}
	}
	if len(o.sentNames) > 0 && !hints.IsCandidate(o.name) {
		return hints.Count(counterOf(key, names), func(name string) bool { return slices.Contains(o.sentNames, name) }), true
	}
	if o.isOnlyAddress() && len(hints.Names) == 0 {
		return flows[key], hints.Nameless || !named[initiatorAndPeer(key)]
	}
	return hints.CountForName(clientname.Observed{
		Names: o.lookedUpNames, Evidence: o.flow.Destination.Evidence, OnlyAddr: o.isOnlyAddress(),
		Ambiguous: key.Since != 0, NoQuestion: key.Question() == 0 && key.Since == 0,
		Connections: flows[key], Earlier: o.flow.Count,
		NamedElsewhere: func() bool { return rec.recorder.correlation.isNamedByClient(key, o.lookedUpNames) },
	}, counterOf(key, names))
}

// namedFlows returns to which peers this recording has flows under names that clients sent.
func (rec *Recording) namedFlows() map[probe.Key]bool {
	named := make(map[probe.Key]bool)
	for o := range rec.observations.each {
		if len(o.sentNames) > 0 {
			named[initiatorAndPeer(o.event.Key)] = true
		}
	}
	return named
}

// initiatorAndPeer returns the part of a key that says who connects to whom, without what distinguishes one moment from
// another.
func initiatorAndPeer(k probe.Key) probe.Key {
	return probe.Key{Cgroup: k.Cgroup, Netns: k.Netns, Addr: k.Addr, Port: k.Port, Protocol: k.Protocol}
}
