package recorder

import (
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/netzero-dev/netzero/internal/cgroup"
	"github.com/netzero-dev/netzero/internal/docker"
)

// containerClaim is what the test said of a container by passing it to recordings.
type containerClaim struct {
	by        map[*Recording]string // the name for a policy, "" for none in particular
	peers     map[*Recording]bool   // for whom it is a peer, which gets no policy; may be nil
	waits     []wait
	older     bool // it ran before the recorder, and is watched since it was claimed
	elsewhere bool // while it ran, this machine had neither its process nor its cgroup
}

// wait is a time in which testcontainers waits for a container to be ready; until is 0 while it does.
type wait struct{ from, until time.Duration }

// Label is the value of the label by which others see whose a container is.
func (m *Recording) Label() string { return m.id }

func newRecordingID() string {
	return fmt.Sprintf("%d-%s", os.Getpid(), strings.ToLower(rand.Text()[:8]))
}

// ExpectContainers says that containers will come.
func (m *Recording) ExpectContainers() { m.recorder.containers.begin() }

// Attach says that a container is this recording's.
func (m *Recording) Attach(id, name string) {
	m.recorder.mu.Lock()
	defer m.recorder.mu.Unlock()
	c := m.recorder.containers.claims[id]
	if c == nil {
		c = &containerClaim{by: make(map[*Recording]string)}
		m.recorder.containers.claims[id] = c
	}
	if c.by[m] == "" {
		c.by[m] = name
	}
}

// BeginWait says that testcontainers is about to wait for a container of this recording.
func (m *Recording) BeginWait(id string) {
	m.recorder.mu.Lock()
	c := m.recorder.containers.claims[id]
	if n := len(c.waits); n == 0 || c.waits[n-1].until != 0 {
		c.waits = append(c.waits, wait{from: now()})
	}
	m.recorder.mu.Unlock()
	m.recorder.watchOlder(id)
}

// RunsHere reports whether this machine has the process or the cgroup of a container that runs.
func (m *Recording) RunsHere(id string, pid int) bool {
	if path, err := cgroup.OfProcess(pid); err == nil && slices.Contains(docker.IDsFromCgroup(path), id) {
		return true
	}
	tree := m.recorder.session.Tree
	for dir := range tree.Walk() {
		if slices.Contains(docker.IDsFromCgroup(strings.TrimPrefix(dir, tree.Root)), id) {
			return true
		}
	}
	return false
}

// MarkRemote says that a container runs on another kernel: in the virtual machine of Docker Desktop, or on the host of a
// remote engine.
func (m *Recording) MarkRemote(id string) {
	m.recorder.mu.Lock()
	defer m.recorder.mu.Unlock()
	m.recorder.containers.claims[id].elsewhere = true
}

// EndWait says that the wait is over. From now on what the test process opens to the container is its own doing, so that
// even what the kernel knows already has to be told again.
func (m *Recording) EndWait(id string) {
	c := m.recorder
	c.renew()
	c.mu.Lock()
	defer c.mu.Unlock()
	if waits := c.containers.claims[id].waits; len(waits) > 0 && waits[len(waits)-1].until == 0 {
		waits[len(waits)-1].until = now()
	}
}

// waiting tells the recorder, if there is one, that testcontainers begins or ends to wait for a container, whoever started it.
func waiting(id string, begins bool) {
	shared.Lock()
	c := shared.recorder
	shared.Unlock()
	if c == nil {
		return
	}
	if !begins {
		c.renew()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	waits := c.containers.waits[id]
	if n := len(waits); n > 0 && waits[n-1].until == 0 {
		waits[n-1].until = now()
	}
	if begins {
		waits = append(waits, wait{from: now()})
	}
	c.containers.waits[id] = waits
}

// waitedFor reports whether testcontainers waited for a container at a time, whoever started it.
func (c *containers) waitedFor(id string, at time.Duration) bool { return waitedAt(c.waits[id], at) }

// waited reports whether testcontainers waited, at a time, for a container that was passed to a recording.
func (c *containers) waited(id string, at time.Duration) bool {
	claim := c.claims[id]
	return claim != nil && waitedAt(claim.waits, at)
}

func waitedAt(waits []wait, at time.Duration) bool {
	return slices.ContainsFunc(waits, func(w wait) bool { return w.from <= at && (w.until == 0 || at < w.until) })
}

// watchOlder puts a container in scope that ran before the recorder, such as one that is reused: its cgroup is no
// newborn one.
func (c *Recorder) watchOlder(id string) {
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
		err := c.session.Probe.Watch(cgroup)
		if err == nil {
			err = adoptConnections(c.session, id, dir, cgroup)
		}
		if err != nil {
			c.mu.Lock()
			c.fail(err)
			c.mu.Unlock()
		}
	}
}
