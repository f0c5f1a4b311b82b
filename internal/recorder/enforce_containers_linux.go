package recorder

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/testcontainers/testcontainers-go"

	"github.com/netzero-dev/netzero/internal/cgroup"
	"github.com/netzero-dev/netzero/internal/docker"
	"github.com/netzero-dev/netzero/internal/enforce"
	"github.com/netzero-dev/netzero/internal/probe"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// containerPolicies are the policies of containers. A container starts in a cgroup that was made for it, so that its
// policy applies to its first packet.
type containerPolicies struct {
	tree  cgroup.Tree
	level int // of the cgroups in which containers are made

	parents   map[string]*containerParent // by the CgroupParent of a container
	byID      map[string]*policy          // by the ID of a container that was started once; nil if it is unrestricted
	described map[string]docker.Container // by ID, as it was before its last start
}

// containerParent is the cgroup that was made for a container of a recording.
type containerParent struct {
	*cgroup.Parent
	of *Recording
}

func newContainerPolicies(tree cgroup.Tree, level int) containerPolicies {
	return containerPolicies{
		tree: tree, level: level, parents: make(map[string]*containerParent), byID: make(map[string]*policy),
		described: make(map[string]docker.Container),
	}
}

// end removes the cgroups of a recording, or of all recordings if it is nil. A cgroup with a container remains, for a
// later run to remove.
func (c *containerPolicies) end(rec *Recording) {
	for name, parent := range c.parents {
		if (rec == nil || parent.of == rec) && parent.Remove() == nil {
			delete(c.parents, name)
		}
	}
}

// enforcingNow returns the recording whose policies decide about containers of this one; nil if nothing is refused.
func (rec *Recording) enforcingNow() *Recording {
	rec.recorder.mu.Lock()
	defer rec.recorder.mu.Unlock()
	return enforcing(rec, rec.recorder.attribution.recordings)
}

// enforceContainers makes the containers of a request start with their policies, if the recording enforces some.
func (rec *Recording) enforceContainers(req *testcontainers.GenericContainerRequest, role Role) error {
	r, source := rec.recorder, rec.enforcingNow()
	if source == nil || role.Peer || docker.IsPeer(req.Labels) {
		return nil
	}
	engine, err := r.containers.engine()
	if err == nil {
		err = checkEngine(engine.Engine())
	}
	if err != nil {
		return &EnforceError{fmt.Errorf("for containers: %w", err)}
	}
	docker.SetCgroupParent(&req.ContainerRequest, func() string {
		return r.enforcement.newParent(source, engine.Engine())
	})
	before := func(ctx context.Context, c testcontainers.Container) error { return source.enforceContainer(ctx, c) }
	after := func(ctx context.Context, c testcontainers.Container) error { return source.checkEnforced(ctx, c) }
	req.LifecycleHooks = append(req.LifecycleHooks, testcontainers.ContainerLifecycleHooks{
		PreStarts: []testcontainers.ContainerHook{before}, PostStarts: []testcontainers.ContainerHook{after},
	})
	return nil
}

// checkEngine returns an error if an engine does not let others choose the cgroups of its containers.
func checkEngine(e docker.Engine) error {
	switch {
	case e.CgroupDriver == "none":
		return errors.New("the engine gives containers no cgroup of their own")
	case e.Rootless:
		return errors.New("a rootless engine makes cgroups only below those of its user: use one that runs as root")
	}
	return nil
}

// newContainer is a container, and what is known before its start.
type newContainer struct {
	docker.Container
	pod      string // ID of the container whose network it uses; usually its own
	workload flow.Endpoint
}

// describe returns a container that starts or runs; false if it is no workload.
func (rec *Recording) describe(ctx context.Context, c testcontainers.Container) (newContainer, bool, error) {
	is, err := c.Inspect(ctx)
	if err != nil {
		return newContainer{}, false, fmt.Errorf("inspect container %s: %w", c.GetContainerID(), err)
	}
	engine, err := rec.recorder.containers.engine()
	if err != nil {
		return newContainer{}, false, err
	}
	described := newContainer{Container: docker.Described(*is)}
	pod := described.Container
	if described.pod = engine.NetworkOwner(pod.ID); described.pod != pod.ID {
		pod, _ = engine.Container(described.pod)
	}
	workload, ok := rec.endpointOf(pod)
	described.workload = workload
	return described, ok, nil
}

// endpointOf returns the workload that a container is if it owns its network; false if it is none.
func (rec *Recording) endpointOf(c docker.Container) (flow.Endpoint, bool) {
	given := rec.givenName(c.ID)
	if docker.Infrastructure(c) != "" || rec.options.hostOf(c, given) != "" {
		return flow.Endpoint{}, false
	}
	return rec.options.endpointOf(c, given), true
}

