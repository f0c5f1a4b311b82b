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

// Containers that are older than the recorder. What is born later is recorded from its first moment; of these are recorded
//   - those in which something runs that is younger than the test process: TestMain or an earlier test may have started them;
//   - all others from the moment that a command is run in them, which is a process that comes into their cgroup.
//
// What has run since before the test process is somebody else's, whatever it opens.

// olderContainers are the containers that are older than the recorder.
type olderContainers struct {
	mu    sync.Mutex
	of    map[uint64]string // cgroup -> ID of the innermost container in which it lies
	young map[string]error  // IDs of those that are recorded, and why their connections are not known
}

// container returns the ID of the container of a cgroup, or "".
func (o *olderContainers) container(cgroup uint64) string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.of[cgroup]
}

// has reports whether a container is older.
func (o *olderContainers) has(id string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, other := range o.of {
		if other == id {
			return true
		}
	}
	return false
}

// isYoung reports whether a container may be of this test process, and so is recorded; err says why its connections are not known.
func (o *olderContainers) isYoung(id string) (young bool, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	err, young = o.young[id]
	return young, err
}

// watchOlderContainers puts them in scope as far as they are to be.
func (r *Recorder) watchOlderContainers(session *session.Session) error {
	path, err := cgroup.OfProcess(os.Getpid())
	if err != nil {
		return fmt.Errorf("look for containers from before: %w", err)
	}
	around := docker.IDsFromCgroup(path) // in which this process runs
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
		o.of[id] = container
		o.mu.Unlock()
		// Before its processes are looked at: one that comes meanwhile is seen there, or told.
		if err := session.Probe.WatchEntered(id); err != nil {
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
		if err := session.Probe.Adopt(id); err != nil {
			return err
		}
		err = adoptConnections(session, container, dir, id)
		o.mu.Lock()
		o.young[container] = errors.Join(o.young[container], err)
		o.mu.Unlock()
	}
	return nil
}

// olderContainerFlows says what containers opened that this test process started before the recording, which are in no policy: errs where they are this
// test's by what they have to do with it, lines where that is not known.
func (r *resolution) olderContainerFlows() (errs, lines []string) {
	if r.engine == nil {
		return nil, nil
	}
	opened := make(map[string][]string) // targets, by the container's ID
	for _, l := range r.observations {
		if l.from == nil || r.owned[l.from.ID] {
			continue
		}
		if young, _ := r.olderContainers.isYoung(l.from.ID); !young {
			continue
		}
		if target := r.targetOf(l); target != "" && !slices.Contains(opened[l.from.ID], target) {
			opened[l.from.ID] = append(opened[l.from.ID], target)
		}
	}
	if len(opened) == 0 {
		return nil, nil
	}
	mine, mayBe := r.relatedContainers(), mayStartContainers()
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
		case mine[id], here:
			errs = append(errs, fmt.Sprintf("%s, belongs to this test and is not recorded, and opened %s: %s", what, strings.Join(targets, ", "), remedy))
			if _, err := r.olderContainers.isYoung(id); err != nil {
				errs = append(errs, err.Error())
			}
		case c.Labels[labelTestcontainers] == "true", !mayBe:
			// somebody else's: testcontainers-go tells of this process's
		default:
			lines = append(lines, fmt.Sprintf("%s: %s while this test process ran, and opened %s: if it is this test's, %s", r.options.Test, what, strings.Join(targets, ", "), remedy))
		}
	}
	slices.Sort(errs)
	slices.Sort(lines)
	return errs, lines
}

// mayStartContainers reports whether this process can have started containers other than by testcontainers-go, which tells of them: it has or
// has had children, or is a client of an engine.
func mayStartContainers() bool {
	var children unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_CHILDREN, &children); err != nil || children.Minflt > 0 { // of those that were waited for
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

// targetOf returns what a container opened that is in no policy; "" where no policy would have to allow it.
func (r *resolution) targetOf(l attributedFlow) string {
	r.owned[l.from.ID] = true
	defer delete(r.owned, l.from.ID)
	errs, notes := r.errs, r.notices
	defer func() { r.errs, r.notices = errs, notes }()
	f, ok := r.finish(l)
	if !ok || f.identity.Relation != endpoint.Other || r.options.Ignored.Has(f.flow) {
		return ""
	}
	return f.flow.Target()
}

// relatedContainers returns the IDs of this recording's containers, and of those from before that are tied to them or to the test process: they
// talk, belong to one compose project or one pod, or share a network of their own.
func (r *resolution) relatedContainers() map[string]bool {
	free := make(map[string]docker.Container)
	for _, c := range r.engine.Containers() {
		if young, _ := r.olderContainers.isYoung(c.ID); young && !r.owned[c.ID] && c.Labels[docker.LabelRecording] == "" {
			free[c.ID] = c
		}
	}
	own := r.owned
	defer func() { r.owned = own }()
	r.owned = maps.Clone(own)
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

// sharesNetwork reports whether a container is in a network that was made for one of this recording's.
func (r *resolution) sharesNetwork(c docker.Container) bool {
	for id := range r.owned {
		own, _ := r.engine.Container(id)
		for _, a := range own.Networks {
			if a.Network != "bridge" && a.Network != "host" && a.Network != "none" &&
				slices.ContainsFunc(c.Networks, func(b docker.Attachment) bool { return b.NetworkID == a.NetworkID }) {
				return true
			}
		}
	}
	return false
}
