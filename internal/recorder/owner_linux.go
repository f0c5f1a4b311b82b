package recorder

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/netzero-dev/netzero/internal/docker"
	"github.com/netzero-dev/netzero/internal/recording"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// findOwned finds the containers of this recording: those that were attached to it, and of those without a recording
// each that its processes started, that exchanged traffic with it, or that belongs together with its containers.
func (r *resolution) findOwned() {
	if r.engine == nil {
		return
	}
	free := make(map[string]docker.Container)
	for _, c := range r.engine.Containers() {
		attached, isAttached := r.attachments[c.ID]
		switch label := c.Labels[docker.LabelRecording]; {
		case isAttached:
			if attached.own {
				r.owned[c.ID] = true
			}
		case label == r.id:
			r.owned[c.ID] = true
		case label == "" && (c.Started >= r.started || r.ranCommand(c.ID)) && docker.Infrastructure(c) == "":
			free[c.ID] = c
		}
	}
	perhaps := make(map[string]bool)
	for id, c := range free {
		certain, may := r.startedBy(c)
		if perhaps[id] = may; certain {
			r.owned[id] = true
			delete(free, id)
		}
	}
	for again := true; again; {
		again = false
		for id, c := range free {
			if (c.Started >= r.started || perhaps[id]) && r.isRelated(c) {
				r.owned[id], again = true, true
				delete(free, id)
			}
		}
	}
}

// isRelated reports whether anything relates a container to this recording.
func (r *resolution) isRelated(c docker.Container) bool {
	for _, f := range r.observations {
		if f.missing || f.to == nil || f.identity.Peer.Exact() {
			continue
		}
		ours := f.from == nil || r.owned[f.from.ID] // the test process, or one of its containers
		if ours && f.to.ID == c.ID || r.owned[f.to.ID] && f.from != nil && f.from.ID == c.ID {
			return true
		}
	}
	for _, other := range r.engine.Containers() {
		if !r.owned[other.ID] {
			continue
		}
		if project := c.Labels[labelProject]; project != "" && other.Labels[labelProject] == project {
			return true
		}
		if networkOwner(r.engine, c).ID == networkOwner(r.engine, other).ID {
			return true
		}
	}
	return false
}

// Labels of other tools.
const (
	labelProject        = "com.docker.compose.project" // the compose project of the container
	labelTestcontainers = "org.testcontainers"         // "true": testcontainers created it
)

// workloads returns the workloads that get a policy: the test process, unless it is a driver, and this recording's
// containers.
func (r *resolution) workloads() []recording.Workload {
	var workloads []recording.Workload
	if !r.options.Driver {
		workloads = append(workloads, recording.Workload{Name: r.options.Workload, Namespace: r.options.Namespace, Labels: r.options.Labels})
	}
	seen := make(map[flow.Endpoint]bool)
	for id := range r.owned {
		c, known := r.engine.Container(id)
		if !known || docker.Infrastructure(c) != "" || c.Started == 0 || r.isPeer(c) {
			continue
		}
		if host := r.hostOf(c); host != "" {
			r.notices = append(r.notices, fmt.Sprintf("container %s stands for the host %s, which its alias names: no policy is written for it; "+
				"As names a workload", c.Name, host))
			continue
		}
		if e := r.endpointOf(r.engine, c); !seen[e] {
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
func (r *resolution) nameConflicts() []string {
	if r.options.Driver {
		return nil
	}
	var texts []string
	for id := range r.owned {
		c, _ := r.engine.Container(id)
		if e := r.endpointOf(r.engine, c); c.Started != 0 && docker.Infrastructure(c) == "" && e.Name == r.source.Name && e.Namespace == r.source.Namespace {
			texts = append(texts, fmt.Sprintf("the test process and container %s are both called %s: with Driver the test process is no workload; Workload and As give other names",
				c.Name, e.Name))
		}
	}
	return texts
}

// silentContainers returns an error text for containers of this recording that sent no events, so that flows may be
// missing.
func (r *resolution) silentContainers() []string {
	silent := make(map[string]bool) // containers without events
	for id := range r.owned {
		silent[id] = true
	}
	unknown := 0
	for id, c := range r.cgroups {
		for _, container := range c.ids {
			delete(silent, container)
		}
		if c.path == "" && slices.ContainsFunc(r.observations, func(f attributedFlow) bool { return f.event.Cgroup == id }) {
			unknown++
		}
	}
	var texts []string
	for id := range silent {
		c, _ := r.engine.Container(id)
		switch {
		case r.engine.Engine().CgroupDriver == "none":
			texts = append(texts, fmt.Sprintf("container %s is not recorded: its engine, %s, gives containers no cgroup of their own: "+
				"run it with a systemd user session (rootless), or as root", c.Name, r.engine.Kind()))
		case r.attachments[id].remote:
			texts = append(texts, fmt.Sprintf("container %s is not recorded: it does not run on this machine's kernel, but in a virtual machine or on another host (%s): "+
				"use an engine of this machine", c.Name, r.engine.Engine().Host))
		}
	}
	if unknown > 0 && len(silent) > 0 {
		texts = append(texts, fmt.Sprintf("the recording is incomplete: %d cgroups were gone before they could be told from others, and %d containers of this test were not heard of: "+
			"on a kernel with BTF they are known in time", unknown, len(silent)))
	}
	return texts
}
