package check

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"strings"

	"github.com/netzero-dev/netzero/golden"
	"github.com/netzero-dev/netzero/internal/endpoint"
	"github.com/netzero-dev/netzero/internal/enforce"
	"github.com/netzero-dev/netzero/internal/placement"
	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/internal/recording"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// Enforcement compiles the committed policies of a golden file to tables for the kernel. It is safe for concurrent use.
type Enforcement struct {
	options Options
	file    *golden.File
}

// ReadEnforcement reads the golden file at o.Golden. Of the options it also needs Package, File and Placement. The error
// matches [fs.ErrNotExist] if there is no file.
func ReadEnforcement(o Options) (*Enforcement, error) {
	file, err := o.read()
	if err != nil {
		return nil, err
	}
	if file == nil {
		return nil, fmt.Errorf("%s: %w", o.relativeGolden(), fs.ErrNotExist)
	}
	return &Enforcement{o, file}, nil
}

// Test returns what the test process may reach. labels are those of the option Labels. With the option Driver it may
// reach everything.
//
// The error says which part of which policy the kernel cannot enforce, with its line, or what the manifests do not say.
func (e *Enforcement) Test(labels map[string]string) (enforce.Table, error) {
	if e.options.Placement.Ignored.Driver {
		return enforce.Table{Unrestricted: true}, nil
	}
	p := e.options.Placement
	return e.table(recording.Workload{Name: p.Workload, Namespace: p.Namespace, Labels: labels})
}

// Container returns what a container of a workload may reach. The errors are those of Test.
func (e *Enforcement) Container(workload, namespace string) (enforce.Table, error) {
	return e.table(recording.Workload{Name: workload, Namespace: namespace, AllTraffic: true})
}

// table returns what a workload may reach.
func (e *Enforcement) table(w recording.Workload) (enforce.Table, error) {
	placed, err := placement.Place(recording.Recording{Workloads: []recording.Workload{w}}, e.options.Placement)
	if err != nil {
		return enforce.Table{}, err
	}
	if len(placed.Scope.Subjects) == 0 { // it stands for something other than pods, which has no policy
		return enforce.Table{Unrestricted: true}, nil
	}
	c := compiling{options: e.options.Placement, from: w}
	scope := placed.Scope
	scope.Peers = append(scope.Peers, c.peers()...)
	d := dialectFor(e.options.dialect(), scope)
	c.reach, err = d.Reach(e.file.Policies, scope.Subjects[0].Workload)
	switch {
	case err != nil:
		return enforce.Table{}, e.locate(err)
	case c.reach.Unrestricted:
		return c.reach.Table, nil
	}
	table, err := c.table()
	if err != nil {
		return enforce.Table{}, e.locate(err)
	}
	return table, nil
}

// locate adds the place in the golden file to an error of a dialect.
func (e *Enforcement) locate(err error) error {
	place := e.options.relativeGolden()
	var part *policy.NotEnforceableError
	if errors.As(err, &part) {
		if line := e.file.Line(part.Namespace, part.Policy, part.Field); line > 0 {
			place += fmt.Sprintf(":%d", line)
		}
	}
	return fmt.Errorf("Enforce: %s: %w", place, err)
}

// compiling completes the reach of one workload with what manifests and options say.
type compiling struct {
	options placement.Options
	from    recording.Workload
	reach   policy.Reach
}

func (c compiling) table() (enforce.Table, error) {
	ignored, err := ignoredTable(c.options.Ignored)
	if err != nil {
		return enforce.Table{}, err
	}
	table, err := enforce.Merge(c.reach.Table, ignored)
	if err != nil {
		return enforce.Table{}, err
	}
	table.Workload, table.Workloads = c.workload, enforce.Join(c.reach.Workloads, c.unselectable())
	table.APIServer = c.portsAt(flow.ClusterAPIServer, apiServerPorts)
	return table, nil
}

// unselectable returns the ports of the manifests' workloads that no selector matches.
func (c compiling) unselectable() []enforce.PortRange {
	if c.options.Manifests == nil {
		return nil
	}
	var lists [][]enforce.PortRange
	for _, o := range c.options.Manifests.Objects() {
		m, err := c.options.Manifests.Find(o.Name, o.Namespace)
		if err == nil && (m.HostNetwork || len(m.Selector) == 0) {
			lists = append(lists, c.workload(o.Name, o.Namespace))
		}
	}
	return enforce.Join(lists...)
}

// apiServerPorts are the ports that clients of the API server dial.
var apiServerPorts = []enforce.PortRange{
	{Protocol: flow.TCP, First: 443, Last: 443}, {Protocol: flow.TCP, First: 6443, Last: 6443},
	{Protocol: flow.TCP, First: 8443, Last: 8443},
}

