package recorder

import (
	"fmt"
	"iter"
	"maps"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/testcontainers/testcontainers-go"

	"github.com/netzero-dev/netzero/internal/docker"
	"github.com/netzero-dev/netzero/internal/endpoint"
	"github.com/netzero-dev/netzero/internal/goroutine"
	"github.com/netzero-dev/netzero/internal/probe"
)

// An engine does not report which client asked it to start a container or to run a command in one. But the client waits
// for the answer while the engine creates the container's cgroup, or moves the command into it. So the clients that are
// connected at that moment are the candidates.

// startEvent is a moment at which an engine created the cgroup of a container or moved a command into it, with the
// clients of the engine at that moment.
type startEvent struct {
	at      time.Duration
	command bool          // a command in a container that is older than the recording
	done    chan struct{} // closed when the clients are known
	tree    []engineClient
	others  []engineClient // all other processes
}

// engineClient is a client of an engine.
type engineClient struct {
	pid       int          // 0 if it is not visible
	command   string       // empty if it is not visible
	recording goroutine.ID // that the process belongs to; 0 if it is none in particular
	calls     engineCalls  // only of this process, which is one client for each recording that makes calls
	cut       bool         // the command line is incomplete
	sibling   bool         // it has the same parent as this process, as the tests of other packages do
}

// startEvents are the start events by container ID: one for each start of a new container, and one for each command in
// an older one.
type startEvents struct {
	mu       sync.Mutex
	byID     map[string][]*startEvent
	ended    bool
	searches sync.WaitGroup // they use what the recorder closes
}

// sameStart is how long an engine may take to create the cgroups of one container: one in the tree of each controller.
const sameStart = time.Second

// started returns a new start event that the caller must complete, or nil if the start is known already. If fresh is
// false, the container was created at an unknown time.
func (s *startEvents) started(id string, at time.Duration, fresh bool) *startEvent {
	s.mu.Lock()
	defer s.mu.Unlock()
	if slices.ContainsFunc(s.byID[id], func(st *startEvent) bool { return !st.command && (!fresh || at-st.at < sameStart) }) {
		return nil
	}
	return s.add(id, &startEvent{at: at})
}

// commandRun returns a new start event for a command in an older container. The caller must complete it.
func (s *startEvents) commandRun(id string, at time.Duration) *startEvent {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.add(id, &startEvent{at: at, command: true})
}

// The caller holds mu.
func (s *startEvents) add(id string, st *startEvent) *startEvent {
	if s.byID == nil {
		s.byID = make(map[string][]*startEvent)
	}
	st.done = make(chan struct{})
	s.byID[id] = append(s.byID[id], st)
	return st
}

// all returns all start events, and waits until they are complete.
func (s *startEvents) all() map[string][]*startEvent {
	s.mu.Lock()
	all := make(map[string][]*startEvent)
	for id, events := range s.byID {
		all[id] = slices.Clone(events)
	}
	s.mu.Unlock()
	for _, events := range all {
		for _, st := range events {
			<-st.done
		}
	}
	return all
}

// trackCgroup handles new cgroups and commands that enter older containers. For a cgroup that has opened a flow, it
// reports whether the cgroup is unrelated to any container.
func (r *Recorder) trackCgroup(e *probe.CgroupEvent) bool {
	if e.Entered {
		if id := r.containers.older.container(e.Cgroup); id != "" {
			r.findStartEvent(r.containers.startEvents.commandRun(id, e.Time))
		}
		return false
	}
	if ids := docker.IDsFromCgroup(pathOf(e)); len(ids) > 0 {
		id := ids[len(ids)-1]
		isOuter := len(docker.IDsFromCgroup(e.Names[0])) > 0 // else it is nested in the cgroup of the container
		// The first flow of an older container starts the search for its initiator.
		if isOuter && r.containers.older.container(e.Cgroup) == "" || !r.containers.older.has(id) {
			r.findStartEvent(r.containers.startEvents.started(id, e.Time, e.Created && isOuter))
		}
	}
	return !e.Created && isOutsideContainers(e)
}

// failSearch records an error that makes the recordings incomplete.
func (r *Recorder) failSearch(err error) {
	if err == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fail(fmt.Errorf("look for who started a container: %w", err))
}

// findStartEvent completes a start event in the background. The event may be nil.
func (r *Recorder) findStartEvent(st *startEvent) {
	if st == nil {
		return
	}
	s := &r.containers.startEvents
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		close(st.done)
		return
	}
	s.searches.Go(func() {
		defer close(st.done)
		r.findClients(st)
	})
}

