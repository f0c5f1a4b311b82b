package containers

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/api/types/container"
	dockerclient "github.com/moby/moby/client"
	"github.com/testcontainers/testcontainers-go"
	"github.com/testcontainers/testcontainers-go/wait"

	"github.com/netzero-dev/netzero/internal/testenv"
	"github.com/netzero-dev/netzero/netzerotest"
)

// Wait strategies and health checks call the containers of these users.
func init() {
	// The database and the web server are not passed to the recording; testcontainers waits for both.
	users["callers: waits"] = func(t *testing.T) {
		image := require(t)
		rec := netzerotest.Record(t, netzerotest.Workload("checkout"))
		n := newNetwork(t)
		db := run(t, image, "listen :5432 then wait", in(n, "db"), testcontainers.WithExposedPorts("5432/tcp"),
			testcontainers.WithWaitStrategy(wait.ForListeningPort("5432/tcp").SkipInternalCheck()))
		web := run(t, image, "http :8080 then dial db:5432 then wait", in(n, "web"),
			testcontainers.WithExposedPorts("8080/tcp"),
			testcontainers.WithWaitStrategy(wait.ForHTTP("/").WithPort("8080/tcp")))
		awaitLogs(t, web, 1)
		run(t, image, "sleep 1s then wait", in(n, "probed"), testcontainers.WithWaitStrategy(
			wait.ForExec([]string{"/peer", "dial", "db:5432", "then", "sleep", "200ms"})))
		succeeded(t, run(t, image, "dial db:5432", rec.As("batch"), in(n), toEnd()))
		if more(t) {
			dial(t, fmt.Sprintf("localhost:%d", published(t, db, "5432/tcp")))
		}
	}
	// Like the compose module: docker-compose starts the stack, and wait strategies run afterwards.
	users["callers: compose"] = func(t *testing.T) {
		require(t)
		rec := netzerotest.Record(t, netzerotest.Driver())
		shop := newStack(t, filepath.Join(os.Getenv("DIRECTORY"), "testdata/compose.yaml"))
		front := existing(t, shop.container("front"))
		done := make(chan error)
		go func() {
			done <- wait.ForAll(wait.ForListeningPort("8080/tcp").SkipInternalCheck(),
				wait.ForHTTP("/").WithPort("8080/tcp")).WaitUntilReady(t.Context(), front)
		}()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if more(t) {
			get(t, "http://"+docker(t, "port", shop.container("front"), "8080/tcp")+"/")
		}
		rec.Flows()
	}
	// The engine runs a health check in the monitor. The check dials the database; the monitor itself may too.
	users["callers: health check"] = func(t *testing.T) {
		image := require(t)
		rec := netzerotest.Record(t, netzerotest.Driver())
		n := newNetwork(t)
		run(t, image, "listen :5432 then wait", rec.As("db"), in(n, "db"))
		command := "sleep 2s then wait"
		if more(t) {
			command = "sleep 2s then dial db:5432 then wait"
		}
		monitor := run(t, image, command, in(n, "monitor"), testcontainers.WithConfigModifier(func(c *container.Config) {
			c.Healthcheck = &container.HealthConfig{Test: []string{"CMD", "/peer", "dial", "db:5432", "then", "sleep", "200ms"},
				Interval: time.Second}
		}))
		succeeded(t, run(t, image, "dial db:5432", rec.As("batch"), in(n), toEnd()))
		checked(t, monitor.GetContainerID())
		if more(t) {
			awaitLogs(t, monitor, 1)
		}
		rec.Flows()
	}
	// The same through a shell that starts a short-lived client.
	users["callers: health check of a shell"] = func(t *testing.T) {
		require(t)
		image := testenv.Image(t, "redis")
		rec := netzerotest.Record(t, netzerotest.Driver())
		n := newNetwork(t)
		cache, err := testcontainers.Run(t.Context(), image, rec, in(n, "cache"))
		testcontainers.CleanupContainer(t, cache, testcontainers.StopTimeout(0))
		if err != nil {
			t.Fatal(err)
		}
		check := "redis-cli -h cache ping | grep PONG || exit 1"
		id := docker(t, "run", "--detach", "--network", n.Name, "--network-alias", "monitor",
			"--health-cmd", check, "--health-interval", "1s", image)
		t.Cleanup(func() { docker(t, "rm", "--force", id) })
		checked(t, id)
		rec.Flows()
	}
	// A driver that reads the cart's database, which the cart uses too.
	users["callers: reads database"] = func(t *testing.T) {
		image := require(t)
		options := []netzerotest.Option{netzerotest.Driver()}
		if os.Getenv("DIALECT") == "cilium" {
			options = append(options, netzerotest.Cilium())
		}
		if os.Getenv("LOOK") == "ignored" {
			options = append(options, netzerotest.Ignore("redis-cart:6379"))
		}
		rec := netzerotest.Record(t, options...)
		n := newNetwork(t)
		db := run(t, image, "listen :6379 then wait", rec.As("redis-cart"), in(n, "redis-cart"),
			testcontainers.WithExposedPorts("6379/tcp"))
		succeeded(t, run(t, image, "dial redis-cart:6379", rec.As("cart"), in(n), toEnd()))
		if os.Getenv("LOOK") != "" {
			dial(t, fmt.Sprintf("localhost:%d", published(t, db, "6379/tcp")))
		}
	}
	// A job without callers.
	users["callers: closed"] = func(t *testing.T) {
		image := require(t)
		options := []netzerotest.Option{netzerotest.Driver()}
		if os.Getenv("DIALECT") == "cilium" {
			options = append(options, netzerotest.Cilium())
		}
		if more(t) {
			options = append(options, netzerotest.CloseIngress(), netzerotest.DefaultDeny())
		}
		rec := netzerotest.Record(t, options...)
		n := newNetwork(t)
		run(t, image, "listen :5432 then wait", rec.As("db"), in(n, "db"))
		succeeded(t, run(t, image, "dial db:5432", rec.As("report"), in(n), toEnd()))
	}
	// A container from before the test, such as one that a developer started by hand.
	users["callers: running"] = func(t *testing.T) {
		image := require(t)
		rec := netzerotest.Record(t, netzerotest.Driver())
		if more(t) {
			run(t, image, "wait", rec.As("worker"))
		}
		get(t, "http://"+os.Getenv("RUNNING")+"/")
	}
}

