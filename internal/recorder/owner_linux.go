package recorder

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/netzero-dev/netzero/internal/docker"
	"github.com/netzero-dev/netzero/internal/recorder/containers"
	"github.com/netzero-dev/netzero/internal/recording"
	"github.com/netzero-dev/netzero/netzerotest/flow"
	"github.com/testcontainers/testcontainers-go"
)

// findOwned finds the containers of this recording: those attached to it, and unattached ones that its processes
// started, that exchanged traffic with it, or that share a compose project or network with one of its containers.
func (s *resolution) findOwned() {
	if s.engine != nil {
		s.owned = s.ownership().Owned()
	}
}

// ownership returns what decides which containers belong to this recording.
func (s *resolution) ownership() *containers.Ownership {
	attached := make(map[string]bool)
	for id, a := range s.attachments {
		attached[id] = a.own
	}
	var exchanges []containers.Exchange
	for _, f := range s.flows {
		if f.missing || f.to == nil || f.identity.Peer.Exact() {
			continue
		}
		x := containers.Exchange{To: f.to.ID}
		if f.from != nil {
			x.From = f.from.ID
		}
		exchanges = append(exchanges, x)
	}
	return &containers.Ownership{
		Engine: s.engine, Label: s.id, Started: s.started, Attached: attached, Exchanges: exchanges,
		Starts: s.startEvents, Clients: s.runs.Clients, Unrelated: s.runs.Unrelated,
		Self: s.self, Session: testcontainers.SessionID(), Includes: s.includes,
		OnlyRecording: s.onlyRecording, Created: createdHere,
	}
}

// workloads returns the workloads that get a policy: the test process, unless it is a driver, and this recording's
// containers.
func (s *resolution) workloads() []recording.Workload {
	var workloads []recording.Workload
	if !s.options.Driver {
		workloads = append(workloads, recording.Workload{
			Name: s.options.Workload, Namespace: s.options.Namespace, Labels: s.options.Labels,
		})
	}
	seen := make(map[flow.Endpoint]bool)
	for id := range s.owned {
		c, known := s.engine.Container(id)
		if !known || docker.Infrastructure(c) != "" || c.Started == 0 || s.isPeer(c) {
			continue
		}
		if host := s.hostOf(c); host != "" {
			s.notices = append(s.notices, recording.Noticef(recording.CodeContainerAsHost,
				"container %s stands for the host %s, after its alias: no policy is written for it; to make it a "+
					"workload, use As", c.Name, host))
			continue
		}
		if e := s.endpointOf(s.engine, c); !seen[e] {
			seen[e] = true
			workloads = append(workloads, recording.Workload{Name: e.Name, Namespace: e.Namespace, AllTraffic: true})
		}
	}
	slices.SortFunc(workloads, func(a, b recording.Workload) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.Namespace, b.Namespace))
	})
	return workloads
}

// nameConflicts returns an error text for each container with the name of the test process: they cannot share a policy.
func (s *resolution) nameConflicts() []string {
	if s.options.Driver {
		return nil
	}
	var texts []string
	for id := range s.owned {
		c, _ := s.engine.Container(id)
		e := s.endpointOf(s.engine, c)
		if c.Started != 0 && docker.Infrastructure(c) == "" && e.Name == s.source.Name && e.Namespace == s.source.Namespace {
			texts = append(texts, fmt.Sprintf("the test process and container %s have the same name, %s: rename one "+
				"with Workload or As, or use Driver if the test process is no workload",
				c.Name, e.Name))
		}
	}
	return texts
}

// silentContainers returns an error text for containers of this recording that sent no events, so that flows may be
// missing.
func (s *resolution) silentContainers() []string {
	silent := make(map[string]bool) // containers without events
	for id := range s.owned {
		silent[id] = true
	}
	unknown := 0
	for id, c := range s.cgroups {
		for _, container := range c.ids {
			delete(silent, container)
		}
		if c.path == "" && slices.ContainsFunc(s.flows, func(f resolvedFlow) bool { return f.event.Cgroup == id }) {
			unknown++
		}
	}
	var texts []string
	for id := range silent {
		c, _ := s.engine.Container(id)
		switch {
		case s.engine.Engine().CgroupDriver == "none":
			texts = append(texts,
				fmt.Sprintf("container %s is not recorded: its engine, %s, gives containers no cgroup of their own: "+
					"run it with a systemd user session (rootless), or as root", c.Name, s.engine.Kind()))
		case s.attachments[id].remote:
			texts = append(texts,
				fmt.Sprintf("container %s is not recorded: it does not run on this machine's kernel, "+
					"but in a virtual machine or on another host (%s): "+
					"use an engine of this machine", c.Name, s.engine.Engine().Host))
		}
	}
	if unknown > 0 && len(silent) > 0 {
		texts = append(texts, fmt.Sprintf("the recording is incomplete: %d cgroups were removed before they could be "+
			"identified, and %d containers of this test sent no events: a kernel with BTF identifies them in "+
			"time", unknown, len(silent)))
	}
	return texts
}
