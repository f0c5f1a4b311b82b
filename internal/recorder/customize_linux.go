package recorder

import (
	"context"
	"errors"
	"fmt"
	"maps"

	"github.com/testcontainers/testcontainers-go"

	"github.com/netzero-dev/netzero/internal/docker"
)

// Customize adds labels and hooks to a request of testcontainers-go, to connect its container with this recording.
// Other test processes identify the container's owner by the labels. The hooks pass the container's ID to this process
// even if the image drops the labels. Call [Role.Check] before if the role has a name.
func (rec *Recording) Customize(req *testcontainers.GenericContainerRequest, role Role) error {
	rec.ExpectContainers()
	was := req.Labels[docker.LabelWorkload]
	if role.Name != "" && was != "" && was != role.Name {
		return fmt.Errorf("the request was named %q already: keep one, and copy a request that is for several containers",
			was)
	}
	req.LifecycleHooks = append(req.LifecycleHooks, rec.hooks(role))
	if err := rec.enforceContainers(req, role); err != nil {
		return err
	}
	if req.ShouldBuildImage() {
		return nil // labels would also reach the image, and from there the containers of other runs
	}
	labels := make(map[string]string, len(req.Labels)+3)
	maps.Copy(labels, req.Labels) // the caller may reuse its map
	labels[docker.LabelRecording] = rec.Label()
	if role.Name != "" {
		labels[docker.LabelWorkload] = role.Name
	}
	if role.Peer {
		labels[docker.LabelPeer] = "true"
	}
	req.Labels = labels
	return nil
}

// hooks returns the hooks of one request. For a reused container, testcontainers runs only the hooks from PostStarts
// on.
func (rec *Recording) hooks(role Role) testcontainers.ContainerLifecycleHooks {
	attach := func(_ context.Context, c testcontainers.Container) error {
		if role.Peer {
			rec.AttachPeer(c.GetContainerID(), role.Name)
		} else {
			rec.Attach(c.GetContainerID(), role.Name)
		}
		return nil
	}
	markNew := func(_ context.Context, c testcontainers.Container) error {
		rec.MarkNew(c.GetContainerID())
		return nil
	}
	beginWait := func(_ context.Context, c testcontainers.Container) error {
		rec.BeginWait(c.GetContainerID())
		return nil
	}
	inspect := func(ctx context.Context, c testcontainers.Container) error {
		asked := now()
		is, err := c.Inspect(ctx)
		if err != nil || is.State == nil || !is.State.Running {
			return nil
		}
		// A container that ends at once may be gone when the watcher queries its published ports.
		if watcher := rec.recorder.containers.watched(false); watcher != nil {
			watcher.Inspected(*is, asked, now())
		}
		rec.markRemote(ctx, c, is.State.Pid)
		return nil
	}
	endWait := func(_ context.Context, c testcontainers.Container) error {
		rec.EndWait(c.GetContainerID())
		return nil
	}
	return testcontainers.ContainerLifecycleHooks{
		PostCreates: []testcontainers.ContainerHook{attach, markNew},
		PreStarts:   []testcontainers.ContainerHook{attach, beginWait},
		PostStarts:  []testcontainers.ContainerHook{attach, beginWait, inspect},
		PostReadies: []testcontainers.ContainerHook{endWait},
	}
}

// Adopt attaches a running container to this recording. It returns an error if the container has another name already,
// does not run or cannot be inspected.
func (rec *Recording) Adopt(ctx context.Context, c testcontainers.Container, name string) error {
	if c == nil {
		return errors.New("the container is nil: adopt it after Run has started it")
	}
	id := c.GetContainerID()
	is, err := c.Inspect(ctx)
	switch {
	case err != nil:
		return fmt.Errorf("inspect the container: %w", err)
	case is.State == nil || !is.State.Running:
		return fmt.Errorf("container %s does not run: start it before, or pass As(%q) to Run", id, name)
	}
	if was := rec.AttachedAs(id); was != "" && was != name {
		return fmt.Errorf("the container was named %q already: keep one name", was)
	}
	rec.ExpectContainers()
	rec.Attach(id, name)
	rec.AttachRunning(id)
	rec.markRemote(ctx, c, is.State.Pid)
	if source := rec.enforcingNow(); source != nil {
		return source.enforceStarted(ctx, c)
	}
	return nil
}

// markRemote marks a container as remote if this machine does not have its process. pid is the container's process as
// the engine reported it, or 0.
func (rec *Recording) markRemote(ctx context.Context, c testcontainers.Container, pid int) {
	id := c.GetContainerID()
	if pid != 0 && !rec.RunsHere(id, pid) && processOf(ctx, c) == pid {
		rec.MarkRemote(id)
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