// checked waits until the engine has found a container healthy several times, over a long enough time.
func checked(t *testing.T, id string) {
	t.Helper()
	for deadline, well := time.Now().Add(time.Minute), 0; well < 6; time.Sleep(500 * time.Millisecond) {
		health := docker(t, "inspect", "--format", "{{json .State.Health}}", id)
		if strings.Contains(health, `"ExitCode":0`) {
			well++
		}
		if time.Now().After(deadline) {
			t.Fatalf("no health check is passed: %s", health)
		}
	}
}

// workingDirectory returns the directory of this test's source.
func workingDirectory(t *testing.T) string {
	t.Helper()
	directory, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	return directory
}

// existing returns a container that testcontainers did not create.
func existing(t *testing.T, id string) *testcontainers.DockerContainer {
	t.Helper()
	provider, err := testcontainers.NewDockerProvider()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { provider.Close() })
	list, err := provider.Client().ContainerList(t.Context(),
		dockerclient.ContainerListOptions{Filters: make(dockerclient.Filters).Add("id", id)})
	if err != nil || len(list.Items) != 1 {
		t.Fatalf("container %s: %v, %v", id, list.Items, err)
	}
	c, err := provider.ContainerFromType(t.Context(), list.Items[0])
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// A wait strategy for a container that was not passed to the recording is not a caller; a later connection is one.
func TestWaitStrategies_UnpassedContainers(t *testing.T) {
	require(t)
	u := newUser(t)
	out := u.passes("callers: waits", "-update")
	u.says(out, `infrastructure, not in the policy: wait strategies: db:5432/TCP, web:8080/TCP`)
	u.saysNot(ingressOf(u.golden(), "db"), "checkout")
	u.says(ingressOf(u.golden(), "db"), "app: batch")
	u.saysNot(ingressOf(u.golden(), "db"), "probed") // wait.ForExec runs a command in it
	u.saysNot(u.golden(), "port: 8080")
	if out, passed := u.testWith([]string{"MORE=1"}, "callers: waits", "-update"); !passed {
		t.Fatal(out)
	}
	u.says(ingressOf(u.golden(), "db"), "app: checkout")
}

