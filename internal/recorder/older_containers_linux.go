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
	"github.com/netzero-dev/netzero/internal/recorder/containers"
	"github.com/netzero-dev/netzero/internal/recording"
	"github.com/netzero-dev/netzero/internal/session"
)

// Containers that are older than the recorder. New containers are recorded from their first packet. An older container
// is recorded
//   - from the start of the recording if it has a process that is younger than the test process: TestMain or an earlier
//     test may have started it;
//   - otherwise from the first command that is run in it, which is a new process in its cgroup.
//
// A container that was left alone since before the test process started is unrelated.

// olderContainers are the containers that are older than the recorder.
type olderContainers struct {
	mu       sync.Mutex
	tree     cgroup.Tree
	byCgroup map[uint64]string // cgroup -> ID of the innermost container
	recorded map[string]error  // by ID: those that are recorded, and why their connections are not known, if so
}

// container returns the ID of the container of a cgroup, or "".
func (o *olderContainers) container(cgroup uint64) string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.byCgroup[cgroup]
}

// containerNow is container for a cgroup that may be newer than the recorder. It returns "" for one that cannot be
// found any more.
func (o *olderContainers) containerNow(cgroup uint64) string {
	if id := o.container(cgroup); id != "" {
		return id
	}
	o.mu.Lock()
	tree := o.tree
	o.mu.Unlock()
	path, err := tree.Path(cgroup)
	if err != nil {
		return ""
	}
	id, _ := containerAt(strings.TrimPrefix(path, tree.Root))
	return id
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

// all returns the older containers that are recorded, because this test process may have started them, with the reason
// why their connections are not known.
func (o *olderContainers) all() map[string]error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return maps.Clone(o.recorded)
}

// watchOlderContainers finds the older containers and watches those that this test process may have started.
func (r *Recorder) watchOlderContainers(session *session.Session) error {
	path, err := cgroup.OfProcess(os.Getpid())
	if err != nil {
		return fmt.Errorf("find older containers: %w", err)
	}
	around := docker.IDsFromCgroup(path) // this process runs in them
	started, err := endpoint.Started(os.Getpid())
	if err != nil {
		return fmt.Errorf("find older containers: %w", err)
	}
	o := &r.containers.older
	o.mu.Lock()
	o.tree = session.Tree
	o.mu.Unlock()
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
		isHidden := errors.Is(err, os.ErrPermission) // then any process may be in it
		if err != nil && !isHidden {
			return fmt.Errorf("find older containers: %w", err)
		}
		if !isHidden && !slices.ContainsFunc(pids, func(pid int) bool {
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
// before the recording: errs if the container is related to this test, notices if that is not known.
func (s *resolution) olderContainerFlows() (errs []string, notices []recording.Notice) {
	if s.engine == nil {
		return nil, nil
	}
	opened := make(map[string][]string) // targets by ID of the container
	for _, f := range s.flows {
		if f.from == nil || s.owned[f.from.ID] || !s.isRecordedOlder(f.from.ID) {
			continue
		}
		if target := s.targetOf(f); target != "" && !slices.Contains(opened[f.from.ID], target) {
			opened[f.from.ID] = append(opened[f.from.ID], target)
		}
	}
	if len(opened) == 0 {
		return nil, nil
	}
	ownership, mayStart := s.ownership(), mayStartContainers()
	related := ownership.Related(s.owned, s.isRecordedOlder)
	for id, targets := range opened {
		c, known := s.engine.Container(id)
		if s.isAttached(id) || !known || c.Labels[docker.LabelRecording] != "" || docker.Infrastructure(c) != "" {
			continue
		}
		slices.Sort(targets)
		const remedy = "start the recording before it (RecordPackage at the beginning of TestMain), or pass the " +
			"recording to it"
		what := fmt.Sprintf("container %s (%s) was started before the recording", c.Name, c.Image)
		_, here := createdHere(id)
		switch {
		case ownership.InSession(c) && !here:
			// the test of another package started it
		case related[id], here:
			errs = append(
				errs,
				fmt.Sprintf("%s, belongs to this test and is not recorded, and opened %s: %s",
					what, strings.Join(targets, ", "), remedy),
			)
			if err := s.olderContainers[id]; err != nil {
				errs = append(errs, err.Error())
			}
		case c.Labels[containers.LabelTestcontainers] == "true", !mayStart:
			// unrelated: hooks of testcontainers-go report the containers of this process
		default:
			notices = append(notices, recording.Noticef(recording.CodeStartedTooEarly,
				"%s while this test process ran, and opened %s: if it is this test's, "+
					"%s", what, strings.Join(targets, ", "), remedy))
		}
	}
	slices.Sort(errs)
	slices.SortFunc(notices, recording.Notice.Compare)
	return errs, notices
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

// targetOf returns the target of a flow of another container, or "" if no policy would have to allow it.
func (s *resolution) targetOf(f resolvedFlow) string {
	if f.to != nil && f.to.ID == f.from.ID {
		return "" // to itself
	}
	o := s.outcomeOf(f)
	if !o.inPolicy || o.identity.Relation != endpoint.Other || s.options.Ignored.Has(o.flow) {
		return ""
	}
	return o.flow.Target()
}
