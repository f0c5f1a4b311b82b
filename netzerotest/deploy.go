package netzerotest

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/netzero-dev/netzero/internal/endpoint"
	"github.com/netzero-dev/netzero/internal/manifest"
	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// deployment puts what was recorded into the places that the manifests have for it: other labels, namespaces and ports
// than those of the test.
type deployment struct {
	config  config
	scope   policy.Scope
	notices []string
	errs    []string
	found   map[flow.Endpoint]*manifest.Match // by name and namespace as they were recorded; nil where there is none
}

// deploy returns the flows as they are in the cluster, and for whom policies are written. The error is an *optionError.
func (c config) deploy(recorded settlement) ([]Flow, policy.Scope, []string, error) {
	d := &deployment{config: c, found: make(map[flow.Endpoint]*manifest.Match), scope: policy.Scope{
		Fold: c.folds, Ranges: c.ranges, Binaries: c.binaries, CloseIngress: c.closeIngress, DenyAll: c.defaultDeny,
		Resolvers: c.resolvers,
	}}
	if c.manifests != nil {
		d.scope.Namespaces = c.manifests.Namespaces()
	}
	gone := make(map[flow.Endpoint]bool) // containers that stand for no pods
	for _, s := range recorded.workloads {
		id := flow.Endpoint{Kind: flow.Workload, Name: s.Name, Namespace: s.Namespace}
		m := d.find(id, s.AllTraffic || c.named)
		switch {
		case m == nil:
		case len(m.Selector) == 0:
			gone[id] = true
			d.notices = append(d.notices, fmt.Sprintf("%s stands for no pods of yours: no policy is written for it", m))
			continue
		case s.AllTraffic || len(c.labels) == 0:
			s.Workload = workloadOf(id, m)
		case s.Namespace == "":
			s.Namespace = m.Namespace
		}
		if m != nil && m.HostNetwork {
			d.hostNetworkNotice(m, true)
		}
		if m != nil && len(s.Ports) == 0 {
			s.Ports = namedPorts(m)
		}
		if m != nil && m.OwnNotice != "" && len(s.Own) > 0 {
			d.notices = append(d.notices, m.OwnNotice)
		}
		d.scope.Subjects = append(d.scope.Subjects, s)
	}
	var set flow.Set
	for _, f := range c.withoutIgnored(recorded.flows) {
		if !gone[f.Source.Identity()] {
			f.Source = d.place(f.Source)
			f.Destination = d.resolve(f.Destination, f.Source.Namespace)
			d.mistakable(f)
			for _, g := range d.reach(f) {
				set.Add(g)
			}
		}
	}
	slices.Sort(d.errs)
	if len(d.errs) > 0 {
		return nil, d.scope, nil, &optionError{slices.Compact(d.errs)}
	}
	for _, s := range d.scope.Subjects {
		elsewhere := func(w policy.Workload) bool { return w.Namespace != "" }
		if !s.AllTraffic && s.Namespace == "" && (slices.ContainsFunc(d.scope.Peers, elsewhere) || slices.ContainsFunc(d.scope.Subjects, func(s policy.Subject) bool { return elsewhere(s.Workload) })) {
			d.notices = append(d.notices, fmt.Sprintf("the namespace of %s is not known, so it is taken to be that of each policy that mentions it: Namespace says it", s.Name))
		}
	}
	d.noticeDenied()
	for _, f := range set.Sorted() {
		if c.cilium && f.Destination.Node {
			d.notices = append(d.notices, fmt.Sprintf("%s is a process of this machine, and so the host to Cilium: if it stands for pods, Peer(\"localhost:%d\", \"name%s\") says which",
				f.Target(), f.Port, examplePort))
		}
	}
	d.scope.Addresses = policy.AddressesOf(set.Sorted())
	slices.Sort(d.notices)
	return set.Sorted(), d.scope, slices.Compact(d.notices), nil
}

// find returns what the manifests say of a workload, once. missed says whether it is worth a word where they say nothing.
func (d *deployment) find(e flow.Endpoint, missed bool) *manifest.Match {
	if d.config.manifests == nil {
		return nil
	}
	if m, known := d.found[e]; known {
		return m
	}
	m, err := d.config.manifests.Find(e.Name, e.Namespace)
	var unknown *manifest.NotFoundError
	switch {
	case err == nil:
		d.found[e] = &m
		if m.Notice != "" {
			d.notices = append(d.notices, m.Notice)
		}
	case errors.As(err, &unknown):
		d.found[e] = nil
		if missed {
			d.notices = append(d.notices, fmt.Sprintf("%v; it goes by the label app=%s", err, e.Name))
		}
	default:
		d.found[e] = nil
		d.errs = append(d.errs, err.Error())
	}
	return d.found[e]
}

