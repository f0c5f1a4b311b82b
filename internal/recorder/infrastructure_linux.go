package recorder

import (
	"bytes"
	"errors"
	"runtime/pprof"
	"slices"
	"strings"

	"github.com/netzero-dev/netzero/internal/docker"
	"github.com/netzero-dev/netzero/internal/probe"
	"github.com/netzero-dev/netzero/internal/recorder/containers"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// The test's infrastructure opens flows that do not exist in production: wait strategies of testcontainers, from the
// test process, and health checks of the engine, inside containers. The initiator identifies them: the call stack of a
// wait strategy, or the command that the engine ran in the container. The container may be any: one that was passed to
// the recording, one of a compose project, or one that was not passed at all.
//
// The kernel folds repeated flows to one destination, and a health check may open the same destination as its
// container. So the recorder makes the kernel forget each flow of the infrastructure, and the next one to the same
// destination is reported as new. The flow of a wait strategy is forgotten as soon as its event is read, before the
// wait ends and the test opens a flow to the same destination.

// The parts of the infrastructure, as notices name them.
const (
	waitStrategies = "wait strategies"
	healthChecks   = "health checks"
)

// infrastructureKey is a flow, the name of its destination, and the part of the infrastructure that opened it.
type infrastructureKey struct {
	probe.Key
	name string
	part string
}

// infrastructureOf returns the part of the infrastructure that may have opened a flow: wait strategies, health checks,
// or "".
func (r *Recorder) infrastructureOf(e *probe.FlowEvent) string {
	switch {
	case e.Connection() != 0: // older than the recording
		return ""
	case e.Cgroup == r.session.Leaf.ID:
		if r.isOpenedByWaitStrategy(e) {
			return waitStrategies
		}
	case r.isHealthCheck(e):
		return healthChecks
	case r.isWaitCommand(e):
		return waitStrategies
	}
	return ""
}

// isOpenedByWaitStrategy reports whether a wait strategy opened a flow from this process.
func (r *Recorder) isOpenedByWaitStrategy(e *probe.FlowEvent) bool {
	return e.Connection() == 0 && isWaitStrategy(e.Process.Stack)
}

// isWaitStrategy reports whether a wait.Strategy opened a flow: one of testcontainers or the user's own.
func isWaitStrategy(stack []flow.Frame) bool {
	return slices.ContainsFunc(stack, func(f flow.Frame) bool {
		return strings.HasSuffix(f.Function, waitMethod) || strings.Contains(f.Function, waitMethod+".func")
	})
}

// waitMethod is the method of wait.Strategy.
const waitMethod = ".WaitUntilReady"

// isHealthCheck reports whether a container's health check opened a flow. It is false if the engine has not reported
// the health check yet.
func (r *Recorder) isHealthCheck(e *probe.FlowEvent) bool {
	ids := r.containers.cgroups[e.Cgroup].ids
	if len(ids) == 0 || e.Process.Exec == "" && (e.Process.Command != "" || len(e.Process.Parents) > 0) {
		return false
	}
	container, known := r.containers.now(ids[len(ids)-1])
	return known && containers.OpensHealthCheck(container, e.Process)
}

// isWaitCommand reports whether a command of wait.ForExec opened a flow, in a container that testcontainers waits for.
// testcontainers may wait for a container of a compose project at any time.
func (r *Recorder) isWaitCommand(e *probe.FlowEvent) bool {
	ids := r.containers.cgroups[e.Cgroup].ids
	if len(ids) == 0 || e.Process.Exec == "" {
		return false
	}
	id := ids[len(ids)-1]
	container, _ := r.containers.now(id)
	awaited := r.containers.waitedForAttached(id, e.Time) || r.containers.waitedForAny(id, e.Time) ||
		container.Labels[containers.LabelProject] != ""
	return awaited && inCall("wait.(*ExecStrategy)"+waitMethod)
}

// now returns what the engine has reported about a container so far. It does not wait for the engine.
func (c *containerState) now(id string) (docker.Container, bool) {
	if watcher := c.watched(false); watcher != nil {
		return watcher.Container(id)
	}
	return docker.Container{}, false
}

// handleInfrastructure is handleFlow for a flow that the infrastructure opened. If the test or the container may have
// opened it too, ambiguous is true: the caller handles the flow like any other, and forgotten is how many connections
// the kernel had counted.
func (r *Recorder) handleInfrastructure(
	e *probe.FlowEvent, by string, names []string, machine machineReadings,
) (ambiguous bool, forgotten uint64) {
	count := e.Forgotten
	if count == 0 {
		var err error
		count, err = r.session.Probe.Invalidate(e.Key)
		if !errors.Is(err, probe.ErrNoFlow) {
			r.fail(err) // the next flow to the destination would be missed
		}
	}
	if count > 1 && (by == healthChecks || !inCall(waitMethod)) {
		return true, count // the test or the container may have opened it too
	}
	recordings, why := r.recipients(e)
	for _, rec := range recordings {
		for _, name := range names {
			o := rec.observe(e, name, r.identify(rec, e, name, machine), why)
			o.flow.Count, o.infrastructure = max(count, 1), by
			key := infrastructureKey{e.Key, o.identity.Endpoint.Name, by}
			if earlier, again := rec.infrastructure[key]; again {
				o.flow.Count, o.flow.First = o.flow.Count+earlier.flow.Count, earlier.flow.First
			}
			rec.infrastructure[key] = o
		}
	}
	return false, 0
}

// addCount adds to the observations of a flow the connections that the kernel counted before it forgot the flow.
func (rec *Recording) addCount(k probe.Key, count uint64) {
	for _, o := range rec.observations[k] {
		o.flow.Count += count
	}
}

// inCall reports whether the stack of any goroutine of this process contains function. It searches a dump of all
// stacks, so that function may be a part of a name.
func inCall(function string) bool {
	var profile bytes.Buffer
	if err := pprof.Lookup("goroutine").WriteTo(&profile, 1); err != nil {
		return false // cannot fail for a buffer
	}
	return strings.Contains(profile.String(), function)
}

// infrastructureOf returns the part of the test's infrastructure that opened a flow, or "" if the test or a container
// did.
func (s *resolution) infrastructureOf(f resolvedFlow) string {
	switch {
	case f.infrastructure == healthChecks && f.from != nil && !containers.OpensHealthCheck(*f.from, f.event.Process):
		return "" // the engine has reported the real health check since
	case f.infrastructure != "":
		return f.infrastructure
	case f.from == nil && f.to != nil && waitedAt(s.attachments[f.to.ID].waits, f.event.Time):
		return waitStrategies
	case f.from == nil && f.to != nil && !leadsToCaller(f.event.Process.Stack) &&
		waitedAt(s.waits[f.to.ID], f.event.Time):
		return waitStrategies
	case f.from != nil && f.flow.Count <= 1 && containers.OpensHealthCheck(*f.from, f.event.Process):
		return healthChecks // the engine reported the health check later, and nothing else opened the flow
	}
	return ""
}

// leadsToCaller reports whether a stack is complete up to the start of its goroutine, and is not that of a goroutine
// that a library started.
func leadsToCaller(stack []flow.Frame) bool {
	return len(stack) > 0 && !stack[len(stack)-1].Started
}
