// Package docker keeps a history of the containers of a Docker engine, by inspecting each one while it is alive.
//
// It follows the engine's events, and inspects a container after each event that changes it, so that the history
// survives the container: Docker forgets the addresses of a container that ended, and reassigns them at once. All times
// are of CLOCK_MONOTONIC, like those of the kernel's events.
//
// It rejects Podman, Docker before 20.10 and engines of other systems than Linux. It starts, changes and removes
// nothing. Limits: an engine keeps its last 256 events, so a longer outage is reported as [ErrEventsLost]. A process
// that is stopped (SIGSTOP) during thousands of events may miss some without notice. A container's process may run
// before Docker's start event is written; the addresses of the container are known earlier. Containers of a remote
// engine are known as well, but their times are only as precise as the clocks agree.
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

// Config selects the engine to watch. The zero value is ready.
type Config struct {
	Host    string        // such as "unix:///run/docker.sock"; "" is the engine that testcontainers finds
	Timeout time.Duration // for every single answer; 0 is defaultTimeout
	Moved   func()        // called when a container joins or leaves a network; may be nil

	// NetworkDescribed is called when the engine has described a network and the addresses in it; may be nil.
	NetworkDescribed func()
}

// Watcher knows the containers of one engine from its creation until Close. It is safe for concurrent use.
type Watcher struct {
	client  *client.Client
	timeout time.Duration
	onMove  func()
	engine  Engine

	onDescribed func()

	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	tasks  sync.WaitGroup
	slots  chan struct{} // limits the number of parallel inspections

	mu         sync.Mutex
	clock      clock
	seen       seen
	containers map[string]*record
	networks   map[string]*network
	execs      map[string]map[string]time.Duration // by the container's ID, as Container.Execs
	changed    chan struct{}                       // closed and replaced when an inspection ends
	err        error
}

// defaultTimeout is long for any single answer of an engine under load, and short for a person who waits for a test.
const defaultTimeout = 10 * time.Second

// Watch starts to follow an engine. When it returns, all existing containers are known, and later changes will be. The
// context is for this call only.
//
// Its errors are [ErrNoEngine], [UnsupportedError], [StalledError], and those of the context.
func Watch(ctx context.Context, c Config) (*Watcher, error) {
	if c.Timeout <= 0 {
		c.Timeout = defaultTimeout
	}
	w := &Watcher{
		timeout:     c.Timeout,
		onMove:      c.Moved,
		onDescribed: c.NetworkDescribed,
		slots:       make(chan struct{}, maxInspections),
		containers:  make(map[string]*record),
		networks:    make(map[string]*network),
		execs:       make(map[string]map[string]time.Duration),
		changed:     make(chan struct{}),
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
	// Past events are recorded first: everything else from the stream is new.
	past, err := w.replay(ctx)
	if err != nil {
		return err
	}
	w.mu.Lock()
	for _, m := range past {
		w.seen.add(keyOf(m))
		w.recordExec(m, w.clock.convert(m.TimeNano))
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

// Close ends the watch. The history remains available.
func (w *Watcher) Close() error {
	w.cancel()
	w.tasks.Wait()
	if w.client == nil {
		return nil
	}
	return w.client.Close()
}

// Err returns the reason why the history is incomplete, or nil. It is [ErrEventsLost].
func (w *Watcher) Err() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}

// Container returns the currently known history of a container by its full ID. Call [Watcher.Sync] first to include all
// past events.
func (w *Watcher) Container(id string) (Container, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	r := w.containers[id]
	if r == nil {
		return Container{}, false
	}
	return w.snapshot(r), true
}

// snapshot returns the history of a container with the commands that ran in it. The lock is held.
func (w *Watcher) snapshot(r *record) Container {
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
		all = append(all, w.snapshot(r))
	}
	slices.SortFunc(all, Container.compare)
	return all
}

// call limits the time of one query to the engine. The context of do ends with ctx, with Close, or at the time-out. The
// error of a time-out is a [StalledError] that names the query.
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
