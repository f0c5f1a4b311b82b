package recorder

import (
	"cmp"
	"crypto/rand"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/netzero-dev/netzero/internal/cgroup"
	"github.com/netzero-dev/netzero/internal/docker"
)

// attachmentRecord is how the test attached a container to recordings.
type attachmentRecord struct {
	names  map[*Recording]string // the name that the recording gave it; may be empty
	peers  map[*Recording]bool   // the recordings for which it is a peer, without a policy of its own; may be nil
	waits  []waitPeriod
	isNew  bool // it was created for a recording, so it did not run before the recorder
	older  bool // it ran before the recorder, and is watched since it was attached
	remote bool // it ran on another kernel: this machine had neither its process nor its cgroup
}

// nameFor returns the name from a recording, otherwise from another; "" if none gave one.
func (a *attachmentRecord) nameFor(rec *Recording) string {
	name := a.names[rec]
	for _, other := range slices.Sorted(maps.Values(a.names)) {
		name = cmp.Or(name, other)
	}
	return name
}

// waitPeriod is a period in which testcontainers waits until a container is ready. until is 0 while it still waits.
type waitPeriod struct{ from, until time.Duration }

// Label returns the value of the label that shows other processes the recording of a container.
func (rec *Recording) Label() string { return rec.id }

func newRecordingID() string {
	return fmt.Sprintf("%d-%s", os.Getpid(), strings.ToLower(rand.Text()[:8]))
}

// ExpectContainers starts to follow the engine, because containers will come.
func (rec *Recording) ExpectContainers() { rec.recorder.containers.begin() }

// Attach attaches a container to this recording. name may be empty.
func (rec *Recording) Attach(id, name string) {
	rec.recorder.mu.Lock()
	defer rec.recorder.mu.Unlock()
	attached := rec.recorder.containers.attachments[id]
	if attached == nil {
		attached = &attachmentRecord{names: make(map[*Recording]string)}
		rec.recorder.containers.attachments[id] = attached
	}
	if attached.names[rec] == "" {
		attached.names[rec] = name
	}
}

// MarkNew records that an attached container was created for this recording.
func (rec *Recording) MarkNew(id string) {
	rec.recorder.mu.Lock()
	defer rec.recorder.mu.Unlock()
	rec.recorder.containers.attachments[id].isNew = true
}

// BeginWait records that testcontainers starts to wait for a container of this recording. Call it before a new
// container starts, too: the engine is followed when it returns, and so it reports also a container that ends at once.
func (rec *Recording) BeginWait(id string) {
	r := rec.recorder
	r.mu.Lock()
	attached := r.containers.attachments[id]
	if n := len(attached.waits); n == 0 || attached.waits[n-1].until != 0 {
		attached.waits = append(attached.waits, waitPeriod{from: now()})
	}
	isNew := attached.isNew
	r.mu.Unlock()
	if isNew { // a query for it, and for everything that the engine did meanwhile, would take tens of milliseconds
		r.containers.awaitFollowed()
		return
	}
	r.watchRunning(id)
}

// RunsHere reports whether this machine has the process or the cgroup of a running container.
func (rec *Recording) RunsHere(id string, pid int) bool {
	if path, err := cgroup.OfProcess(pid); err == nil && slices.Contains(docker.IDsFromCgroup(path), id) {
		return true
	}
	tree := rec.recorder.session.Tree
	for dir := range tree.Walk() {
		if slices.Contains(docker.IDsFromCgroup(strings.TrimPrefix(dir, tree.Root)), id) {
			return true
		}
	}
	return false
}

// MarkRemote records that a container runs on another kernel: in the virtual machine of Docker Desktop, or on the host
// of a remote engine.
func (rec *Recording) MarkRemote(id string) {
	rec.recorder.mu.Lock()
	defer rec.recorder.mu.Unlock()
	rec.recorder.containers.attachments[id].remote = true
}

// EndWait records that testcontainers stops waiting. From now on, connections of the test process to the container are
// its own, so the kernel must report known flows again.
func (rec *Recording) EndWait(id string) {
	r := rec.recorder
	r.newGeneration()
	r.mu.Lock()
	defer r.mu.Unlock()
	if waits := r.containers.attachments[id].waits; len(waits) > 0 && waits[len(waits)-1].until == 0 {
		waits[len(waits)-1].until = now()
	}
}

// recordWait records in the recorder, if there is one, that testcontainers starts or stops waiting for any container.
func recordWait(id string, begins bool) {
	shared.Lock()
	r := shared.recorder
	shared.Unlock()
	if r == nil {
		return
	}
	if !begins {
		r.newGeneration()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	waits := r.containers.waits[id]
	if n := len(waits); n > 0 && waits[n-1].until == 0 {
		waits[n-1].until = now()
	}
	if begins {
		waits = append(waits, waitPeriod{from: now()})
	}
	r.containers.waits[id] = waits
}

// waitedForAny reports whether testcontainers waited for a container at a time. It knows every container of this
// process.
func (c *containerState) waitedForAny(id string, at time.Duration) bool {
	return waitedAt(c.waits[id], at)
}

// waitedForAttached reports whether testcontainers waited, at a time, for a container that was attached to a recording.
func (c *containerState) waitedForAttached(id string, at time.Duration) bool {
	attached := c.attachments[id]
	return attached != nil && waitedAt(attached.waits, at)
}

func waitedAt(waits []waitPeriod, at time.Duration) bool {
	return slices.ContainsFunc(waits, func(w waitPeriod) bool { return w.from <= at && (w.until == 0 || at < w.until) })
}

// watchRunning watches a container that ran before the recorder, such as a reused one. Its cgroup is not new, so the
// kernel does not report it.
func (r *Recorder) watchRunning(id string) {
	watcher, err := r.containers.engine()
	if err != nil {
		return // resolve reports the error
	}
	found, _ := watcher.Container(id)
	r.mu.Lock()
	attached := r.containers.attachments[id]
	if attached.older || found.Started == 0 || found.Started >= r.containers.started || found.Ended != 0 {
		r.mu.Unlock()
		return
	}
	attached.older = true
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
			err = trackConnections(r.session, id, dir, cgroup)
		}
		if err != nil {
			r.mu.Lock()
			r.fail(err)
			r.mu.Unlock()
		}
	}
}
