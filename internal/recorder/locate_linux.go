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
	from, to  *docker.Container // nil for an end that is no container
	port      uint16            // of the container, if to is one
	published bool              // it was dialled at a port of this machine that to publishes
	missing   bool              // from is a container that the engine does not know
	container string            // name and image of to, for a text
}

// isProxy reports whether an executable is the one by which Docker serves a published port.
func isProxy(name string) bool { return name == "docker-proxy" || name == "rootlesskit" }

// container returns the innermost container of a path that the engine knows.
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

// locate finds the containers at the ends of a observation.
func (r *resolution) locate(seen observation) attributedFlow {
	e := seen.event
	l := attributedFlow{observation: seen, port: e.Port}
	if e.Cgroup != r.ownCgroup {
		l.from = r.container(r.cgroups[e.Cgroup].ids)
		l.missing = l.from == nil
	}
	if r.engine == nil || l.missing {
		return l
	}
	addr := e.Addr.Unmap()
	if l.from != nil && e.Port == resolverPort && isResolverOf(*l.from, addr) {
		l.identity.Endpoint, l.identity.Relation = flow.ClusterResolver, endpoint.Other
		l.identity.Endpoint.Addr, l.identity.Endpoint.Evidence = addr, flow.ByResolvConf
		l.flow.Destination = l.identity.Endpoint
	}
	if l.identity.Endpoint.Kind == flow.Resolver {
		return l // even where it is a container
	}
	var networks []string
	if l.from != nil {
		h := networkOwner(r.engine, *l.from)
		for _, n := range h.Networks {
			networks = append(networks, n.NetworkID)
		}
	}
	if seen.identity.Local {
		at := netip.AddrPortFrom(addr, e.Port)
		if c, port, ok := r.engine.AtPublished(at, e.Protocol, e.Time); ok {
			l.to, l.port, l.published = &c, port, true
		} else if c := r.container(seen.listenerContainers); c != nil {
			l.to = c // in the network of this machine
		} else if c, port, ok := r.engine.AroundPublished(at, e.Protocol, e.Time); ok && seen.identity.Listener == (endpoint.Owner{}) {
			l.to, l.port, l.published = &c, port, true // an attempt before it was up, or after
		}
		return l
	}
	if c, ok := r.engine.AtAddress(addr, networks, e.Time); ok {
		l.to = &c
	} else if c, ok := r.engine.AroundAddress(addr, networks, e.Time); ok {
		l.to = &c
	}
	return l
}

// resolverPort is where resolvers listen.
const resolverPort = 53

// isResolverOf reports whether an address is that of a container's resolver, as Docker has it: the process that asked, and
// with it the resolv.conf that it saw, may have gone before anybody looked.
func isResolverOf(c docker.Container, addr netip.Addr) bool {
	if len(c.Resolvers) > 0 {
		return slices.Contains(c.Resolvers, addr)
	}
	return slices.Contains(endpoint.OfContainers(), addr)
}

// isEngine reports whether something goes to the engine itself, over TCP.
func (r *resolution) isEngine(l attributedFlow) bool {
	at := r.engine.Endpoint()
	host, port, _ := strings.Cut(at.Address, ":")
	if engine, err := netip.ParseAddrPort(at.Address); err == nil {
		return at.Network == "tcp" && engine.Port() == l.event.Port && engine.Addr().Unmap() == l.event.Addr.Unmap()
	}
	return at.Network == "tcp" && port == strconv.Itoa(int(l.event.Port)) &&
		(strings.EqualFold(host, l.name) || host == "localhost" && l.event.Addr.IsLoopback())
}

// endpointOf returns a container as a policy sees it, by the name that a recording or its labels give. Containers that
// share a network are one pod, named after the container whose network it is.
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

// networkOwner returns the container whose network a container uses; mostly itself.
func networkOwner(engine *docker.Watcher, c docker.Container) docker.Container {
	if owner, known := engine.Container(engine.NetworkOwner(c.ID)); known {
		return owner
	}
	return c
}
