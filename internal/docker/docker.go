// Package docker knows what containers a Docker engine has and had, over time, because it asks about each while it lives.
//
// It follows the engine's events, and inspects a container on each that changes it, so that what a container was is
// still known when it is gone: Docker forgets the addresses of a container that ended, and hands them to the next one at
// once. All times are of CLOCK_MONOTONIC, as the kernel's events are.
//
// It refuses Podman, Docker before 20.10 and engines of other systems than Linux; it starts, changes and removes nothing.
// Its limits: an engine keeps its last 256 events, so when it cannot be reached for longer than that, [ErrEventsLost]
// says so; a process that is stopped (SIGSTOP) while thousands of things happen may miss some unnoticed. A process of a
// container may run before Docker's word that it started is written; the addresses of the container are known before.
// Containers of an engine on another machine are known as well, but their times are only as good as the clocks agree.
package docker

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/moby/moby/client"
)

// defaultTimeout is long for any single answer of an engine under load, and short for a person.
const defaultTimeout = 10 * time.Second

// Config says which engine to watch. The zero value is ready.
type Config struct {
	Host    string        // such as "unix:///run/docker.sock"; "" is the engine that testcontainers finds
	Timeout time.Duration // for every single answer; default 10s
	Moved   func()        // called when a container comes to a network or leaves it; may be nil
}

// Watcher knows the containers of one engine from the moment it was made until Close. It may be used by several
// goroutines at once.
type Watcher struct {
	client  *client.Client
	timeout time.Duration
	onMove  func()
	engine  Engine

	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	tasks  sync.WaitGroup
	slots  chan struct{} // bounds how many inspections the engine has to answer at once

	mu         sync.Mutex
	clock      clock
	seen       seen
	containers map[string]*record
	networks   map[string]*network
	execs      map[string]map[string]time.Duration // by the container's ID, as Container.Execs
	changed    chan struct{}                       // closed and replaced when an inspection ends
	err        error
}

// Watch begins to follow an engine. When it returns, all containers that exist are known, and what happens next will be.
// The context is for this call only.
//
// Its errors are [ErrNoEngine], [UnsupportedError], [StalledError], and those of the context.
func Watch(ctx context.Context, c Config) (*Watcher, error) {
	if c.Timeout <= 0 {
		c.Timeout = defaultTimeout
	}
	w := &Watcher{
		timeout:    c.Timeout,
		onMove:     c.Moved,
		slots:      make(chan struct{}, maxInspections),
		containers: make(map[string]*record),
		networks:   make(map[string]*network),
		execs:      make(map[string]map[string]time.Duration),
		changed:    make(chan struct{}),
	}
	w.ctx, w.cancel = context.WithCancel(context.WithoutCancel(ctx))
	if err := w.begin(ctx, c); err != nil {
		w.Close()
		return nil, fmt.Errorf("watch Docker engine: %w", err)
	}
	return w, nil
}

func (w *Watcher) begin(ctx context.Context, c Config) error {
	cli, err := find(ctx, c)
	if err != nil {
		return err
	}
	w.client = cli
	if err := w.identify(ctx); err != nil {
		return err
	}
	// What happened before is noted first: all else that the stream brings is new.
	past, err := w.replay(ctx)
	if err != nil {
		return err
	}
	w.mu.Lock()
	for _, m := range past {
		w.seen.add(keyOf(m))
		w.noteExec(m, w.clock.convert(m.TimeNano))
	}
	w.mu.Unlock()
	stream, err := w.open(ctx)
	if err != nil {
		return err
	}
	w.tasks.Go(func() { w.follow(stream) })
	if err := w.listNetworks(ctx); err != nil {
		return err
	}
	return w.listContainers(ctx)
}

// Close ends the watch. What is known stays known.
func (w *Watcher) Close() error {
	w.cancel()
	w.tasks.Wait()
	if w.client == nil {
		return nil
	}
	return w.client.Close()
}

// Err returns why the watch is incomplete, or nil. It is [ErrEventsLost].
func (w *Watcher) Err() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}

// Container returns a container by its full ID, as far as it is known at this moment; see [Watcher.Sync].
func (w *Watcher) Container(id string) (Container, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	r := w.containers[id]
	if r == nil {
		return Container{}, false
	}
	return w.whole(r), true
}

// whole is what is known of a container, with the commands that were run in it. The lock is held.
func (w *Watcher) whole(r *record) Container {
	c := r.container()
	c.Execs = maps.Clone(w.execs[r.ID])
	return c
}

// Containers returns all containers that exist or existed since Watch, in the order of their creation.
func (w *Watcher) Containers() []Container {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []Container
	for r := range maps.Values(w.containers) {
		all = append(all, w.whole(r))
	}
	slices.SortFunc(all, Container.compare)
	return all
}

// call bounds one question to the engine. do gets a context that ends with ctx, with Close, or when the time is up; the
// last of these is a [StalledError] that names the question.
func (w *Watcher) call(ctx context.Context, question string, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, w.timeout, errTimeUp)
	defer cancel()
	defer context.AfterFunc(w.ctx, cancel)()
	err := do(ctx)
	switch {
	case err == nil:
		return nil
	case context.Cause(ctx) == errTimeUp:
		return &StalledError{Host: w.client.DaemonHost(), Question: question, After: w.timeout}
	case w.ctx.Err() != nil:
		return errClosed
	}
	return fmt.Errorf("%s: %w", question, err)
}
