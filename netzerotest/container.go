package netzerotest

import (
	"context"
	"fmt"
	"maps"

	"github.com/testcontainers/testcontainers-go"

	"github.com/netzero-dev/netzero/internal/docker"
)

// Customize adds a container that testcontainers-go starts to this recording, from its first packet on. The container
// gets a policy of its own. With this method a Recording is a [testcontainers.ContainerCustomizer]:
//
//	redis, err := tcredis.Run(ctx, "redis:7", rec)
//
// The container's name in the policy is its compose service, else its first network alias, else its image;
// [Recording.As] sets another. An alias with dots means:
//
//   - "orders-db.shop.svc": the Service orders-db in namespace shop
//   - "orders-db.shop": the same, if the [Manifests] have it
//   - any other, such as "api.stripe.com": that external host; the container stands for it and gets no policy
//
// Customize adds labels and lifecycle hooks to the request and replaces nothing.
//
// Connections of wait strategies, from the container's start until it is ready, do not count as flows of the test. The
// same applies to wait strategies and Docker's health checks of containers that did not get the recording.
//
// A container that does not get the recording may still be detected: see the package documentation.
func (r *Recording) Customize(req *testcontainers.GenericContainerRequest) error {
	return r.mark(req, "")
}

// As is [Recording.Customize] for a container with this name in the policy. name is a DNS label (RFC 1123), or
// label.namespace or label.namespace.svc for a container in another namespace than that of [Namespace]:
//
//	db, err := postgres.Run(ctx, "postgres:17", rec.As("orders-db"))
//
// Containers of one name are replicas of one workload and share its policy. Run returns an error if the name is
// invalid.
func (r *Recording) As(name string) testcontainers.ContainerCustomizer {
	return testcontainers.CustomizeRequestOption(func(req *testcontainers.GenericContainerRequest) error {
		if err := checkWorkloadName("As", name); err != nil {
			return err
		}
		if docker.IsPeer(req.Labels) {
			return fmt.Errorf("netzero: As(%q): the request is for a peer, which has no policy (AsPeer, or label %s): keep one of the two",
				name, docker.LabelPeer)
		}
		return r.mark(req, name)
	})
}

// mark adds labels and hooks to a request, to connect its container with the recording. Other test processes identify
// the container's owner by the labels. The hooks pass the container's ID to this process even if the image drops the
// labels.
func (r *Recording) mark(req *testcontainers.GenericContainerRequest, name string) error {
	if r.live == nil {
		return nil // nothing is recorded
	}
	if r.ended() {
		return fmt.Errorf("netzero: the recording of %s has ended, so it cannot take in a container: pass that of the test that runs", r.tb.Name())
	}
	r.live.ExpectContainers()
	was := req.Labels[docker.LabelWorkload]
	if name != "" && was != "" && was != name {
		return fmt.Errorf("netzero: As(%q): the request was named %q already: keep one, and copy a request that is for several containers", name, was)
	}
	req.LifecycleHooks = append(req.LifecycleHooks, r.hooks(name))
	if req.ShouldBuildImage() {
		return nil // labels would also reach the image, and from there the containers of other runs
	}
	labels := make(map[string]string, len(req.Labels)+2)
	maps.Copy(labels, req.Labels) // the caller may reuse its map
	labels[docker.LabelRecording] = r.live.Label()
	if name != "" {
		labels[docker.LabelWorkload] = name
	}
	req.Labels = labels
	return nil
}

// hooks returns the hooks of one request. For a reused container, testcontainers runs only the hooks from PostStarts
// on.
func (r *Recording) hooks(name string) testcontainers.ContainerLifecycleHooks {
	claim := func(_ context.Context, c testcontainers.Container) error {
		r.live.Attach(c.GetContainerID(), name)
		return nil
	}
	starting := func(_ context.Context, c testcontainers.Container) error {
		r.live.Attach(c.GetContainerID(), name)
		r.live.BeginWait(c.GetContainerID())
		return nil
	}
	started := func(ctx context.Context, c testcontainers.Container) error {
		if err := starting(ctx, c); err != nil {
			return err
		}
		if pid := processOf(ctx, c); pid != 0 && !r.live.RunsHere(c.GetContainerID(), pid) && processOf(ctx, c) == pid {
			r.live.MarkRemote(c.GetContainerID())
		}
		return nil
	}
	ready := func(_ context.Context, c testcontainers.Container) error {
		r.live.EndWait(c.GetContainerID())
		return nil
	}
	return testcontainers.ContainerLifecycleHooks{
		PostCreates: []testcontainers.ContainerHook{claim},
		PreStarts:   []testcontainers.ContainerHook{starting},
		PostStarts:  []testcontainers.ContainerHook{started},
		PostReadies: []testcontainers.ContainerHook{ready},
	}
}

// processOf returns the process ID of a container as its engine reports it, or 0 if the container does not run.
func processOf(ctx context.Context, c testcontainers.Container) int {
	is, err := c.Inspect(ctx)
	if err != nil || is.State == nil || !is.State.Running {
		return 0
	}
	return is.State.Pid
}
