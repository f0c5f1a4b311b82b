package containers

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/testcontainers/testcontainers-go"
	"github.com/testcontainers/testcontainers-go/exec"
	"github.com/testcontainers/testcontainers-go/wait"

	"github.com/netzero-dev/netzero/netzerotest"
)

// A process that starts later in a container belongs to it, also after the container was restarted or paused.
func TestLifecycle_ExecRestartPause(t *testing.T) {
	image := require(t)
	rec := record(t, netzerotest.Driver())
	n := newNetwork(t)
	run(t, image, "listen :5432 :5433 :5434 :5435 then wait", rec.As("db"), in(n, "db"))
	c := run(t, image, "dial db:5432 then listen :8080 then wait", rec.As("batch"), in(n),
		testcontainers.WithExposedPorts("8080/tcp"))
	await(t, fmt.Sprintf("localhost:%d", published(t, c, "8080/tcp")))
	execute(t, c, "dial", "db:5433")
	timeout := 10 * time.Second
	if err := c.Stop(t.Context(), &timeout); err != nil {
		t.Fatal(err)
	}
	if err := c.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	await(t, fmt.Sprintf("localhost:%d", published(t, c, "8080/tcp")))
	execute(t, c, "dial", "db:5434")
	docker(t, "pause", c.GetContainerID())
	docker(t, "unpause", c.GetContainerID())
	execute(t, c, "dial", "db:5435")
}

func execute(t *testing.T, c testcontainers.Container, args ...string) {
	t.Helper()
	code, out, err := c.Exec(t.Context(), append([]string{"/peer"}, args...), exec.Multiplexed())
	if err != nil {
		t.Fatalf("exec %v: %v", args, err)
	}
	if text, err := io.ReadAll(out); code != 0 || err != nil {
		t.Fatalf("exec %v: exit code %d, %v:\n%s", args, code, err, text)
	}
}

// A container's identity is read while it runs: this one is killed and removed before the recording ends.
func TestLifecycle_RemovedBeforeEnd(t *testing.T) {
	image := require(t)
	rec := record(t, netzerotest.Workload("checkout"))
	n := newNetwork(t)
	db := run(t, image, "listen :5432 then wait", rec.As("db"), in(n, "db"), testcontainers.WithExposedPorts("5432/tcp"))
	await(t, fmt.Sprintf("localhost:%d", published(t, db, "5432/tcp")))
	client := run(t, image, "dial db:5432 then listen :8080 then wait", rec.As("client"), in(n),
		testcontainers.WithExposedPorts("8080/tcp"))
	await(t, fmt.Sprintf("localhost:%d", published(t, client, "8080/tcp")))
	docker(t, "kill", db.GetContainerID())
	docker(t, "rm", "--force", client.GetContainerID())
}

// A container that outlives the recording, because its cleanup was registered before.
func TestLifecycle_OutlivesRecording(t *testing.T) {
	image := require(t)
	var c testcontainers.Container
	t.Cleanup(func() {
		if err := testcontainers.TerminateContainer(c, testcontainers.StopTimeout(0)); err != nil {
			t.Error(err)
		}
	})
	rec := record(t, netzerotest.Workload("checkout"))
	var err error
	c, err = testcontainers.Run(t.Context(), image, rec.As("db"),
		testcontainers.WithCmd("listen", ":5432", "then", "wait"), testcontainers.WithExposedPorts("5432/tcp"))
	if err != nil {
		t.Fatal(err)
	}
	await(t, fmt.Sprintf("localhost:%d", published(t, c, "5432/tcp")))
}

// A reused container ran before: it is recorded from then on, and a notice reports this.
func TestLifecycle_ReusedContainer(t *testing.T) {
	image := require(t)
	n := newNetwork(t)
	run(t, image, "listen :5432 :5433 then wait", in(n, "db"), testcontainers.WithName("netzero-test-reused-db"))
	start := func(options ...testcontainers.ContainerCustomizer) testcontainers.Container {
		options = append(options, testcontainers.WithReuseByName("netzero-test-reused"), in(n))
		return run(t, image, "dial db:5432 then wait", options...)
	}
	awaitLogs(t, start(), 1) // before the recording
	rec := record(t, netzerotest.Driver())
	c := start(rec.As("worker"))
	execute(t, c, "dial", "db:5433")
}

// Modules wait in their own hooks, before our hooks run.
func TestLifecycle_ModuleHooks(t *testing.T) {
	image := require(t)
	rec := record(t, netzerotest.Driver())
	n := newNetwork(t)
	run(t, image, "listen :9092 then wait", rec.As("broker"), in(n, "broker"))
	var order []string
	hook := func(name string) []testcontainers.ContainerHook {
		return []testcontainers.ContainerHook{func(ctx context.Context, c testcontainers.Container) error {
			order = append(order, name)
			return wait.ForExit().WithPollInterval(10*time.Millisecond).WaitUntilReady(ctx, c)
		}}
	}
	own := testcontainers.ContainerLifecycleHooks{PostStarts: hook("module"), PostReadies: hook("ready")}
	for _, options := range [][]testcontainers.ContainerCustomizer{
		{rec.As("first"), testcontainers.WithAdditionalLifecycleHooks(own)},
		{testcontainers.WithAdditionalLifecycleHooks(own), rec.As("last")},
		{rec.As("replaced"), testcontainers.WithLifecycleHooks(own)}, // discards our hooks: the labels remain
	} {
		run(t, image, "dial broker:9092", append(options, in(n))...)
	}
	if got := fmt.Sprint(order); got != "[module ready module ready module ready]" {
		t.Errorf("the module's hooks ran as %s", got)
	}
}

// A container may run another cgroup tree below its own.
func TestLifecycle_NestedCgroups(t *testing.T) {
	image := require(t)
	rec := record(t, netzerotest.Driver())
	n := newNetwork(t)
	run(t, image, "listen :5432 :5433 :5434 then wait", rec.As("db"), in(n, "db"))
	privileged := withHost(func(h *container.HostConfig) {
		h.CapAdd, h.SecurityOpt = []string{"SYS_ADMIN"}, []string{"seccomp=unconfined", "apparmor=unconfined"}
	})
	succeeded(t, run(t, image, "dial db:5432 then nested dial db:5433 then "+strings.Repeat("nested ", 7)+"dial db:5434",
		rec.As("builder"), in(n), privileged, toEnd()))
}

// Two recordings at once in one process: a container belongs only to the recording that it was passed to.
func TestRecordings_Parallel(t *testing.T) {
	image := require(t)
	for _, name := range []string{"one", "two"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rec := record(t, netzerotest.Driver())
			n := newNetwork(t)
			run(t, image, "listen :5432 then wait", rec.As("db-"+name), in(n, "db"))
			succeeded(t, run(t, image, "dial db:5432", rec.As("client-"+name), in(n), toEnd()))
		})
	}
}