func workloadOf(e flow.Endpoint, m *manifest.Match) policy.Workload {
	w := policy.Workload{
		Name: e.Name, Namespace: e.Namespace, Ports: namedPorts(m),
		Labels: m.Labels, Selector: m.Selector, Own: m.Own, OwnLabels: m.OwnLabels,
	}
	if m.Namespace != "" {
		w.Namespace = m.Namespace
	}
	return w
}

// namedPorts returns the ports that a rule may call by their names.
func namedPorts(m *manifest.Match) []policy.Port {
	var ports []policy.Port
	for _, p := range m.Ports() {
		port := policy.Port{Name: p.Name, Number: p.Number, Protocol: p.Protocol}
		if p.Name != "" && !slices.Contains(ports, port) {
			ports = append(ports, port)
		}
	}
	return ports
}

// place returns a workload with the namespace that the manifests give it.
func (d *deployment) place(e flow.Endpoint) flow.Endpoint {
	if e.Kind != flow.Workload {
		return e
	}
	id := e.Identity()
	m := d.find(id, true)
	if m == nil || len(m.Selector) == 0 {
		return e
	}
	w := workloadOf(id, m)
	e.Namespace, e.Node, e.HostNetwork = w.Namespace, false, m.HostNetwork // the manifests know which pods it stands for
	is := func(o policy.Workload) bool { return o.Name == w.Name && o.Namespace == w.Namespace }
	isSubject := slices.ContainsFunc(d.scope.Subjects, func(s policy.Subject) bool { return is(s.Workload) })
	if m.HostNetwork && !isSubject {
		d.hostNetworkNotice(m, false)
	}
	if !slices.ContainsFunc(d.scope.Peers, is) && !isSubject {
		d.scope.Peers = append(d.scope.Peers, w)
	}
	return e
}

// reach returns where a flow goes in the cluster: to another port, to several, or to something else than pods.
func (d *deployment) reach(f Flow) []Flow {
	switch f.Destination.Kind {
	case flow.APIServer:
		return d.reachAPIServer(f)
	case flow.Workload:
	default:
		return []Flow{f}
	}
	m := d.find(f.Destination.Identity(), true)
	if m == nil {
		return []Flow{f}
	}
	if m.IsAPIServer() {
		f.Destination.Kind, f.Destination.Namespace = flow.APIServer, flow.ClusterAPIServer.Namespace
		return d.reachAPIServer(f)
	}
	if m.ExternalName != "" {
		if strings.Contains(m.ExternalName, ".") && endpoint.IsAPIServerName(m.ExternalName) {
			f.Destination = flow.Endpoint{
				Kind: flow.APIServer, Name: flow.ClusterAPIServer.Name, Namespace: flow.ClusterAPIServer.Namespace, Evidence: f.Destination.Evidence,
			}
			return d.reachAPIServer(f)
		}
		to := d.config.alias(m.ExternalName)
		to.Evidence, f.Destination = f.Destination.Evidence, to
		return []Flow{f}
	}
	var flows []Flow
	if len(m.Selector) == 0 {
		if f.Lookup {
			return []Flow{f} // which has no address
		}
		ends := endsOf(m, f)
		for _, a := range m.Addresses {
			if a.Protocol != f.Protocol && a.Port != 0 || len(ends) > 0 && a.Port != 0 && !slices.Contains(ends, a.Port) {
				continue
			}
			g := f
			g.Destination = standsFor(f.Destination, a.Addr)
			if a.Port != 0 {
				g.Port = a.Port
			}
			flows = append(flows, g)
		}
		if len(flows) > 0 {
			return flows
		}
		named := f.Destination
		for _, a := range m.Addresses { // at a port that none of them has, or without one: it is a flow all the same
			f.Destination = standsFor(named, a.Addr)
			if !slices.Contains(flows, f) {
				flows = append(flows, f)
			}
		}
		if len(flows) > 0 {
			return flows
		}
		return []Flow{f}
	}
	f.Destination = d.place(f.Destination)
	ports, err := m.TargetPorts(f.Port, f.Protocol)
	if err != nil {
		d.notices = append(d.notices, fmt.Sprintf("%v; the port is written as it was recorded", err))
	}
	if len(ports) == 0 {
		return []Flow{f}
	}
	for _, port := range ports {
		g := f
		g.Port = port
		flows = append(flows, g)
	}
	return flows
}

// endsOf returns the ports of its Endpoints to which a Service without a selector sends a flow, none where that is not
// known.
func endsOf(m *manifest.Match, f Flow) []uint16 {
	ports, err := m.TargetPorts(f.Port, f.Protocol)
	has := func(a manifest.Address) bool { return a.Protocol == f.Protocol && slices.Contains(ports, a.Port) }
	if err != nil || !slices.ContainsFunc(m.Addresses, has) {
		return nil
	}
	return ports
}
