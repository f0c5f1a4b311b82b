package containers

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/netzero-dev/netzero/internal/docker"
	"github.com/netzero-dev/netzero/internal/goroutine"
)

func TestOwnership_StartedBy(t *testing.T) {
	const self, session = 10, "this"
	mine, sibling := goroutine.NewID(), goroutine.NewID()
	image := docker.Container{
		ID: "0123456789abcdef0123", Name: "brave_curie", Image: "redis:7", Command: "redis-server", NetworkMode: "shop",
	}
	compose, inSession, otherSession, built := image, image, image, image
	compose.Labels = map[string]string{LabelProject: "shop"}
	inSession.Labels = map[string]string{LabelTestcontainers: "true"}
	otherSession.Labels = inSession.Labels
	built.Image = "sha256:0123456789ab"
	inSession.Session, otherSession.Session = session, "0"
	here, parallel, early := inSession, inSession, inSession
	here.ID, parallel.ID, early.ID = "a", "b", "c"
	createdHere := map[string]goroutine.ID{here.ID: mine, parallel.ID: sibling, early.ID: 0}
	calls := Client{PID: self, Command: "shop.test"}
	work := Client{PID: self, Command: "shop.test", OnlyTestcontainers: true}
	child := func(command string) Client { return Client{PID: 14, Command: command, Recording: mine} }
	other, script := child("docker run postgres"), child("sh deploy.sh")
	build, up := child("docker build ."), child("docker compose up --wait")
	begin, beginOther := child("docker start 01234567"), child("docker start abcd")
	restart := child("docker --context default restart --time 0 brave_curie")
	execs := child("docker exec -it brave_curie sh")
	run := Client{PID: 11, Command: "docker run --rm --network=shop redis:7", Recording: mine}
	events := Client{PID: 12, Command: "docker events", Recording: mine}
	for _, row := range []struct {
		reason           string
		container        docker.Container
		tree             []Client
		others           []string // command lines
		recordings       int
		certain, perhaps bool
	}{
		{"no client", image, nil, nil, 1, false, false},
		{"another process", image, nil, []string{"docker run redis:7"}, 1, false, false},
		{"only a child", image, []Client{run}, nil, 1, true, true},
		{"only a child that cannot have started it", image, []Client{events}, nil, 1, false, false},
		{"only a child that runs another image", image, []Client{other}, nil, 1, false, false},
		{"only a child with an unknown command", image, []Client{script}, nil, 1, true, true},
		{
			"a child with an unknown command, and a process that cannot have started it",
			image, []Client{script}, []string{"docker events"}, 1, true, true,
		},
		{
			"a child that mentions it, and processes that do not",
			image, []Client{run}, []string{"docker events", ""}, 1, true, true,
		},
		{"a child that mentions more of it", image, []Client{run}, []string{"docker run redis:7"}, 1, true, true},
		{
			"a child that mentions as much of it",
			image, []Client{run}, []string{"docker run --network shop redis:7"}, 1, false, true,
		},
		{
			"a child that mentions less of it",
			image, []Client{run}, []string{"docker run --network shop --name brave_curie redis:7"}, 1, false, false,
		},
		{"a child with an unknown command, and such a process", image, []Client{script}, []string{""}, 1, false, true},
		{
			"a child that cannot have started it, and a process with an unknown command",
			image, []Client{events}, []string{""}, 1, false, false,
		},
		{
			"a child that starts it by its name",
			image, []Client{restart}, []string{"docker run redis:7", ""}, 1, true, true,
		},
		{
			"a child that starts it by a prefix of its ID",
			image, []Client{begin}, []string{"docker run redis:7", ""}, 1, true, true,
		},
		{"a child that starts another one", image, []Client{beginOther}, nil, 1, false, false},
		{
			"another process that starts it by its ID",
			image, []Client{script}, []string{"docker start --attach 0123456789ab"}, 1, false, false,
		},
		{"a child that runs a command in it", image, []Client{execs}, nil, 1, false, false},
		{
			"a child whose time limit is a prefix of its ID",
			image, []Client{child("docker restart --time 0 fedcba")}, nil, 1, false, false,
		},
		{
			"a child whose short time limit is a prefix of its ID",
			image, []Client{child("docker restart -t 0 fedcba")}, nil, 1, false, false,
		},
		{"a child that starts the latest one", image, []Client{child("podman start --latest")}, nil, 1, true, true},
		{
			"a child that runs its image with another command",
			image, []Client{child("docker run redis:7 redis-cli ping")}, nil, 1, false, false,
		},
		{
			"a child that runs its image with its command, under the image's name",
			image, []Client{child("docker run --name redis:7 redis:7 redis-server")}, nil, 1, true, true,
		},
		{"the test process", image, []Client{{PID: self, Command: "shop.test"}}, nil, 1, true, true},
		{
			"the test process, for one of two tests",
			image, []Client{{PID: self, Command: "shop.test"}}, nil, 2, false, true,
		},
		{
			"the test process, for this one of two tests",
			image, []Client{{PID: self, Recording: mine}}, nil, 2, true, true,
		},
		{
			"the test process, for the other one of two tests",
			image, []Client{{PID: self, Recording: sibling}}, nil, 2, false, false,
		},
		{
			"a child of a parallel test",
			image, []Client{{PID: 13, Command: "docker run redis:7", Recording: sibling}}, nil, 2, false, false,
		},
		{"a compose service", compose, []Client{up}, nil, 1, true, true},
		{
			"a compose service, and another process starts a project",
			compose, []Client{up}, []string{"docker compose up"}, 1, false, true,
		},
		{
			"a compose service, and another process starts its project",
			compose, []Client{up}, []string{"docker compose -p shop up"}, 1, false, false,
		},
		{
			"a compose service of another project than the child's",
			compose, []Client{child("docker compose --project-name bank up")}, nil, 1, false, false,
		},
		{
			"a compose service, and another process runs its image",
			compose, []Client{up}, []string{"docker run --network shop redis:7"}, 1, true, true,
		},
		{"a container without a project", image, []Client{up}, nil, 1, false, false},
		{"no label of testcontainers, which alone is at work", image, []Client{work}, nil, 1, false, false},
		{"a compose service, while testcontainers is at work", compose, []Client{work}, nil, 1, true, true},
		{"a build step, while testcontainers is at work", built, []Client{work}, nil, 1, false, true},
		{"testcontainers created it for this test", here, nil, []string{"docker run redis:7"}, 2, true, true},
		{"testcontainers created it for a parallel test", parallel, []Client{calls}, nil, 2, false, false},
		{"testcontainers created it before the tests", early, nil, nil, 1, true, true},
		{"testcontainers created it for one of two tests", early, nil, nil, 2, false, true},
		{
			"testcontainers created it in another process of the session",
			inSession, []Client{calls}, nil, 1, false, false,
		},
		{"testcontainers created it in another session", otherSession, []Client{calls}, nil, 1, false, false},
		{"a build step", built, []Client{build}, nil, 1, false, true},
	} {
		t.Run(row.reason, func(t *testing.T) {
			start := &Start{At: 6, Tree: row.tree}
			for _, command := range row.others {
				start.Unrelated = append(start.Unrelated, Client{PID: 20, Command: command})
			}
			o := &Ownership{
				Started: 5, Starts: map[string][]*Start{row.container.ID: {start}}, Clients: new(Runs).Clients,
				Unrelated: new(Runs).Unrelated,
				Self:      self, Session: session, OnlyRecording: row.recordings == 1,
				Includes: func(id goroutine.ID) bool { return id != sibling },
				Created: func(id string) (goroutine.ID, bool) {
					recording, created := createdHere[id]
					return recording, created
				},
			}
			if certain, perhaps := o.StartedBy(row.container); certain != row.certain || perhaps != row.perhaps {
				t.Errorf("certain=%t perhaps=%t", certain, perhaps)
			}
			start.At = 4
			if certain, perhaps := o.StartedBy(row.container); certain || perhaps {
				t.Error("attributed although it was started before the recording")
			}
		})
	}
}

