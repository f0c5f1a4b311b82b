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

// An engine does not say for whom it starts a container, or a command in one. But whoever asked for it waits for the answer while the
// container's cgroup is made, or the command comes into it: so the clients of the engine at that moment are the candidates.

// startEvent is who was a client of the engine when it made a container's cgroup, or let a command into it.
type startEvent struct {
	at      time.Duration
	command bool          // it is a command in a container that is older than the recording
	done    chan struct{} // closed when the rest is set
	tree    []engineClient
	others  []engineClient // those that do not descend from the test process
}

// engineClient is a client of an engine.
type engineClient struct {
	pid       int          // 0 where it cannot be seen
	command   string       // "" where it cannot be seen
	recording goroutine.ID // of one that descends from the test process: to which it belongs; 0 where that is none in particular
	calls     engineCalls  // of the test process, which is a client for each recording whose goroutines make some
	cut       bool         // command is not all of it
	sibling   bool         // it has this process's parent, as the tests of other packages do
}

// startEvents are those of containers, by ID: of each birth of a container in the recording, and of each command in an older one.
type startEvents struct {
	mu    sync.Mutex
	of    map[string][]*startEvent
	ended bool
	looks sync.WaitGroup // which use what the recorder closes when it ends
}

// sameStart is how long an engine may take to make a container's cgroups: one in the tree of each controller.
const sameStart = time.Second

// started returns a starter that is to be set, or nil where it is known already. Not fresh: it was made at some time.
func (s *startEvents) started(id string, at time.Duration, fresh bool) *startEvent {
	s.mu.Lock()
	defer s.mu.Unlock()
	if slices.ContainsFunc(s.of[id], func(st *startEvent) bool { return !st.command && (!fresh || at-st.at < sameStart) }) {
		return nil
	}
	return s.add(id, &startEvent{at: at})
}

// commandRun returns a starter that is to be set, of a command in an older container.
func (s *startEvents) commandRun(id string, at time.Duration) *startEvent {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.add(id, &startEvent{at: at, command: true})
}

// add is for a caller that holds mu.
func (s *startEvents) add(id string, st *startEvent) *startEvent {
	if s.of == nil {
		s.of = make(map[string][]*startEvent)
	}
	st.done = make(chan struct{})
	s.of[id] = append(s.of[id], st)
	return st
}

// all returns all of them, once they are set.
func (s *startEvents) all() map[string][]*startEvent {
	s.mu.Lock()
	all := make(map[string][]*startEvent)
	for id, of := range s.of {
		all[id] = slices.Clone(of)
	}
	s.mu.Unlock()
	for _, of := range all {
		for _, st := range of {
			<-st.done
		}
	}
	return all
}

// trackCgroup is told of cgroups that are being made, and of tasks that come into those of older containers, and says of those that have
// opened something whether they are unrelated to any container.
func (r *Recorder) trackCgroup(e *probe.CgroupEvent) bool {
	if e.Entered {
		if id := r.containers.older.container(e.Cgroup); id != "" {
			r.findStartEvent(r.containers.starters.commandRun(id, e.Time))
		}
		return false
	}
	if ids := docker.IDsFromCgroup(pathOf(e)); len(ids) > 0 {
		id := ids[len(ids)-1]
		own := len(docker.IDsFromCgroup(e.Names[0])) > 0                                        // else it is nested in the container's
		if own && r.containers.older.container(e.Cgroup) == "" || !r.containers.older.has(id) { // of an older one its first flow tells
			r.findStartEvent(r.containers.starters.started(id, e.Time, e.Made && own))
		}
	}
	return !e.Made && isOutsideContainers(e)
}

// failSearch keeps what makes the recordings incomplete.
func (r *Recorder) failSearch(err error) {
	if err == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fail(fmt.Errorf("look for who started a container: %w", err))
}

// findStartEvent sets a starter, which may be nil.
func (r *Recorder) findStartEvent(st *startEvent) {
	if st == nil {
		return
	}
	s := &r.containers.starters
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		close(st.done)
		return
	}
	s.looks.Go(func() {
		defer close(st.done)
		r.findClients(st)
	})
}

// end waits for all looks, and lets none begin any more.
func (s *startEvents) end() {
	s.mu.Lock()
	s.ended = true
	s.mu.Unlock()
	s.looks.Wait()
}

