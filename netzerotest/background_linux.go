package netzerotest

import (
	"bytes"
	"errors"
	"iter"
	"path"
	"runtime/pprof"
	"slices"
	"strings"

	"github.com/netzero-dev/netzero/internal/docker"
	"github.com/netzero-dev/netzero/internal/endpoint"
	"github.com/netzero-dev/netzero/internal/probe"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// Some flows are opened for the test's machinery and by nobody in production: by wait strategies of testcontainers,
// in the test process, and by health checks of the engine, inside containers. They are told by who opens them: by the
// calls that led to them, or by the command that the engine let into the container. The container may be anybody's:
// one that was passed to the recording, one of a compose project, one that nobody passed.
//
// The kernel folds what goes to one destination, and a health check may open what the container opens too. So what was
// opened for the machinery is forgotten in the kernel, and the next flow to the same destination is a new one.

// What flows of the machinery are, as notices have them.
const (
	waitStrategies = "wait strategies"
	healthChecks   = "health checks"
)

// backgroundKey is a flow to the kernel, under one of the names that may be meant, that was opened for the test's
// machinery.
type backgroundKey struct {
	sightingKey
	by string
}

// backgroundOf says what part of the machinery may have opened a flow: a wait strategy, a health check, or "" for none.
func (c *capture) backgroundOf(e *probe.FlowEvent) string {
	switch {
	case e.Connection() != 0: // it is older than the recording
		return ""
	case e.Cgroup == c.session.Leaf.ID:
		if isWaitStrategy(e.Process.Stack) {
			return waitStrategies
		}
	case c.isHealthCheck(e):
		return healthChecks
	case c.isWaitCommand(e):
		return waitStrategies
	}
	return ""
}

// isWaitStrategy reports whether a flow was opened by a wait.Strategy of testcontainers, its own or somebody's.
func isWaitStrategy(stack flow.Stack) bool {
	return strings.Contains(string(stack), waitMethod+"\t") || strings.Contains(string(stack), waitMethod+".func")
}

// waitMethod is the method of wait.Strategy.
const waitMethod = ".WaitUntilReady"

// isHealthCheck reports whether a flow that a container opened is its health check's, as far as the engine has said
// that there is one.
func (c *capture) isHealthCheck(e *probe.FlowEvent) bool {
	ids := c.containers.cgroups[e.Cgroup].ids
	if len(ids) == 0 || e.Process.Exec == "" && (e.Process.Command != "" || e.Process.Parents != "") {
		return false
	}
	container, known := c.containers.now(ids[len(ids)-1])
	return known && opensHealthCheck(container, e.Process)
}

// isWaitCommand reports whether a flow was opened by a command that wait.ForExec runs in a container that testcontainers
// waits for. Compose projects it waits for at any time.
func (c *capture) isWaitCommand(e *probe.FlowEvent) bool {
	ids := c.containers.cgroups[e.Cgroup].ids
	if len(ids) == 0 || e.Process.Exec == "" {
		return false
	}
	id := ids[len(ids)-1]
	container, _ := c.containers.now(id)
	awaited := c.containers.waited(id, e.Time) || c.containers.waitedFor(id, e.Time) || container.Labels[labelProject] != ""
	return awaited && inCall("wait.(*ExecStrategy)"+waitMethod)
}

// now returns what the engine has said of a container until now, without waiting for it.
func (c *containers) now(id string) (docker.Container, bool) {
	if !c.begun.Load() {
		return docker.Container{}, false
	}
	select {
	case <-c.done:
		if c.watcher != nil {
			return c.watcher.Container(id)
		}
	default:
	}
	return docker.Container{}, false
}

// opensHealthCheck reports whether a process of a container descends from the command by which the engine looks
// whether the container is well. A shell may have become the command that it was told to run; and of a process that
// had ended before it was looked at only the name of its program is known.
func opensHealthCheck(c docker.Container, p flow.Process) bool {
	if c.HealthCheck == "" {
		return false
	}
	words := strings.FieldsFunc(c.HealthCheck, func(r rune) bool { return strings.ContainsRune(" \t\n'\";()|&", r) })
	names := func(program string) bool {
		return program != "" && slices.ContainsFunc(words, func(word string) bool { return path.Base(word) == program })
	}
	if p.Exec == "" { // it may have ended
		main, _, _ := strings.Cut(c.Command, " ")
		return p.Command == "" && p.Parents == "" && names(p.Name) && path.Base(main) != p.Name
	}
	for command := range c.Execs {
		if command != c.HealthCheck && (p.Exec == command || strings.HasSuffix(command, " "+p.Exec)) {
			return false // somebody runs the like
		}
	}
	program, _, _ := strings.Cut(p.Exec, " ")
	return p.Exec == c.HealthCheck || names(path.Base(program))
}

// seeBackground is see for a flow that was opened for the machinery. Where the flow may be the test's too, it is to
// be seen as any other: then own is true, and forgotten is how often the kernel has counted it.
func (c *capture) seeBackground(
	e *probe.FlowEvent, by string, names []string, batches map[*membership]*endpoint.Batch,
) (own bool, forgotten uint64) {
	count, err := c.session.Probe.Invalidate(e.Key)
	if !errors.Is(err, probe.ErrNoFlow) {
		c.fail(err) // what opens it next would go unseen
	}
	if count > 1 && (by == healthChecks || !inCall(waitMethod)) {
		return true, count // the test, or the container itself, may have opened it meanwhile
	}
	to, stray := c.recipients(e)
	for _, m := range to {
		for _, name := range names {
			s := m.sightingOf(e, name, c.identify(m, e, name, batches), stray)
			s.flow.Count, s.background = max(count, 1), by
			key := backgroundKey{sightingKey{e.Key, s.identity.Endpoint.Name}, by}
			if before, again := m.background[key]; again {
				s.flow.Count, s.flow.First = s.flow.Count+before.flow.Count, before.flow.First
			}
			if m.background == nil {
				m.background = make(map[backgroundKey]sighting)
			}
			m.background[key] = s
		}
	}
	return false, 0
}

// addCount adds to what a recording saw of a flow what the kernel has counted of it and forgotten.
func (m *membership) addCount(k probe.Key, count uint64) {
	for key, s := range m.seen {
		if key.Key == k {
			s.flow.Count += count
			m.seen[key] = s
		}
	}
}

// inCall reports whether a goroutine of this process is in a function by a name like this.
func inCall(function string) bool {
	var profile bytes.Buffer
	if err := pprof.Lookup("goroutine").WriteTo(&profile, 1); err != nil {
		return false // cannot fail for a buffer
	}
	return strings.Contains(profile.String(), function)
}

// sightings returns all of a recording's, with those of the machinery.
func (m *membership) sightings() iter.Seq[sighting] {
	return func(yield func(sighting) bool) {
		for _, s := range m.seen {
			if !yield(s) {
				return
			}
		}
		for _, s := range m.background {
			if !yield(s) {
				return
			}
		}
	}
}

// machinery says what part of the test's machinery opened a flow; "" where it is the test's own, or a container's.
func (s *settling) machinery(l located) string {
	switch {
	case l.background == healthChecks && l.from != nil && !opensHealthCheck(*l.from, l.event.Process):
		return "" // as the engine knows by now
	case l.background != "":
		return l.background
	case l.from == nil && l.to != nil && s.capture.containers.waited(l.to.ID, l.event.Time):
		return waitStrategies
	case l.from == nil && l.to != nil && !leadsToCaller(l.event.Process.Stack) &&
		s.capture.containers.waitedFor(l.to.ID, l.event.Time):
		return waitStrategies
	case l.from != nil && l.flow.Count <= 1 && opensHealthCheck(*l.from, l.event.Process):
		return healthChecks // the engine had not said so yet, and nobody else opened it
	}
	return ""
}

// leadsToCaller reports whether a stack is known up to where the goroutine began, and does not end with a go
// statement of a library's.
func leadsToCaller(stack flow.Stack) bool {
	frames := stack.Frames()
	return len(frames) > 0 && !frames[len(frames)-1].Started
}