// end waits for the searches in progress and prevents new ones.
func (s *startEvents) end() {
	s.mu.Lock()
	s.ended = true
	s.mu.Unlock()
	s.searches.Wait()
}

// findClients adds the clients that an engine has now to a start event. It looks first for processes that may end soon.
func (r *Recorder) findClients(st *startEvent) {
	r.mu.Lock()
	session := r.session
	r.mu.Unlock()
	searching := docker.IsSearching()
	calls := callsOfEngine()
	self := os.Getpid()
	tree := map[int]goroutine.ID{self: 0}
	if session != nil {
		known, err := session.Descendants()
		r.failSearch(err)
		maps.Copy(tree, known)
	}
	added := make(map[int]bool)
	add := func(pid int) {
		if added[pid] && pid != 0 {
			return
		}
		added[pid] = true
		p, err := endpoint.ReadProcess(pid)
		if err != nil && pid != 0 {
			return // it has ended, so it does not wait for an answer
		}
		client := engineClient{pid: pid, command: p.Command}
		if recording, ours := tree[pid]; ours {
			client.recording = recording
			st.tree = append(st.tree, client)
			return
		}
		client.sibling = pid == 0 || endpoint.Descends(pid, os.Getppid())
		st.others = append(st.others, client)
	}
	addCommands := func(pids iter.Seq[int]) {
		for pid := range pids {
			// The connection may be in another network namespace, or go through another socket.
			if p, err := endpoint.ReadProcess(pid); err == nil && slices.Contains(engineCommands, p.Name) {
				add(pid)
			}
		}
	}
	addCommands(maps.Keys(tree))
	descendants, err := endpoint.Descendants(self)
	r.failSearch(err)
	for _, pid := range descendants {
		if _, known := tree[pid]; !known {
			tree[pid] = 0
		}
	}
	addCommands(slices.Values(descendants))
	clients, err := endpoint.Clients(isEngineSocket)
	if err != nil { // a kernel without CONFIG_UNIX_DIAG: use the names of programs, and the stacks of this process
		clients = []endpoint.Client{{PID: self}}
		searching = true
	}
	ownSockets := make(map[uint64]bool)
	for _, client := range clients {
		ownSockets[client.Inode] = ownSockets[client.Inode] || client.PID == self
	}
	for _, client := range clients {
		inherited := ownSockets[client.Inode] && client.PID != self // a child before its exec
		if !docker.IsWatcher(client.Name) && !inherited {
			add(client.PID)
		}
	}
	if searching || docker.IsSearching() { // the connection may belong to the search for an engine
		calls = callsByClients(calls)
	}
	if added[self] { // its connection may be idle
		st.tree = slices.DeleteFunc(st.tree, func(client engineClient) bool { return client.pid == self })
		st.tree = append(st.tree, r.callers(calls)...)
	}
	if len(st.tree) > 0 {
		r.containers.begin()
	}
}

// callers returns this process as one client for each recording that makes calls to an engine.
func (r *Recorder) callers(calls map[string]engineCalls) (all []engineClient) {
	byLabel := make(map[string]goroutine.ID)
	r.mu.Lock()
	for _, m := range r.recordings {
		byLabel[m.goroutine.String()] = m.goroutine
	}
	r.mu.Unlock()
	p, _ := endpoint.ReadProcess(r.self)
	for label, made := range calls {
		all = append(all, engineClient{pid: r.self, command: p.Command, recording: byLabel[label], calls: made})
	}
	return all
}

// isEngineSocket reports whether a path is the socket of an engine.
func isEngineSocket(at string) bool {
	host := strings.TrimPrefix(os.Getenv("DOCKER_HOST"), "unix://")
	return at == host || engineSocket.MatchString(path.Base(at))
}

var engineSocket = regexp.MustCompile(`^(docker|podman).*\.sock$`)

// startedBy reports whether this recording's test started a container or ran a command in an older one. If it is not
// certain, perhaps reports whether it is possible.
func (r *resolution) startedBy(c docker.Container) (certain, perhaps bool) {
	for _, st := range r.startEvents[c.ID] {
		is, may := r.startedThis(st, c)
		certain, perhaps = certain || is, perhaps || may
	}
	return certain, perhaps
}

