package probe

import "sync"

// queue passes events from the goroutine that empties the ring buffer, which must never wait, to the goroutine that
// delivers them, which may.
type queue struct {
	mu     sync.Mutex
	filled sync.Cond
	events []any // an Event, or a barrier
	closed bool
}

// A barrier is closed after all events before it were delivered.
type barrier chan struct{}

func newQueue() *queue {
	q := &queue{}
	q.filled.L = &q.mu
	return q
}

func (q *queue) add(e any) {
	q.mu.Lock()
	q.events = append(q.events, e)
	q.mu.Unlock()
	q.filled.Signal()
}

func (q *queue) close() {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	q.filled.Signal()
}

// deliver passes the events to handle, in batches, until the queue is closed and empty.
func (q *queue) deliver(handle func([]Event)) {
	var batch []Event
	hand := func() {
		if len(batch) > 0 {
			handle(batch)
			batch = nil
		}
	}
	for {
		q.mu.Lock()
		for len(q.events) == 0 && !q.closed {
			q.filled.Wait()
		}
		events := q.events
		q.events = nil
		q.mu.Unlock()
		if len(events) == 0 {
			return
		}
		for _, e := range events {
			switch e := e.(type) {
			case barrier:
				hand()
				close(e)
			case Event:
				batch = append(batch, e)
			}
		}
		hand()
	}
}