// peers returns the workloads of the manifests.
func (c compiling) peers() []policy.Workload {
	if c.options.Manifests == nil {
		return nil
	}
	var all []policy.Workload
	for _, o := range c.options.Manifests.Objects() {
		f := flow.Flow{Destination: flow.Endpoint{Kind: flow.Workload, Name: o.Name, Namespace: o.Namespace}}
		if placed, err := c.place(f); err == nil {
			all = append(all, placed.Scope.Peers...)
		}
	}
	return all
}

// place returns the place of a flow of the workload in the cluster.
func (c compiling) place(f flow.Flow) (placement.Placement, error) {
	f.Source = flow.Endpoint{Kind: flow.Workload, Name: c.from.Name, Namespace: c.from.Namespace}
	return placement.Place(
		recording.Recording{Workloads: []recording.Workload{c.from}, Flows: []flow.Flow{f}}, c.options,
	)
}

// workload implements [enforce.Table].Workload. A workload with several meanings in the manifests is allowed nothing:
// the recording fails too.
func (c compiling) workload(name, namespace string) []enforce.PortRange {
	to := flow.Endpoint{Kind: flow.Workload, Name: name, Namespace: namespace}
	var translated []enforce.PortRange
	if c.options.Manifests != nil {
		if m, err := c.options.Manifests.Find(name, namespace); err == nil {
			for _, p := range m.Translated() {
				translated = append(translated, enforce.PortRange{Protocol: p.Protocol, First: p.Number, Last: p.Number})
			}
		}
	}
	return c.portsAt(to, enforce.Join(translated))
}

// portsAt returns the ports at which a destination is allowed, as clients dial them. The manifests may translate some.
func (c compiling) portsAt(to flow.Endpoint, translated []enforce.PortRange) []enforce.PortRange {
	ports := enforce.Subtract(c.portsOf(to, untranslated(translated)), translated)
	for _, r := range translated {
		for port := int(r.First); port <= int(r.Last); port++ {
			at := enforce.PortRange{Protocol: r.Protocol, First: uint16(port), Last: uint16(port)}
			if enforce.Contains(c.portsOf(to, at), r.Protocol, at.First) {
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

// portsOf returns the ports that are allowed where a flow to one port leads. If that is another port, only the one is
// returned.
func (c compiling) portsOf(to flow.Endpoint, at enforce.PortRange) []enforce.PortRange {
	placed, err := c.place(flow.Flow{Destination: to, Protocol: at.Protocol, Port: at.First})
	if err != nil {
		return nil
	}
	ports := enforce.Everything() // if an option leaves it out
	for _, f := range placed.Flows {
		open := c.portsTo(f.Destination)
		if f.Port != at.First {
			if !enforce.Contains(open, f.Protocol, f.Port) {
				return nil
			}
			open = []enforce.PortRange{at}
		}
		ports = enforce.Intersect(ports, open)
	}
	return ports
}

// portsTo returns the ports at which the rules allow an endpoint in the cluster.
func (c compiling) portsTo(e flow.Endpoint) []enforce.PortRange {
	switch e.Kind {
	case flow.External: // the host of a Service of type ExternalName
		return enforce.Join(c.reach.PortsOfName(e.Name), c.reach.PortsOfAddress(netip.IPv4Unspecified()))
	case flow.Address:
		return c.reach.PortsOfAddress(e.Addr)
	}
	return c.reach.Ports(e)
}

// ignoredTable returns a table of the destinations that the option Ignore leaves out. The error is a
// [*enforce.LimitError].
func ignoredTable(ignored endpoint.Ignored) (enforce.Table, error) {
	var b enforce.Builder
	for _, d := range ignored.Destinations {
		ports := enforce.Everything()
		if port := d.Port(); port != 0 {
			ports = nil
			for _, protocol := range []flow.Protocol{flow.TCP, flow.UDP, flow.SCTP, flow.UDPLite} {
				ports = append(ports, enforce.PortRange{Protocol: protocol, First: port, Last: port})
			}
		}
		if network, ok := d.Network(); ok {
			b.Allow(enforce.Block{Prefix: network}, ports)
			b.AllowName(enforce.EveryName)
		}
		host, below := d.Host()
		switch {
		case below:
			b.AllowName(enforce.Name{Host: host, Match: enforce.AnyLabels, Ports: ports})
		case host == "", ignored.Driver && d.IsNameWithPort() && !strings.Contains(host, "."):
		default:
			b.AllowName(enforce.Name{Host: host, Ports: ports})
		}
	}
	return b.Table()
}
