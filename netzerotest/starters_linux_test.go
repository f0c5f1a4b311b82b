package netzerotest

import (
	"testing"

	"github.com/netzero-dev/netzero/internal/docker"
	"github.com/netzero-dev/netzero/internal/goroutine"
)

func TestWhoStartedAContainer(t *testing.T) {
	const self = 10
	mine, sibling := goroutine.NewID(), goroutine.NewID()
	image := docker.Container{ID: "x", Name: "brave_curie", Image: "redis:7", Command: "redis-server", NetworkMode: "shop"}
	compose, passed, built := image, image, image
	compose.Labels = map[string]string{labelProject: "shop"}
	passed.Labels = map[string]string{labelTestcontainers: "true"}
	built.Image = "sha256:0123456789ab"
	run := engineClient{pid: 11, command: "docker run --rm --network=shop redis:7", recording: mine}
	events := engineClient{pid: 12, command: "docker events", recording: mine}
	for _, row := range []struct {
		reason           string
		of               docker.Container
		tree             []engineClient
		others           []string
		members          int
		certain, perhaps bool
	}{
		{"nobody was a client", image, nil, nil, 1, false, false},
		{"somebody else", image, nil, []string{"docker run redis:7"}, 1, false, false},
		{"a child, and nobody else", image, []engineClient{run}, nil, 1, true, true},
		{"a child that says nothing of it, and nobody else", image, []engineClient{events}, nil, 1, true, true},
		{"a child that names it, and one that does not", image, []engineClient{run}, []string{"docker events", ""}, 1, true, true},
		{"a child that says more of it", image, []engineClient{run}, []string{"docker run redis:7"}, 1, true, true},
		{"a child that says as much of it", image, []engineClient{run}, []string{"docker run --network shop redis:7"}, 1, false, true},
		{"a child that says less of it", image, []engineClient{run}, []string{"docker run --network shop --name brave_curie redis:7"}, 1, false, false},
		{"a child that does not name it, and somebody who may", image, []engineClient{events}, []string{""}, 1, false, true},
		{"the test process", image, []engineClient{{pid: self, command: "shop.test"}}, nil, 1, true, true},
		{"the test process, for one of two tests", image, []engineClient{{pid: self, command: "shop.test"}}, nil, 2, false, true},
		{"a child of a test that runs beside", image, []engineClient{{pid: 13, command: "docker run redis:7", recording: sibling}}, nil, 2, false, false},
		{"a service of a stack", compose, []engineClient{run}, nil, 1, false, true},
		{"one of testcontainers", passed, []engineClient{run}, nil, 1, false, true},
		{"a step of a build", built, []engineClient{run}, nil, 1, false, true},
	} {
		t.Run(row.reason, func(t *testing.T) {
			m := &membership{name: "TestShop", goroutine: mine, started: 5}
			c := &capture{self: self, members: []*membership{m, {name: "TestOther", goroutine: sibling}}[:row.members]}
			m.capture = c
			s := &settling{membership: m, starters: map[string]*starter{"x": {at: 6, tree: row.tree, others: row.others}}}
			if certain, perhaps := s.startedBy(row.of); certain != row.certain || perhaps != row.perhaps {
				t.Errorf("certain=%t perhaps=%t", certain, perhaps)
			}
			s.starters["x"].at = 4
			if certain, perhaps := s.startedBy(row.of); certain || perhaps {
				t.Error("it was started before the recording")
			}
		})
	}
}