// The same for a docker-compose stack: only the call stacks of its wait strategies identify its services.
func TestWaitStrategies_ComposeServices(t *testing.T) {
	require(t)
	testenv.RequireCommand(t, "docker-compose", "docker-compose")
	u := newUser(t)
	env := []string{"DIRECTORY=" + workingDirectory(t)}
	out, passed := u.testWith(env, "callers: compose", "-update")
	if !passed {
		t.Fatal(out)
	}
	u.says(out, `infrastructure, not in the policy: wait strategies: front:8080/TCP`)
	u.saysNot(u.golden(), "port: 8080")
	if out, passed := u.testWith(append(env, "MORE=1"), "callers: compose", "-update"); !passed {
		t.Fatal(out)
	}
	u.says(ingressOf(u.golden(), "front"), "port: 8080")
}

// A health check of the engine is not a caller, even if its container opens the same flow.
func TestHealthChecks_AreInfrastructure(t *testing.T) {
	require(t)
	u := newUser(t)
	out := u.passes("callers: health check", "-update")
	u.says(out, `infrastructure, not in the policy: health checks: .*db:5432/TCP`)
	u.saysNot(ingressOf(u.golden(), "db"), "monitor")
	u.says(ingressOf(u.golden(), "db"), "app: batch")
	if out, passed := u.testWith([]string{"MORE=1"}, "callers: health check", "-update"); !passed {
		t.Fatal(out)
	}
	u.says(ingressOf(u.golden(), "db"), "app: monitor")
}

func TestHealthChecks_ThroughShell(t *testing.T) {
	require(t)
	u := newUser(t)
	out := u.passes("callers: health check of a shell", "-update")
	u.says(out, `infrastructure, not in the policy: health checks: .*cache:6379/TCP`)
	u.saysNot(u.golden(), "6379")
}

// A driver that reads a database is not a caller of it. If an update records it as one, the update reports the replaced
// rule and the line of the call. With Ignore the callers that are services stay.
func TestDriver_ReadsDatabase(t *testing.T) {
	require(t)
	for _, dialect := range []string{"", "cilium"} {
		u := newUser(t)
		env := []string{"DIALECT=" + dialect}
		if out, passed := u.testWith(env, "callers: reads database", "-update"); !passed {
			t.Fatal(out)
		}
		named := u.golden()
		u.says(ingressOf(named, "redis-cart"), "app: cart")

		if out, passed := u.testWith(append(env, "LOOK=ignored"), "callers: reads database"); !passed {
			t.Errorf("an ignored call fails:\n%s", out)
		}
		if out, _ := u.testWith(append(env, "LOOK=ignored"), "callers: reads database", "-update"); u.golden() != named {
			t.Errorf("%s\n%s", out, u.golden())
		}

		const widened = `redis-cart:6379/TCP to anyone, although it has rules for its callers \(pods app=cart\), ` +
			`because the test process connected to it at \S*_test\.go:\d+ .*: ` +
			`if that call only inspects redis-cart, leave it out: Ignore\("redis-cart:6379"\)`
		out, passed := u.testWith(append(env, "LOOK=1"), "callers: reads database")
		if passed {
			t.Errorf("a new caller passes:\n%s", out)
		}
		u.says(out, `an update would open `+widened)
		out, passed = u.testWith(append(env, "LOOK=1"), "callers: reads database", "-update", "-test.v=false")
		if !passed {
			t.Error(out)
		}
		u.says(out, `netzero: TestUser: an update opens `+widened)
		u.saysNot(ingressOf(u.golden(), "redis-cart"), "app: cart")
	}
}

