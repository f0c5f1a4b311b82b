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

func TestWhoStartedAContainer(t *testing.T) {
	const self = 10
	mine, sibling := goroutine.NewID(), goroutine.NewID()
	image := docker.Container{ID: "0123456789abcdef0123", Name: "brave_curie", Image: "redis:7", Command: "redis-server", NetworkMode: "shop"}
	compose, passed, ofOthers, built := image, image, image, image
	compose.Labels = map[string]string{labelProject: "shop"}
	passed.Labels = map[string]string{labelTestcontainers: "true"}
	ofOthers.Labels = passed.Labels
	built.Image = "sha256:0123456789ab"
	passed.Session, ofOthers.Session = testcontainers.SessionID(), "0"
	here, beside, early := passed, passed, passed
	here.ID, beside.ID, early.ID = "a", "b", "c"
	for id, of := range map[string]goroutine.ID{here.ID: mine, beside.ID: sibling, early.ID: 0} {
		createdContainers.Store(id, of)
		defer createdContainers.Delete(id)
	}
	calls := engineClient{pid: self, command: "shop.test", calls: engineCalls{some: true, testcontainers: true}}
	child := func(command string) engineClient { return engineClient{pid: 14, command: command, recording: mine} }
	other, script, build, up := child("docker run postgres"), child("sh deploy.sh"), child("docker build ."), child("docker compose up --wait")
	start, startOther := child("docker start 01234567"), child("docker start abcd")
	restart, execs := child("docker --context default restart --time 0 brave_curie"), child("docker exec -it brave_curie sh")
	run := engineClient{pid: 11, command: "docker run --rm --network=shop redis:7", recording: mine}
	events := engineClient{pid: 12, command: "docker events", recording: mine}
	for _, row := range []struct {
		reason           string
		of               docker.Container
		tree             []engineClient
		others           []string // command lines
		members          int
		certain, perhaps bool
	}{
		{"nobody was a client", image, nil, nil, 1, false, false},
		{"somebody else", image, nil, []string{"docker run redis:7"}, 1, false, false},
		{"a child, and nobody else", image, []engineClient{run}, nil, 1, true, true},
		{"a child that cannot have started it, and nobody else", image, []engineClient{events}, nil, 1, false, false},
		{"a child that runs another image, and nobody else", image, []engineClient{other}, nil, 1, false, false},
		{"a child of which nothing is known, and nobody else", image, []engineClient{script}, nil, 1, true, true},
		{"a child of which nothing is known, and somebody who cannot have started it", image, []engineClient{script}, []string{"docker events"}, 1, true, true},
		{"a child that names it, and one that does not", image, []engineClient{run}, []string{"docker events", ""}, 1, true, true},
		{"a child that says more of it", image, []engineClient{run}, []string{"docker run redis:7"}, 1, true, true},
		{"a child that says as much of it", image, []engineClient{run}, []string{"docker run --network shop redis:7"}, 1, false, true},
		{"a child that says less of it", image, []engineClient{run}, []string{"docker run --network shop --name brave_curie redis:7"}, 1, false, false},
		{"a child that does not name it, and somebody who may", image, []engineClient{script}, []string{""}, 1, false, true},
		{"a child that cannot have started it, and somebody who may", image, []engineClient{events}, []string{""}, 1, false, false},
		{"a child that starts it by its name", image, []engineClient{restart}, []string{"docker run redis:7", ""}, 1, true, true},
		{"a child that starts it by a part of its ID", image, []engineClient{start}, []string{"docker run redis:7", ""}, 1, true, true},
		{"a child that starts another one", image, []engineClient{startOther}, nil, 1, false, false},
		{"somebody else who starts it by its ID", image, []engineClient{script}, []string{"docker start --attach 0123456789ab"}, 1, false, false},
		{"a child that runs a command in it", image, []engineClient{execs}, nil, 1, false, false},
		{"the test process", image, []engineClient{{pid: self, command: "shop.test"}}, nil, 1, true, true},
		{"the test process, for one of two tests", image, []engineClient{{pid: self, command: "shop.test"}}, nil, 2, false, true},
		{"the test process, for this one of two tests", image, []engineClient{{pid: self, recording: mine}}, nil, 2, true, true},
		{"the test process, for the other one of two tests", image, []engineClient{{pid: self, recording: sibling}}, nil, 2, false, false},
		{"a child of a test that runs beside", image, []engineClient{{pid: 13, command: "docker run redis:7", recording: sibling}}, nil, 2, false, false},
		{"a service of a stack", compose, []engineClient{up}, nil, 1, true, true},
		{"a service of a stack, and somebody else starts stacks", compose, []engineClient{up}, []string{"docker compose up"}, 1, false, true},
		{"a service of a stack, and somebody else starts this one", compose, []engineClient{up}, []string{"docker compose -p shop up"}, 1, false, false},
		{"a service of another stack than the child starts", compose, []engineClient{child("docker compose --project-name bank up")}, nil, 1, false, false},
		{"a service of a stack, and somebody else runs its image", compose, []engineClient{up}, []string{"docker run --network shop redis:7"}, 1, true, true},
		{"a container of no stack", image, []engineClient{up}, nil, 1, false, false},
		{"one that testcontainers made for this test", here, nil, []string{"docker run redis:7"}, 2, true, true},
		{"one that testcontainers made for a test that runs beside", beside, []engineClient{calls}, nil, 2, false, false},
		{"one that testcontainers made before the tests", early, nil, nil, 1, true, true},
		{"one that testcontainers made for one of two tests", early, nil, nil, 2, false, true},
		{"one that testcontainers made in another process of the session", passed, []engineClient{calls}, nil, 1, false, false},
		{"one of testcontainers, of another session", ofOthers, []engineClient{calls}, nil, 1, false, false},
		{"a step of a build", built, []engineClient{build}, nil, 1, false, true},
	} {
		t.Run(row.reason, func(t *testing.T) {
			m := &Recording{test: "TestShop", goroutine: mine, started: 5}
			c := &Recorder{self: self, containers: new(containers), session: &session.Session{Leaf: &cgroup.Leaf{ID: 1}}, members: []*Recording{m, {test: "TestOther", goroutine: sibling}}[:row.members]}
			m.recorder = c
			st := &startEvent{at: 6, tree: row.tree}
			for _, command := range row.others {
				st.others = append(st.others, engineClient{pid: 20, command: command})
			}
			s := &resolution{snapshot: m.snapshot(), starters: map[string][]*startEvent{row.of.ID: {st}}}
			if certain, perhaps := s.startedBy(row.of); certain != row.certain || perhaps != row.perhaps {
				t.Errorf("certain=%t perhaps=%t", certain, perhaps)
			}
			st.at = 4
			if certain, perhaps := s.startedBy(row.of); certain || perhaps {
				t.Error("it was started before the recording")
			}
		})
	}
}

// Who looks for clients asks the kernel's tables, which are there until the recorder ends.
func TestCaptureEndsAfterItsLooks(t *testing.T) {
	testenv.RequireRoot(t)
	c, err := newRecorder(probe.Sizes{}, func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	c.mu.Lock() // which a look needs
	st := c.containers.starters.started("a", now(), true)
	c.findStartEvent(st)
	closed := make(chan error)
	go func() { closed <- c.close() }()
	select {
	case err := <-closed:
		c.mu.Unlock()
		t.Fatalf("the recorder ended before a look did: %v", err)
	case <-time.After(100 * time.Millisecond):
	}
	c.mu.Unlock()
	if err := <-closed; err != nil {
		t.Error(err)
	}
	<-st.done
	late := c.containers.starters.started("b", now(), true)
	c.findStartEvent(late)
	<-late.done
	if c.failure != nil || late.tree != nil || late.others != nil {
		t.Errorf("a look after the end: %v, %v", c.failure, late)
	}
}
