package recorder

import (
	"context"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/netzero-dev/netzero/internal/cgroup"
	"github.com/netzero-dev/netzero/internal/docker"
	"github.com/netzero-dev/netzero/internal/endpoint"
	"github.com/netzero-dev/netzero/internal/probe"
	"github.com/netzero-dev/netzero/internal/recorder/containers"
)

// containerState is what a recorder knows about containers: from the engine, from new cgroups, and from the test.
// Recorder.mu guards its maps.
type containerState struct {
	started time.Duration // CLOCK_MONOTONIC
	begin   func()        // starts to follow the engine, once: most tests have no containers and must not wait for it
	begun   atomic.Bool
	cancel  context.CancelFunc
	done    chan struct{} // closed when watcher or err is set
	watcher *docker.Watcher
	err     error

	startEvents startEvents
	older       olderContainers
	runs        containers.Runs

	cgroups     map[uint64]containerCgroup
	attachments map[string]*attachmentRecord // by container ID
	waits       map[string][]waitPeriod      // by ID of any container that testcontainers-go started in this process
}

// containerCgroup is a cgroup other than the test's own.
type containerCgroup struct {
	path string   // as much as is known; empty if unknown
	ids  []string // of the containers that it is in, outermost first
}

// newContainerState returns a containerState that follows an engine once begin is called. It calls moved when an
// address gets a new owner, and described when the engine has described a network and the addresses in it.
func newContainerState(moved, described func()) *containerState {
	ctx, cancel := context.WithCancel(context.Background())
	c := &containerState{
		started: now(), cancel: cancel, done: make(chan struct{}),
		cgroups: make(map[uint64]containerCgroup), attachments: make(map[string]*attachmentRecord),
		waits: make(map[string][]waitPeriod),
		older: olderContainers{byCgroup: make(map[uint64]string), recorded: make(map[string]error)},
	}
	c.begin = sync.OnceFunc(func() {
		c.begun.Store(true)
		go func() {
			defer close(c.done)
			c.watcher, c.err = docker.Watch(ctx, docker.Config{Moved: moved, NetworkDescribed: described})
		}()
	})
	return c
}

// close stops following the engine.
func (c *containerState) close() error {
	c.cancel()
	if !c.begun.Load() {
		return nil
	}
	if <-c.done; c.watcher == nil {
		return nil
	}
	return c.watcher.Close()
}

// engine returns the engine, after it has reported everything that happened until now.
func (c *containerState) engine() (containers.Engine, error) {
	c.begin()
	<-c.done
	err := c.err
	if err == nil {
		err = c.watcher.Sync(context.Background())
	}
	if err == nil {
		err = c.watcher.Err()
	}
	if err != nil {
		return nil, err
	}
	return c.watcher, nil
}

// awaitFollowed returns when the engine is followed, or if it cannot be. It does not wait for what happened until now.
func (c *containerState) awaitFollowed() {
	c.begin()
	<-c.done
}

// watched returns the watcher of the engine; nil if it is not known. It waits for the engine only if told so.
func (c *containerState) watched(wait bool) *docker.Watcher {
	if wait {
		_, _ = c.engine() // without an engine there are no containers
	}
	if !c.begun.Load() {
		return nil
	}
	select {
	case <-c.done:
		return c.watcher
	default:
		return nil
	}
}

// handleCgroup records a new cgroup. A cgroup outside any container is unrelated: the test's children stay in its own
// cgroup.
func (r *Recorder) handleCgroup(e *probe.CgroupEvent) {
	c := containerCgroup{path: pathOf(e)}
	if c.path == "" || e.Cut {
		if dir, err := r.session.Tree.Path(e.Cgroup); err == nil {
			c.path = strings.TrimPrefix(dir, r.session.Tree.Root)
		}
	}
	c.ids = docker.IDsFromCgroup(c.path)
	if c.path == "" {
		if _, known := r.containers.cgroups[e.Cgroup]; known {
			return
		}
	}
	r.containers.cgroups[e.Cgroup] = c
	if len(c.ids) > 0 {
		r.containers.begin()
	}
	if c.path == "" || len(c.ids) > 0 || isOutsideContainers(e) {
		return
	}
	// If this comes too late, flows of the cgroup cost some memory until they are dropped at the end.
	_ = r.session.Probe.Ignore(e.Cgroup)
}

// isOutsideContainers reports whether the path that the kernel reported shows that a cgroup is in no container. The
// kernel then ignores the cgroup at once.
func isOutsideContainers(e *probe.CgroupEvent) bool {
	path := pathOf(e)
	return path != "" && len(docker.IDsFromCgroup(path)) == 0
}

// pathOf returns as much of a cgroup's path as the kernel reported, or "" if that does not show the container.
func pathOf(e *probe.CgroupEvent) string {
	if len(e.Names) == 0 {
		return ""
	}
	names := slices.Clone(e.Names)
	slices.Reverse(names)
	path := "/" + strings.Join(names, "/")
	if e.Cut && len(docker.IDsFromCgroup(path)) == 0 {
		return ""
	}
	return path
}

// isUnrelated reports whether a cgroup is in no container and is not the test's own. The kernel may have reported
// thousands of its flows before it ignored the cgroup. Skip them: resolving thousands of unrelated peers is wasted
// work.
func (r *Recorder) isUnrelated(cgroup uint64) bool {
	return isUnrelatedCgroup(r.containers.cgroups, cgroup)
}

func isUnrelatedCgroup(cgroups map[uint64]containerCgroup, cgroup uint64) bool {
	c, known := cgroups[cgroup]
	return known && c.path != "" && len(c.ids) == 0
}

// containersOf returns the IDs of the containers that the listener at a destination runs in, outermost first.
func (r *Recorder) containersOf(to endpoint.Identity) []string {
	if to.Hidden {
		return r.containersOfCgroup(to.ListenerCgroup)
	}
	pid := to.Listener.PID
	if pid <= 0 || pid == os.Getpid() {
		return nil
	}
	if path, err := cgroup.OfProcess(pid); err == nil {
		return docker.IDsFromCgroup(path)
	}
	return r.containers.cgroups[r.listeners.cgroupOf(pid)].ids
}

// containersOfCgroup returns the IDs of the containers that a cgroup is in, outermost first.
func (r *Recorder) containersOfCgroup(id uint64) []string {
	if c, known := r.containers.cgroups[id]; known || id == 0 {
		return c.ids
	}
	dir, err := r.session.Tree.Path(id)
	if err != nil {
		return nil
	}
	return docker.IDsFromCgroup(strings.TrimPrefix(dir, r.session.Tree.Root))
}

// handleClient records that a client of an engine starts or ends.
func (c *containerState) handleClient(e *probe.ClientEvent) {
	switch {
	case e.Ended:
		c.runs.End(e.PID, e.Time)
	case e.Unrelated:
		c.runs.BeginUnrelated(e.PID, e.Time, e.Command, e.Cut)
	case c.runs.Begin(e.PID, e.Time, e.Recording, e.Command, e.Cut):
		c.begin()
	}
}
