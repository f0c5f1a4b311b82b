package docker

import (
	"strings"
	"time"

	"github.com/moby/moby/api/types/events"
)

// apply handles one event, once.
func (w *Watcher) apply(m events.Message) {
	arrived, wall := now()
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.seen.add(keyOf(m)) || w.clock.stale(m.TimeNano, arrived, wall) {
		return
	}
	at := w.clock.stamp(m.TimeNano, arrived, wall)
	switch m.Type {
	case events.ContainerEventType:
		w.applyContainer(m, at)
	case events.NetworkEventType:
		w.applyNetwork(m, at)
	}
}

// recordExec records a command that runs in a container, if that is the event. The lock is held.
func (w *Watcher) recordExec(m events.Message, at time.Duration) {
	command, is := strings.CutPrefix(string(m.Action), string(events.ActionExecStart)+": ")
	if !is || m.Type != events.ContainerEventType {
		return
	}
	if w.execs[m.Actor.ID] == nil {
		w.execs[m.Actor.ID] = make(map[string]time.Duration)
	}
	w.execs[m.Actor.ID][command] = max(at, w.execs[m.Actor.ID][command])
}

func (w *Watcher) applyContainer(m events.Message, at time.Duration) {
	w.recordExec(m, at)
	if action := string(m.Action); strings.HasPrefix(action, "exec_") || strings.HasPrefix(action, "health_status") {
		return // frequent, and without other effects here
	}
	r := w.record(m.Actor.ID)
	switch m.Action {
	case events.ActionCreate:
		r.created(m.Actor.Attributes, at)
	case events.ActionStart:
		r.Started, r.Ended = at, 0
	case events.ActionDie:
		r.end(at)
		r.Ended = at
		if r.isKnown() {
			return // it has nothing any more that an inspection would show
		}
	case events.ActionRename:
		r.Name = m.Actor.Attributes["name"]
	case events.ActionDestroy:
		r.end(at)
		r.Removed = at
		return
	case events.ActionKill, events.ActionStop, events.ActionAttach, events.ActionDetach, events.ActionResize:
		if r.isKnown() {
			return // it is as before, or another event says what changed
		}
	}
	w.inspect(r)
}

func (w *Watcher) applyNetwork(m events.Message, at time.Duration) {
	n := w.network(m.Actor.ID)
	if n.name == "" {
		n.name = m.Actor.Attributes["name"]
	}
	switch m.Action {
	case events.ActionCreate:
		w.inspectNetwork(n)
	case events.ActionConnect:
		if id := m.Actor.Attributes["container"]; id != "" {
			r := w.record(id)
			r.join(n.id, n.name, at)
			w.moved()
			// The engine answers this query while it starts the container. An inspection of the container has to wait.
			w.inspectNetwork(n)
			w.inspect(r)
		}
	case events.ActionDisconnect:
		if r := w.containers[m.Actor.Attributes["container"]]; r != nil {
			r.leave(n.id, at)
			w.inspect(r) // another network may publish its ports anew
			w.moved()
		}
	}
}

// networkDescribed reports that the engine has described a network and the addresses in it.
func (w *Watcher) networkDescribed() {
	if w.onDescribed != nil {
		w.tasks.Go(w.onDescribed) // the lock is held
	}
}

// moved reports that the owner of an address has changed.
func (w *Watcher) moved() {
	if w.onMove != nil {
		w.tasks.Go(w.onMove) // the lock is held
	}
}
