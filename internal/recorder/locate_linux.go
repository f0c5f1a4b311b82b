package recorder

import (
	"cmp"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/netzero-dev/netzero/internal/docker"
	"github.com/netzero-dev/netzero/internal/endpoint"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// attributedFlow is an observation with the containers at its ends.
type attributedFlow struct {
	observation
	from, to  *docker.Container // nil for an end that is not a container
	port      uint16            // of the container, if to is one
	published bool              // it was dialled at a port of this machine that to publishes
	missing   bool              // from is a container that the engine does not know
	container string            // name and image of to, for messages
}

// isProxy reports whether an executable is one that serves published ports for Docker.
func isProxy(name string) bool { return name == "docker-proxy" || name == "rootlesskit" }

// container returns the innermost of some nested containers that the engine knows.
func (r *resolution) container(ids []string) *docker.Container {
	if r.engine == nil {
		return nil
	}
	for _, id := range slices.Backward(ids) {
		if c, known := r.engine.Container(id); known {
			return &c
		}
	}
	return nil
}

// resolveEnds finds the containers at the ends of an observation.
func (r *resolution) resolveEnds(o observation) attributedFlow {
	e := o.event
	f := attributedFlow{observation: o, port: e.Port}
	if e.Cgroup != r.ownCgroup {
		f.from = r.container(r.cgroups[e.Cgroup].ids)
		f.missing = f.from == nil
	}
	if r.engine == nil || f.missing {
		return f
	}
	addr := e.Addr.Unmap()
	if f.from != nil && e.Port == resolverPort && isResolverOf(*f.from, addr) {
		f.identity.Endpoint, f.identity.Relation = flow.ClusterResolver, endpoint.Other
		f.identity.Endpoint.Addr, f.identity.Endpoint.Evidence = addr, flow.ByResolvConf
		f.flow.Destination = f.identity.Endpoint
	}
	if f.identity.Endpoint.Kind == flow.Resolver {
		return f // even if it is a container
	}
	var networks []string
	if f.from != nil {
		h := networkOwner(r.engine, *f.from)
		for _, n := range h.Networks {
			networks = append(networks, n.NetworkID)
		}
	}
	if o.identity.Local {
		at := netip.AddrPortFrom(addr, e.Port)
		if c, port, ok := r.engine.AtPublished(at, e.Protocol, e.Time); ok {
			f.to, f.port, f.published = &c, port, true
		} else if c := r.container(o.listenerContainers); c != nil {
			f.to = c // in the network of this machine
		} else if c, port, ok := r.engine.AroundPublished(at, e.Protocol, e.Time); ok && o.identity.Listener == (endpoint.Owner{}) {
			f.to, f.port, f.published = &c, port, true // an attempt before the container was up, or after it ended
		}
		return f
	}
	if c, ok := r.engine.AtAddress(addr, networks, e.Time); ok {
		f.to = &c
	} else if c, ok := r.engine.AroundAddress(addr, networks, e.Time); ok {
		f.to = &c
	}
	return f
}

// resolverPort is the port of DNS.
const resolverPort = 53

// isResolverOf reports whether an address is that of a container's resolver, according to Docker. The process that sent
// the query may have ended before its resolv.conf was read.
func isResolverOf(c docker.Container, addr netip.Addr) bool {
	if len(c.Resolvers) > 0 {
		return slices.Contains(c.Resolvers, addr)
	}
	return slices.Contains(endpoint.OfContainers(), addr)
}

// isEngine reports whether a flow goes to the TCP endpoint of the engine itself.
func (r *resolution) isEngine(f attributedFlow) bool {
	at := r.engine.Endpoint()
	host, port, _ := strings.Cut(at.Address, ":")
	if engine, err := netip.ParseAddrPort(at.Address); err == nil {
		return at.Network == "tcp" && engine.Port() == f.event.Port && engine.Addr().Unmap() == f.event.Addr.Unmap()
	}
	return at.Network == "tcp" && port == strconv.Itoa(int(f.event.Port)) &&
		(strings.EqualFold(host, f.name) || host == "localhost" && f.event.Addr.IsLoopback())
}

// endpointOf returns the endpoint of a container in a policy. Its name comes from a recording or from its labels.
// Containers that share a network are one pod, which is named after the network owner.
func (s *snapshot) endpointOf(engine *docker.Watcher, c docker.Container) flow.Endpoint {
	c = networkOwner(engine, c)
	name := s.attachments[c.ID].name
	if name == "" {
		if e, inCluster := s.options.ClusterName(docker.DNSName(c)); inCluster {
			e.Namespace, e.Evidence = cmp.Or(e.Namespace, s.options.Namespace), flow.ByContainer
			return e
		}
		name = cmp.Or(c.Labels[docker.LabelWorkload], docker.Name(c))
	}
	workload, namespace := endpoint.SplitName(name)
	return flow.Endpoint{
		Kind: flow.Workload, Name: workload, Namespace: cmp.Or(namespace, s.options.Namespace), Evidence: flow.ByContainer,
	}
}

// networkOwner returns the container whose network a container uses. Usually that is the container itself.
func networkOwner(engine *docker.Watcher, c docker.Container) docker.Container {
	if owner, known := engine.Container(engine.NetworkOwner(c.ID)); known {
		return owner
	}
	return c
}
