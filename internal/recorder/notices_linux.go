package recorder

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/testcontainers/testcontainers-go"

	"github.com/netzero-dev/netzero/internal/docker"
	"github.com/netzero-dev/netzero/internal/endpoint"
	"github.com/netzero-dev/netzero/internal/probe"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// listenPoint is an address at which a process may listen.
type listenPoint struct {
	addr     netip.Addr
	port     uint16
	protocol flow.Protocol
}

func listenPointOf(k probe.Key) listenPoint { return listenPoint{k.Addr, k.Port, k.Protocol} }

// unservedAttempts returns a line for each attempt to connect to this machine where no process listened, not even
// later, unless the user ignores it. The intended destination is unknown.
func unservedAttempts(options Options, ephemeral func(port uint16) bool, all []attributedFlow) []string {
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
	var lines []string
	for _, f := range options.Ignored.Without(unserved.Sorted()) {
		address, name := f.Destination.Addr.String(), "name"
		if f.Port != 0 {
			address = netip.AddrPortFrom(f.Destination.Addr, f.Port).String()
			if ephemeral(f.Port) {
				name += endpoint.ExamplePort
			}
		}
		line := fmt.Sprintf("%s is this machine, where nobody listened: no rule can be written. Peer(%q, %q) says what it stands for, Ignore(%q) leaves it out",
			f.Target(), address, name, address)
		if !slices.Contains(lines, line) { // the same from another source
			lines = append(lines, line)
		}
	}
	return lines
}

// infrastructureNotices lists the flows of the test's infrastructure.
func (r *resolution) infrastructureNotices() []string {
	var notices []string
	for _, what := range slices.Sorted(maps.Keys(r.infrastructure)) {
		set := r.infrastructure[what]
		var targets []string
		for _, f := range set.Sorted() {
			if target := f.Target(); !slices.Contains(targets, target) {
				targets = append(targets, target)
			}
		}
		notices = append(notices, fmt.Sprintf("infrastructure, not in the policy: %s: %s", what, strings.Join(targets, ", ")))
	}
	return notices
}

// containerNotices reports containers that have more or fewer flows than a reader may expect.
func (r *resolution) containerNotices() []string {
	if r.engine == nil {
		return nil
	}
	var notices []string
	images := make(map[string][]string) // by name of the workload
	for _, c := range r.engine.Containers() {
		attached, isAttached := r.attachments[c.ID]
		switch {
		case r.owned[c.ID] && (attached.older || !isAttached && c.Started < r.started):
			notices = append(notices, fmt.Sprintf("%s ran before the recording: what it did until then is not in its policy", r.endpointOf(r.engine, c).Name))
		case r.owned[c.ID] && c.Missed != "":
			notices = append(notices, fmt.Sprintf("container %s: %s", c.Name, c.Missed))
		}
		// A container of an image build may never start.
		if r.owned[c.ID] && docker.Infrastructure(c) == "" && c.Started != 0 {
			name := r.endpointOf(r.engine, c).String()
			if !slices.Contains(images[name], c.Image) && networkOwner(r.engine, c).ID == c.ID {
				images[name] = append(images[name], c.Image)
			}
		}
		if network := r.sharedNetworkOfOlder(c); network != "" {
			notices = append(notices, fmt.Sprintf("container %s ran before the recording, in network %s of containers of this test: what it opens to them is not seen", c.Name, network))
		}
		if r.mayBelong(c) {
			notices = append(notices, fmt.Sprintf("container %s (%s) was started meanwhile and has nothing to do with what is this test's: "+
				"if it is this test's too, pass the recording to it; it is in no policy", c.Name, c.Image))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(images)) {
		if len(images[name]) > 1 {
			notices = append(notices, fmt.Sprintf("containers of several images are called %s (%s), and share a policy: As names them apart",
				name, strings.Join(images[name], ", ")))
		}
	}
	slices.Sort(notices)
	return notices
}

// mayBelong reports whether a container may be this test's although nothing relates it to the test: testcontainers
// created it during the recording, in a session that packages share if they are tested at the same time.
func (r *resolution) mayBelong(c docker.Container) bool {
	return !r.owned[c.ID] && !r.isAttached(c.ID) && c.Labels[docker.LabelRecording] == "" && c.Labels[labelTestcontainers] == "true" &&
		c.Started >= r.started && docker.Infrastructure(c) == "" && (c.Session == "" || c.Session == testcontainers.SessionID())
}

// sharedNetworkOfOlder returns the network that an older container without a recording shares with a container of this
// recording, or "". It ignores Docker's default network, which all containers share.
func (r *resolution) sharedNetworkOfOlder(c docker.Container) string {
	if r.isAttached(c.ID) || r.owned[c.ID] || c.Started == 0 || c.Started >= r.started || docker.Infrastructure(c) != "" {
		return ""
	}
	if c.Ended > c.Started && c.Ended < r.started {
		return ""
	}
	if recorded, _ := r.olderContainers.isRecorded(c.ID); recorded {
		return "" // it is recorded
	}
	return r.sharedNetwork(c)
}
