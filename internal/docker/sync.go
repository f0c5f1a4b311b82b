package docker

import (
	"context"
	"errors"
	"fmt"
)

// Sync returns when all that happened in the engine before the call is known here.
//
// It asks the engine for the events that it keeps, and takes in those that the stream did not bring yet; compares the
// list of containers; and waits for the answers to all questions that were open then. Its errors are [StalledError],
// [ErrEventsLost], and those of the context. An engine that answers, but not about one container, makes
// that container's Missed, and no error. Events that are stamped after now, because the wall clock was set back since, are
// left to the stream.
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
	if err := w.settled(ctx); err != nil {
		return err
	}
	return w.Err()
}

// settled waits until all questions that are open now are answered, or given up.
func (w *Watcher) settled(ctx context.Context) error {
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

// catchUp takes in what the engine keeps and the stream did not bring.
func (w *Watcher) catchUp(ctx context.Context) error {
	past, err := w.replay(ctx)
	if err != nil {
		return err
	}
	w.mu.Lock()
	whole := w.seen.continues(past)
	w.mu.Unlock()
	if !whole {
		return fmt.Errorf("%w: the engine at %s was started again, or more happened than the %d events that it keeps; run the test again",
			ErrEventsLost, w.client.DaemonHost(), kept)
	}
	for _, m := range past {
		w.apply(m)
	}
	return nil
}
