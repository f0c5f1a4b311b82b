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

// attachmentRecord is what the test said of a container by passing it to recordings.
type attachmentRecord struct {
	names  map[*Recording]string // the name for a policy, "" for none in particular
	peers  map[*Recording]bool   // for whom it is a peer, which gets no policy; may be nil
	waits  []waitPeriod
	older  bool // it ran before the recorder, and is watched since it was claimed
	remote bool // while it ran, this machine had neither its process nor its cgroup
}

// waitPeriod is a time in which testcontainers waits for a container to be ready; until is 0 while it does.
type waitPeriod struct{ from, until time.Duration }

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
	c := m.recorder.containers.attachments[id]
	if c == nil {
		c = &attachmentRecord{names: make(map[*Recording]string)}
		m.recorder.containers.attachments[id] = c
	}
	if c.names[m] == "" {
		c.names[m] = name
	}
}

// BeginWait says that testcontainers is about to wait for a container of this recording.
func (m *Recording) BeginWait(id string) {
	m.recorder.mu.Lock()
	c := m.recorder.containers.attachments[id]
	if n := len(c.waits); n == 0 || c.waits[n-1].until != 0 {
		c.waits = append(c.waits, waitPeriod{from: now()})
	}
	m.recorder.mu.Unlock()
	m.recorder.watchRunning(id)
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
	m.recorder.containers.attachments[id].remote = true
}

// EndWait says that the wait is over. From now on what the test process opens to the container is its own doing, so that
// even what the kernel knows already has to be told again.
func (m *Recording) EndWait(id string) {
	c := m.recorder
	c.newGeneration()
	c.mu.Lock()
	defer c.mu.Unlock()
	if waits := c.containers.attachments[id].waits; len(waits) > 0 && waits[len(waits)-1].until == 0 {
		waits[len(waits)-1].until = now()
	}
}

// recordWait tells the recorder, if there is one, that testcontainers begins or ends to wait for a container, whoever started it.
func recordWait(id string, begins bool) {
	shared.Lock()
	c := shared.recorder
	shared.Unlock()
	if c == nil {
		return
	}
	if !begins {
		c.newGeneration()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	waits := c.containers.waits[id]
	if n := len(waits); n > 0 && waits[n-1].until == 0 {
		waits[n-1].until = now()
	}
	if begins {
		waits = append(waits, waitPeriod{from: now()})
	}
	c.containers.waits[id] = waits
}

// waitedFor reports whether testcontainers waited for a container at a time, whoever started it.
func (c *containers) waitedFor(id string, at time.Duration) bool { return waitedAt(c.waits[id], at) }

// waited reports whether testcontainers waited, at a time, for a container that was passed to a recording.
func (c *containers) waited(id string, at time.Duration) bool {
	claim := c.attachments[id]
	return claim != nil && waitedAt(claim.waits, at)
}

func waitedAt(waits []waitPeriod, at time.Duration) bool {
	return slices.ContainsFunc(waits, func(w waitPeriod) bool { return w.from <= at && (w.until == 0 || at < w.until) })
}

// watchRunning puts a container in scope that ran before the recorder, such as one that is reused: its cgroup is no
// newborn one.
func (r *Recorder) watchRunning(id string) {
	watcher, err := r.containers.engine()
	if err != nil {
		return // it is told at the end
	}
	found, _ := watcher.Container(id)
	r.mu.Lock()
	claim := r.containers.attachments[id]
	if claim.older || found.Started == 0 || found.Started >= r.containers.started || found.Ended > found.Started {
		r.mu.Unlock()
		return
	}
	claim.older = true
	r.mu.Unlock()
	for dir, cgroup := range r.session.Tree.Walk() {
		path := strings.TrimPrefix(dir, filepath.Clean(r.session.Tree.Root))
		ids := docker.IDsFromCgroup(path)
		if !slices.Contains(ids, id) {
			continue
		}
		r.mu.Lock()
		r.containers.cgroups[cgroup] = containerCgroup{path, ids}
		r.mu.Unlock()
		err := r.session.Probe.Watch(cgroup)
		if err == nil {
			err = adoptConnections(r.session, id, dir, cgroup)
		}
		if err != nil {
			r.mu.Lock()
			r.fail(err)
			r.mu.Unlock()
		}
	}
}