// findClients looks who is a client of an engine now. Those come first that may end soonest.
func (r *Recorder) findClients(st *startEvent) {
	r.mu.Lock()
	s := r.session
	r.mu.Unlock()
	searching := docker.IsSearching()
	calls := callsOfEngine()
	self := os.Getpid()
	tree := map[int]goroutine.ID{self: 0}
	if s != nil {
		known, err := s.Descendants()
		r.failSearch(err)
		maps.Copy(tree, known)
	}
	seen := make(map[int]bool)
	add := func(pid int) {
		if seen[pid] && pid != 0 {
			return
		}
		seen[pid] = true
		p, err := endpoint.ReadProcess(pid)
		if err != nil && pid != 0 {
			return // it has ended, and waits for nobody
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
			// Its connection may be in another network namespace, or lead through another socket.
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
	if err != nil { // the kernel does not tell (CONFIG_UNIX_DIAG): the names of programs and the stacks of this one do
		clients = []endpoint.Client{{PID: self}}
		searching = true
	}
	own := make(map[uint64]bool)
	for _, client := range clients {
		own[client.Inode] = own[client.Inode] || client.PID == self
	}
	for _, client := range clients {
		inherited := own[client.Inode] && client.PID != self // by a child that has not begun its program yet
		if !docker.IsWatcher(client.Name) && !inherited {
			add(client.PID)
		}
	}
	if searching || docker.IsSearching() { // the connection may be of the search
		calls = callsByClients(calls)
	}
	if seen[self] { // with a connection that may be idle
		st.tree = slices.DeleteFunc(st.tree, func(client engineClient) bool { return client.pid == self })
		st.tree = append(st.tree, r.callers(calls)...)
	}
	if len(st.tree) > 0 {
		r.containers.begin()
	}
}

// callers returns the test process as a client for each recording that makes calls.
func (r *Recorder) callers(calls map[string]engineCalls) (all []engineClient) {
	of := make(map[string]goroutine.ID)
	r.mu.Lock()
	for _, m := range r.members {
		of[m.goroutine.String()] = m.goroutine
	}
	r.mu.Unlock()
	p, _ := endpoint.ReadProcess(r.self)
	for label, made := range calls {
		all = append(all, engineClient{pid: r.self, command: p.Command, recording: of[label], calls: made})
	}
	return all
}

// isEngineSocket reports whether a path is one at which an engine listens.
func isEngineSocket(at string) bool {
	host := strings.TrimPrefix(os.Getenv("DOCKER_HOST"), "unix://")
	return at == host || engineSocket.MatchString(path.Base(at))
}

var engineSocket = regexp.MustCompile(`^(docker|podman).*\.sock$`)

// startedBy says whether this recording's test started a container, or ran a command in an older one: certainly, or perhaps.
func (r *resolution) startedBy(c docker.Container) (certain, perhaps bool) {
	for _, st := range r.starters[c.ID] {
		is, may := r.startedThis(st, c)
		certain, perhaps = certain || is, perhaps || may
	}
	return certain, perhaps
}

func (r *resolution) startedThis(st *startEvent, c docker.Container) (certain, perhaps bool) {
	if st.at < r.started {
		return false, false
	}
	if of, is := createdHere(c.ID); is && !st.command {
		return r.includes(of) && (of != 0 || r.alone), r.includes(of)
	}
	ours := c.Session == testcontainers.SessionID() // so that processes with another parent have nothing to do with it
	started := c.Labels[labelTestcontainers] == "true" && !st.command
	own, other := impossible, impossible // how much the command lines say of the container
	unknown := false                     // whichever goroutine of this process it was
	for _, client := range st.others {
		if ours && !client.sibling {
			continue
		}
		other = max(other, likelihood(client, c, st.command))
	}
	for _, client := range r.clientsAt(st) {
		said := likelihood(client, c, st.command)
		self := client.pid == r.self
		switch {
		case self && started && (!ours || inSession(c)):
			// another process's testcontainers made it
		case self && st.command && c.OnlyHealthChecks(r.started):
			// the engine's own
		case !r.includes(client.recording):
			other = max(other, said)
		default:
			own = max(own, said)
			unknown = unknown || self && client.recording == 0
		}
	}
	switch {
	case own == impossible, other > own:
		return false, false
	case isImageID(c.Image):
		return false, true // a step of a build
	case own == other:
		return false, true
	case own == possible && unknown && !r.alone:
		return false, true
	}
	return true, true
}

// inSession reports whether Go's testcontainers has made a container in a session that this process belongs to: this process, if
// madeHere says so, or the test of another package. Containers of compose projects are made by compose.
func inSession(c docker.Container) bool {
	return c.Labels[labelTestcontainers] == "true" && c.Session == testcontainers.SessionID() && c.Labels[labelProject] == ""
}

// ranCommand reports whether a command may have been run for this test in a container that is older than the recording.
func (r *resolution) ranCommand(id string) bool {
	return slices.ContainsFunc(r.starters[id], func(st *startEvent) bool {
		return st.command && st.at >= r.started && len(r.clientsAt(st)) > 0
	})
}

// includesID reports whether what belongs to a recording is this one's: its own, that of a part of its test, or nobody's in particular.
func (m *Recording) includesID(recording goroutine.ID) bool {
	for _, other := range m.recorder.members {
		if other.goroutine == recording {
			return other == m || m.includes(other.test)
		}
	}
	return true
}

var imageID = regexp.MustCompile(`^(sha256:[0-9a-f]+|[0-9a-f]{12}|[0-9a-f]{64})$`)

func isImageID(image string) bool { return imageID.MatchString(image) }

// unrecordedContainers tells of containers that have opened something, that this test may have started or run a command in, and that are
// not recorded: errs where no more is known, lines of those that were started to build an image.
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

// hasOpened reports whether a container was seen to open anything.
func (r *resolution) hasOpened(id string) bool {
	return slices.ContainsFunc(r.observations, func(l attributedFlow) bool {
		return l.event.Cgroup != r.ownCgroup && slices.Contains(r.cgroups[l.event.Cgroup].ids, id)
	})
}

// goneContainers says which containers of this test have gone before the engine could be asked about them.
func (r *resolution) goneContainers() (texts []string) {
	for _, l := range r.observations {
		if !l.missing {
			continue
		}
		for _, id := range r.cgroups[l.event.Cgroup].ids {
			if certain, _ := r.startedBy(docker.Container{ID: id}); certain {
				texts = append(texts, fmt.Sprintf("container %s of this test had gone before the engine could be asked what it was: pass the recording to it, or let it live for longer",
					id[:min(12, len(id))]))
			}
		}
	}
	slices.Sort(texts)
	return slices.Compact(texts)
}
