package netzerotest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/netzero-dev/netzero/internal/cgroup"
	"github.com/netzero-dev/netzero/internal/docker"
	"github.com/netzero-dev/netzero/internal/flow"
	"github.com/netzero-dev/netzero/internal/probe"
)

// containers is what a capture knows of containers: the engine's word, the cgroups that were born meanwhile, and what the
// test said. Its maps are guarded by capture.mu.
type containers struct {
	started time.Duration // CLOCK_MONOTONIC
	begin   func()        // begins to follow the engine, once: most tests have no containers, and shall not wait for it
	begun   atomic.Bool
	cancel  context.CancelFunc
	done    chan struct{} // closed when watcher or err is set
	watcher *docker.Watcher
	err     error

	cgroups map[uint64]birth
	claims  map[string]*containerClaim // by container ID
}

// birth is a cgroup that is not the test's own.
type birth struct {
	path string   // as much as is known of it; "" where nothing is
	ids  []string // of the containers in which it lies, from the outermost
}

// containerClaim is what the test said of a container by passing it to recordings.
type containerClaim struct {
	by        map[*membership]string // the name for a policy, "" for none in particular
	waits     []wait
	older     bool // it ran before the capture, and is watched since it was claimed
	elsewhere bool // while it ran, this machine had neither its process nor its cgroup
}

// wait is a time in which testcontainers waits for a container to be ready; until is 0 while it does.
type wait struct{ from, until time.Duration }

