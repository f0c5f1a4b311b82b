package docker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/moby/moby/api/types/events"
	"github.com/moby/moby/client"
)

const (
	// everything is a time before all events: the engine then sends all that it keeps. A later time would depend on its
	// wall clock, and events would be lost when that is set back.
	everything = "1"

	// kept is the number of events that an engine keeps (eventsLimit in moby's daemon/events).
	kept = 256

	// remembered is the number of recent events that are recognized as repeats: more than the engine can repeat.
	remembered = 16 * kept
)

// key identifies an event. Docker's events have no numbers.
type key struct {
	kind      events.Type
	action    events.Action
	id, other string // of its subject, and of the container that joined or left a network
	nano      int64
}

func keyOf(m events.Message) key {
	return key{m.Type, m.Action, m.Actor.ID, m.Actor.Attributes["container"], m.TimeNano}
}

// seen records the latest events.
type seen struct {
	keys  map[key]bool
	order []key // a ring
	next  int
}

// add records an event and reports whether it is new.
func (s *seen) add(k key) bool {
	if s.keys[k] {
		return false
	}
	if s.keys == nil {
		s.keys = make(map[key]bool)
	}
	s.keys[k] = true
	if len(s.order) < remembered {
		s.order = append(s.order, k)
		return true
	}
	delete(s.keys, s.order[s.next])
	s.order[s.next] = k
	s.next = (s.next + 1) % remembered
	return true
}

// continues reports whether the engine's kept events follow the recorded ones without a gap.
func (s *seen) continues(past []events.Message) bool {
	if len(s.keys) == 0 {
		return len(past) < kept
	}
	for _, m := range past {
		if s.keys[keyOf(m)] {
			return true
		}
	}
	return false
}

// stream is a subscription to all events.
type stream struct {
	events client.EventsResult
	cancel context.CancelFunc
}

// open subscribes. The engine first repeats the events that it keeps, so none between two streams is missed.
func (w *Watcher) open(ctx context.Context) (stream, error) {
	streamCtx, cancel := context.WithCancel(w.ctx)
	s := stream{cancel: cancel}
	err := w.call(ctx, "events", func(ctx context.Context) error {
		stop := context.AfterFunc(ctx, cancel)
		s.events = w.client.Events(streamCtx, client.EventsListOptions{Since: everything})
		if !stop() {
			return ctx.Err()
		}
		select {
		case err := <-s.events.Err:
			return err
		default:
			return nil
		}
	})
	if err != nil {
		cancel()
	}
	return s, err
}

// replay returns the past events that the engine keeps.
func (w *Watcher) replay(ctx context.Context) ([]events.Message, error) {
	w.mu.Lock()
	skew := w.clock.skew
	w.mu.Unlock()
	until := time.Now().Add(skew)
	var past []events.Message
	err := w.call(ctx, "events until now", func(ctx context.Context) error {
		past = nil
		answer := w.client.Events(ctx, client.EventsListOptions{
			Since: everything,
			Until: strconv.FormatInt(until.Unix(), 10) + "." + fmt.Sprintf("%09d", until.Nanosecond()),
		})
		for {
			select {
			case m := <-answer.Messages:
				past = append(past, m)
			case err := <-answer.Err:
				if err == io.EOF { // unchanged: within another error it means a broken connection
					return nil
				}
				return err
			}
		}
	})
	return past, err
}

// follow handles events until the watch is closed. It reopens a broken stream. If that fails for the time that an
// answer may take, events are lost.
func (w *Watcher) follow(s stream) {
	for {
		err := w.read(s)
		s.cancel()
		if w.ctx.Err() != nil {
			return
		}
		if s, err = w.resume(err); err != nil {
			w.fail(err)
			return
		}
	}
}

// read handles the events of one stream until it breaks.
func (w *Watcher) read(s stream) error {
	for {
		select {
		case m := <-s.events.Messages:
			w.apply(m)
		case err := <-s.events.Err:
			return err
		}
	}
}

// reopenPause is the time between attempts to reopen a stream: short beside the restart of an engine, which takes
// seconds, and long enough that the attempts cost no CPU time that the engine needs.
const reopenPause = 50 * time.Millisecond

// resume reopens a stream that broke. It tries for as long as the engine may take to answer.
func (w *Watcher) resume(cause error) (stream, error) {
	deadline := time.Now().Add(w.timeout)
	for {
		s, err := w.reopen()
		if err == nil || errors.Is(err, ErrEventsLost) || w.ctx.Err() != nil {
			return s, err
		}
		if time.Now().After(deadline) {
			return stream{}, fmt.Errorf("%w: the stream broke (%w), and the engine at %s was not reached again: %w",
				ErrEventsLost, cause, w.client.DaemonHost(), err)
		}
		select {
		case <-time.After(reopenPause):
		case <-w.ctx.Done():
			return stream{}, errClosed
		}
	}
}

// reopen checks that no event was missed, and subscribes.
func (w *Watcher) reopen() (stream, error) {
	if err := w.catchUp(w.ctx); err != nil {
		return stream{}, err
	}
	if err := w.listContainers(w.ctx); err != nil {
		return stream{}, err
	}
	return w.open(w.ctx)
}

func (w *Watcher) fail(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err == nil && w.ctx.Err() == nil {
		w.err = err
	}
}
