package recorder

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/netzero-dev/netzero/internal/cgroup"
	"github.com/netzero-dev/netzero/internal/docker"
	"github.com/netzero-dev/netzero/internal/endpoint"
	"github.com/netzero-dev/netzero/internal/session"
)

// Containers that are older than the recorder. New containers are recorded from their first packet. An older container is recorded
//   - from the start of the recording if it has a process that is younger than the test process: TestMain or an earlier
//     test may have started it;
//   - otherwise from the first command that is run in it, which is a new process in its cgroup.
//
// A container that was left alone since before the test process started is unrelated.

// olderContainers are the containers that are older than the recorder.
type olderContainers struct {
	mu       sync.Mutex
	byCgroup map[uint64]string // cgroup -> ID of the innermost container
	recorded map[string]error  // by ID: those that are recorded, and why their connections are not known, if so
}

// container returns the ID of the container of a cgroup, or "".
func (o *olderContainers) container(cgroup uint64) string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.byCgroup[cgroup]
}

// has reports whether a container is older than the recorder.
func (o *olderContainers) has(id string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, other := range o.byCgroup {
		if other == id {
			return true
		}
	}
	return false
}

// isRecorded reports whether this test process may have started an older container, so that it is recorded. err says why
// its connections are not known.
func (o *olderContainers) isRecorded(id string) (recorded bool, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	err, recorded = o.recorded[id]
	return recorded, err
}

// watchOlderContainers finds the older containers and watches those that this test process may have started.
func (r *Recorder) watchOlderContainers(session *session.Session) error {
	path, err := cgroup.OfProcess(os.Getpid())
	if err != nil {
		return fmt.Errorf("look for containers from before: %w", err)
	}
	around := docker.IDsFromCgroup(path) // this process runs in them
	started, err := endpoint.Started(os.Getpid())
	if err != nil {
		return fmt.Errorf("look for containers from before: %w", err)
	}
	o := &r.containers.older
	for dir, id := range session.Tree.Walk() {
		path := strings.TrimPrefix(dir, session.Tree.Root)
		ids := docker.IDsFromCgroup(path)
		if len(ids) == 0 || id > session.Leaf.ID || slices.Contains(around, ids[len(ids)-1]) {
			continue
		}
		container := ids[len(ids)-1]
		o.mu.Lock()
		o.byCgroup[id] = container
		o.mu.Unlock()
		// Before reading its processes: a new one is then either in the list or reported.
		if err := session.Probe.TrackEntered(id); err != nil {
			return err
		}
		pids, err := cgroup.Members(dir)
		if err != nil {
			return fmt.Errorf("look for containers from before: %w", err)
		}
		if !slices.ContainsFunc(pids, func(pid int) bool {
			at, err := endpoint.Started(pid)
			return err == nil && at >= started
		}) {
			continue
		}
		r.mu.Lock()
		r.containers.cgroups[id] = containerCgroup{path, ids}
		r.mu.Unlock()
		if err := session.Probe.Track(id); err != nil {
			return err
		}
		err = trackConnections(session, container, dir, id)
		o.mu.Lock()
		o.recorded[container] = errors.Join(o.recorded[container], err)
		o.mu.Unlock()
	}
	return nil
}