// A workload without callers allows all ingress, unless options close it.
func TestCloseIngress_NoCallers(t *testing.T) {
	require(t)
	for dialect, closed := range map[string]string{"": `policyTypes: - Egress - Ingress`, "cilium": `ingress: - {}`} {
		u := newUser(t)
		env := []string{"DIALECT=" + dialect}
		if out, passed := u.testWith(env, "callers: closed", "-update"); !passed {
			t.Fatal(out)
		}
		u.saysNot(u.golden(), "default-deny-all")
		out, passed := u.testWith(append(env, "MORE=1"), "callers: closed")
		if passed {
			t.Errorf("open ingress passes:\n%s", out)
		}
		u.says(out, "no policy isolates report for ingress")
		u.says(out, "no policy denies all traffic in the namespace that the policies are applied to "+
			"by default, as DefaultDeny requires")
		if out, passed := u.testWith(append(env, "MORE=1"), "callers: closed", "-update"); !passed {
			t.Fatal(out)
		}
		u.says(u.golden(), "name: default-deny-all")
		u.says(documentOf(u.golden(), "report"), closed)
		written := u.golden()
		for _, more := range []string{"MORE=1", "MORE="} {
			if out, passed := u.testWith(append(env, more), "callers: closed", "-update"); !passed || u.golden() != written {
				t.Errorf("%s: an update changes it:\n%s\n%s", more, out, u.golden())
			}
		}
	}
}

// Containers that are older than the test process are named in the output, with the advice for them.
func TestOlderContainers_Advice(t *testing.T) {
	image := require(t)
	testenv.RequireCommand(t, "docker-compose", "docker-compose")
	shop := newStack(t, "testdata/compose.yaml")
	shop.exited("report")
	id := docker(t, "run", "--detach", "--publish", "127.0.0.1::8080", image, "http :8080 then wait")
	t.Cleanup(func() { docker(t, "rm", "--force", id) })
	time.Sleep(time.Second) // the engine's clock has a resolution of seconds
	for _, row := range []struct{ reason, container, what, how string }{
		{"a project of docker-compose", shop.container("front"),
			`compose project ` + shop.project + ` \(front, orders, store\)`,
			`stop it \(docker compose -p ` + shop.project +
				` down\) and start it after Record, or in TestMain after RecordPackage`},
		{"a single container", id, `container \S+ \(netzero/peer\)`,
			`start it after Record, or in TestMain after RecordPackage`},
	} {
		t.Run(row.reason, func(t *testing.T) {
			u := newUser(t)
			env := []string{"RUNNING=" + docker(t, "port", row.container, "8080/tcp")}
			out, passed := u.testWith(env, "callers: running", "-update")
			if passed {
				t.Errorf("passed without a recorded container:\n%s", out)
			}
			u.says(out, `no container is one: `+row.what+` ran before the recording and is not recorded: `+row.how)
			out, passed = u.testWith(append(env, "MORE=1"), "callers: running", "-update")
			if !passed {
				t.Error(out)
			}
			u.says(out, `the test process connected to containers that ran before the recording and are in no policy: `+
				row.what+`: `+row.how)
		})
	}
}

// ingressOf returns the rules for ingress in a workload's policy.
func ingressOf(golden, workload string) string {
	_, rules, _ := strings.Cut(documentOf(golden, workload), "\n  ingress:\n")
	if end := regexp.MustCompile(`(?m)^  [a-z]`).FindStringIndex(rules); end != nil {
		rules = rules[:end[0]]
	}
	return rules
}

// documentOf returns the text of a workload's policy.
func documentOf(golden, workload string) string {
	for document := range strings.SplitSeq(golden, "---\n") {
		if strings.Contains(document, "\n  name: "+workload+"\n") {
			return document
		}
	}
	return ""
}
