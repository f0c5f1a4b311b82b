package netzerotest

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

// starter is who was a client of the engine when it made a container's cgroup, or let a command into it.
type starter struct {
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

// starters are those of containers, by ID: of each birth of a container in the recording, and of each command in an older one.
type starters struct {
	mu    sync.Mutex
	of    map[string][]*starter
	ended bool
	looks sync.WaitGroup // which use what the capture closes when it ends
}

// sameBirth is how long an engine may take to make a container's cgroups: one in the tree of each controller.
const sameBirth = time.Second

// birth returns a starter that is to be set, or nil where it is known already. Not fresh: it was made at some time.
func (s *starters) birth(id string, at time.Duration, fresh bool) *starter {
	s.mu.Lock()
	defer s.mu.Unlock()
	if slices.ContainsFunc(s.of[id], func(st *starter) bool { return !st.command && (!fresh || at-st.at < sameBirth) }) {
		return nil
	}
	return s.add(id, &starter{at: at})
}

// runs returns a starter that is to be set, of a command in an older container.
func (s *starters) runs(id string, at time.Duration) *starter {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.add(id, &starter{at: at, command: true})
}

// add is for a caller that holds mu.
func (s *starters) add(id string, st *starter) *starter {
	if s.of == nil {
		s.of = make(map[string][]*starter)
	}
	st.done = make(chan struct{})
	s.of[id] = append(s.of[id], st)
	return st
}

// all returns all of them, once they are set.
func (s *starters) all() map[string][]*starter {
	s.mu.Lock()
	all := make(map[string][]*starter)
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

// newborn is told of cgroups that are being made, and of tasks that come into those of older containers, and says of those that have
// opened something whether they are unrelated to any container.
func (c *capture) newborn(e *probe.CgroupEvent) bool {
	if e.Entered {
		if id := c.containers.older.container(e.Cgroup); id != "" {
			c.look(c.containers.starters.runs(id, e.Time))
		}
		return false
	}
	if ids := docker.IDsFromCgroup(pathOf(e)); len(ids) > 0 {
		id := ids[len(ids)-1]
		own := len(docker.IDsFromCgroup(e.Names[0])) > 0                                        // else it is nested in the container's
		if own && c.containers.older.container(e.Cgroup) == "" || !c.containers.older.has(id) { // of an older one its first flow tells
			c.look(c.containers.starters.birth(id, e.Time, e.Created && own))
		}
	}
	return !e.Created && nobodys(e)
}

// lack keeps what makes the recordings incomplete.
func (c *capture) lack(err error) {
	if err == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fail(fmt.Errorf("look for who started a container: %w", err))
}

// look sets a starter, which may be nil.
func (c *capture) look(st *starter) {
	if st == nil {
		return
	}
	s := &c.containers.starters
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		close(st.done)
		return
	}
	s.looks.Go(func() {
		defer close(st.done)
		c.findClients(st)
	})
}

// end waits for all looks, and lets none begin any more.
func (s *starters) end() {
	s.mu.Lock()
	s.ended = true
	s.mu.Unlock()
	s.looks.Wait()
}

// findClients looks who is a client of an engine now. Those come first that may end soonest.
func (c *capture) findClients(st *starter) {
	c.mu.Lock()
	s := c.session
	c.mu.Unlock()
	searching := docker.IsSearching()
	calls := callsOfEngine()
	self := os.Getpid()
	tree := map[int]goroutine.ID{self: 0}
	if s != nil {
		known, err := s.Descendants()
		c.lack(err)
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
	c.lack(err)
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
		st.tree = append(st.tree, c.callers(calls)...)
	}
	if len(st.tree) > 0 {
		c.containers.begin()
	}
}

// callers returns the test process as a client for each recording that makes calls.
func (c *capture) callers(calls map[string]engineCalls) (all []engineClient) {
	of := make(map[string]goroutine.ID)
	c.mu.Lock()
	for _, m := range c.members {
		of[m.goroutine.String()] = m.goroutine
	}
	c.mu.Unlock()
	p, _ := endpoint.ReadProcess(c.self)
	for label, made := range calls {
		all = append(all, engineClient{pid: c.self, command: p.Command, recording: of[label], calls: made})
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
func (s *settling) startedBy(c docker.Container) (certain, perhaps bool) {
	for _, st := range s.starters[c.ID] {
		is, may := s.startedThis(st, c)
		certain, perhaps = certain || is, perhaps || may
	}
	return certain, perhaps
}

func (s *settling) startedThis(st *starter, c docker.Container) (certain, perhaps bool) {
	if st.at < s.started {
		return false, false
	}
	if of, is := madeHere(c.ID); is && !st.command {
		return s.has(of) && (of != 0 || len(s.capture.members) == 1), s.has(of)
	}
	ours := c.Session == testcontainers.SessionID() // so that processes with another parent have nothing to do with it
	started := c.Labels[labelTestcontainers] == "true" && !st.command
	own, other := impossible, impossible // how much the command lines say of the container
	unknown := false                     // whichever goroutine of this process it was
	for _, client := range st.others {
		if ours && !client.sibling {
			continue
		}
		other = max(other, says(client, c, st.command))
	}
	for _, client := range s.capture.containers.candidates(st) {
		said := says(client, c, st.command)
		self := client.pid == s.capture.self
		switch {
		case self && started && (!ours || inSession(c)):
			// another process's testcontainers made it
		case self && st.command && c.OnlyHealthChecks(s.started):
			// the engine's own
		case !s.has(client.recording):
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
	case own == possible && unknown && len(s.capture.members) > 1:
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
func (s *settling) ranCommand(id string) bool {
	return slices.ContainsFunc(s.starters[id], func(st *starter) bool {
		return st.command && st.at >= s.started && len(s.capture.containers.candidates(st)) > 0
	})
}

// has reports whether what belongs to a recording is this one's: its own, that of a part of its test, or nobody's in particular.
func (m *membership) has(recording goroutine.ID) bool {
	for _, other := range m.capture.members {
		if other.goroutine == recording {
			return other == m || m.includes(other.name)
		}
	}
	return true
}

var imageID = regexp.MustCompile(`^(sha256:[0-9a-f]+|[0-9a-f]{12}|[0-9a-f]{64})$`)

func isImageID(image string) bool { return imageID.MatchString(image) }

// unrecordedContainers tells of containers that have opened something, that this test may have started or run a command in, and that are
// not recorded: errs where no more is known, lines of those that were started to build an image.
func (s *settling) unrecordedContainers() (errs, lines []string) {
	if s.engine == nil {
		return nil, nil
	}
	for _, c := range s.engine.Containers() {
		claim := s.capture.containers.claims[c.ID]
		if s.own[c.ID] || claim != nil || c.Labels[docker.LabelRecording] != "" || docker.Infrastructure(c) != "" || !s.opened(c.ID) {
			continue
		}
		_, perhaps := s.startedBy(c)
		text := fmt.Sprintf("container %s (%s) may have been started by this test, and is not recorded", c.Name, c.Image)
		switch {
		case !perhaps:
		case isImageID(c.Image):
			lines = append(lines, fmt.Sprintf("%s: %s: it is a step of the build of an image", s.name, text))
		case c.Started < s.started:
			errs = append(errs, fmt.Sprintf("a command may have been run by this test in container %s (%s), which is not recorded: if it is this test's, "+
				"pass the recording to the container, or run it while no other program asks the engine for such", c.Name, c.Image))
		default:
			errs = append(errs, text+": if it is this test's, pass the recording to it, or run it while no other program asks the engine for containers")
		}
	}
	return errs, lines
}

// opened reports whether a container was seen to open anything.
func (s *settling) opened(id string) bool {
	return slices.ContainsFunc(s.sightings, func(l located) bool {
		return l.event.Cgroup != s.capture.session.Leaf.ID && slices.Contains(s.capture.containers.cgroups[l.event.Cgroup].ids, id)
	})
}

// goneContainers says which containers of this test have gone before the engine could be asked about them.
func (s *settling) goneContainers() (texts []string) {
	for _, l := range s.sightings {
		if !l.missing {
			continue
		}
		for _, id := range s.capture.containers.cgroups[l.event.Cgroup].ids {
			if certain, _ := s.startedBy(docker.Container{ID: id}); certain {
				texts = append(texts, fmt.Sprintf("container %s of this test had gone before the engine could be asked what it was: pass the recording to it, or let it live for longer",
					id[:min(12, len(id))]))
			}
		}
	}
	slices.Sort(texts)
	return slices.Compact(texts)
}
