package docker

import (
	"context"
	"errors"
	"fmt"
)

// Sync returns when all events before the call are known here.
//
// It requests the engine's kept events and handles those that the stream has not delivered, compares the list of
// containers, and waits for the answers to all open queries. Its errors are [StalledError], [ErrEventsLost], and those
// of the context. If the engine answers, but not for one container, Sync sets that container's Missed and returns no
// error. Events with a timestamp after now, because the wall clock was set back since, are left to the stream.
func (w *Watcher) Sync(ctx context.Context) error {
	if err := w.sync(ctx); err != nil {
		return fmt.Errorf("sync with Docker engine: %w", err)
	}
	return nil
}

func (w *Watcher) sync(ctx context.Context) error {
	if err := w.Err(); err != nil {
		return err
	}
	if err := w.catchUp(ctx); err != nil {
		if errors.Is(err, ErrEventsLost) {
			w.fail(err)
		}
		return err
	}
	if err := w.listContainers(ctx); err != nil {
		return err
	}
	if err := w.waitIdle(ctx); err != nil {
		return err
	}
	return w.Err()
}

// waitIdle waits until all current queries are answered or given up.
func (w *Watcher) waitIdle(ctx context.Context) error {
	w.mu.Lock()
	containers, networks := make(map[*record]uint64), make(map[*network]uint64)
	for _, r := range w.containers {
		containers[r] = r.wanted
	}
	for _, n := range w.networks {
		networks[n] = n.wanted
	}
	for {
		open := false
		for r, wanted := range containers {
			open = open || r.served < wanted
		}
		for n, wanted := range networks {
			open = open || n.served < wanted
		}
		changed := w.changed
		w.mu.Unlock()
		if !open {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		case <-w.ctx.Done():
			return errClosed
		}
		w.mu.Lock()
	}
}

// catchUp handles the kept events that the stream has not delivered.
func (w *Watcher) catchUp(ctx context.Context) error {
	past, err := w.replay(ctx)
	if err != nil {
		return err
	}
	w.mu.Lock()
	whole := w.seen.continues(past)
	w.mu.Unlock()
	if !whole {
		return fmt.Errorf("%w: the engine at %s was restarted, or had more than the %d events that it "+
			"keeps; run the test again",
			ErrEventsLost, w.client.DaemonHost(), kept)
	}
	for _, m := range past {
		w.apply(m)
	}
	return nil
}
