package recorder

import (
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/testcontainers/testcontainers-go"

	"github.com/netzero-dev/netzero/internal/docker"
	"github.com/netzero-dev/netzero/internal/endpoint"
	"github.com/netzero-dev/netzero/internal/probe"
	"github.com/netzero-dev/netzero/internal/recorder/containers"
	"github.com/netzero-dev/netzero/internal/recording"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// listenPoint is an address at which a process may listen.
type listenPoint struct {
	addr     netip.Addr
	port     uint16
	protocol flow.Protocol
}

func listenPointOf(k probe.Key) listenPoint { return listenPoint{k.Addr, k.Port, k.Protocol} }

// unservedAttempts returns a notice for each attempt to connect to this machine where no process listened, not even
// later, unless the user ignores it. The intended destination is unknown.
func unservedAttempts(options Options, ephemeral func(port uint16) bool, all []resolvedFlow) []recording.Notice {
	served := make(map[listenPoint]bool) // a process listened there at some time
	for _, f := range all {
		if f.identity.Relation != endpoint.NoListener {
			served[listenPointOf(f.event.Key)] = true
		}
	}
	var unserved flow.Set
	for _, f := range all {
		if f.identity.Relation == endpoint.NoListener && !served[listenPointOf(f.event.Key)] {
			unserved.Add(f.flow)
		}
	}
	var notices []recording.Notice
	for _, f := range options.Ignored.Without(unserved.Sorted()) {
		address, name := f.Destination.Addr.String(), "name"
		if f.Port != 0 {
			address = netip.AddrPortFrom(f.Destination.Addr, f.Port).String()
			if ephemeral(f.Port) {
				name += endpoint.ExamplePort
			}
		}
		notice := recording.Noticef(recording.CodeNoListener,
			"%s is this machine, where no process listened: no rule can be written. Peer(%q, %q) names what it stands "+
				"for, Ignore(%q) leaves it out",
			f.Target(), address, name, address)
		if !slices.Contains(notices, notice) { // the same from another source
			notices = append(notices, notice)
		}
	}
	return notices
}

// hiddenNotices returns a notice for each flow to a process of this machine that this process may not inspect, and that
// neither the engine nor a Peer names: the policy has its address.
func hiddenNotices(options Options, all []resolvedFlow) []recording.Notice {
	var hidden flow.Set
	for _, f := range all {
		if f.to == nil && f.identity.Hidden && f.identity.Relation == endpoint.Other &&
			f.flow.Destination.Kind == flow.Address {
			hidden.Add(f.flow)
		}
	}
	var notices []recording.Notice
	for _, f := range options.Ignored.Without(hidden.Sorted()) {
		address := netip.AddrPortFrom(f.Destination.Addr, f.Port).String()
		notice := recording.Noticef(recording.CodeHiddenListener,
			"%s is this machine, and the process that listens there may not be inspected, so a policy has the address: "+
				"Peer(%q, %q) names what it stands for; with CAP_SYS_PTRACE, or as root, the process is found; if a "+
				"container publishes the port, the test needs access to the container's engine",
			f.Target(), address, "name"+endpoint.ExamplePort)
		if !slices.Contains(notices, notice) { // the same from another source
			notices = append(notices, notice)
		}
	}
	return notices
}

// infrastructureNotices lists the flows of the test's infrastructure.
func (s *resolution) infrastructureNotices() []recording.Notice {
	var notices []recording.Notice
	for _, what := range slices.Sorted(maps.Keys(s.infrastructure)) {
		set := s.infrastructure[what]
		var targets []string
		for _, f := range set.Sorted() {
			if target := f.Target(); !slices.Contains(targets, target) {
				targets = append(targets, target)
			}
		}
		notices = append(notices, recording.Noticef(recording.CodeInfrastructure,
			"infrastructure, not in the policy: %s: %s", what, strings.Join(targets, ", ")))
	}
	return notices
}

// containerNotices reports containers that have more or fewer flows than a reader may expect.
func (s *resolution) containerNotices() []recording.Notice {
	if s.engine == nil {
		return nil
	}
	var notices []recording.Notice
	images := make(map[string][]string) // by name of the workload
	for _, c := range s.engine.Containers() {
		attached, isAttached := s.attachments[c.ID]
		switch {
		case s.owned[c.ID] && (attached.older || !isAttached && c.Started < s.started):
			notices = append(notices, recording.Noticef(recording.CodeOlderContainer,
				"%s ran before the recording: its earlier flows are not in its policy", s.endpointOf(s.engine, c).Name))
		case s.owned[c.ID] && c.Missed != "":
			notices = append(notices, recording.Noticef(recording.CodeContainerDetails,
				"container %s: %s", c.Name, c.Missed))
		}
		// A container of an image build may never start.
		if s.owned[c.ID] && docker.Infrastructure(c) == "" && c.Started != 0 {
			name := s.endpointOf(s.engine, c).String()
			if !slices.Contains(images[name], c.Image) && containers.NetworkOwner(s.engine, c).ID == c.ID {
				images[name] = append(images[name], c.Image)
			}
		}
		if network := s.sharedNetworkOfOlder(c); network != "" {
			notices = append(notices, recording.Noticef(recording.CodeOlderNeighbor,
				"container %s ran before the recording, in network %s of this test's containers: the flows that it "+
					"opens to them are not recorded", c.Name, network))
		}
		if s.mayBelong(c) {
			notices = append(notices, recording.Noticef(recording.CodeUnrelatedContainer,
				"container %s (%s) was started during the recording, and nothing relates it to this test, so it is in "+
					"no policy: if it belongs to this test, pass the recording to it", c.Name, c.Image))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(images)) {
		if len(images[name]) > 1 {
			notices = append(notices, recording.Noticef(recording.CodeSharedName,
				"containers of different images have the name %s (%s), and share a policy: use As to give them "+
					"different names",
				name, strings.Join(images[name], ", ")))
		}
	}
	slices.SortFunc(notices, recording.Notice.Compare)
	return notices
}

// mayBelong reports whether a container may be this test's although nothing relates it to the test: testcontainers
// created it during the recording, in a session that packages share if they are tested at the same time.
func (s *resolution) mayBelong(c docker.Container) bool {
	return !s.owned[c.ID] && !s.isAttached(c.ID) && c.Labels[docker.LabelRecording] == "" &&
		c.Labels[containers.LabelTestcontainers] == "true" && c.Started >= s.started && docker.Infrastructure(c) == "" &&
		(c.Session == "" || c.Session == testcontainers.SessionID())
}

// sharedNetworkOfOlder returns the network that an older container without a recording shares with a container of this
// recording, or "". It ignores Docker's default network, which all containers share.
func (s *resolution) sharedNetworkOfOlder(c docker.Container) string {
	if s.isAttached(c.ID) || s.owned[c.ID] || c.Started == 0 || c.Started >= s.started || docker.Infrastructure(c) != "" {
		return ""
	}
	if c.Ended != 0 && c.Ended < s.started || s.isRecordedOlder(c.ID) {
		return ""
	}
	return containers.SharedNetwork(s.engine, s.owned, c)
}
