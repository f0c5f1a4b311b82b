package containers

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	dockerclient "github.com/moby/moby/client"
	"github.com/testcontainers/testcontainers-go"

	"github.com/netzero-dev/netzero/internal/testenv"
	"github.com/netzero-dev/netzero/netzerotest"
)

const hostAddress = "203.0.113.100:443" // of the host that networkWithHost makes

// A user's test starts these before its recording, as TestMain does, and does not pass them to it.
func init() {
	users["older: testcontainers"] = func(t *testing.T) {
		image := require(t)
		n := networkWithHost(t)
		front := run(t, image, "http :8080 then wait", in(n, "front"), testcontainers.WithExposedPorts("8080/tcp"))
		netzerotest.Record(t, netzerotest.Workload("checkout"))
		if more(t) {
			get(t, fmt.Sprintf("http://localhost:%d/dial?to=%s", published(t, front, "8080/tcp"), hostAddress))
		}
	}
	users["older: docker run"] = func(t *testing.T) {
		image := require(t)
		n := networkWithHost(t)
		id := docker(t, "run", "--detach", "--publish", "127.0.0.1::8080", "--network", n.Name, image, "http :8080 then wait")
		t.Cleanup(func() { docker(t, "rm", "--force", id) })
		netzerotest.Record(t, netzerotest.Workload("checkout"))
		if more(t) {
			get(t, "http://"+docker(t, "port", id, "8080/tcp")+"/dial?to="+hostAddress)
		}
	}
	users["older: docker-compose"] = func(t *testing.T) {
		require(t)
		stack, err := filepath.Abs(filepath.Join(os.Getenv("DIRECTORY"), "testdata/compose.yaml"))
		if err != nil {
			t.Fatal(err)
		}
		shop := newStack(t, stack)
		shop.exited("report")
		netzerotest.Record(t, netzerotest.Workload("checkout"))
		if more(t) {
			get(t, "http://"+docker(t, "port", shop.container("front"), "8080/tcp")+"/dial?to=orders:8081")
		}
	}
	users["older: worker"] = func(t *testing.T) {
		image := require(t)
		n := networkWithHost(t)
		id := docker(t, "run", "--detach", "--network", n.Name, image,
			"repeat 1000000 child dial "+hostAddress+" and sleep 200ms")
		t.Cleanup(func() { docker(t, "rm", "--force", id) })
		rec := netzerotest.Record(t, netzerotest.Workload("checkout"))
		lines := func() int { return strings.Count(docker(t, "logs", id), "\n") }
		before := lines()
		for deadline := time.Now().Add(time.Minute); lines() < before+2; time.Sleep(100 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatal("the worker does not connect")
			}
		}
		rec.Flows()
	}
	users["older: exec"] = func(t *testing.T) {
		image := require(t)
		n := networkWithHost(t)
		c := run(t, image, "wait", in(n, "shop"))
		netzerotest.Record(t, netzerotest.Workload("checkout"))
		execute(t, c, "dial", hostAddress)
	}
	users["older: idle connection to the engine"] = func(t *testing.T) {
		netzerotest.Record(t, netzerotest.Workload("checkout"))
		client, err := testcontainers.NewDockerClientWithOpts(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		if _, err := client.Ping(t.Context(), dockerclient.PingOptions{}); err != nil { // keeps the connection
			t.Fatal(err)
		}
		if err := os.WriteFile("recorded", []byte("yes"), 0o644); err != nil {
			t.Fatal(err)
		}
		waitFor(t, "ended")
	}
}

// The test fails if a container that it started before the recording opens a flow and is related to the test.
func TestOlderContainers_RelatedFails(t *testing.T) {
	require(t)
	testenv.RequireCommand(t, "docker-compose", "docker-compose")
	directory, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct{ way, opened string }{
		{"older: testcontainers", `203\.0\.113\.100:443/TCP`},
		{"older: docker run", `203\.0\.113\.100:443/TCP`},
		{"older: docker-compose", `.*orders:8081/TCP`},
	} {
		t.Run(row.way, func(t *testing.T) {
			u := newUser(t)
			env := []string{"DIRECTORY=" + directory}
			if out, passed := u.testWith(env, row.way, "-update", "-test.v=false"); !passed {
				t.Errorf("failed, although they open nothing:\n%s", out)
			}
			out, passed := u.testWith(append(env, "MORE=1"), row.way, "-update")
			if passed {
				t.Errorf("passed:\n%s", out)
			}
			u.says(out, `container \S+ \(netzero/peer\) was started before the recording, `+
				`belongs to this test and is not recorded, and opened `+row.opened)
			u.says(out, `RecordPackage`)
		})
	}
}

// For a container unrelated to the test, a line is printed without -v.
func TestOlderContainers_UnrelatedReported(t *testing.T) {
	require(t)
	u := newUser(t)
	out := u.passes("older: worker", "-update", "-test.v=false")
	u.says(out, `netzero: TestUser: container \S+ \(netzero/peer\) was started before the recording `+
		`while this test process ran, and opened 203\.0\.113\.100:443/TCP: if it is this test's`)
}

// A command that the test runs in an older container belongs to the container, which is recorded from then on.
func TestOlderContainers_Exec(t *testing.T) {
	require(t)
	u := newUser(t)
	out := u.passes("older: exec", "-update")
	u.says(out, `ran before the recording: its earlier flows are not in its policy`)
	u.says(u.golden(), "name: shop")
	u.says(u.golden(), `203\.0\.113\.100/32`)
	u.passes("older: exec")
}

// If the test has a connection to the engine, neither the engine's health checks in an unrelated container nor commands
// of other processes there are reported.
func TestOlderContainers_CommandsOfOthers(t *testing.T) {
	image := require(t)
	n := networkWithHost(t)
	for _, row := range []struct {
		reason string
		flags  []string
		exec   bool
	}{
		{"health check", []string{"--health-cmd", "/peer dial " + hostAddress, "--health-interval", "200ms"}, false},
		{"docker exec", nil, true},
	} {
		t.Run(row.reason, func(t *testing.T) {
			flags := append([]string{"run", "--detach", "--network", n.Name}, row.flags...)
			id := docker(t, append(flags, image, "wait")...)
			defer docker(t, "rm", "--force", id)
			u := newUser(t)
			var out string
			var passed bool
			done := make(chan bool)
			go func() {
				defer close(done)
				out, passed = u.test("older: idle connection to the engine", "-update")
			}()
			waitFor(t, filepath.Join(u.dir, "recorded"))
			if row.exec {
				docker(t, "exec", id, "/peer dial "+hostAddress)
			}
			checks := func() string {
				return docker(t, "inspect", "--format", "{{range .State.Health.Log}}{{.End}};{{end}}", id)
			}
			for first, deadline := "", time.Now().Add(time.Minute); !row.exec; time.Sleep(100 * time.Millisecond) {
				if first == "" {
					first = checks()
				}
				if checks() != first {
					break
				}
				if time.Now().After(deadline) {
					t.Fatal("there is no health check")
				}
			}
			if err := os.WriteFile(filepath.Join(u.dir, "ended"), nil, 0o644); err != nil {
				t.Fatal(err)
			}
			<-done
			if !passed {
				t.Errorf("failed:\n%s", out)
			}
			u.saysNot(out, docker(t, "inspect", "--format", "{{slice .Name 1}}", id))
			u.saysNot(u.golden(), "203.0.113.100")
		})
	}
}
