package docker

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/events"
	"github.com/moby/moby/client"

	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// impatience is how long a test lets an engine be silent; slack is additional time for the machine.
const (
	impatience = time.Second
	slack      = 5 * time.Second
)

// stalled fails the test unless do returns a StalledError in time.
func stalled(t *testing.T, do func() error) {
	t.Helper()
	began := time.Now()
	err := do()
	var want *StalledError
	if !errors.As(err, &want) || want.After != impatience || want.Question == "" {
		t.Errorf("error is %v, want a StalledError", err)
	}
	if took := time.Since(began); took > impatience+slack {
		t.Errorf("it took %v", took)
	}
}

func TestEngine_StallsAtStart(t *testing.T) {
	l := newLine(t)
	l.hush(true)
	stalled(t, func() error {
		_, err := Watch(t.Context(), Config{Host: l.host, Timeout: impatience})
		return err
	})
}

func TestEngine_StallsLater(t *testing.T) {
	l := newLine(t)
	r := newRigAt(t, Config{Host: l.host, Timeout: impatience})
	r.sync()
	l.hush(true)
	stalled(t, func() error { return r.w.Sync(t.Context()) })
	l.speak()
	r.sync()
}

func TestStream_SilentLosesNothing(t *testing.T) {
	l := newLine(t)
	r := newRigAt(t, Config{Host: l.host, Timeout: impatience})
	r.sync()
	check(t, r.w.client.Close()) // its idle connections, but not the stream
	l.hush(false)                // the stream; later queries are answered
	id := r.run("silent")
	if c := r.container(id); !c.IsNew || c.Started == 0 || len(c.Networks) != 1 || len(c.Networks[0].Addrs) != 1 ||
		c.Missed != "" {
		t.Errorf("container is %+v", c)
	}
	l.speak()
	again := r.container(id)
	if len(again.Networks) != 1 {
		t.Errorf("what the stream brought later was taken for new: %+v", again.Networks)
	}
}

func TestStream_BrokenLosesNothing(t *testing.T) {
	l := newLine(t)
	r := newRigAt(t, Config{Host: l.host})
	for i := range 5 {
		l.cut()
		id := r.run(fmt.Sprint("cut", i))
		l.cut()
		if c := r.container(id); !c.IsNew || c.Started == 0 || len(c.Networks) != 1 || len(c.Networks[0].Addrs) != 1 ||
			c.Missed != "" {
			t.Errorf("container is %+v", c)
		}
	}
}

func TestContainers_MissedDuringOutage(t *testing.T) {
	l := newLine(t)
	r := newRigAt(t, Config{Host: l.host})
	r.sync()
	l.refuse(true)
	id := r.run("away", "--label", LabelWorkload+"=orders-db")
	r.remove("away")
	l.refuse(false)
	c := r.container(id)
	if !c.IsNew || c.Started == 0 || c.Removed == 0 || Name(c) != "orders-db" {
		t.Errorf("container is %+v", c)
	}
	if !strings.Contains(c.Missed, "removed before the engine could be queried") {
		t.Errorf("missed %q", c.Missed)
	}
}

func TestEngine_LongOutageLosesEvents(t *testing.T) {
	l := newLine(t)
	r := newRigAt(t, Config{Host: l.host, Timeout: impatience})
	r.sync()
	check(t, r.w.Err())
	l.refuse(true)
	for until := time.Now().Add(impatience + slack); r.w.Err() == nil && time.Now().Before(until); {
		time.Sleep(10 * time.Millisecond)
	}
	l.refuse(false)
	for what, err := range map[string]error{"Err": r.w.Err(), "Sync": r.w.Sync(t.Context())} {
		if !errors.Is(err, ErrEventsLost) || !strings.Contains(err.Error(), l.host) {
			t.Errorf("%s is %v", what, err)
		}
	}
}

func TestSeen_Gap(t *testing.T) {
	message := func(i int) events.Message {
		return events.Message{Type: "container", Actor: events.Actor{ID: fmt.Sprint(i)}}
	}
	span := func(from, to int) (all []events.Message) {
		for i := from; i < to; i++ {
			all = append(all, message(i))
		}
		return all
	}
	for _, c := range []struct {
		reason string
		seen   int
		kept   []events.Message
		want   bool
	}{
		{"nothing happened since", 10, span(0, 10), true},
		{"as much as it keeps, but one", 10, span(9, 9+kept), true},
		{"more than it keeps", 10, span(10, 10+kept), false},
		{"it was started again", 10, nil, false},
		{"a new engine", 0, nil, true},
		{"a new engine, and little happened", 0, span(0, kept-1), true},
		{"a new engine, and more than it keeps", 0, span(0, kept), false},
	} {
		var s seen
		for _, m := range span(0, c.seen) {
			s.add(keyOf(m))
		}
		if got := s.continues(c.kept); got != c.want {
			t.Errorf("%s: %v, want %v", c.reason, got, c.want)
		}
	}
}

func TestSeen_RemembersRepeatableEvents(t *testing.T) {
	var s seen
	for i := range 3 * remembered {
		if !s.add(key{nano: int64(i)}) || s.add(key{nano: int64(i)}) ||
			s.add(key{nano: int64(max(0, i-remembered+1))}) {
			t.Fatalf("event %d is not new once", i)
		}
		if len(s.keys) > remembered {
			t.Fatalf("%d events are remembered", len(s.keys))
		}
	}
}