func (r *resolution) startedThis(st *startEvent, c docker.Container) (certain, perhaps bool) {
	if st.at < r.started {
		return false, false
	}
	if recording, created := createdHere(c.ID); created && !st.command {
		return r.includes(recording) && (recording != 0 || r.alone), r.includes(recording)
	}
	sameSession := c.Session == testcontainers.SessionID() // then only processes with the same parent can have started it
	started := c.Labels[labelTestcontainers] == "true" && !st.command
	ours, others := impossible, impossible // how well the command lines of clients match the container
	unknown := false                       // a goroutine of this process, of an unknown test
	for _, client := range st.others {
		if sameSession && !client.sibling {
			continue
		}
		others = max(others, likelihood(client, c, st.command))
	}
	for _, client := range r.clientsAt(st) {
		n := likelihood(client, c, st.command)
		self := client.pid == r.self
		switch {
		case self && started && (!sameSession || inSession(c)):
			// testcontainers of another process created it
		case self && st.command && c.OnlyHealthChecks(r.started):
			// the engine ran its own health check
		case !r.includes(client.recording):
			others = max(others, n)
		default:
			ours = max(ours, n)
			unknown = unknown || self && client.recording == 0
		}
	}
	switch {
	case ours == impossible, others > ours:
		return false, false
	case isImageID(c.Image):
		return false, true // a build step
	case ours == others:
		return false, true
	case ours == possible && unknown && !r.alone:
		return false, true
	}
	return true, true
}

// inSession reports whether testcontainers-go created a container in the session that this process belongs to: this
// process did if createdHere says so, otherwise the test of another package. compose itself creates the containers of
// its projects.
func inSession(c docker.Container) bool {
	return c.Labels[labelTestcontainers] == "true" && c.Session == testcontainers.SessionID() && c.Labels[labelProject] == ""
}

// ranCommand reports whether this test may have run a command in a container that is older than the recording.
func (r *resolution) ranCommand(id string) bool {
	return slices.ContainsFunc(r.startEvents[id], func(st *startEvent) bool {
		return st.command && st.at >= r.started && len(r.clientsAt(st)) > 0
	})
}

// includesID reports whether this recording includes the flows of another: its own, those of a subtest, or unattributed
// ones.
func (m *Recording) includesID(recording goroutine.ID) bool {
	for _, other := range m.recorder.recordings {
		if other.goroutine == recording {
			return other == m || m.includes(other.test)
		}
	}
	return true
}

var imageID = regexp.MustCompile(`^(sha256:[0-9a-f]+|[0-9a-f]{12}|[0-9a-f]{64})$`)

func isImageID(image string) bool { return imageID.MatchString(image) }

// unrecordedContainers reports containers that opened flows and are not recorded, although this test may have started
// them or run a command in them: errs if their purpose is unknown, lines if they are build steps of an image.
func (r *resolution) unrecordedContainers() (errs, lines []string) {
	if r.engine == nil {
		return nil, nil
	}
	for _, c := range r.engine.Containers() {
		if r.owned[c.ID] || r.isAttached(c.ID) || c.Labels[docker.LabelRecording] != "" || docker.Infrastructure(c) != "" || !r.hasOpened(c.ID) {
			continue
		}
		_, perhaps := r.startedBy(c)
		text := fmt.Sprintf("container %s (%s) may have been started by this test, and is not recorded", c.Name, c.Image)
		switch {
		case !perhaps:
		case isImageID(c.Image):
			lines = append(lines, fmt.Sprintf("%s: %s: it is a step of the build of an image", r.options.Test, text))
		case c.Started < r.started:
			errs = append(errs, fmt.Sprintf("a command may have been run by this test in container %s (%s), which is not recorded: if it is this test's, "+
				"pass the recording to the container, or run it while no other program asks the engine for such", c.Name, c.Image))
		default:
			errs = append(errs, text+": if it is this test's, pass the recording to it, or run it while no other program asks the engine for containers")
		}
	}
	return errs, lines
}

// hasOpened reports whether a container opened any flow.
func (r *resolution) hasOpened(id string) bool {
	return slices.ContainsFunc(r.observations, func(f attributedFlow) bool {
		return f.event.Cgroup != r.ownCgroup && slices.Contains(r.cgroups[f.event.Cgroup].ids, id)
	})
}

// goneContainers returns an error text for each container of this test that was removed before the engine could
// describe it.
func (r *resolution) goneContainers() (errs []string) {
	for _, f := range r.observations {
		if !f.missing {
			continue
		}
		for _, id := range r.cgroups[f.event.Cgroup].ids {
			if certain, _ := r.startedBy(docker.Container{ID: id}); certain {
				errs = append(errs, fmt.Sprintf("container %s of this test had gone before the engine could be asked what it was: pass the recording to it, or let it live for longer",
					id[:min(12, len(id))]))
			}
		}
	}
	slices.Sort(errs)
	return slices.Compact(errs)
}
