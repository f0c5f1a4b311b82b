package check

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/netzero-dev/netzero/golden"
	"github.com/netzero-dev/netzero/internal/enforce"
	"github.com/netzero-dev/netzero/internal/manifest"
	"github.com/netzero-dev/netzero/internal/placement"
	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/internal/recording"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// Reach is what a golden file lets the workloads of a test reach, in the form that the kernel enforces.
type Reach struct {
	options Options
	labels  map[string]string
	file    *golden.File
}

// ReadReach reads the golden file of a test. labels are those of the test's workload, if the user set them. The error
// is an [fs.ErrNotExist] if there is no file.
func ReadReach(o Options, labels map[string]string) (*Reach, error) {
	file, err := golden.Read(o.Golden)
	if err != nil {
		return nil, err
	}
	if err := o.otherDialect(file); err != nil {
		return nil, err
	}
	return &Reach{o, labels, file}, nil
}

// Test returns what the test process may reach. The error names the place in the file of what the kernel cannot
// enforce.
func (r *Reach) Test() (enforce.Table, error) {
	p := r.options.Placement
	if p.Ignored.Driver {
		return policy.Unrestricted().Table, nil
	}
	return r.table(recording.Workload{Name: p.Workload, Namespace: p.Namespace, Labels: r.labels})
}

// Container returns the same for a container. The namespace is empty if it is not known.
func (r *Reach) Container(name, namespace string) (enforce.Table, error) {
	return r.table(recording.Workload{Name: name, Namespace: namespace, AllTraffic: true})
}

// Objects returns the names of the Services and workloads in the manifests, and those of the pods in the policies.
func (r *Reach) Objects() []flow.Endpoint {
	var all []flow.Endpoint
	for _, p := range r.file.Policies {
		all = append(all, podsNamedIn(p)...)
	}
	if set := r.options.Placement.Manifests; set != nil {
		for _, o := range set.Objects() {
			all = append(all, flow.Endpoint{Kind: flow.Workload, Name: o.Name, Namespace: o.Namespace})
		}
	}
	slices.SortFunc(all, flow.Endpoint.Compare)
	return slices.CompactFunc(all, func(a, b flow.Endpoint) bool { return a.Compare(b) == 0 })
}

// table returns what a workload may reach.
func (r *Reach) table(w recording.Workload) (enforce.Table, error) {
	p := reachable{options: r.options.Placement, subject: w}
	scope, err := p.scope()
	if err != nil {
		return enforce.Table{}, err
	}
	if len(scope.Subjects) == 0 { // it stands for something other than pods
		return policy.Unrestricted().Table, nil
	}
	d := dialectFor(r.options.dialect(), scope)
	p.reach, err = d.Reach(r.file.Policies, scope.Subjects[0].Workload)
	var where *policy.NotEnforceableError
	switch {
	case errors.As(err, &where):
		return enforce.Table{}, r.locate(where)
	case err != nil:
		return enforce.Table{}, fmt.Errorf("%s: %w", r.options.relativeGolden(), err)
	case p.reach.Unrestricted:
		return p.reach.Table, nil
	}
	table := p.reach.Table
	table.Workload, table.Workloads = p.workload, enforce.Join(table.Workloads, p.unselectable())
	table.APIServer = p.dialled(flow.ClusterAPIServer, apiServerPorts)
	return table, nil
}

// locate adds the place of a policy to an error.
func (r *Reach) locate(err *policy.NotEnforceableError) error {
	path := r.options.relativeGolden()
	for _, p := range r.file.Policies {
		if p.GetName() != err.Policy || p.GetNamespace() != err.Namespace {
			continue
		}
		if line := r.file.Line(p, err.Field); line > 0 {
			path = fmt.Sprintf("%s:%d", path, line)
		}
	}
	return fmt.Errorf("%s: %w", path, err)
}

// reachable finds the ports of workloads as a subject dials them. The manifests may translate a port.
type reachable struct {
	options placement.Options
	subject recording.Workload
	reach   policy.Reach
}

// scope returns the scope of the subject with all workloads of the manifests, but those with ambiguous names: the test
// fails if it uses one.
func (p reachable) scope() (policy.Scope, error) {
	if _, err := p.place(); err != nil {
		return policy.Scope{}, err
	}
	var flows []flow.Flow
	for _, e := range p.objects() {
		flows = append(flows, p.flow(e, enforce.PortRange{Protocol: flow.TCP, First: 1}))
	}
	placed, _ := p.place(flows...)
	placed.Scope.Addresses = nil // those of the recording are not known yet
	return placed.Scope, nil
}

// objects returns the Services and workloads in the manifests.
func (p reachable) objects() []flow.Endpoint {
	if p.options.Manifests == nil {
		return nil
	}
	var all []flow.Endpoint
	for _, o := range p.options.Manifests.Objects() {
		all = append(all, flow.Endpoint{Kind: flow.Workload, Name: o.Name, Namespace: o.Namespace})
	}
	return all
}

