package recorder

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/netzero-dev/netzero/internal/cgroup"
	"github.com/netzero-dev/netzero/internal/docker"
	"github.com/netzero-dev/netzero/internal/probe"
)

// containers is what a recorder knows of containers: the engine's word, the cgroups that were born meanwhile, and what the
// test said. Its maps are guarded by Recorder.mu.
type containers struct {
	started time.Duration // CLOCK_MONOTONIC
	begin   func()        // begins to follow the engine, once: most tests have no containers, and shall not wait for it
	begun   atomic.Bool
	cancel  context.CancelFunc
	done    chan struct{} // closed when watcher or err is set
	watcher *docker.Watcher
	err     error

	starters startEvents
	older    olderContainers
	runs     []engineRun

	cgroups     map[uint64]containerCgroup
	attachments map[string]*attachmentRecord // by container ID
	waits       map[string][]waitPeriod      // for containers that anybody has testcontainers-go start in this process, by ID
}

// containerCgroup is a cgroup that is not the test's own.
type containerCgroup struct {
	path string   // as much as is known of it; "" where nothing is
	ids  []string // of the containers in which it lies, from the outermost
}

// newContainers follows an engine from begin on. moved is called when an address changes hands.
func newContainers(moved func()) *containers {
	ctx, cancel := context.WithCancel(context.Background())
	c := &containers{
		started: now(), cancel: cancel, done: make(chan struct{}),
		cgroups: make(map[uint64]containerCgroup), attachments: make(map[string]*attachmentRecord), waits: make(map[string][]waitPeriod),
		older: olderContainers{of: make(map[uint64]string), young: make(map[string]error)},
	}
	c.begin = sync.OnceFunc(func() {
		c.begun.Store(true)
		go func() {
			defer close(c.done)
			c.watcher, c.err = docker.Watch(ctx, docker.Config{Moved: moved})
		}()
	})
	return c
}

// close ends the watch, if it was begun.
func (c *containers) close() error {
	c.cancel()
	if !c.begun.Load() {
		return nil
	}
	if <-c.done; c.watcher == nil {
		return nil
	}
	return c.watcher.Close()
}

// engine returns the engine's word on all that has happened until now.
func (c *containers) engine() (*docker.Watcher, error) {
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

// handleCgroup takes in a cgroup that was made during the recording, by anybody. What is in no container is nobody's of the
// test: its children are in its own cgroup.
func (r *Recorder) handleCgroup(e *probe.CgroupEvent) {
	b := containerCgroup{path: pathOf(e)}
	if b.path == "" || e.Cut {
		if dir, err := r.session.Tree.Path(e.Cgroup); err == nil {
			b.path = strings.TrimPrefix(dir, r.session.Tree.Root)
		}
	}
	b.ids = docker.IDsFromCgroup(b.path)
	if b.path == "" {
		if _, known := r.containers.cgroups[e.Cgroup]; known {
			return
		}
	}
	r.containers.cgroups[e.Cgroup] = b
	if len(b.ids) > 0 {
		r.containers.begin()
	}
	if b.path == "" || len(b.ids) > 0 || isOutsideContainers(e) {
		return
	}
	// Losing this race costs a little memory: what is recorded of it until then is dropped at the end.
	_ = r.session.Probe.Disregard(e.Cgroup)
}

// isOutsideContainers reports whether the kernel's names for a cgroup say that it is in no container, so that it is disregarded at once.
func isOutsideContainers(e *probe.CgroupEvent) bool {
	path := pathOf(e)
	return path != "" && len(docker.IDsFromCgroup(path)) == 0
}

// pathOf returns as much of a cgroup's path as the kernel has told; "" where that does not say whose it is.
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

// isUnrelated reports whether a cgroup is known to be in no container and not the test's own. What was recorded of it until it
// was disregarded may be thousands of flows, and who is at their other ends is nobody's business.
func (r *Recorder) isUnrelated(cgroup uint64) bool {
	return isUnrelatedCgroup(r.containers.cgroups, cgroup)
}

func isUnrelatedCgroup(cgroups map[uint64]containerCgroup, cgroup uint64) bool {
	b, known := cgroups[cgroup]
	return known && b.path != "" && len(b.ids) == 0
}

// containersOf returns the IDs of the containers in which a process runs, from the outermost.
func (r *Recorder) containersOf(pid int) []string {
	if pid <= 0 || pid == os.Getpid() {
		return nil
	}
	if path, err := cgroup.OfProcess(pid); err == nil {
		return docker.IDsFromCgroup(path)
	}
	return r.containers.cgroups[r.listeners.cgroupOf(pid)].ids
}

// fail keeps what makes the recordings incomplete. The caller holds mu.
func (r *Recorder) fail(err error) {
	if err != nil {
		r.failure = errors.Join(r.failure, err)
	}
}