// inspects reports whether a query is about a single container.
func inspects(r *http.Request) bool {
	return strings.Contains(r.URL.Path, "/containers/") && strings.HasSuffix(r.URL.Path, "/json") &&
		!strings.HasSuffix(r.URL.Path, "/containers/json")
}

func TestContainers_RemovedDuringInspection(t *testing.T) {
	gone := make(chan struct{})
	r := newRigAt(t, Config{Host: standIn(t, func(_ http.ResponseWriter, q *http.Request) bool {
		if inspects(q) {
			<-gone
		}
		return false
	}, nil)})
	id := r.run("removed", "--label", LabelRecording+"=one", "--network-alias", "db")
	r.remove("removed")
	close(gone)
	c := r.container(id)
	if c.Labels[LabelRecording] != "one" || c.Missed == "" || len(c.Networks) != 1 || c.Networks[0].Until == 0 {
		t.Errorf("container is %+v", c)
	}
	if len(c.Networks[0].Addrs) != 1 {
		t.Errorf("the network was asked for its address while it lived: %+v", c.Networks)
	}
}

// until waits for the events of a container, without a Sync.
func (r *rig) until(id string, happened func(Container) bool) {
	r.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		if c, ok := r.w.Container(id); ok && happened(c) {
			return
		}
		if time.Now().After(deadline) {
			r.Fatalf("the events of container %s do not arrive", id)
		}
	}
}

// The test process inspects its container when it has started. That answer counts even if the watcher's own query comes
// too late.
func TestInspected_ContainerGone(t *testing.T) {
	gone := make(chan struct{})
	r := newRigAt(t, Config{Host: standIn(t, func(_ http.ResponseWriter, q *http.Request) bool {
		if inspects(q) {
			<-gone
		}
		return false
	}, nil)})
	id := r.run("inspected", "--publish", "127.0.0.1::80/tcp")
	r.until(id, func(c Container) bool { return c.Started != 0 })
	engine, err := client.New(client.WithHost("unix://" + socket(t)))
	check(t, err)
	defer engine.Close()
	asked := monotonicNow()
	is, err := engine.ContainerInspect(t.Context(), id, client.ContainerInspectOptions{})
	check(t, err)
	r.w.Inspected(is.Container, asked, monotonicNow())
	running := monotonicNow()
	r.remove("inspected")
	close(gone)
	c := r.container(id)
	if c.Missed != "" || len(c.Published) != 1 || len(c.Networks) != 1 || len(c.Networks[0].Addrs) != 1 {
		t.Fatalf("container is %+v", c)
	}
	port := netip.AddrPortFrom(c.Published[0].Host, c.Published[0].HostPort)
	if at, to, ok := r.w.PublisherAt(port, flow.TCP, running); !ok || at.ID != id || to != 80 {
		t.Errorf("%v was published by %s at port %d", port, at.Name, to)
	}
	r.w.Inspected(container.InspectResponse{ID: "unknown"}, asked, running)
	if _, known := r.w.Container("unknown"); known {
		t.Error("a container without an event is known")
	}
}

// The engine has to answer each inspection while it starts other containers.
func TestContainers_EndIsNotInspected(t *testing.T) {
	inspected := make(chan string, 1000)
	r := newRigAt(t, Config{Host: standIn(t, func(_ http.ResponseWriter, q *http.Request) bool {
		if inspects(q) {
			inspected <- q.URL.Path
		}
		return false
	}, nil)})
	id := r.run("ends")
	inspections := func() (n int) {
		for {
			select {
			case path := <-inspected:
				if strings.Contains(path, id) { // others may run on this machine
					n++
				}
			default:
				return n
			}
		}
	}
	before := r.container(id)
	running := inspections()
	r.docker("kill", id)
	r.until(id, func(c Container) bool { return c.Ended != 0 })
	c := r.container(id)
	if c.Ended == 0 || c.Missed != "" || c.Networks[0].Until == 0 || before.Ended != 0 {
		t.Errorf("container was %+v, is %+v", before, c)
	}
	// After it left its network.
	if after := inspections(); running == 0 || after > 1 {
		t.Errorf("%d inspections while it ran, %d after its end", running, after)
	}
}

func TestEngine_OneContainerUnanswered(t *testing.T) {
	host := standIn(t, func(_ http.ResponseWriter, q *http.Request) bool {
		if inspects(q) {
			<-q.Context().Done()
			return true
		}
		return false
	}, nil)
	r := newRigAt(t, Config{Host: host, Timeout: impatience})
	id := r.run("mute")
	began := time.Now()
	c := r.container(id)
	if !strings.Contains(c.Missed, "took longer than") || time.Since(began) > 3*impatience+slack {
		t.Errorf("after %v container is %+v", time.Since(began), c)
	}
}

func TestSync_EndsWithContextAndClose(t *testing.T) {
	l := newLine(t)
	r := newRigAt(t, Config{Host: l.host})
	l.hush(true)
	done := make(chan error, 1)
	go func() { done <- r.w.Sync(t.Context()) }()
	time.Sleep(50 * time.Millisecond)
	check(t, r.w.Close())
	select {
	case err := <-done:
		if !errors.Is(err, errClosed) {
			t.Errorf("error is %v", err)
		}
	case <-time.After(slack):
		t.Error("it goes on after Close")
	}
}
