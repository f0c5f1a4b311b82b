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

	"github.com/netzero-dev/netzero/internal/docker"
	"github.com/netzero-dev/netzero/internal/endpoint"
	"github.com/netzero-dev/netzero/internal/goroutine"
	"github.com/netzero-dev/netzero/internal/probe"
	"github.com/netzero-dev/netzero/internal/recorder/containers"
	"github.com/netzero-dev/netzero/internal/recording"
)

// startEvent is a start whose clients are found in the background.
type startEvent struct {
	containers.Start
	done chan struct{} // closed when the clients are known
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
// It creates them one after the other, so a second is long, also on a busy machine. A container that starts again has
// run and been stopped in between, which usually takes longer.
const sameStart = time.Second

// started returns a new start event that the caller must complete, or nil if the start is known already. If fresh is
// false, the container was created at an unknown time.
func (s *startEvents) started(id string, at time.Duration, fresh bool) *startEvent {
	s.mu.Lock()
	defer s.mu.Unlock()
	same := func(st *startEvent) bool { return !st.Command && (!fresh || at-st.At < sameStart) }
	if slices.ContainsFunc(s.byID[id], same) {
		return nil
	}
	return s.add(id, &startEvent{Start: containers.Start{At: at}})
}

// commandRun returns a new start event for a command in an older container. The caller must complete it.
func (s *startEvents) commandRun(id string, at time.Duration) *startEvent {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.add(id, &startEvent{Start: containers.Start{At: at, Command: true}})
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
func (s *startEvents) all() map[string][]*containers.Start {
	s.mu.Lock()
	events := make(map[string][]*startEvent)
	for id, of := range s.byID {
		events[id] = slices.Clone(of)
	}
	s.mu.Unlock()
	all := make(map[string][]*containers.Start)
	for id, of := range events {
		for _, st := range of {
			<-st.done
			all[id] = append(all[id], &st.Start)
		}
	}
	return all
}

// findStartClients finds the clients of a container that starts, while its cgroup is being created.
func (r *Recorder) findStartClients(e *probe.MkdirEvent) {
	// An older container may start again, in a new cgroup; one that goes on may create cgroups nested in its own.
	if id, isOuter := containerAt(e.Path); id != "" && (isOuter || !r.containers.older.has(id)) {
		r.findStartEvent(r.containers.startEvents.started(id, e.Time, isOuter))
	}
}

// findCommandClients finds the clients of a command that is run in an older container, when it enters the container's
// cgroup. A task that the container itself moves is no command: an init system moves its services, and a recording in
// the container its own process.
func (r *Recorder) findCommandClients(e *probe.EnterEvent) {
	older := &r.containers.older
	if id := older.container(e.Cgroup); id != "" && older.containerNow(e.By) != id {
		r.findStartEvent(r.containers.startEvents.commandRun(id, e.Time))
	}
}

// checkNewCgroup reports whether a new cgroup is in no container. If it is in one whose start was not reported, because
// the kernel reports no [probe.MkdirEvent], it finds the clients that the engine has now.
func (r *Recorder) checkNewCgroup(e *probe.CgroupEvent) (unrelated bool) {
	older := &r.containers.older
	id, isOuter := containerAt(pathOf(e))
	if id != "" && (isOuter && older.container(e.Cgroup) == "" || !older.has(id)) {
		r.findStartEvent(r.containers.startEvents.started(id, e.Time, false))
	}
	return isOutsideContainers(e)
}

// containerAt returns the ID of the innermost container in a cgroup path, or "", and whether the path ends at the
// container's own cgroup instead of one nested in it.
func containerAt(cgroup string) (id string, isOuter bool) {
	ids := docker.IDsFromCgroup(cgroup)
	if len(ids) == 0 {
		return "", false
	}
	return ids[len(ids)-1], len(docker.IDsFromCgroup(path.Base(cgroup))) > 0
}

// failSearch records an error that makes the recordings incomplete.
func (r *Recorder) failSearch(err error) {
	if err == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fail(fmt.Errorf("find the client that started a container: %w", err))
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
	calls := containers.CallsOfEngine()
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
		client := containers.Client{PID: pid, Command: p.Command}
		if recording, ours := tree[pid]; ours {
			client.Recording = recording
			st.Tree = append(st.Tree, client)
			return
		}
		client.Sibling = pid == 0 || endpoint.Descends(pid, os.Getppid())
		st.Unrelated = append(st.Unrelated, client)
	}
	addCommands := func(pids iter.Seq[int]) {
		for pid := range pids {
			// The connection may be in another network namespace, or go through another socket.
			if p, err := endpoint.ReadProcess(pid); err == nil && containers.IsEngineCommand(p.Name) {
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
	if slices.ContainsFunc(clients, func(client endpoint.Client) bool { return client.PID == 0 }) {
		// A client is another user's. Its command line may be read, if it is known which process it is.
		others, err := endpoint.Descendants(1)
		r.failSearch(err)
		addCommands(slices.Values(others))
	}
	if searching || docker.IsSearching() { // the connection may belong to the search for an engine
		maps.DeleteFunc(calls, func(_ string, c containers.Calls) bool { return !c.ByClient })
	}
	if added[self] { // its connection may be idle
		st.Tree = slices.DeleteFunc(st.Tree, func(client containers.Client) bool { return client.PID == self })
		st.Tree = append(st.Tree, r.callers(calls)...)
	}
	if len(st.Tree) > 0 {
		r.containers.begin()
	}
}

// callers returns this process as one client for each recording that makes calls to an engine. The calls are by
// goroutine label.
func (r *Recorder) callers(calls map[string]containers.Calls) (all []containers.Client) {
	byLabel := make(map[string]goroutine.ID)
	r.mu.Lock()
	for _, rec := range r.attribution.recordings {
		byLabel[rec.goroutine.String()] = rec.goroutine
	}
	r.mu.Unlock()
	p, _ := endpoint.ReadProcess(r.attribution.self)
	for label, made := range calls {
		all = append(all, containers.Client{
			PID: r.attribution.self, Command: p.Command, Recording: byLabel[label],
			OnlyTestcontainers: made.OnlyTestcontainers,
		})
	}
	return all
}

// isEngineSocket reports whether a path is the socket of an engine.
func isEngineSocket(at string) bool {
	host := strings.TrimPrefix(os.Getenv("DOCKER_HOST"), "unix://")
	return at == host || engineSocket.MatchString(path.Base(at))
}

var engineSocket = regexp.MustCompile(`^(docker|podman).*\.sock$`)

// unrecordedContainers reports containers that opened flows and are not recorded, although this test may have started
// them or run a command in them: errs if their purpose is unknown, notices if they are build steps of an image.
func (s *resolution) unrecordedContainers() (errs []string, notices []recording.Notice) {
	if s.engine == nil {
		return nil, nil
	}
	ownership := s.ownership()
	for _, c := range s.engine.Containers() {
		if s.owned[c.ID] || s.isAttached(c.ID) || c.Labels[docker.LabelRecording] != "" || docker.Infrastructure(c) != "" ||
			!s.hasOpened(c.ID) {
			continue
		}
		_, perhaps := ownership.StartedBy(c)
		text := fmt.Sprintf("container %s (%s) may have been started by this test, and is not recorded", c.Name, c.Image)
		switch {
		case !perhaps:
		case containers.IsImageID(c.Image):
			notices = append(notices, recording.Noticef(recording.CodeImageBuild,
				"%s: it is a step of an image build", text))
		case c.Started < s.started:
			errs = append(errs, fmt.Sprintf("this test may have run a command in container %s (%s), which is not "+
				"recorded: if the command is this test's, pass the recording to the container, or run the command "+
				"while no other program uses the engine", c.Name, c.Image))
		default:
			errs = append(errs, text+": if it is this test's, pass the recording to it, or start it while no other "+
				"program starts containers")
		}
	}
	return errs, notices
}

// hasOpened reports whether a container opened any flow.
func (s *resolution) hasOpened(id string) bool {
	return slices.ContainsFunc(s.flows, func(f resolvedFlow) bool {
		return f.event.Cgroup != s.ownCgroup && slices.Contains(s.cgroups[f.event.Cgroup].ids, id)
	})
}

// goneContainers returns an error text for each container of this test that was removed before the engine could
// describe it.
func (s *resolution) goneContainers() (errs []string) {
	ownership := s.ownership()
	for _, f := range s.flows {
		if !f.missing {
			continue
		}
		for _, id := range s.cgroups[f.event.Cgroup].ids {
			if certain, _ := ownership.StartedBy(docker.Container{ID: id}); certain {
				errs = append(errs, fmt.Sprintf("container %s of this test was removed before the engine could "+
					"describe it: pass the recording to it, or let it run for longer",
					id[:min(12, len(id))]))
			}
		}
	}
	slices.Sort(errs)
	return slices.Compact(errs)
}
