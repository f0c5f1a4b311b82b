package netzerotest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"

	"github.com/testcontainers/testcontainers-go"

	"github.com/netzero-dev/netzero/internal/docker"
	"github.com/netzero-dev/netzero/internal/endpoint"
)

// AsPeer is [Recording.As] for a container that another team operates in production, such as a database with replicas,
// backups and clients that your tests do not have. It is recorded, and the policies of others name it, but it gets no
// policy of its own:
//
//	db, err := postgres.Run(ctx, "postgres:17", rec.AsPeer("orders-db"))
//
// For a container that Run does not start, such as one of a compose file, set the label dev.netzero.peer to true. Run
// returns an error if the name is invalid, or if the request was also passed to [Recording.As].
func (r *Recording) AsPeer(name string) testcontainers.ContainerCustomizer {
	return testcontainers.CustomizeRequestOption(func(req *testcontainers.GenericContainerRequest) error {
		if err := checkWorkloadName("AsPeer", name); err != nil {
			return err
		}
		if was := req.Labels[docker.LabelWorkload]; was != "" && !docker.IsPeer(req.Labels) {
			return fmt.Errorf("netzero: AsPeer(%q): the request was passed to As(%q), which gives it a policy: "+
				"keep one of the two", name, was)
		}
		if err := r.mark(req, name); err != nil || r.live == nil {
			return err
		}
		claim := func(_ context.Context, c testcontainers.Container) error {
			r.live.AttachPeer(c.GetContainerID(), name)
			return nil
		}
		req.LifecycleHooks = append(req.LifecycleHooks, testcontainers.ContainerLifecycleHooks{
			PostCreates: []testcontainers.ContainerHook{claim},
			PostStarts:  []testcontainers.ContainerHook{claim}, // the first hook that runs for a reused container
		})
		if !req.ShouldBuildImage() {
			req.Labels = maps.Clone(req.Labels)
			req.Labels[docker.LabelPeer] = "true"
		}
		return nil
	})
}

// Adopt adds a running container to this recording, from now on: one that TestMain or an earlier test started, or that
// [testcontainers.GenericContainerRequest].Reuse brought back. name is its name in the policy, as with [Recording.As]:
//
//	func TestCheckout(t *testing.T) {
//		rec := netzerotest.Record(t)
//		if err := rec.Adopt(t.Context(), db, "orders-db"); err != nil {
//			t.Fatal(err)
//		}
//
// The container gets a policy of its own, unless its label dev.netzero.peer is true: see [Recording.AsPeer]. The policy
// does not contain the flows from before. It contains later traffic over connections that the container keeps open.
//
// Adopt returns an error if the name is invalid, the container has another name already, does not run or cannot be
// inspected, or the recording has ended. If nothing is recorded, Adopt only checks the name.
func (r *Recording) Adopt(ctx context.Context, container testcontainers.Container, name string) error {
	if err := checkWorkloadName("Adopt", name); err != nil {
		return err
	}
	if r.live == nil {
		return nil // nothing is recorded
	}
	fail := func(err error) error { return fmt.Errorf("netzero: Adopt(%q): %w", name, err) }
	if container == nil {
		return fail(errors.New("the container is nil: adopt it after Run has started it"))
	}
	if r.ended() {
		return fail(fmt.Errorf("the recording of %s has ended: adopt it in the test that runs", r.tb.Name()))
	}
	is, err := container.Inspect(ctx)
	switch {
	case err != nil:
		return fail(fmt.Errorf("inspect the container: %w", err))
	case is.State == nil || !is.State.Running:
		return fail(fmt.Errorf("container %s does not run: start it before, or pass As(%q) to Run",
			container.GetContainerID(), name))
	}
	id := container.GetContainerID()
	if was := r.live.AttachedAs(id); was != "" && was != name {
		return fail(fmt.Errorf("the container was named %q already: keep one name", was))
	}
	r.live.ExpectContainers()
	r.live.Attach(id, name)
	r.live.AttachRunning(id)
	if pid := is.State.Pid; pid != 0 && !r.live.RunsHere(id, pid) && processOf(ctx, container) == pid {
		r.live.MarkRemote(id)
	}
	return nil
}

// AsPeer is [PackageRecording.As] for a container that another team operates: see [Recording.AsPeer].
func (p *PackageRecording) AsPeer(name string) testcontainers.ContainerCustomizer {
	return p.named().AsPeer(name)
}

// Adopt adds a running container to this recording: see [Recording.Adopt].
func (p *PackageRecording) Adopt(ctx context.Context, container testcontainers.Container, name string) error {
	return p.named().Adopt(ctx, container, name)
}

// named returns the recording. If there is none, it returns one that only checks names.
func (p *PackageRecording) named() *Recording {
	if p.recording == nil {
		return &Recording{tb: p.run}
	}
	return p.recording
}

// checkWorkloadName rejects a name that is neither a DNS label nor label.namespace.
func checkWorkloadName(function, name string) error {
	workload, namespace := endpoint.SplitName(name)
	for _, label := range []string{workload, cmp.Or(namespace, workload)} {
		if err := endpoint.CheckLabel(label); err != nil {
			return fmt.Errorf("netzero: %s(%q): %w", function, name, err)
		}
	}
	return nil
}
