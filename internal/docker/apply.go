package docker

import (
	"strings"
	"time"

	"github.com/moby/moby/api/types/events"
)

// apply takes in one event, once.
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

func (w *Watcher) applyContainer(m events.Message, at time.Duration) {
	if action := string(m.Action); strings.HasPrefix(action, "exec_") || strings.HasPrefix(action, "health_status") {
		return // often, and they change nothing here
	}
	r := w.record(m.Actor.ID)
	switch m.Action {
	case events.ActionCreate:
		r.born(m.Actor.Attributes, at)
	case events.ActionStart:
		r.Started, r.Ended = at, 0
	case events.ActionDie:
		r.end(at)
		r.Ended = at
	case events.ActionRename:
		r.Name = m.Actor.Attributes["name"]
	case events.ActionDestroy:
		r.end(at)
		r.Removed = at
		return
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
	case events.ActionDestroy:
		n.until = at
	case events.ActionConnect:
		if id := m.Actor.Attributes["container"]; id != "" {
			r := w.record(id)
			r.join(n.id, n.name, at)
			w.moved()
			w.inspectNetwork(n) // answers while the engine starts the container; an inspection of that has to wait
			w.inspect(r)
		}
	case events.ActionDisconnect:
		if r := w.containers[m.Actor.Attributes["container"]]; r != nil {
			r.leave(n.id, at)
			w.inspect(r) // its ports may be published anew, by another network
			w.moved()
		}
	}
}

// moved tells whoever wants to know that an address is another container's from now on, or nobody's.
func (w *Watcher) moved() {
	if w.onMove != nil {
		w.tasks.Go(w.onMove) // the lock is held
	}
}
