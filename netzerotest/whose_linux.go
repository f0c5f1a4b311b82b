package netzerotest

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/netzero-dev/netzero/internal/docker"
	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// whose finds out which containers are this recording's: those that were passed to it, and of those that nobody claims
// each that was started meanwhile by this recording's processes, talks to what is this recording's, or belongs together with it.
func (s *settling) whose() {
	if s.engine == nil {
		return
	}
	free := make(map[string]docker.Container)
	for _, c := range s.engine.Containers() {
		claim := s.capture.containers.claims[c.ID]
		switch label := c.Labels[docker.LabelRecording]; {
		case claim != nil:
			if _, by := claim.by[s.membership]; by {
				s.own[c.ID] = true
			}
		case label == s.id:
			s.own[c.ID] = true
		case label == "" && (c.Started >= s.started || s.ranCommand(c.ID)) && docker.Infrastructure(c) == "":
			free[c.ID] = c
		}
	}
	perhaps := make(map[string]bool)
	for id, c := range free {
		certain, may := s.startedBy(c)
		if perhaps[id] = may; certain {
			s.own[id] = true
			delete(free, id)
		}
	}
	for again := true; again; {
		again = false
		for id, c := range free {
			if (c.Started >= s.started || perhaps[id]) && s.belongs(c) {
				s.own[id], again = true, true
				delete(free, id)
			}
		}
	}
}

// belongs reports whether something ties a container to this recording.
func (s *settling) belongs(c docker.Container) bool {
	for _, l := range s.sightings {
		if l.missing || l.to == nil || l.identity.Peer.Exact() {
			continue
		}
		mine := l.from == nil || s.own[l.from.ID] // the test process, or one of its containers
		if mine && l.to.ID == c.ID || s.own[l.to.ID] && l.from != nil && l.from.ID == c.ID {
			return true
		}
	}
	for _, other := range s.engine.Containers() {
		if !s.own[other.ID] {
			continue
		}
		if project := c.Labels[labelProject]; project != "" && other.Labels[labelProject] == project {
			return true
		}
		if home(s.engine, c).ID == home(s.engine, other).ID {
			return true
		}
	}
	return false
}

// Labels of others.
const (
	labelProject        = "com.docker.compose.project" // to which compose project a container belongs
	labelTestcontainers = "org.testcontainers"         // "true": testcontainers made it
)

// workloads returns who gets a policy: the test process, unless it only drives, and this recording's containers.
func (s *settling) workloads() []policy.Subject {
	var subjects []policy.Subject
	if !s.config.driver {
		subjects = append(subjects, policy.Subject{Workload: s.config.subject()})
	}
	seen := make(map[flow.Endpoint]bool)
	for id := range s.own {
		c, known := s.engine.Container(id)
		if !known || docker.Infrastructure(c) != "" || c.Started == 0 || s.isPeer(c) {
			continue
		}
		if host := s.hostOf(c); host != "" {
			s.notes = append(s.notes, fmt.Sprintf("container %s stands for the host %s, which its alias names: no policy is written for it; "+
				"As names a workload", c.Name, host))
			continue
		}
		if e := s.endpointOf(s.engine, c); !seen[e] {
			seen[e] = true
			subjects = append(subjects, policy.Subject{Workload: policy.Workload{Name: e.Name, Namespace: e.Namespace}, AllTraffic: true})
		}
	}
	slices.SortFunc(subjects, func(a, b policy.Subject) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.Namespace, b.Namespace))
	})
	return subjects
}

// namesakes says which containers go by the name of the test process: one policy cannot be for both.
func (s *settling) namesakes() []string {
	if s.config.driver {
		return nil
	}
	var texts []string
	for id := range s.own {
		c, _ := s.engine.Container(id)
		if e := s.endpointOf(s.engine, c); c.Started != 0 && docker.Infrastructure(c) == "" && e.Name == s.source.Name && e.Namespace == s.source.Namespace {
			texts = append(texts, fmt.Sprintf("the test process and container %s are both called %s: with Driver the test process is no workload; Workload and As give other names",
				c.Name, e.Name))
		}
	}
	return texts
}

// unheard says what of this recording may be missing because nothing was heard of a container.
func (s *settling) unheard() []string {
	silent := make(map[string]bool) // containers of which nothing was heard
	for id := range s.own {
		silent[id] = true
	}
	unknown := 0
	for id, b := range s.capture.containers.cgroups {
		for _, container := range b.ids {
			delete(silent, container)
		}
		if b.path == "" && slices.ContainsFunc(s.sightings, func(l located) bool { return l.event.Cgroup == id }) {
			unknown++
		}
	}
	var texts []string
	for id := range silent {
		c, _ := s.engine.Container(id)
		claim := s.capture.containers.claims[id]
		switch {
		case s.engine.Engine().CgroupDriver == "none":
			texts = append(texts, fmt.Sprintf("container %s is not recorded: its engine, %s, gives containers no cgroup of their own: "+
				"run it with a systemd user session (rootless), or as root", c.Name, s.engine.Kind()))
		case claim != nil && claim.elsewhere:
			texts = append(texts, fmt.Sprintf("container %s is not recorded: it does not run on this machine's kernel, but in a virtual machine or on another host (%s): "+
				"use an engine of this machine", c.Name, s.engine.Engine().Host))
		}
	}
	if unknown > 0 && len(silent) > 0 {
		texts = append(texts, fmt.Sprintf("the recording is incomplete: %d cgroups were gone before they could be told from others, and %d containers of this test were not heard of: "+
			"on a kernel with BTF they are known in time", unknown, len(silent)))
	}
	return texts
}
