package recorder

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

// infrastructureKey is a flow to the kernel, under one of the names that may be meant, that was opened for the test's
// machinery.
type infrastructureKey struct {
	observationKey
	part string
}

// infrastructureOf says what part of the machinery may have opened a flow: a wait strategy, a health check, or "" for none.
func (r *Recorder) infrastructureOf(e *probe.FlowEvent) string {
	switch {
	case e.Connection() != 0: // it is older than the recording
		return ""
	case e.Cgroup == r.session.Leaf.ID:
		if isWaitStrategy(e.Process.Stack) {
			return waitStrategies
		}
	case r.isHealthCheck(e):
		return healthChecks
	case r.isWaitCommand(e):
		return waitStrategies
	}
	return ""
}

// isWaitStrategy reports whether a flow was opened by a wait.Strategy of testcontainers, its own or somebody's.
func isWaitStrategy(stack []flow.Frame) bool {
	return slices.ContainsFunc(stack, func(f flow.Frame) bool {
		return strings.HasSuffix(f.Function, waitMethod) || strings.Contains(f.Function, waitMethod+".func")
	})
}

// waitMethod is the method of wait.Strategy.
const waitMethod = ".WaitUntilReady"

// isHealthCheck reports whether a flow that a container opened is its health check's, as far as the engine has said
// that there is one.
func (r *Recorder) isHealthCheck(e *probe.FlowEvent) bool {
	ids := r.containers.cgroups[e.Cgroup].ids
	if len(ids) == 0 || e.Process.Exec == "" && (e.Process.Command != "" || len(e.Process.Parents) > 0) {
		return false
	}
	container, known := r.containers.now(ids[len(ids)-1])
	return known && opensHealthCheck(container, e.Process)
}

// isWaitCommand reports whether a flow was opened by a command that wait.ForExec runs in a container that testcontainers
// waits for. Compose projects it waits for at any time.
func (r *Recorder) isWaitCommand(e *probe.FlowEvent) bool {
	ids := r.containers.cgroups[e.Cgroup].ids
	if len(ids) == 0 || e.Process.Exec == "" {
		return false
	}
	id := ids[len(ids)-1]
	container, _ := r.containers.now(id)
	awaited := r.containers.waited(id, e.Time) || r.containers.waitedFor(id, e.Time) || container.Labels[labelProject] != ""
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
		return p.Command == "" && len(p.Parents) == 0 && names(p.Name) && path.Base(main) != p.Name
	}
	for command := range c.Execs {
		if command != c.HealthCheck && (p.Exec == command || strings.HasSuffix(command, " "+p.Exec)) {
			return false // somebody runs the like
		}
	}
	program, _, _ := strings.Cut(p.Exec, " ")
	return p.Exec == c.HealthCheck || names(path.Base(program))
}

// handleInfrastructure is see for a flow that was opened for the machinery. Where the flow may be the test's too, it is to
// be seen as any other: then own is true, and forgotten is how often the kernel has counted it.
func (r *Recorder) handleInfrastructure(
	e *probe.FlowEvent, by string, names []string, batches map[*Recording]*endpoint.Batch,
) (own bool, forgotten uint64) {
	count, err := r.session.Probe.Forget(e.Key)
	if !errors.Is(err, probe.ErrNoFlow) {
		r.fail(err) // what opens it next would go unseen
	}
	if count > 1 && (by == healthChecks || !inCall(waitMethod)) {
		return true, count // the test, or the container itself, may have opened it meanwhile
	}
	to, stray := r.recipients(e)
	for _, m := range to {
		for _, name := range names {
			s := m.observe(e, name, r.identify(m, e, name, batches), stray)
			s.flow.Count, s.infrastructure = max(count, 1), by
			key := infrastructureKey{observationKey{e.Key, s.identity.Endpoint.Name}, by}
			if before, again := m.infrastructure[key]; again {
				s.flow.Count, s.flow.First = s.flow.Count+before.flow.Count, before.flow.First
			}
			m.infrastructure[key] = s
		}
	}
	return false, 0
}

// addCount adds to what a recording saw of a flow what the kernel has counted of it and forgotten.
func (m *Recording) addCount(k probe.Key, count uint64) {
	for key, s := range m.observations {
		if key.Key == k {
			s.flow.Count += count
			m.observations[key] = s
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

// allObservations returns all of a recording's, with those of the machinery.
func (m *Recording) allObservations() iter.Seq[observation] {
	return func(yield func(observation) bool) {
		for _, s := range m.observations {
			if !yield(s) {
				return
			}
		}
		for _, s := range m.infrastructure {
			if !yield(s) {
				return
			}
		}
	}
}

// infrastructureOf says what part of the test's machinery opened a flow; "" where it is the test's own, or a container's.
func (r *resolution) infrastructureOf(l attributedFlow) string {
	switch {
	case l.infrastructure == healthChecks && l.from != nil && !opensHealthCheck(*l.from, l.event.Process):
		return "" // as the engine knows by now
	case l.infrastructure != "":
		return l.infrastructure
	case l.from == nil && l.to != nil && waitedAt(r.attachments[l.to.ID].waits, l.event.Time):
		return waitStrategies
	case l.from == nil && l.to != nil && !leadsToCaller(l.event.Process.Stack) &&
		waitedAt(r.waits[l.to.ID], l.event.Time):
		return waitStrategies
	case l.from != nil && l.flow.Count <= 1 && opensHealthCheck(*l.from, l.event.Process):
		return healthChecks // the engine had not said so yet, and nobody else opened it
	}
	return ""
}

// leadsToCaller reports whether a stack is known up to where the goroutine began, and does not end with a go
// statement of a library's.
func leadsToCaller(stack []flow.Frame) bool {
	return len(stack) > 0 && !stack[len(stack)-1].Started
}
