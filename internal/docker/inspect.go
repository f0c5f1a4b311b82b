package docker

import (
	"cmp"
	"context"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// maxInspections limits the number of parallel queries about single containers. Some block: the engine answers no query
// about a container that it is starting.
const maxInspections = 64

// inspect queries a container, once more if a query is running already. The lock is held.
func (w *Watcher) inspect(r *record) {
	r.wanted++
	if r.busy || w.ctx.Err() != nil {
		return
	}
	r.busy = true
	w.tasks.Go(func() {
		for w.inspectOnce(r) {
		}
	})
}

// inspectOnce sends one query. It reports whether an event arrived meanwhile, so that the answer may be outdated.
func (w *Watcher) inspectOnce(r *record) bool {
	select {
	case w.slots <- struct{}{}:
		defer func() { <-w.slots }()
	case <-w.ctx.Done():
	}
	w.mu.Lock()
	wanted := r.wanted
	w.mu.Unlock()

	asked := monotonicNow()
	var answer client.ContainerInspectResult
	err := w.call(w.ctx, "inspect container "+short(r.ID), func(ctx context.Context) (err error) {
		answer, err = w.client.ContainerInspect(ctx, r.ID, client.ContainerInspectOptions{})
		return err
	})
	answered := monotonicNow()

	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case err == nil:
		r.fault = ""
		w.update(r, answer.Container, asked, answered)
	case cerrdefs.IsNotFound(err):
		r.fault = "" // it is gone; its history remains
	default:
		r.fault = err.Error()
	}
	r.served = wanted
	r.busy = r.wanted > wanted && w.ctx.Err() == nil
	w.notify()
	return r.busy
}

// Inspected records the answer to an inspection of a known container that this process sent itself, between two times
// of CLOCK_MONOTONIC.
func (w *Watcher) Inspected(c container.InspectResponse, asked, answered time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if r := w.containers[c.ID]; r != nil {
		w.update(r, c, asked, answered)
	}
}

func short(id string) string { return id[:min(shortID, len(id))] }

// notify wakes those who wait for inspections. The lock is held.
func (w *Watcher) notify() {
	close(w.changed)
	w.changed = make(chan struct{})
}

// update records the answer to an inspection of a container. The lock is held.
func (w *Watcher) update(r *record, c container.InspectResponse, asked, answered time.Duration) {
	r.inspected = true
	r.describe(c)
	if !r.IsNew {
		r.Created = w.wallTime(c.Created) // a list has a precision of one second
	}
	if c.State != nil && !r.IsNew {
		if r.Started == 0 {
			r.Started = w.wallTime(c.State.StartedAt)
		}
		if !c.State.Running && r.Ended == 0 {
			r.Ended = w.wallTime(c.State.FinishedAt)
		}
	}
	if c.NetworkSettings == nil {
		return
	}
	var with []*attachment
	for name, s := range c.NetworkSettings.Networks {
		if s == nil {
			continue
		}
		if len(s.Aliases) > 0 {
			r.aliases[name] = s.Aliases
		}
		if a := r.attach(endpointOf(name, s), asked, answered); a != nil {
			with = append(with, a)
			w.ensureNetwork(a.NetworkID, a.Network)
		}
	}
	var ports []Port
	for port, bindings := range c.NetworkSettings.Ports {
		for _, b := range bindings {
			if p, ok := portOf(b.HostIP, b.HostPort, port.Num(), string(port.Proto())); ok {
				ports = append(ports, p)
			}
		}
	}
	r.publish(ports, with, asked)
}

// describe sets what does not change while a container exists.
func (c *Container) describe(is container.InspectResponse) {
	c.Name = strings.TrimPrefix(is.Name, "/")
	c.Command = strings.Join(append([]string{is.Path}, is.Args...), " ")
	if is.Config != nil {
		c.HealthCheck = healthCheck(is.Config)
		c.Image, c.Labels, c.Session = is.Config.Image, is.Config.Labels, is.Config.Labels[labelSession]
		c.Exposed = exposed(is.Config)
		c.APIServer = apiServerVariables(is.Config.Env)
	}
	if is.HostConfig != nil {
		c.NetworkMode = string(is.HostConfig.NetworkMode)
		c.Resolvers, c.Search, c.Hosts = is.HostConfig.DNS, is.HostConfig.DNSSearch, is.HostConfig.ExtraHosts
		c.CgroupParent = is.HostConfig.CgroupParent
		c.LocalPorts = is.HostConfig.Sysctls["net.ipv4.ip_local_port_range"]
		if c.NetworkMode == "default" {
			c.NetworkMode = "bridge"
		}
	}
}

// Described returns a container as the engine describes it, also before its first start. It has no times, and only the
// networks that it is in or will be in.
func Described(is container.InspectResponse) Container {
	c := Container{ID: is.ID}
	c.describe(is)
	if is.NetworkSettings == nil {
		return c
	}
	for name, s := range is.NetworkSettings.Networks {
		if s != nil {
			e := endpointOf(name, s)
			c.Networks = append(c.Networks, Attachment{
				Network: e.name, NetworkID: e.network, Addrs: e.addrs, Aliases: e.aliases,
			})
		}
	}
	slices.SortFunc(c.Networks, func(a, b Attachment) int { return strings.Compare(a.Network, b.Network) })
	return c
}

// wallTime converts a timestamp of the engine's answers; 0 if it is not set.
func (w *Watcher) wallTime(text string) time.Duration {
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil || t.Year() < 1970 {
		return 0
	}
	return w.clock.convert(t.UnixNano())
}

func portOf(host netip.Addr, hostPort string, port uint16, protocol string) (Port, bool) {
	n, err := strconv.ParseUint(hostPort, 10, 16)
	if err != nil || n == 0 {
		return Port{}, false
	}
	p := Port{Host: host.Unmap(), HostPort: uint16(n), Port: port}
	if !host.IsValid() {
		p.Host = netip.IPv4Unspecified()
	}
	p.Protocol = protocolOf(protocol)
	return p, p.Protocol != 0
}

// protocolOf returns the protocol from the engine's spelling; 0 for any other.
func protocolOf(name string) flow.Protocol {
	switch name {
	case "tcp":
		return flow.TCP
	case "udp":
		return flow.UDP
	case "sctp":
		return flow.SCTP
	}
	return 0
}

// apiServerVariables returns the variables that name the API server, as in a pod.
func apiServerVariables(environment []string) []string {
	return slices.DeleteFunc(slices.Clone(environment), func(variable string) bool {
		return !strings.HasPrefix(variable, "KUBERNETES_SERVICE_")
	})
}

// exposed returns the ports of a container's image and request, sorted.
func exposed(c *container.Config) []Exposed {
	var ports []Exposed
	for port := range c.ExposedPorts {
		if protocol := protocolOf(string(port.Proto())); protocol != 0 {
			ports = append(ports, Exposed{port.Num(), protocol})
		}
	}
	slices.SortFunc(ports, func(a, b Exposed) int {
		return cmp.Or(cmp.Compare(a.Port, b.Port), cmp.Compare(a.Protocol, b.Protocol))
	})
	return ports
}
