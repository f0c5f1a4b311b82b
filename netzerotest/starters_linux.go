package netzerotest

import (
	"fmt"
	"maps"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/netzero-dev/netzero/internal/docker"
	"github.com/netzero-dev/netzero/internal/endpoint"
	"github.com/netzero-dev/netzero/internal/goroutine"
	"github.com/netzero-dev/netzero/internal/probe"
)

// An engine does not say for whom it starts a container. But whoever asked for it waits for the answer while the container's
// cgroup is made: so the clients of the engine at that moment are the candidates.

// starter is who was a client of the engine when it made a container's cgroup.
type starter struct {
	at     time.Duration
	done   chan struct{} // closed when the rest is set
	tree   []engineClient
	others []string // the command lines of those that do not descend from the test process; "" where they cannot be seen
}

// engineClient is a client that is the test process, or descends from it.
type engineClient struct {
	pid       int
	command   string
	recording goroutine.ID // to which it belongs; 0 where that is none in particular
}

// starters are those of containers, by ID.
type starters struct {
	mu sync.Mutex
	of map[string]*starter
}

// begin returns a starter that is to be set, or nil where there is one already.
func (s *starters) begin(id string) *starter {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.of[id] != nil {
		return nil
	}
	if s.of == nil {
		s.of = make(map[string]*starter)
	}
	s.of[id] = &starter{at: now(), done: make(chan struct{})}
	return s.of[id]
}

// all returns all of them, once they are set.
func (s *starters) all() map[string]*starter {
	s.mu.Lock()
	all := maps.Clone(s.of)
	s.mu.Unlock()
	for _, st := range all {
		<-st.done
	}
	return all
}

// newborn is told of cgroups that are being made, and says of those that have opened something whether they are unrelated to any
// container.
func (c *capture) newborn(e *probe.CgroupEvent) bool {
	if ids := docker.IDsFromCgroup(pathOf(e)); len(ids) > 0 {
		if st := c.containers.starters.begin(ids[len(ids)-1]); st != nil {
			go func() {
				defer close(st.done)
				c.findClients(st)
			}()
		}
	}
	return !e.Made && nobodys(e)
}

// findClients looks who is a client of an engine now.
func (c *capture) findClients(st *starter) {
	c.mu.Lock()
	s := c.session
	c.mu.Unlock()
	self := os.Getpid()
	tree := map[int]goroutine.ID{self: 0}
	descendants, _ := endpoint.Descendants(self) // without, the kernel's table tells
	for _, pid := range descendants {
		tree[pid] = 0
	}
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
		recording, ours := tree[pid]
		if !ours {
			st.others = append(st.others, p.Command)
			return
		}
		st.tree = append(st.tree, engineClient{pid, p.Command, recording})
	}
	clients, _ := endpoint.Clients(isEngineSocket) // without, the names of programs tell
	for _, client := range clients {
		if !docker.IsOwn(client.Inode) {
			add(client.PID)
		}
	}
	for pid := range tree {
		// Its connection may be in another network namespace, or lead through another socket.
		if p, err := endpoint.ReadProcess(pid); err == nil && slices.Contains(engineCommands, p.Name) {
			add(pid)
		}
	}
	if len(st.tree) > 0 {
		c.containers.begin()
	}
}

// engineCommands are programs that ask an engine to start containers.
var engineCommands = []string{"docker", "docker-compose", "podman", "nerdctl"}

// isEngineSocket reports whether a path is one at which an engine listens.
func isEngineSocket(at string) bool {
	host := strings.TrimPrefix(os.Getenv("DOCKER_HOST"), "unix://")
	return at == host || engineSocket.MatchString(path.Base(at))
}

var engineSocket = regexp.MustCompile(`^(docker|podman).*\.sock$`)

// startedBy says whether this recording's test started a container: certainly, or perhaps. others are all other candidates.
func (s *settling) startedBy(c docker.Container) (certain, perhaps bool) {
	st := s.starters[c.ID]
	if st == nil || st.at < s.started {
		return false, false
	}
	own, other := 0, 0 // how much the command lines say of the container
	others, inProcess := len(st.others) > 0, false
	for _, command := range st.others {
		other = max(other, mentions(command, c))
	}
	for _, client := range st.tree {
		if !s.has(client.recording) {
			others, other = true, max(other, mentions(client.command, c))
			continue
		}
		perhaps = true
		inProcess = inProcess || client.pid == s.capture.self
		own = max(own, mentions(client.command, c))
	}
	if !perhaps || other > own {
		return false, false
	}
	switch {
	case c.Labels[labelTestcontainers] == "true", c.Labels[labelProject] != "", isImageID(c.Image):
		return false, true // has ways of its own to be tied to a test; or is a step of a build
	case others:
		return own > other, true
	case own == 0 && inProcess && len(s.capture.members) > 1:
		return false, true // whichever goroutine it was
	}
	return true, true
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

// mentions returns how many things a command line says of a container: its image, and then its name, its network and the words of
// its command; 0 where it does not name the image.
func mentions(command string, c docker.Container) int {
	words := strings.Fields(strings.NewReplacer("'", " ", `"`, " ", "=", " ").Replace(command))
	if c.Image == "" || !slices.Contains(words, c.Image) {
		return 0
	}
	n := 1
	for _, thing := range append(strings.Fields(c.Command), c.Name, c.NetworkMode) {
		if thing != "" && slices.Contains(words, thing) {
			n++
		}
	}
	return n
}

var imageID = regexp.MustCompile(`^(sha256:[0-9a-f]+|[0-9a-f]{12}|[0-9a-f]{64})$`)

func isImageID(image string) bool { return imageID.MatchString(image) }

// unrecordedContainers tells of containers that have opened something, that this test may have started, and that are not recorded.
func (s *settling) unrecordedContainers() (texts []string) {
	if s.engine == nil {
		return nil
	}
	for _, c := range s.engine.Containers() {
		claim := s.capture.containers.claims[c.ID]
		if s.own[c.ID] || claim != nil || c.Labels[docker.LabelRecording] != "" || docker.Infrastructure(c) != "" || !s.opened(c.ID) {
			continue
		}
		if _, perhaps := s.startedBy(c); perhaps {
			texts = append(texts, fmt.Sprintf("%s: container %s (%s) may have been started by this test, and is not recorded: if it is this test's, pass the recording to it, "+
				"or run it while no other program asks the engine for containers", s.name, c.Name, c.Image))
		}
	}
	return texts
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