// givenName returns the name that this recording gave a container, otherwise that from another; "" if none gave one.
func (rec *Recording) givenName(container string) string {
	r := rec.recorder
	r.mu.Lock()
	defer r.mu.Unlock()
	if attached := r.containers.attachments[container]; attached != nil {
		return attached.nameFor(rec)
	}
	return ""
}

// isActive reports whether the recording has started and not ended.
func (rec *Recording) isActive() bool { return slices.Contains(rec.recorder.active(), rec) }

// enforceContainer enforces the policy of a container that is about to start.
func (rec *Recording) enforceContainer(ctx context.Context, c testcontainers.Container) error {
	if !rec.isActive() {
		return nil
	}
	starting, isWorkload, err := rec.describe(ctx, c)
	if err == nil && isWorkload {
		err = rec.recorder.enforcement.enforceContainer(rec, starting)
	}
	if err != nil {
		return &EnforceError{fmt.Errorf("for container %s: %w", c.GetContainerID(), err)}
	}
	return nil
}

// checkEnforced returns an error if a container that has started is without its policy.
func (rec *Recording) checkEnforced(ctx context.Context, c testcontainers.Container) error {
	if !rec.isActive() {
		return nil
	}
	started, isWorkload, err := rec.describe(ctx, c)
	if err == nil && isWorkload && !rec.recorder.enforcement.isEnforced(started.Container) && processOf(ctx, c) != 0 {
		err = errors.New("it does not run in the cgroup that was made for it: pass the recording to the call that " +
			"starts it, on this machine, and leave CgroupParent and Reuse out")
	}
	if err != nil {
		return &EnforceError{fmt.Errorf("for container %s: %w", c.GetContainerID(), err)}
	}
	return nil
}

// newParent returns a new CgroupParent for a container.
func (e *enforcement) newParent(of *Recording, engine docker.Engine) string {
	e.mu.Lock()
	defer e.mu.Unlock()
	name := engine.CgroupParent(cgroup.NewParentName())
	e.containers.parents[name] = &containerParent{e.containers.tree.NewParent(strings.TrimPrefix(name, "/")), of}
	return name
}

// enforceContainer enforces the policy of a container that is about to start. It may have been started before.
func (e *enforcement) enforceContainer(rec *Recording, c newContainer) error {
	table, err := rec.options.Enforcement.Container(c.workload.Name, c.workload.Namespace)
	if err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.containers.described[c.ID] = c.Container
	m, err := e.read(false)
	if err != nil {
		return err
	}
	if err := e.update(m); err != nil { // containers that run already may look this one up
		return err
	}
	if table.Unrestricted {
		e.containers.byID[c.ID] = nil
		return nil
	}
	parent := e.containers.parents[c.CgroupParent]
	if parent == nil {
		return fmt.Errorf("it starts in cgroup %q: leave CgroupParent out of the request", c.CgroupParent)
	}
	p := e.containers.byID[c.ID]
	if p == nil {
		compile := func(m machine) (probe.Rules, error) { return e.containerRules(rec, c, table, m) }
		if p, err = e.newPolicy(rec, compile); err != nil {
			return err
		}
		e.containers.byID[c.ID] = p
	}
	id, err := parent.Make()
	if err != nil {
		return err
	}
	return e.kernel.EnforceBelow(id, e.containers.level, p.id)
}

// containerRules returns the rules of a container.
func (e *enforcement) containerRules(
	rec *Recording, c newContainer, table enforce.Table, m machine,
) (probe.Rules, error) {
	r := newRuleSet(table)
	domains := rec.clusterDomains(m)
	r.allowContainer(c.Container, m.addrsOf(c.pod), m, domains)
	e.allowNames(r, rec, m, domains)
	r.complete(slices.Concat(m.search.Domains, c.Search), addedHosts(c.Hosts))
	return r.rules()
}

// addedHosts returns the addresses of the names that were added to a container's hosts file, such as
// "api.example.com:192.0.2.1". It leaves out "host-gateway", which stands for an address of this machine.
func addedHosts(added []string) map[string][]netip.Addr {
	hosts := make(map[string][]netip.Addr)
	for _, line := range added {
		name, text, _ := strings.Cut(line, ":")
		if addr, err := netip.ParseAddr(text); err == nil {
			name = strings.ToLower(name)
			hosts[name] = append(hosts[name], addr)
		}
	}
	return hosts
}

// isEnforced reports whether a running container is unrestricted, or in the cgroup for which its policy is enforced.
func (e *enforcement) isEnforced(c docker.Container) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	p, started := e.containers.byID[c.ID]
	parent := e.containers.parents[c.CgroupParent]
	switch {
	case !started || p != nil && parent == nil:
		return false
	case p == nil:
		return true
	}
	return slices.ContainsFunc(parent.Children(), func(name string) bool {
		return slices.Contains(docker.IDsFromCgroup("/"+name), c.ID)
	})
}
