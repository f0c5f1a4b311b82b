package recorder

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/netzero-dev/netzero/internal/probe"
	"github.com/netzero-dev/netzero/internal/testenv"
)

// A search for clients reads kernel maps, which are open until the recorder closes.
func TestStartEvents_CloseWaitsForSearches(t *testing.T) {
	testenv.RequireRoot(t)
	r, err := newRecorder(probe.Sizes{}, func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	r.mu.Lock() // a search needs it
	st := r.containers.startEvents.started("a", now(), true)
	r.findStartEvent(st)
	closed := make(chan error)
	go func() { closed <- r.close() }()
	select {
	case err := <-closed:
		r.mu.Unlock()
		t.Fatalf("the recorder closed before a search ended: %v", err)
	case <-time.After(100 * time.Millisecond):
	}
	r.mu.Unlock()
	if err := <-closed; err != nil {
		t.Error(err)
	}
	<-st.done
	late := r.containers.startEvents.started("b", now(), true)
	r.findStartEvent(late)
	<-late.done
	if r.failure != nil || late.Tree != nil || late.Unrelated != nil {
		t.Errorf("a search after the end: %v, %v", r.failure, late)
	}
}

func TestStartEvents_Searches(t *testing.T) {
	const olderCgroup, otherCgroup, nestedCgroup, otherOlder, removedCgroup = 1, 2, 3, 4, 1<<63 - 1
	id := func(digit string) string { return strings.Repeat(digit, 64) }
	older, fresh := id("a"), id("b")
	names := func(path string) []string {
		names := strings.Split(strings.Trim(path, "/"), "/")
		slices.Reverse(names)
		return names
	}
	for _, row := range []struct {
		reason    string
		event     probe.Event
		starts    string // the container with a start event
		command   bool
		unrelated bool
	}{
		{"a container is created", &probe.MkdirEvent{Path: "/docker/" + fresh}, fresh, false, false},
		{"a nested container is created", &probe.MkdirEvent{Path: "/docker/" + older + "/docker/" + fresh},
			fresh, false, false},
		{"an older container starts again", &probe.MkdirEvent{Path: "/docker/" + older}, older, false, false},
		{"an older container creates a cgroup", &probe.MkdirEvent{Path: "/docker/" + older + "/init"}, "", false, false},
		{"a cgroup outside of containers is created", &probe.MkdirEvent{Path: "/ci/build"}, "", false, false},
		{"no path", &probe.MkdirEvent{}, "", false, false},

		{"a container is seen first", &probe.CgroupEvent{Cgroup: otherCgroup, Names: names("/docker/" + fresh)},
			fresh, false, false},
		{"a cgroup nested in a new container",
			&probe.CgroupEvent{Cgroup: otherCgroup, Names: names("/docker/" + fresh + "/init")}, fresh, false, false},
		{"an older container in a new cgroup",
			&probe.CgroupEvent{Cgroup: otherCgroup, Names: names("/docker/" + older)}, older, false, false},
		{"the cgroup of an older container",
			&probe.CgroupEvent{Cgroup: olderCgroup, Names: names("/docker/" + older)}, "", false, false},
		{"a cgroup nested in an older container",
			&probe.CgroupEvent{Cgroup: otherCgroup, Names: names("/docker/" + older + "/init")}, "", false, false},
		{"a cgroup outside of containers",
			&probe.CgroupEvent{Cgroup: otherCgroup, Names: names("/ci/build")}, "", false, true},
		{"a cgroup without a name", &probe.CgroupEvent{Cgroup: otherCgroup}, "", false, false},

		{"a command in an older container", &probe.EnterEvent{Cgroup: olderCgroup, By: removedCgroup}, older, true, false},
		{"a command by an engine that runs in another older container",
			&probe.EnterEvent{Cgroup: olderCgroup, By: otherOlder}, older, true, false},
		{"a process of an older container moves itself", &probe.EnterEvent{Cgroup: olderCgroup, By: olderCgroup},
			"", false, false},
		{"an older container moves its process", &probe.EnterEvent{Cgroup: nestedCgroup, By: olderCgroup},
			"", false, false},
		{"a task enters another cgroup", &probe.EnterEvent{Cgroup: otherCgroup, By: removedCgroup}, "", false, false},
	} {
		r := &Recorder{containers: newContainerState(func() {}, func() {})}
		r.containers.older.byCgroup[olderCgroup], r.containers.older.byCgroup[nestedCgroup] = older, older
		r.containers.older.byCgroup[otherOlder] = id("c")
		r.containers.startEvents.end() // so that no search begins
		unrelated := false
		switch e := row.event.(type) {
		case *probe.MkdirEvent:
			r.findStartClients(e)
		case *probe.CgroupEvent:
			unrelated = r.checkNewCgroup(e)
		case *probe.EnterEvent:
			r.findCommandClients(e)
		}
		if unrelated != row.unrelated {
			t.Errorf("%s: unrelated: %t", row.reason, unrelated)
		}
		all := r.containers.startEvents.all()
		if row.starts == "" && len(all) == 0 {
			continue
		}
		if starts := all[row.starts]; len(all) != 1 || len(starts) != 1 || starts[0].Command != row.command {
			t.Errorf("%s: start events %v, want one of %q", row.reason, all, row.starts)
		}
	}
}

// An engine creates one cgroup for a container in the tree of each controller.
func TestStartEvents_CgroupsOfOneStart(t *testing.T) {
	id := strings.Repeat("a", 64)
	created := func(at time.Duration) probe.Event { return &probe.MkdirEvent{Time: at, Path: "/docker/" + id} }
	seen := func(at time.Duration) probe.Event {
		return &probe.CgroupEvent{Time: at, Cgroup: 1, Names: []string{id}}
	}
	for _, row := range []struct {
		reason string
		events []probe.Event
		starts int
	}{
		{"two trees", []probe.Event{created(0), created(sameStart / 2)}, 1},
		{"created and seen much later", []probe.Event{created(0), seen(10 * sameStart)}, 1},
		{"started again", []probe.Event{created(0), created(sameStart)}, 2},
	} {
		r := &Recorder{containers: newContainerState(func() {}, func() {})}
		r.containers.startEvents.end() // so that no search begins
		for _, e := range row.events {
			switch e := e.(type) {
			case *probe.MkdirEvent:
				r.findStartClients(e)
			case *probe.CgroupEvent:
				r.checkNewCgroup(e)
			}
		}
		if starts := r.containers.startEvents.all()[id]; len(starts) != row.starts {
			t.Errorf("%s: %d starts, want %d", row.reason, len(starts), row.starts)
		}
	}
}