// A notice names the network, so it must not depend on the order of a map.
func TestSharedNetwork_FirstByName(t *testing.T) {
	in := func(id string, networks ...string) docker.Container {
		c := docker.Container{ID: id}
		for _, n := range networks {
			c.Networks = append(c.Networks, docker.Attachment{Network: n, NetworkID: "id of " + n})
		}
		return c
	}
	engine := fakeEngine{containers: []docker.Container{in("db", "front", "bridge"), in("cache", "back")}}
	owned := map[string]bool{"db": true, "cache": true}
	for range 100 {
		if got := SharedNetwork(engine, owned, in("web", "bridge", "front", "back")); got != "back" {
			t.Fatalf("shared network %q, want back", got)
		}
	}
	if got := SharedNetwork(engine, owned, in("web", "bridge", "other")); got != "" {
		t.Errorf("shared network %q of containers that share only the default one", got)
	}
}

func TestOwnership_Owned(t *testing.T) {
	const before, after = 4, 6
	started := func(id string, at time.Duration, labels ...string) docker.Container {
		c := docker.Container{ID: id, Name: id, Image: "redis:7", Started: at, Labels: make(map[string]string)}
		for i := 0; i < len(labels); i += 2 {
			c.Labels[labels[i]] = labels[i+1]
		}
		return c
	}
	project := func(id string) docker.Container { return started(id, after, LabelProject, "shop") }
	ran := &Start{At: after, Command: true, Tree: []Client{{PID: 14, Command: "docker exec db sh"}}}
	for _, row := range []struct {
		reason     string
		containers []docker.Container
		attached   map[string]bool
		exchanges  []Exchange
		owners     map[string]string
		starts     map[string][]*Start
		want       []string
	}{
		{reason: "nothing relates it", containers: []docker.Container{started("db", after)}},
		{
			reason:     "attached",
			containers: []docker.Container{started("db", before)}, attached: map[string]bool{"db": true},
			want: []string{"db"},
		},
		{
			reason: "attached to another recording", containers: []docker.Container{started("db", after)},
			attached: map[string]bool{"db": false}, exchanges: []Exchange{{"", "db"}},
		},
		{
			reason:     "its label",
			containers: []docker.Container{started("db", before, docker.LabelRecording, "mine")}, want: []string{"db"},
		},
		{
			reason: "the label of another recording", exchanges: []Exchange{{"", "db"}},
			containers: []docker.Container{started("db", after, docker.LabelRecording, "other")},
		},
		{
			reason: "the test process calls it", containers: []docker.Container{started("db", after)},
			exchanges: []Exchange{{"", "db"}}, want: []string{"db"},
		},
		{
			reason: "the test process calls it, and it is older", containers: []docker.Container{started("db", before)},
			exchanges: []Exchange{{"", "db"}},
		},
		{
			reason: "a chain of calls, from either side",
			containers: []docker.Container{
				started("web", after), started("db", after), started("job", after), started("other", after),
			},
			exchanges: []Exchange{{"job", "db"}, {"web", "db"}, {"", "web"}, {"other", "unknown"}},
			want:      []string{"db", "job", "web"},
		},
		{
			reason: "its compose project", containers: []docker.Container{project("web"), project("db")},
			exchanges: []Exchange{{"", "web"}}, want: []string{"db", "web"},
		},
		{
			reason: "its pod", containers: []docker.Container{started("web", after), started("sidecar", after)},
			owners: map[string]string{"sidecar": "web"}, exchanges: []Exchange{{"", "web"}},
			want: []string{"sidecar", "web"},
		},
		{
			reason: "a command of the test in an older one", containers: []docker.Container{started("db", before)},
			starts: map[string][]*Start{"db": {ran}}, want: []string{"db"},
		},
	} {
		t.Run(row.reason, func(t *testing.T) {
			o := &Ownership{
				Engine: fakeEngine{containers: row.containers, owners: row.owners}, Label: "mine", Started: 5,
				Attached: row.attached, Exchanges: row.exchanges, Starts: row.starts,
				Clients: new(Runs).Clients, Unrelated: new(Runs).Unrelated, OnlyRecording: true,
				Includes: func(goroutine.ID) bool { return true },
				Created:  func(string) (goroutine.ID, bool) { return 0, false },
			}
			if diff := cmp.Diff(row.want, slices.Sorted(maps.Keys(o.Owned()))); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestArguments(t *testing.T) {
	for line, want := range map[string]string{
		"docker restart -t 0 db":                       "db",
		"docker restart -t0 db cache":                  "db cache",
		"docker restart --time=0 db":                   "db",
		"docker restart --signal KILL --timeout 0 db":  "db",
		"docker exec -it -e A=B --user 0 db sh -c":     "db sh",
		"docker exec -ite A=B db psql":                 "db psql",
		"docker start --detach-keys ctrl-a -ai db":     "db",
		"podman --log-level debug start --latest":      "",
		"docker container exec --env-file e -w / db x": "db x",
	} {
		verb := strings.Fields(line)[slices.IndexFunc(strings.Fields(line), func(word string) bool {
			return slices.Contains(verbs, word)
		})]
		if got := strings.Join(arguments(line, verb), " "); got != want {
			t.Errorf("%q: got %q, want %q", line, got, want)
		}
	}
}

func TestRuns_Clients(t *testing.T) {
	var runs Runs
	if runs.Begin(1, 1, 0, []string{"containerd-shim"}, false) {
		t.Error("a component of the engine is a client")
	}
	runs.Begin(2, 1, 0, []string{"python3", "/usr/bin/docker-compose", "up"}, false)
	runs.Begin(3, 5, 0, []string{"docker", "run", "redis:7"}, true)
	runs.End(2, 3)
	seen := Client{PID: 9, Command: "shop.test"}
	for _, row := range []struct {
		at   time.Duration
		want []Client
	}{
		{2, []Client{{PID: 2, Command: "/usr/bin/docker-compose up"}, seen}},
		{4, []Client{seen}},
		{6, []Client{{PID: 3, Command: "docker run redis:7", Cut: true}, seen}},
	} {
		// The search found a process of which the kernel reported that it had ended.
		got := runs.Clients(&Start{At: row.at, Tree: []Client{{PID: 2}, seen}})
		if diff := cmp.Diff(row.want, got); diff != "" {
			t.Errorf("at %d (-want +got)\n%s", row.at, diff)
		}
	}
}

// A client of another process may have ended before the search.
func TestRuns_Unrelated(t *testing.T) {
	var runs Runs
	runs.BeginUnrelated(1, 1, []string{"/usr/bin/dockerd"}, false)
	runs.BeginUnrelated(2, 2, []string{"docker", "run", "redis:7"}, false)
	runs.Begin(3, 2, 0, []string{"docker", "ps"}, false)
	runs.End(2, 6)
	found := Client{PID: 9, Command: "bank.test", Sibling: true}
	start := &Start{At: 5, Unrelated: []Client{found}}
	want := []Client{{PID: 2, Command: "docker run redis:7"}, found}
	if diff := cmp.Diff(want, runs.Unrelated(start)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if got := runs.Clients(start); len(got) != 1 || got[0].PID != 3 {
		t.Errorf("descendants: %v", got)
	}
	o := &Ownership{
		Starts: map[string][]*Start{"a": {start}}, Clients: runs.Clients, Unrelated: runs.Unrelated, OnlyRecording: true,
		Session:  "this",
		Includes: func(goroutine.ID) bool { return true },
		Created:  func(string) (goroutine.ID, bool) { return 0, false },
	}
	start.Tree = []Client{{PID: 10, Command: "shop.test"}}
	if certain, perhaps := o.StartedBy(docker.Container{ID: "a", Name: "a", Image: "redis:7"}); certain || perhaps {
		t.Errorf("certain %t, perhaps %t: the container of a client that ended before the search", certain, perhaps)
	}
}