// olderContainerFlows reports flows that are in no policy, because their containers were started by this test process
// before the recording: errs if the container is related to this test, lines if that is not known.
func (r *resolution) olderContainerFlows() (errs, lines []string) {
	if r.engine == nil {
		return nil, nil
	}
	opened := make(map[string][]string) // targets by ID of the container
	for _, f := range r.observations {
		if f.from == nil || r.owned[f.from.ID] {
			continue
		}
		if recorded, _ := r.olderContainers.isRecorded(f.from.ID); !recorded {
			continue
		}
		if target := r.targetOf(f); target != "" && !slices.Contains(opened[f.from.ID], target) {
			opened[f.from.ID] = append(opened[f.from.ID], target)
		}
	}
	if len(opened) == 0 {
		return nil, nil
	}
	related, mayStart := r.relatedContainers(), mayStartContainers()
	for id, targets := range opened {
		c, known := r.engine.Container(id)
		if r.isAttached(id) || !known || c.Labels[docker.LabelRecording] != "" || docker.Infrastructure(c) != "" {
			continue
		}
		slices.Sort(targets)
		const remedy = "let the recording begin before it is started (RecordPackage at the begin of TestMain), or pass the recording to it"
		what := fmt.Sprintf("container %s (%s) was started before the recording", c.Name, c.Image)
		_, here := createdHere(id)
		switch {
		case inSession(c) && !here:
			// the test of another package started it
		case related[id], here:
			errs = append(errs, fmt.Sprintf("%s, belongs to this test and is not recorded, and opened %s: %s", what, strings.Join(targets, ", "), remedy))
			if _, err := r.olderContainers.isRecorded(id); err != nil {
				errs = append(errs, err.Error())
			}
		case c.Labels[labelTestcontainers] == "true", !mayStart:
			// unrelated: hooks of testcontainers-go report the containers of this process
		default:
			lines = append(lines, fmt.Sprintf("%s: %s while this test process ran, and opened %s: if it is this test's, %s", r.options.Test, what, strings.Join(targets, ", "), remedy))
		}
	}
	slices.Sort(errs)
	slices.Sort(lines)
	return errs, lines
}

// mayStartContainers reports whether this process can have started containers in other ways than testcontainers-go,
// which has hooks: it has or had child processes, or is a client of an engine.
func mayStartContainers() bool {
	var children unix.Rusage
	// RUSAGE_CHILDREN covers the children that have been waited for.
	if err := unix.Getrusage(unix.RUSAGE_CHILDREN, &children); err != nil || children.Minflt > 0 {
		return true
	}
	if pids, err := endpoint.Descendants(os.Getpid()); err != nil || len(pids) > 0 {
		return true
	}
	clients, err := endpoint.Clients(isEngineSocket)
	return err != nil || slices.ContainsFunc(clients, func(c endpoint.Client) bool {
		return c.PID == os.Getpid() && !docker.IsWatcher(c.Name)
	})
}

// targetOf returns the target of a flow that is in no policy, or "" if no policy has to allow it.
func (r *resolution) targetOf(attributed attributedFlow) string {
	r.owned[attributed.from.ID] = true
	defer delete(r.owned, attributed.from.ID)
	errs, notices := r.errs, r.notices
	defer func() { r.errs, r.notices = errs, notices }()
	f, ok := r.finish(attributed)
	if !ok || f.identity.Relation != endpoint.Other || r.options.Ignored.Has(f.flow) {
		return ""
	}
	return f.flow.Target()
}

// relatedContainers returns the IDs of this recording's containers, and of older ones that are related to them or to
// the test process: they exchange traffic, are in one compose project or pod, or share a network of their own.
func (r *resolution) relatedContainers() map[string]bool {
	free := make(map[string]docker.Container)
	for _, c := range r.engine.Containers() {
		if recorded, _ := r.olderContainers.isRecorded(c.ID); recorded && !r.owned[c.ID] && c.Labels[docker.LabelRecording] == "" {
			free[c.ID] = c
		}
	}
	before := r.owned
	defer func() { r.owned = before }()
	r.owned = maps.Clone(before)
	for again := true; again; {
		again = false
		for id, c := range free {
			if r.isRelated(c) || r.sharesNetwork(c) {
				r.owned[id], again = true, true
				delete(free, id)
			}
		}
	}
	return r.owned
}

// sharesNetwork reports whether a container is in a user-defined network of one of this recording's containers.
func (r *resolution) sharesNetwork(c docker.Container) bool { return r.sharedNetwork(c) != "" }

// sharedNetwork returns the user-defined network, the first by name, in which a container meets one of this recording's
// containers, or "".
func (r *resolution) sharedNetwork(c docker.Container) string {
	var shared []string
	for id := range r.owned {
		ours, _ := r.engine.Container(id)
		for _, a := range ours.Networks {
			if a.Network != "bridge" && a.Network != "host" && a.Network != "none" &&
				slices.ContainsFunc(c.Networks, func(b docker.Attachment) bool { return b.NetworkID == a.NetworkID }) {
				shared = append(shared, a.Network)
			}
		}
	}
	if len(shared) == 0 {
		return ""
	}
	return slices.Min(shared)
}
