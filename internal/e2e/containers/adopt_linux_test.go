package containers

import (
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/testcontainers/testcontainers-go"

	"github.com/netzero-dev/netzero/netzerotest"
)

func init() {
	users["peer"] = func(t *testing.T) {
		image := require(t)
		n := newNetwork(t)
		options := []netzerotest.Option{netzerotest.Driver()}
		if os.Getenv("CILIUM") != "" {
			options = append(options, netzerotest.Cilium())
		}
		rec := record(t, options...)
		var as testcontainers.ContainerCustomizer = rec.AsPeer("orders-db")
		switch os.Getenv("WAY") {
		case "As":
			as = rec.As("orders-db")
		case "label":
			as = testcontainers.WithLabels(map[string]string{"dev.netzero.peer": "true", "dev.netzero.workload": "orders-db"})
		case "hooks replaced":
			as = netzeroThenHooks{as}
		}
		// Like a database primary: it calls its replica at an unexposed port, and its user wrote its policy.
		db := run(t, image, "listen :5432 then dial replica:47000 then wait", as, in(n, "orders-db"),
			withReplica(t, rec, image, n))
		awaitLogs(t, db, 1)
		succeeded(t, run(t, image, "dial orders-db:5432", rec.As("checkout"), in(n), toEnd()))
		for _, f := range rec.Flows() {
			if f.Source.Name == "orders-db" && f.Destination.Name == "replica" {
				return
			}
		}
		t.Errorf("the flow of the peer is not recorded: %v", rec.Flows())
	}
	users["adopt older"] = func(t *testing.T) { // a container of another process, started before this one
		image := require(t)
		worker := run(t, image, adoptedCommand, testcontainers.WithReuseByName(os.Getenv("ADOPTED")))
		rec := record(t, netzerotest.Driver())
		if err := rec.Adopt(t.Context(), worker, "orders-worker"); err != nil {
			t.Fatal(err)
		}
		opened := func(f netzerotest.Flow) bool { return f.Source.Name == "orders-worker" }
		for deadline := time.Now().Add(time.Minute); !slices.ContainsFunc(rec.Flows(),
			opened); time.Sleep(100 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatal("nothing is recorded of the worker")
			}
		}
	}
	users["adopt"] = func(t *testing.T) {
		image := require(t)
		n := newNetwork(t)
		run(t, image, "listen :5432 :5433 then wait", in(n, "db"))
		c := run(t, image, "dial db:5432 then wait", in(n, "worker"))
		awaitLogs(t, c, 1) // before the recording
		rec := record(t, netzerotest.Driver())
		if err := rec.Adopt(t.Context(), c, "orders-worker"); err != nil {
			t.Fatal(err)
		}
		execute(t, c, "dial", "db:5433")
		if err := rec.Adopt(t.Context(), c, "other"); err == nil ||
			!strings.Contains(err.Error(), `the container was named "orders-worker" already`) {
			t.Errorf("a second name: %v", err)
		}
		if err := c.Stop(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		if err := rec.Adopt(t.Context(), c, "orders-worker"); err == nil || !strings.Contains(err.Error(), "does not run") {
			t.Errorf("a stopped container: %v", err)
		}
	}
}

// adoptedCommand makes a container connect on request, without another process.
const adoptedCommand = "http :8080 then wait"

// netzeroThenHooks is a customizer, followed by a module that discards the request's hooks.
type netzeroThenHooks struct {
	first testcontainers.ContainerCustomizer
}

func (h netzeroThenHooks) Customize(req *testcontainers.GenericContainerRequest) error {
	if err := h.first.Customize(req); err != nil {
		return err
	}
	return testcontainers.WithLifecycleHooks(testcontainers.ContainerLifecycleHooks{})(req)
}

// withReplica starts the replica of a database before it.
func withReplica(t *testing.T, rec *netzerotest.Recording, image string,
	n *testcontainers.DockerNetwork) testcontainers.CustomizeRequestOption {
	return func(*testcontainers.GenericContainerRequest) error {
		run(t, image, "listen :47000 then wait", rec.AsPeer("replica"), in(n, "replica"))
		return nil
	}
}

// A peer appears in the policies of others and is recorded, but has no policy: a generated one would block every flow
// that the test does not have.
func TestAsPeer_NoPolicy(t *testing.T) {
	require(t)
	for _, row := range []struct {
		way, cilium string
		own         bool // whether it has a policy
	}{{"As", "", true}, {"AsPeer", "", false}, {"AsPeer", "1", false}, {"label", "", false},
		{"hooks replaced", "", false}} {
		u := newUser(t)
		env := []string{"WAY=" + row.way, "CILIUM=" + row.cilium}
		out, passed := u.testWith(env, "peer", "-update")
		if row.own { // its policy would contain the port of its replica
			if passed {
				t.Errorf("%s: passed:\n%s", row.way, out)
			}
			u.says(out, `replica serves orders-db at port 47000/TCP, which container`)
			continue
		}
		if !passed {
			t.Errorf("%s: failed:\n%s", row.way, out)
			continue
		}
		golden := u.golden()
		u.says(golden, `name: checkout`)
		u.says(golden, `app: orders-db`)
		u.saysNot(golden, "name: orders-db")
		u.saysNot(golden, "replica")
		if out, passed := u.testWith(env, "peer"); !passed {
			t.Errorf("%s: the next run failed:\n%s", row.way, out)
		}
	}
}

// Adopt records a container that ran before the recording: its later flows are in its policy.
func TestAdopt_RecordedFromThenOn(t *testing.T) {
	require(t)
	u := newUser(t)
	u.passes("adopt", "-update")
	golden := u.golden()
	u.says(golden, `name: orders-worker`)
	u.says(golden, `- to: - podSelector: matchLabels: app: db ports: - port: 5433 protocol: TCP`)
	u.saysNot(golden, "port: 5432")
	u.passes("adopt")
}

// A container that is older than the test process is recorded too.
func TestAdopt_OtherProcess(t *testing.T) {
	image := require(t)
	n := networkWithHost(t)
	name := fmt.Sprintf("netzero-test-adopted-%d", os.Getpid())
	c := run(t, image, adoptedCommand, in(n), testcontainers.WithName(name), testcontainers.WithExposedPorts("8080/tcp"))
	calls := fmt.Sprintf("http://localhost:%d/dial?to=%s", published(t, c, "8080/tcp"), hostAddress)
	done := make(chan bool)
	go func() { // this process connects, not the user's
		for {
			select {
			case <-done:
				return
			case <-time.After(200 * time.Millisecond):
				if response, err := http.Get(calls); err == nil {
					response.Body.Close()
				}
			}
		}
	}()
	defer close(done)
	u := newUser(t)
	env := []string{"ADOPTED=" + name}
	if out, passed := u.testWith(env, "adopt older", "-update"); !passed {
		t.Fatalf("failed:\n%s", out)
	}
	u.says(u.golden(), `name: orders-worker`)
	u.says(u.golden(), `203\.0\.113\.100/32`)
}
