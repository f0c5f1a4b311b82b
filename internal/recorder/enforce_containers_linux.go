package recorder

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"path/filepath"
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
	byID      map[string]containerPolicy  // by the ID of a container
	described map[string]docker.Container // by ID, as it was before its last start
}

// containerPolicy is the policy of a container.
type containerPolicy struct {
	of      *Recording
	*policy // nil if it is unrestricted
}

// containerParent is the cgroup that was made for a container of a recording.
type containerParent struct {
	*cgroup.Parent
	of *Recording
}

func newContainerPolicies(tree cgroup.Tree, level int) containerPolicies {
	return containerPolicies{
		tree: tree, level: level, parents: make(map[string]*containerParent), byID: make(map[string]containerPolicy),
		described: make(map[string]docker.Container),
	}
}

// end removes the cgroups of a recording, or of all recordings if it is nil, and forgets its policies. A cgroup with a
// container remains, for a later run to remove.
func (c *containerPolicies) end(rec *Recording) {
	maps.DeleteFunc(c.byID, func(_ string, p containerPolicy) bool { return rec == nil || p.of == rec })
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
	after := func(ctx context.Context, c testcontainers.Container) error { return source.enforceStarted(ctx, c) }
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
	onHost   bool   // it uses the network of the engine's machine
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
	pod := docker.Described(*is)
	described := newContainer{Container: pod, pod: engine.NetworkOwner(pod.ID), onHost: engine.OnHostNetwork(pod.ID)}
	if described.pod != pod.ID {
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

// enforceStarted adds a container that has started to the policies of others, and enforces its own policy from now on
// if it did not start with it: a reused container, or one that is adopted. It returns an error if that is not possible.
func (rec *Recording) enforceStarted(ctx context.Context, c testcontainers.Container) error {
	if !rec.isActive() {
		return nil
	}
	e := rec.recorder.enforcement
	started, isWorkload, err := rec.describe(ctx, c)
	if err == nil && isWorkload {
		err = e.addStarted(started)
	}
	if err == nil && isWorkload && !e.isEnforced(started.Container) && processOf(ctx, c) != 0 {
		err = e.enforceRunning(rec, started)
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

// addStarted adds the addresses of a container that has started to the policies that allow its workload.
func (e *enforcement) addStarted(c newContainer) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.addLocked(c)
}

func (e *enforcement) addLocked(c newContainer) error {
	e.containers.described[c.ID] = c.Container
	m, err := e.read(false)
	if err != nil {
		return err
	}
	return e.update(m)
}

// enforceContainer enforces the policy of a container that is about to start. It may have been started before.
func (e *enforcement) enforceContainer(rec *Recording, c newContainer) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.addLocked(c); err != nil { // containers that run already may look this one up
		return err
	}
	p, err := e.containerPolicy(rec, c)
	if err != nil || p == nil {
		return err
	}
	parent := e.containers.parents[c.CgroupParent]
	if parent == nil {
		return fmt.Errorf("it starts in cgroup %q: leave CgroupParent out of the request", c.CgroupParent)
	}
	id, err := parent.Make()
	if err != nil {
		return err
	}
	return e.kernel.EnforceBelow(id, e.containers.level, p.id)
}

// enforceRunning enforces the policy of a container that runs already.
func (e *enforcement) enforceRunning(rec *Recording, c newContainer) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	p, err := e.containerPolicy(rec, c)
	if err != nil || p == nil {
		return err
	}
	found := false
	for dir, cgroup := range e.containers.tree.Walk() {
		path := strings.TrimPrefix(dir, filepath.Clean(e.containers.tree.Root))
		if !slices.Contains(docker.IDsFromCgroup(path), c.ID) {
			continue
		}
		if err := e.kernel.Enforce(cgroup, 0, p.id); err != nil {
			return err
		}
		found = true
	}
	if !found {
		return errors.New("it does not run on this machine, which alone can refuse its flows")
	}
	return nil
}

// containerPolicy returns the policy of a container, or nil if it is unrestricted.
func (e *enforcement) containerPolicy(rec *Recording, c newContainer) (*policy, error) {
	if p, known := e.containers.byID[c.ID]; known {
		return p.policy, nil
	}
	table, err := rec.options.Enforcement.Container(c.workload.Name, c.workload.Namespace)
	if err != nil {
		return nil, err
	}
	var p *policy
	if !table.Unrestricted {
		compile := func(m machine) (probe.Rules, error) { return e.containerRules(rec, c, table, m) }
		if p, err = e.newPolicy(rec, compile); err != nil {
			return nil, err
		}
	}
	e.containers.byID[c.ID] = containerPolicy{rec, p}
	return p, nil
}

// containerRules returns the rules of a container.
func (e *enforcement) containerRules(
	rec *Recording, c newContainer, table enforce.Table, m machine,
) (probe.Rules, error) {
	r := newRuleSet(table)
	domains := rec.clusterDomains(m)
	r.allowContainer(c, m, domains)
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
	case !started || p.policy != nil && parent == nil:
		return false
	case p.policy == nil:
		return true
	}
	return slices.ContainsFunc(parent.Children(), func(name string) bool {
		return slices.Contains(docker.IDsFromCgroup("/"+name), c.ID)
	})
}
