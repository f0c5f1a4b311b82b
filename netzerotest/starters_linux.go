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
	calls   engineCalls    // that the test process makes, if it is one of tree
}

// engineClient is a client of an engine.
type engineClient struct {
	pid       int          // 0 where it cannot be seen
	command   string       // "" where it cannot be seen
	recording goroutine.ID // of one that descends from the test process: to which it belongs; 0 where that is none in particular
	sibling   bool         // it has this process's parent, as the tests of other packages do
}

// starters are those of containers, by ID: of each birth of a container in the recording, and of each command in an older one.
type starters struct {
	mu sync.Mutex
	of map[string][]*starter
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

// drop forgets a command for which nobody of this test can have asked: health checks come often.
func (s *starters) drop(id string, st *starter) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.of[id] = slices.DeleteFunc(s.of[id], func(other *starter) bool { return other == st })
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
			c.look(id, c.containers.starters.runs(id, e.Time))
		}
		return false
	}
	if ids := docker.IDsFromCgroup(pathOf(e)); len(ids) > 0 {
		id := ids[len(ids)-1]
		own := len(docker.IDsFromCgroup(e.Names[0])) > 0 // else it is nested in the container's
		if own || !c.containers.older.has(id) {
			c.look(id, c.containers.starters.birth(id, e.Time, e.Made && own))
		}
	}
	return !e.Made && nobodys(e)
}

// look sets a starter, which may be nil.
func (c *capture) look(id string, st *starter) {
	if st == nil {
		return
	}
	go func() {
		defer close(st.done)
		c.findClients(st)
		if st.command && len(st.tree) == 0 {
			c.containers.starters.drop(id, st)
		}
	}()
}

// findClients looks who is a client of an engine now. Those come first that may end soonest.
func (c *capture) findClients(st *starter) {
	c.mu.Lock()
	s := c.session
	c.mu.Unlock()
	calls := callsOfEngine()
	self := os.Getpid()
	tree := map[int]goroutine.ID{self: 0}
	if s != nil {
		maps.Copy(tree, s.Descendants())
	}
	seen := make(map[int]bool)
	add := func(pid int) {
		if seen[pid] && pid != 0 {
			return
		}
		seen[pid] = true
		p, _ := endpoint.ReadProcess(pid)
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
	descendants, _ := endpoint.Descendants(self) // without, the kernel's table tells
	for _, pid := range descendants {
		if _, known := tree[pid]; !known {
			tree[pid] = 0
		}
	}
	addCommands(slices.Values(descendants))
	clients, _ := endpoint.Clients(isEngineSocket) // without, the names of programs tell
	for _, client := range clients {
		if !docker.IsOwn(client.Inode) {
			add(client.PID)
		}
	}
	if seen[self] {
		st.calls = calls
		if st.calls == (engineCalls{}) { // its connection is idle
			st.tree = slices.DeleteFunc(st.tree, func(client engineClient) bool { return client.pid == self })
		}
	}
	if len(st.tree) > 0 {
		c.containers.begin()
	}
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
	session := c.Labels[labelTestcontainers] == "true" && !st.command // of Go's testcontainers it is known which processes share it
	own, other := impossible, impossible                              // how much the command lines say of the container
	inProcess := false
	for _, client := range st.others {
		if session && c.Session == testcontainers.SessionID() && !client.sibling {
			continue
		}
		other = max(other, says(client.command, c, st.command))
	}
	for _, client := range st.tree {
		said := says(client.command, c, st.command)
		self := client.pid == s.capture.self
		switch {
		case !s.has(client.recording):
			other = max(other, said)
		case self && session && (!st.calls.testcontainers || c.Session != testcontainers.SessionID()):
			// some other call
		case self && st.command && c.OnlyHealthChecks(s.started):
			// the engine's own
		default:
			own = max(own, said)
			inProcess = inProcess || self
		}
	}
	switch {
	case own == impossible, other > own:
		return false, false
	case isImageID(c.Image):
		return false, true // a step of a build
	case own == other:
		return false, true
	case own == possible && inProcess && len(s.capture.members) > 1:
		return false, true // whichever goroutine it was
	}
	return true, true
}

// ranCommand reports whether a command may have been run for this test in a container that is older than the recording.
func (s *settling) ranCommand(id string) bool {
	return slices.ContainsFunc(s.starters[id], func(st *starter) bool { return st.command && st.at >= s.started })
}

// has reports whether what belongs to a recording is this one's: its own, that of a part of its test, or nobody's in particular.
func (m *membership) has(recording goroutine.ID) bool {
	for _, other := range m.capture.members {
		if other.goroutine == recording {
			return other == m || contains(m.name, other.name)
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
