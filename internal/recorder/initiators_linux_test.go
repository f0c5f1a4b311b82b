package recorder

import (
	"testing"
	"time"

	"github.com/testcontainers/testcontainers-go"

	"github.com/netzero-dev/netzero/internal/cgroup"
	"github.com/netzero-dev/netzero/internal/docker"
	"github.com/netzero-dev/netzero/internal/goroutine"
	"github.com/netzero-dev/netzero/internal/probe"
	"github.com/netzero-dev/netzero/internal/session"
	"github.com/netzero-dev/netzero/internal/testenv"
)

func TestStartEvents_StartedBy(t *testing.T) {
	const self = 10
	mine, sibling := goroutine.NewID(), goroutine.NewID()
	image := docker.Container{ID: "0123456789abcdef0123", Name: "brave_curie", Image: "redis:7", Command: "redis-server", NetworkMode: "shop"}
	compose, inSession, otherSession, built := image, image, image, image
	compose.Labels = map[string]string{labelProject: "shop"}
	inSession.Labels = map[string]string{labelTestcontainers: "true"}
	otherSession.Labels = inSession.Labels
	built.Image = "sha256:0123456789ab"
	inSession.Session, otherSession.Session = testcontainers.SessionID(), "0"
	here, parallel, early := inSession, inSession, inSession
	here.ID, parallel.ID, early.ID = "a", "b", "c"
	for id, recording := range map[string]goroutine.ID{here.ID: mine, parallel.ID: sibling, early.ID: 0} {
		createdContainers.Store(id, recording)
		defer createdContainers.Delete(id)
	}
	calls := engineClient{pid: self, command: "shop.test", calls: engineCalls{possible: true, testcontainers: true}}
	child := func(command string) engineClient { return engineClient{pid: 14, command: command, recording: mine} }
	other, script, build, up := child("docker run postgres"), child("sh deploy.sh"), child("docker build ."), child("docker compose up --wait")
	start, startOther := child("docker start 01234567"), child("docker start abcd")
	restart, execs := child("docker --context default restart --time 0 brave_curie"), child("docker exec -it brave_curie sh")
	run := engineClient{pid: 11, command: "docker run --rm --network=shop redis:7", recording: mine}
	events := engineClient{pid: 12, command: "docker events", recording: mine}
	for _, row := range []struct {
		reason           string
		container        docker.Container
		tree             []engineClient
		others           []string // command lines
		recordings       int
		certain, perhaps bool
	}{
		{"no client", image, nil, nil, 1, false, false},
		{"another process", image, nil, []string{"docker run redis:7"}, 1, false, false},
		{"only a child", image, []engineClient{run}, nil, 1, true, true},
		{"only a child that cannot have started it", image, []engineClient{events}, nil, 1, false, false},
		{"only a child that runs another image", image, []engineClient{other}, nil, 1, false, false},
		{"only a child with an unknown command", image, []engineClient{script}, nil, 1, true, true},
		{"a child with an unknown command, and a process that cannot have started it", image, []engineClient{script}, []string{"docker events"}, 1, true, true},
		{"a child that mentions it, and processes that do not", image, []engineClient{run}, []string{"docker events", ""}, 1, true, true},
		{"a child that mentions more of it", image, []engineClient{run}, []string{"docker run redis:7"}, 1, true, true},
		{"a child that mentions as much of it", image, []engineClient{run}, []string{"docker run --network shop redis:7"}, 1, false, true},
		{"a child that mentions less of it", image, []engineClient{run}, []string{"docker run --network shop --name brave_curie redis:7"}, 1, false, false},
		{"a child with an unknown command, and such a process", image, []engineClient{script}, []string{""}, 1, false, true},
		{"a child that cannot have started it, and a process with an unknown command", image, []engineClient{events}, []string{""}, 1, false, false},
		{"a child that starts it by its name", image, []engineClient{restart}, []string{"docker run redis:7", ""}, 1, true, true},
		{"a child that starts it by a prefix of its ID", image, []engineClient{start}, []string{"docker run redis:7", ""}, 1, true, true},
		{"a child that starts another one", image, []engineClient{startOther}, nil, 1, false, false},
		{"another process that starts it by its ID", image, []engineClient{script}, []string{"docker start --attach 0123456789ab"}, 1, false, false},
		{"a child that runs a command in it", image, []engineClient{execs}, nil, 1, false, false},
		{"the test process", image, []engineClient{{pid: self, command: "shop.test"}}, nil, 1, true, true},
		{"the test process, for one of two tests", image, []engineClient{{pid: self, command: "shop.test"}}, nil, 2, false, true},
		{"the test process, for this one of two tests", image, []engineClient{{pid: self, recording: mine}}, nil, 2, true, true},
		{"the test process, for the other one of two tests", image, []engineClient{{pid: self, recording: sibling}}, nil, 2, false, false},
		{"a child of a parallel test", image, []engineClient{{pid: 13, command: "docker run redis:7", recording: sibling}}, nil, 2, false, false},
		{"a compose service", compose, []engineClient{up}, nil, 1, true, true},
		{"a compose service, and another process starts a project", compose, []engineClient{up}, []string{"docker compose up"}, 1, false, true},
		{"a compose service, and another process starts its project", compose, []engineClient{up}, []string{"docker compose -p shop up"}, 1, false, false},
		{"a compose service of another project than the child's", compose, []engineClient{child("docker compose --project-name bank up")}, nil, 1, false, false},
		{"a compose service, and another process runs its image", compose, []engineClient{up}, []string{"docker run --network shop redis:7"}, 1, true, true},
		{"a container without a project", image, []engineClient{up}, nil, 1, false, false},
		{"testcontainers created it for this test", here, nil, []string{"docker run redis:7"}, 2, true, true},
		{"testcontainers created it for a parallel test", parallel, []engineClient{calls}, nil, 2, false, false},
		{"testcontainers created it before the tests", early, nil, nil, 1, true, true},
		{"testcontainers created it for one of two tests", early, nil, nil, 2, false, true},
		{"testcontainers created it in another process of the session", inSession, []engineClient{calls}, nil, 1, false, false},
		{"testcontainers created it in another session", otherSession, []engineClient{calls}, nil, 1, false, false},
		{"a build step", built, []engineClient{build}, nil, 1, false, true},
	} {
		t.Run(row.reason, func(t *testing.T) {
			m := &Recording{test: "TestShop", goroutine: mine, started: 5}
			c := &Recorder{self: self, containers: new(containers), session: &session.Session{Leaf: &cgroup.Leaf{ID: 1}}, recordings: []*Recording{m, {test: "TestOther", goroutine: sibling}}[:row.recordings]}
			m.recorder = c
			st := &startEvent{at: 6, tree: row.tree}
			for _, command := range row.others {
				st.others = append(st.others, engineClient{pid: 20, command: command})
			}
			s := &resolution{snapshot: m.snapshot(), startEvents: map[string][]*startEvent{row.container.ID: {st}}}
			if certain, perhaps := s.startedBy(row.container); certain != row.certain || perhaps != row.perhaps {
				t.Errorf("certain=%t perhaps=%t", certain, perhaps)
			}
			st.at = 4
			if certain, perhaps := s.startedBy(row.container); certain || perhaps {
				t.Error("attributed although it was started before the recording")
			}
		})
	}
}

// A search for clients reads kernel maps, which are open until the recorder closes.
func TestStartEvents_CloseWaitsForSearches(t *testing.T) {
	testenv.RequireRoot(t)
	c, err := newRecorder(probe.Sizes{}, func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	c.mu.Lock() // a search needs it
	st := c.containers.startEvents.started("a", now(), true)
	c.findStartEvent(st)
	closed := make(chan error)
	go func() { closed <- c.close() }()
	select {
	case err := <-closed:
		c.mu.Unlock()
		t.Fatalf("the recorder closed before a search ended: %v", err)
	case <-time.After(100 * time.Millisecond):
	}
	c.mu.Unlock()
	if err := <-closed; err != nil {
		t.Error(err)
	}
	<-st.done
	late := c.containers.startEvents.started("b", now(), true)
	c.findStartEvent(late)
	<-late.done
	if c.failure != nil || late.tree != nil || late.others != nil {
		t.Errorf("a search after the end: %v, %v", c.failure, late)
	}
}
