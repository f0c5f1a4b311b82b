package recorder

import (
	"cmp"
	"net/netip"

	"github.com/netzero-dev/netzero/internal/docker"
	"github.com/netzero-dev/netzero/internal/endpoint"
	"github.com/netzero-dev/netzero/internal/recorder/containers"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// resolvedFlow is an observation with the containers at its ends. outcomeOf then replaces the ends by those that a
// policy names.
type resolvedFlow struct {
	observation
	from, to  *docker.Container // nil for an end that is not a container
	port      uint16            // of the container, if to is one
	published bool              // it was dialled at a port of this machine that to publishes
	missing   bool              // from is a container that the engine does not know
	container string            // name and image of to, for messages
}

// resolveEnds finds the containers at the ends of an observation.
func (s *resolution) resolveEnds(o observation) resolvedFlow {
	e := o.event
	f := resolvedFlow{observation: o, port: e.Port}
	if e.Cgroup != s.ownCgroup {
		f.from = containers.Innermost(s.engine, s.cgroups[e.Cgroup].ids)
		f.missing = f.from == nil
	}
	if s.engine == nil || f.missing {
		return f
	}
	if f.from != nil && containers.IsResolver(*f.from, e.Addr, e.Port) {
		f.identity.Endpoint, f.identity.Relation = flow.ClusterResolver, endpoint.Other
		f.identity.Endpoint.Addr, f.identity.Endpoint.Evidence = e.Addr.Unmap(), flow.ByResolvConf
		f.flow.Destination = f.identity.Endpoint
	}
	if f.from != nil && f.identity.Endpoint.Kind != flow.APIServer && f.identity.Endpoint.Kind != flow.Resolver &&
		f.identity.UseEnvironment(f.from.APIServer, e.Protocol, e.Addr, e.Port) {
		f.flow.Destination, f.flow.Port = f.identity.Endpoint, f.identity.Port
	}
	if f.identity.Endpoint.Kind == flow.Resolver {
		return f // even if it is a container
	}
	at := containers.Locate(s.engine, containers.Attempt{
		Addr: e.Addr, Port: e.Port, Protocol: e.Protocol, Time: e.Time, From: f.from,
		Local: o.identity.Local, HasServer: o.identity.Hidden || o.identity.Listener != (endpoint.Owner{}),
		Servers: o.listenerContainers,
	})
	f.to, f.port, f.published = at.Container, at.Port, at.Published
	return f
}

// isEngine reports whether a flow goes to the engine itself.
func (s *resolution) isEngine(f resolvedFlow) bool {
	return containers.IsEngine(s.engine, netip.AddrPortFrom(f.event.Addr, f.event.Port), f.name)
}

// endpointOf returns the endpoint of a container in a policy. Its name comes from a recording or from its labels.
// Containers that share a network are one pod, which is named after the network owner.
func (s *snapshot) endpointOf(engine containers.Engine, c docker.Container) flow.Endpoint {
	c = containers.NetworkOwner(engine, c)
	return s.options.endpointOf(c, s.attachments[c.ID].name)
}

// endpointOf returns the endpoint of a container that owns its network. given is the name from a recording, or "".
func (o Options) endpointOf(c docker.Container, given string) flow.Endpoint {
	if given == "" {
		if e, inCluster := o.ClusterName(docker.DNSName(c)); inCluster {
			e.Namespace, e.Evidence = cmp.Or(e.Namespace, o.Namespace), flow.ByContainer
			return e
		}
		given = cmp.Or(c.Labels[docker.LabelWorkload], docker.Name(c))
	}
	workload, namespace := endpoint.SplitName(given)
	return flow.Endpoint{
		Kind: flow.Workload, Name: workload, Namespace: cmp.Or(namespace, o.Namespace), Evidence: flow.ByContainer,
	}
}