func newContainers() *containers {
	ctx, cancel := context.WithCancel(context.Background())
	c := &containers{
		started: now(), cancel: cancel, done: make(chan struct{}),
		cgroups: make(map[uint64]birth), claims: make(map[string]*containerClaim),
	}
	c.begin = sync.OnceFunc(func() {
		c.begun.Store(true)
		go func() {
			defer close(c.done)
			c.watcher, c.err = docker.Watch(ctx, docker.Config{})
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

// born takes in a cgroup that was made during the recording, by anybody. What is in no container is nobody's of the
// test: its children are in its own cgroup.
func (c *capture) born(e *probe.CgroupEvent) {
	b := birth{}
	if names := slices.Clone(e.Names); len(names) > 0 {
		slices.Reverse(names)
		b.path = "/" + strings.Join(names, "/")
	} else if dir, err := c.session.Tree.Path(e.Cgroup); err == nil {
		b.path = strings.TrimPrefix(dir, c.session.Tree.Root)
	}
	b.ids = docker.IDsFromCgroup(b.path)
	if b.path == "" {
		if _, known := c.containers.cgroups[e.Cgroup]; known {
			return
		}
	}
	c.containers.cgroups[e.Cgroup] = b
	if len(b.ids) > 0 {
		c.containers.begin()
	}
	if b.path == "" || len(b.ids) > 0 {
		return
	}
	// Losing this race costs a little memory: what is recorded of it until then is dropped at the end.
	_ = c.session.Probe.Disregard(e.Cgroup)
}

// containersOf returns the IDs of the containers in which a process runs, from the outermost.
func (c *capture) containersOf(pid int) []string {
	if pid <= 0 || pid == os.Getpid() {
		return nil
	}
	if path, err := cgroup.OfProcess(pid); err == nil {
		return docker.IDsFromCgroup(path)
	}
	return c.containers.cgroups[c.bound.cgroupOf(pid)].ids
}

// label is the value of the label by which others see whose a container is.
func (m *membership) label() string { return m.id }

func newRecordingID() string {
	return fmt.Sprintf("%d-%s", os.Getpid(), strings.ToLower(rand.Text()[:8]))
}

// expect says that containers will come.
func (m *membership) expect() { m.capture.containers.begin() }

// claim says that a container is this recording's.
func (m *membership) claim(id, name string) {
	m.capture.mu.Lock()
	defer m.capture.mu.Unlock()
	c := m.capture.containers.claims[id]
	if c == nil {
		c = &containerClaim{by: make(map[*membership]string)}
		m.capture.containers.claims[id] = c
	}
	if c.by[m] == "" {
		c.by[m] = name
	}
}

// starting says that testcontainers is about to wait for a container of this recording.
func (m *membership) starting(id string) {
	m.capture.mu.Lock()
	c := m.capture.containers.claims[id]
	if n := len(c.waits); n == 0 || c.waits[n-1].until != 0 {
		c.waits = append(c.waits, wait{from: now()})
	}
	m.capture.mu.Unlock()
	m.capture.watchOlder(id)
}

// hosts reports whether this machine has the process or the cgroup of a container that runs.
func (m *membership) hosts(id string, pid int) bool {
	if path, err := cgroup.OfProcess(pid); err == nil && slices.Contains(docker.IDsFromCgroup(path), id) {
		return true
	}
	tree := m.capture.session.Tree
	for dir := range tree.Walk() {
		if slices.Contains(docker.IDsFromCgroup(strings.TrimPrefix(dir, tree.Root)), id) {
			return true
		}
	}
	return false
}

// isElsewhere says that a container runs on another kernel: in the virtual machine of Docker Desktop, or on the host of a
// remote engine.
func (m *membership) isElsewhere(id string) {
	m.capture.mu.Lock()
	defer m.capture.mu.Unlock()
	m.capture.containers.claims[id].elsewhere = true
}

// ready says that the wait is over. From now on what the test process opens to the container is its own doing, so that
// even what the kernel knows already has to be told again.
func (m *membership) ready(id string) {
	c := m.capture
	_, err := c.session.Probe.NextGeneration()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fail(err)
	if waits := c.containers.claims[id].waits; len(waits) > 0 && waits[len(waits)-1].until == 0 {
		waits[len(waits)-1].until = now()
	}
}

// waited reports whether testcontainers waited for a container at a time.
func (c *containers) waited(id string, at time.Duration) bool {
	claim := c.claims[id]
	return claim != nil && slices.ContainsFunc(claim.waits, func(w wait) bool {
		return w.from <= at && (w.until == 0 || at < w.until)
	})
}

// watchOlder puts a container in scope that ran before the capture, such as one that is reused: its cgroup is no
// newborn one.
func (c *capture) watchOlder(id string) {
	watcher, err := c.containers.engine()
	if err != nil {
		return // it is told at the end
	}
	found, _ := watcher.Container(id)
	c.mu.Lock()
	claim := c.containers.claims[id]
	if claim.older || found.Started == 0 || found.Started >= c.containers.started || found.Ended > found.Started {
		c.mu.Unlock()
		return
	}
	claim.older = true
	c.mu.Unlock()
	for dir, cgroup := range c.session.Tree.Walk() {
		path := strings.TrimPrefix(dir, filepath.Clean(c.session.Tree.Root))
		ids := docker.IDsFromCgroup(path)
		if !slices.Contains(ids, id) {
			continue
		}
		c.mu.Lock()
		c.containers.cgroups[cgroup] = birth{path, ids}
		c.mu.Unlock()
		if err := c.session.Probe.Watch(cgroup); err != nil {
			c.mu.Lock()
			c.fail(err)
			c.mu.Unlock()
		}
	}
}

// fail keeps what makes the recordings incomplete. The caller holds mu.
func (c *capture) fail(err error) {
	if err != nil {
		c.failure = errors.Join(c.failure, err)
	}
}

// endpointOf is a container as a policy sees it, by the name that m or its labels give. Containers that share a network
// are one pod, which goes by the one whose network it is.
func (m *membership) endpointOf(engine *docker.Watcher, c docker.Container) flow.Endpoint {
	c = home(engine, c)
	name := ""
	if claim := m.capture.containers.claims[c.ID]; claim != nil {
		name = claim.by[m]
		for _, other := range slices.Sorted(maps.Values(claim.by)) {
			if name == "" {
				name = other
			}
		}
	}
	if name == "" {
		name = docker.Name(c)
	}
	return flow.Endpoint{Kind: flow.Workload, Name: name, Namespace: m.config.namespace, Evidence: flow.ByContainer}
}

// home returns the container whose network a container uses; mostly itself.
func home(engine *docker.Watcher, c docker.Container) docker.Container {
	for range 10 { // of containers that share each other's there is no end
		id, shares := engine.SharesNetworkOf(c.ID)
		other, known := engine.Container(id)
		if !shares || !known {
			break
		}
		c = other
	}
	return c
}
