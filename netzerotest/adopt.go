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

// AsPeer is [Recording.As] for a container that somebody else operates in production, such as a database with replicas,
// backups and clients that no test of yours knows: it is recorded and goes by name in the policies of others, but gets
// no policy of its own:
//
//	db, err := postgres.Run(ctx, "postgres:17", rec.AsPeer("orders-db"))
//
// A container that Run does not start here, such as one of a compose file, is a peer if it has the label
// dev.netzero.peer with the value true. An invalid name, and a request that is passed to [Recording.As] too, are errors
// of Run.
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
			PostStarts:  []testcontainers.ContainerHook{claim}, // the first of a container that is reused
		})
		if !req.ShouldBuildImage() {
			req.Labels = maps.Clone(req.Labels)
			req.Labels[docker.LabelPeer] = "true"
		}
		return nil
	})
}

// Adopt makes a container that runs already a part of this recording, from now on: one that TestMain or an earlier test
// started, or that [testcontainers.GenericContainerRequest].Reuse brought back. The policy calls it name, as with
// [Recording.As]:
//
//	func TestCheckout(t *testing.T) {
//		rec := netzerotest.Record(t)
//		if err := rec.Adopt(t.Context(), db, "orders-db"); err != nil {
//			t.Fatal(err)
//		}
//
// It gets a policy of its own, unless it has the label dev.netzero.peer with the value true: see
// [Recording.AsPeer]. What it opened before is not in that policy; over connections that it keeps open, what it
// sends from now on is.
//
// Errors: an invalid name, a second name for one container, a container that does not run or cannot be inspected, and a
// recording that has ended. Where nothing is recorded, Adopt checks the name and does nothing.
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

// AsPeer is [PackageRecording.As] for a container that somebody else operates: see [Recording.AsPeer].
func (p *PackageRecording) AsPeer(name string) testcontainers.ContainerCustomizer {
	return p.named().AsPeer(name)
}

// Adopt makes a container that runs already a part of this recording: see [Recording.Adopt].
func (p *PackageRecording) Adopt(ctx context.Context, container testcontainers.Container, name string) error {
	return p.named().Adopt(ctx, container, name)
}

// named returns the recording, or where there is none one that checks names only.
func (p *PackageRecording) named() *Recording {
	if p.recording == nil {
		return &Recording{tb: p.run}
	}
	return p.recording
}

// checkWorkloadName refuses a name that is neither a label nor label.namespace.
func checkWorkloadName(function, name string) error {
	workload, namespace := endpoint.SplitName(name)
	for _, label := range []string{workload, cmp.Or(namespace, workload)} {
		if err := endpoint.CheckLabel(label); err != nil {
			return fmt.Errorf("netzero: %s(%q): %w", function, name, err)
		}
	}
	return nil
}
