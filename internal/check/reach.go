package check

import (
	"errors"
	"fmt"
	"slices"

	"github.com/netzero-dev/netzero/golden"
	"github.com/netzero-dev/netzero/internal/enforce"
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

// ReadReach reads the golden file of a test. labels are those of the test's workload, if the user set them. The error is
// an [fs.ErrNotExist] if there is no file.
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

// Test returns what the test process may reach. The error names the place in the file of what the kernel cannot enforce.
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
	p := place{options: r.options.Placement, subject: w}
	scope, err := p.scope()
	if err != nil {
		return enforce.Table{}, err
	}
	if len(scope.Subjects) == 0 { // it stands for something other than pods
		return policy.Unrestricted().Table, nil
	}
	d := dialectFor(r.options.dialect(), scope)
	reach, err := d.Reach(r.file.Policies, scope.Subjects[0].Workload)
	var where *policy.NotEnforceableError
	if errors.As(err, &where) {
		return enforce.Table{}, r.locate(where)
	}
	if err != nil {
		return enforce.Table{}, fmt.Errorf("%s: %w", r.options.relativeGolden(), err)
	}
	evaluate := d.Evaluator(r.file.Policies)
	reach.Table.Workload = func(name, namespace string) []enforce.PortRange {
		return p.ports(name, namespace, reach, evaluate)
	}
	return reach.Table, nil
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

// place finds the workloads that a subject may reach in the cluster.
type place struct {
	options placement.Options
	subject recording.Workload
}

// scope returns the scope of the subject with all workloads of the manifests.
func (p place) scope() (policy.Scope, error) {
	var flows []flow.Flow
	if p.options.Manifests != nil {
		for _, o := range p.options.Manifests.Objects() {
			flows = append(flows, p.flow(o.Name, o.Namespace, flow.TCP, 1))
		}
	}
	placed, err := placement.Place(recording.Recording{Workloads: []recording.Workload{p.subject}, Flows: flows}, p.options)
	var ambiguous *recording.OptionError
	if errors.As(err, &ambiguous) { // the test fails if it uses such a name
		err = nil
	}
	return placed.Scope, err
}

// flow returns a flow of the subject to a workload.
func (p place) flow(name, namespace string, protocol flow.Protocol, port uint16) flow.Flow {
	return flow.Flow{
		Source:      flow.Endpoint{Kind: flow.Workload, Name: p.subject.Name, Namespace: p.subject.Namespace},
		Destination: flow.Endpoint{Kind: flow.Workload, Name: name, Namespace: namespace, Evidence: flow.ByDNS},
		Protocol:    protocol, Port: port, Count: 1,
	}
}

// ports returns the ports at which a workload may be dialled: those of its pods, and those of a Service that stand for
// them.
func (p place) ports(
	name, namespace string, reach policy.Reach, evaluate func(flow.Flow) policy.Verdict,
) []enforce.PortRange {
	var ports [][]enforce.PortRange
	for _, f := range p.targets(p.flow(name, namespace, flow.TCP, 1)) {
		ports = append(ports, reach.Ports(f.Destination))
	}
	for _, dialled := range p.servicePorts(name, namespace) {
		targets := p.targets(p.flow(name, namespace, dialled.Protocol, dialled.First))
		isDenied := func(f flow.Flow) bool {
			v := evaluate(f)
			return v.Outcome == policy.Denied && v.Direction == policy.Egress
		}
		if len(targets) > 0 && !slices.ContainsFunc(targets, isDenied) {
			ports = append(ports, []enforce.PortRange{dialled})
		}
	}
	return enforce.Join(ports...)
}

// targets returns a flow in the cluster: one flow or several, or none if its destination is ambiguous.
func (p place) targets(f flow.Flow) []flow.Flow {
	recorded := recording.Recording{Workloads: []recording.Workload{p.subject}, Flows: []flow.Flow{f}}
	placed, err := placement.Place(recorded, p.options)
	if err != nil {
		return nil
	}
	return placed.Flows
}

// servicePorts returns the ports of the Services with a name.
func (p place) servicePorts(name, namespace string) (ports []enforce.PortRange) {
	if p.options.Manifests == nil {
		return nil
	}
	for _, o := range p.options.Manifests.Objects() {
		if o.Name != name || namespace != "" && o.Namespace != "" && o.Namespace != namespace {
			continue
		}
		for _, port := range o.Ports {
			ports = append(ports, enforce.PortRange{Protocol: port.Protocol, First: port.Number, Last: port.Number})
		}
	}
	return ports
}
