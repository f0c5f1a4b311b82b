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

func short(id string) string { return id[:min(12, len(id))] }

// notify wakes those who wait for inspections. The lock is held.
func (w *Watcher) notify() {
	close(w.changed)
	w.changed = make(chan struct{})
}

// update records the answer to an inspection of a container. The lock is held.
func (w *Watcher) update(r *record, c container.InspectResponse, asked, answered time.Duration) {
	r.inspected = true
	r.Name = strings.TrimPrefix(c.Name, "/")
	r.Command = strings.Join(append([]string{c.Path}, c.Args...), " ")
	if c.Config != nil {
		r.HealthCheck = healthCheck(c.Config)
		r.Image, r.Labels, r.Session = c.Config.Image, c.Config.Labels, c.Config.Labels[labelSession]
		r.Exposed = exposed(c.Config)
		r.APIServer = apiServerVariables(c.Config.Env)
	}
	if c.HostConfig != nil {
		r.NetworkMode = string(c.HostConfig.NetworkMode)
		r.Resolvers = c.HostConfig.DNS
		r.LocalPorts = c.HostConfig.Sysctls["net.ipv4.ip_local_port_range"]
		if r.NetworkMode == "default" {
			r.NetworkMode = "bridge"
		}
	}
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
