// Package placement gives the workloads of a recording their place in the cluster: the labels, namespaces and ports of
// their Kubernetes manifests. It resolves names as the cluster's DNS does.
//
// It compares nothing and writes no policy. It rejects a name that has several meanings in the manifests. A workload
// that is not in the manifests keeps its recorded name and the label app, and a notice says so.
package placement

import (
	"errors"
	"slices"
	"strings"

	"github.com/netzero-dev/netzero/internal/endpoint"
	"github.com/netzero-dev/netzero/internal/manifest"
	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/internal/recording"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// Options are the user's settings for a placement.
type Options struct {
	// Workload is the name of the workload that the test process stands for, and Namespace its namespace, if any.
	Workload, Namespace string

	// Named says that the user chose the name Workload. A notice then says if the manifests do not have it.
	Named bool

	Manifests      *manifest.Set    // nil if there are none
	ClusterDomains []string         // besides cluster.local
	Ignored        endpoint.Ignored // flows that are left out; it also says whether the test process has no policy
	Cilium         bool             // policies are CiliumNetworkPolicies

	// Rules holds the options for policies: the fields Fold, FoldPaths, Ranges, Binaries, Requests, CloseIngress, DenyAll
	// and Resolvers of the scope. [Place] sets the other fields.
	Rules policy.Scope
}

// Placement is a recording in the cluster.
type Placement struct {
	Flows   []flow.Flow // between the workloads of the cluster, sorted
	Scope   policy.Scope
	Notices []recording.Notice // sorted

	// EphemeralPorts are the flows of [recording.Recording].EphemeralPorts in the cluster. It omits flows between
	// workloads without a policy, and ports that the manifests or the option Ports name.
	EphemeralPorts []recording.EphemeralPort
}

// placer is the state of one call of [Place].
type placer struct {
	options Options
	scope   policy.Scope
	notices []recording.Notice
	errs    []string

	// found holds the manifests' matches by recorded name and namespace; nil if the manifests lack the workload.
	found map[flow.Endpoint]*manifest.Match
}

// Place returns a recording's place in the cluster. The error is a [*recording.OptionError]. With an error, the
// placement has only a scope with the subjects and peers that were found.
func Place(recorded recording.Recording, options Options) (Placement, error) {
	p := &placer{options: options, scope: options.Rules, found: make(map[flow.Endpoint]*manifest.Match)}
	if options.Manifests != nil {
		p.scope.Namespaces = options.Manifests.Namespaces()
	}
	flows := p.flows(recorded.Flows, p.subjects(recorded.Workloads))
	slices.Sort(p.errs)
	if len(p.errs) > 0 {
		return Placement{Scope: p.scope}, &recording.OptionError{Texts: slices.Compact(p.errs)}
	}
	p.noticeNamespaces()
	p.noticeDenied()
	p.noticeNodes(flows)
	p.scope.Addresses = policy.AddressesOf(flows)
	slices.SortFunc(p.notices, recording.Notice.Compare)
	placed := Placement{Flows: flows, Scope: p.scope, Notices: slices.Compact(p.notices)}
	placed.EphemeralPorts = p.ephemeralPorts(recorded.EphemeralPorts)
	return placed, nil
}

// subjects adds to the scope the workloads that get a policy. It returns those that stand for something other than
// pods.
func (p *placer) subjects(workloads []recording.Workload) (notPods map[flow.Endpoint]bool) {
	notPods = make(map[flow.Endpoint]bool)
	for _, w := range workloads {
		s := policy.Subject{
			Workload:   policy.Workload{Name: w.Name, Namespace: w.Namespace, Labels: w.Labels},
			AllTraffic: w.AllTraffic,
		}
		id := flow.Endpoint{Kind: flow.Workload, Name: s.Name, Namespace: s.Namespace}
		m := p.find(id, s.AllTraffic || p.options.Named)
		switch {
		case m == nil:
		case len(m.Selector) == 0:
			notPods[id] = true
			p.notice(recording.CodeNoPods, "%s selects no pods: no policy is written for it", m)
			continue
		case s.AllTraffic || len(s.Labels) == 0:
			s.Workload = workloadOf(id, m)
		case s.Namespace == "":
			s.Namespace = m.Namespace
		}
		if m != nil && m.HostNetwork {
			p.noticeHostNetwork(m, true)
		}
		if m != nil && len(s.Ports) == 0 {
			s.Ports = namedPorts(m)
		}
		if m != nil && m.OwnNotice != "" && len(s.Own) > 0 {
			p.notice(recording.CodeSharedSelector, "%s", m.OwnNotice)
		}
		p.scope.Subjects = append(p.scope.Subjects, s)
	}
	return notPods
}

// flows returns the recorded flows in the cluster, without flows of sources that are not pods.
func (p *placer) flows(recorded []flow.Flow, notPods map[flow.Endpoint]bool) []flow.Flow {
	var set flow.Set
	for _, f := range p.options.Ignored.Without(recorded) {
		if notPods[f.Source.Identity()] {
			continue
		}
		f.Source = p.workload(f.Source)
		f.Destination = p.resolve(f.Destination, f.Source.Namespace)
		p.noticeServiceLikeHost(f)
		for _, g := range p.targets(f) {
			set.Add(g)
		}
	}
	return set.Sorted()
}

func (p *placer) notice(code recording.NoticeCode, format string, args ...any) {
	p.notices = append(p.notices, recording.Noticef(code, format, args...))
}

// noticeNamespaces notes that the namespace of the test process is missing, if another workload has one.
func (p *placer) noticeNamespaces() {
	hasNamespace := func(w policy.Workload) bool { return w.Namespace != "" }
	if !slices.ContainsFunc(p.scope.Peers, hasNamespace) &&
		!slices.ContainsFunc(p.scope.Subjects, func(s policy.Subject) bool { return hasNamespace(s.Workload) }) {
		return
	}
	for _, s := range p.scope.Subjects {
		if !s.AllTraffic && s.Namespace == "" {
			p.notice(recording.CodeUnknownNamespace, "the namespace of %s is not known: each policy that mentions it "+
				"assumes its own namespace: set it with Namespace", s.Name)
		}
	}
}

// noticeDenied notes that default-deny-all denies traffic of callers of the test process that exist only in production.
func (p *placer) noticeDenied() {
	if p.scope.DenyAll && !p.options.Ignored.Driver {
		p.notice(recording.CodeDefaultDeny, "%s also denies callers of %s that were not in this test: add them by "+
			"hand to policy %s, where updates keep them",
			policy.DenyAllName, p.options.Workload, p.options.Workload)
	}
}

// noticeNodes notes the destinations that Cilium treats as the host because they are processes of this machine.
func (p *placer) noticeNodes(flows []flow.Flow) {
	for _, f := range flows {
		if p.options.Cilium && f.Destination.Node {
			p.notice(recording.CodeNode, "%s is a process of this machine, which Cilium treats as the host: if it "+
				"stands for pods, name them: Peer(\"localhost:%d\", "+
				"\"name%s\")", f.Target(), f.Port, endpoint.ExamplePort)
		}
	}
}

// find returns the manifests' match for a workload. If noticeMissing is set and there is none, it adds a notice. Only
// the first call for a workload adds notices and errors.
func (p *placer) find(e flow.Endpoint, noticeMissing bool) *manifest.Match {
	if p.options.Manifests == nil {
		return nil
	}
	if m, known := p.found[e]; known {
		return m
	}
	m, err := p.options.Manifests.Find(e.Name, e.Namespace)
	var unknown *manifest.NotFoundError
	switch {
	case err == nil:
		p.found[e] = &m
		if m.Notice != "" {
			p.notice(recording.CodeUnmatchedSelector, "%s", m.Notice)
		}
	case errors.As(err, &unknown):
		p.found[e] = nil
		if noticeMissing {
			p.notice(recording.CodeNotInManifests, "%v; its label is taken to be app=%s", err, e.Name)
		}
	default:
		p.found[e] = nil
		p.errs = append(p.errs, err.Error())
	}
	return p.found[e]
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

// namedPorts returns the ports that a rule may name.
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

// workload returns an endpoint with the namespace from the manifests, and adds the workload to the scope.
func (p *placer) workload(e flow.Endpoint) flow.Endpoint {
	if e.Kind != flow.Workload {
		return e
	}
	id := e.Identity()
	m := p.find(id, true)
	if m == nil || len(m.Selector) == 0 {
		return e
	}
	w := workloadOf(id, m)
	e.Namespace, e.HostNetwork = w.Namespace, m.HostNetwork
	e.Node = false // the manifests have its pods
	is := func(o policy.Workload) bool { return o.Name == w.Name && o.Namespace == w.Namespace }
	isSubject := slices.ContainsFunc(p.scope.Subjects, func(s policy.Subject) bool { return is(s.Workload) })
	if m.HostNetwork && !isSubject {
		p.noticeHostNetwork(m, false)
	}
	if !slices.ContainsFunc(p.scope.Peers, is) && !isSubject {
		p.scope.Peers = append(p.scope.Peers, w)
	}
	return e
}

// targets returns the flows in the cluster for a flow to a workload: to another port, to several ports, or to something
// other than pods.
func (p *placer) targets(f flow.Flow) []flow.Flow {
	switch f.Destination.Kind {
	case flow.APIServer:
		return p.apiServerTargets(f)
	case flow.Workload:
	default:
		return []flow.Flow{f}
	}
	m := p.find(f.Destination.Identity(), true)
	if m == nil {
		return []flow.Flow{f}
	}
	if m.IsAPIServer() {
		f.Destination.Kind, f.Destination.Namespace = flow.APIServer, flow.ClusterAPIServer.Namespace
		return p.apiServerTargets(f)
	}
	if m.ExternalName != "" {
		if strings.Contains(m.ExternalName, ".") && endpoint.IsAPIServerName(m.ExternalName) {
			f.Destination = flow.Endpoint{
				Kind: flow.APIServer, Name: flow.ClusterAPIServer.Name, Namespace: flow.ClusterAPIServer.Namespace,
				Evidence: f.Destination.Evidence,
			}
			return p.apiServerTargets(f)
		}
		to := p.options.byName(m.ExternalName)
		to.Evidence, f.Destination = f.Destination.Evidence, to
		return []flow.Flow{f}
	}
	if len(m.Selector) == 0 {
		return addressTargets(f, m)
	}
	f.Destination = p.workload(f.Destination)
	ports, err := m.TargetPorts(f.Port, f.Protocol)
	if err != nil {
		p.notice(recording.CodeUnknownPort, "%v; the policy has the recorded port", err)
	}
	if len(ports) == 0 {
		return []flow.Flow{f}
	}
	var flows []flow.Flow
	for _, port := range ports {
		g := f
		g.Port = port
		flows = append(flows, g)
	}
	return flows
}

// addressTargets returns the flows to the addresses of a Service without a selector.
func addressTargets(f flow.Flow, m *manifest.Match) []flow.Flow {
	if f.Lookup { // a lookup has no address
		return []flow.Flow{f}
	}
	var flows []flow.Flow
	ports := endpointPorts(m, f)
	for _, a := range m.Addresses {
		isOther := a.Protocol != f.Protocol || len(ports) > 0 && !slices.Contains(ports, a.Port)
		if a.Port != 0 && isOther {
			continue
		}
		g := f
		g.Destination = behind(f.Destination, a.Addr)
		if a.Port != 0 {
			g.Port = a.Port
		}
		flows = append(flows, g)
	}
	if len(flows) > 0 {
		return flows
	}
	// No address has the port, or the flow has none. The addresses are still the destination.
	service := f.Destination
	for _, a := range m.Addresses {
		f.Destination = behind(service, a.Addr)
		if !slices.ContainsFunc(flows, f.Equal) {
			flows = append(flows, f)
		}
	}
	if len(flows) > 0 {
		return flows
	}
	return []flow.Flow{f}
}

// endpointPorts returns the ports of its Endpoints to which a Service without a selector sends a flow. It returns none
// if they are unknown.
func endpointPorts(m *manifest.Match, f flow.Flow) []uint16 {
	ports, err := m.TargetPorts(f.Port, f.Protocol)
	has := func(a manifest.Address) bool { return a.Protocol == f.Protocol && slices.Contains(ports, a.Port) }
	if err != nil || !slices.ContainsFunc(m.Addresses, has) {
		return nil
	}
	return ports
}