// flow returns a flow of the subject to a port.
func (p reachable) flow(to flow.Endpoint, at enforce.PortRange) flow.Flow {
	to.Evidence = flow.ByDNS
	return flow.Flow{
		Source:      flow.Endpoint{Kind: flow.Workload, Name: p.subject.Name, Namespace: p.subject.Namespace},
		Destination: to, Protocol: at.Protocol, Port: at.First, Count: 1,
	}
}

// place returns the place of flows in the cluster.
func (p reachable) place(flows ...flow.Flow) (placement.Placement, error) {
	return placement.Place(
		recording.Recording{Workloads: []recording.Workload{p.subject}, Flows: flows}, p.options,
	)
}

// unselectable returns the ports of the manifests' workloads that no selector matches. A Service without a selector
// counts with the ports that it has, because any other also leads to its addresses.
func (p reachable) unselectable() []enforce.PortRange {
	var ports [][]enforce.PortRange
	for _, e := range p.objects() {
		m, err := p.options.Manifests.Find(e.Name, e.Namespace)
		switch {
		case err != nil:
		case len(m.Addresses) > 0:
			ports = append(ports, enforce.Intersect(p.workload(e.Name, e.Namespace), portsOfAddresses(m)))
		case m.HostNetwork, len(m.Selector) == 0:
			ports = append(ports, p.workload(e.Name, e.Namespace))
		}
	}
	return enforce.Join(ports...)
}

// portsOfAddresses returns the ports of a Service without a selector, and those of its addresses.
func portsOfAddresses(m manifest.Match) []enforce.PortRange {
	ports := rangesOf(m.Translated())
	for _, a := range m.Addresses {
		if a.Port != 0 {
			ports = append(ports, enforce.PortRange{Protocol: a.Protocol, First: a.Port, Last: a.Port})
		}
	}
	return enforce.Join(ports)
}

func rangesOf(ports []manifest.Port) []enforce.PortRange {
	var ranges []enforce.PortRange
	for _, p := range ports {
		ranges = append(ranges, enforce.PortRange{Protocol: p.Protocol, First: p.Number, Last: p.Number})
	}
	return enforce.Join(ranges)
}

// workload implements [enforce.Table].Workload. A name with several meanings in the manifests has no ports: the test
// fails if it uses one.
func (p reachable) workload(name, namespace string) []enforce.PortRange {
	to := flow.Endpoint{Kind: flow.Workload, Name: name, Namespace: namespace}
	if p.options.Manifests == nil {
		return p.reach.Ports(to)
	}
	var translated []enforce.PortRange
	if m, err := p.options.Manifests.Find(name, namespace); err == nil {
		translated = rangesOf(m.Translated())
	}
	return p.dialled(to, translated)
}

// apiServerPorts are those that clients of the API server dial, for which the manifests may have another one.
var apiServerPorts = []enforce.PortRange{
	{Protocol: flow.TCP, First: 443, Last: 443}, {Protocol: flow.TCP, First: 6443, Last: 6443},
	{Protocol: flow.TCP, First: 8443, Last: 8443},
}

// dialled returns the allowed ports of a destination. translated are those for which the manifests may have others.
func (p reachable) dialled(to flow.Endpoint, translated []enforce.PortRange) []enforce.PortRange {
	ports := enforce.Subtract(p.portsBehind(to, untranslated(translated)), translated)
	for _, r := range translated {
		for port := int(r.First); port <= int(r.Last); port++ {
			at := enforce.PortRange{Protocol: r.Protocol, First: uint16(port), Last: uint16(port)}
			if enforce.Contains(p.portsBehind(to, at), at.Protocol, at.First) {
				ports = enforce.Join(ports, []enforce.PortRange{at})
			}
		}
	}
	return ports
}

// untranslated returns a port that the manifests do not translate.
func untranslated(translated []enforce.PortRange) enforce.PortRange {
	at := enforce.PortRange{Protocol: flow.TCP, First: 1, Last: 1}
	for enforce.Contains(translated, at.Protocol, at.First) {
		at.First, at.Last = at.First+1, at.Last+1
	}
	return at
}

// portsBehind returns the ports that are allowed where a flow to one port leads. If that is another port, it returns
// all ports of the protocol, or none.
func (p reachable) portsBehind(to flow.Endpoint, at enforce.PortRange) []enforce.PortRange {
	placed, err := p.place(p.flow(to, at))
	if err != nil {
		return nil
	}
	ports := enforce.Everything() // if an option leaves it out
	for _, f := range placed.Flows {
		open := p.portsTo(f.Destination)
		if f.Port != at.First {
			if !enforce.Contains(open, f.Protocol, f.Port) {
				return nil
			}
			open = []enforce.PortRange{{Protocol: at.Protocol, First: 0, Last: 65535}}
		}
		ports = enforce.Intersect(ports, open)
	}
	return ports
}

// portsTo returns the ports at which the rules allow an endpoint in the cluster.
func (p reachable) portsTo(e flow.Endpoint) []enforce.PortRange {
	switch e.Kind {
	case flow.External: // the host of a Service of type ExternalName, which has any address
		return enforce.Join(p.reach.PortsOfName(e.Name), p.reach.PortsOfAddress(netip.IPv4Unspecified()))
	case flow.Address:
		return p.reach.PortsOfAddress(e.Addr)
	}
	return p.reach.Ports(e)
}
