package placement

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/netzero-dev/netzero/internal/endpoint"
	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/internal/recording"
	"github.com/netzero-dev/netzero/internal/urlpath"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// Recorded returns the options as a recording's file holds them. Workload, Namespace and the manifests are not among
// them.
func (o Options) Recorded() recording.Options {
	v := recording.Options{
		Cilium: o.Cilium, FoldNames: o.Rules.Fold, Binaries: o.Rules.Binaries, CloseIngress: o.Rules.CloseIngress,
		DefaultDeny: o.Rules.DenyAll, ClusterDomains: o.ClusterDomains, Driver: o.Ignored.Driver,
		Requests: o.Rules.Requests, FoldPaths: o.Rules.FoldPaths,
	}
	for _, r := range o.Rules.Ranges {
		v.Ports = append(v.Ports, r.String())
	}
	for _, r := range o.Rules.Resolvers {
		resolver := recording.Resolver{Namespace: r.Namespace, Labels: r.Labels, Ports: r.Ports}
		if r.Addresses.IsValid() {
			resolver.Addresses = r.Addresses.String()
		}
		v.Resolvers = append(v.Resolvers, resolver)
	}
	for _, d := range o.Ignored.Destinations {
		v.Ignore = append(v.Ignore, d.String())
	}
	return v
}

// FromRecorded is the inverse of [Options.Recorded]. The error says which value is not valid.
func FromRecorded(v recording.Options) (Options, error) {
	o := Options{
		Cilium: v.Cilium, ClusterDomains: slices.Clone(v.ClusterDomains), Ignored: endpoint.Ignored{Driver: v.Driver},
		Rules: policy.Scope{
			Fold: slices.Clone(v.FoldNames), Binaries: v.Binaries, CloseIngress: v.CloseIngress, DenyAll: v.DefaultDeny,
			Requests: v.Requests, FoldPaths: slices.Clone(v.FoldPaths),
		},
	}
	for _, pattern := range v.FoldNames {
		if err := policy.CheckFold(pattern); err != nil {
			return Options{}, fmt.Errorf("pattern %q: %w", pattern, err)
		}
	}
	for _, pattern := range v.FoldPaths {
		if err := urlpath.CheckFold(pattern); err != nil {
			return Options{}, fmt.Errorf("path %q: %w", pattern, err)
		}
	}
	for _, text := range v.Ports {
		if err := o.AddPorts(text); err != nil {
			return Options{}, fmt.Errorf("ports %q: %w", text, err)
		}
	}
	for _, r := range v.Resolvers {
		resolver := policy.Resolver{Namespace: r.Namespace, Labels: maps.Clone(r.Labels), Ports: slices.Clone(r.Ports)}
		if r.Addresses != "" {
			var err error
			if resolver.Addresses, err = netip.ParsePrefix(r.Addresses); err != nil {
				return Options{}, fmt.Errorf("resolver: %w", err)
			}
		}
		o.Rules.Resolvers = append(o.Rules.Resolvers, resolver)
	}
	for _, address := range v.Ignore {
		ignore, err := endpoint.ParseIgnore(address)
		if err != nil {
			return Options{}, err
		}
		o.Ignored.Destinations = append(o.Ignored.Destinations, ignore)
	}
	return o, nil
}

// FromFile returns the place in the cluster that a recording's file holds, for the options of its test. The error is
// that of [recording.File.Validate].
func FromFile(v recording.File, o Options) (Placement, error) {
	flows, err := recording.ToFlows(v.Placed.Flows)
	if err != nil {
		return Placement{}, err
	}
	if len(v.Placed.Origins) == len(flows) {
		addProcesses(flows, v.Recording.Flows, v.Placed.Origins)
	}
	scope := o.Rules
	scope.Namespaces = v.Placed.Namespaces
	subjects, err := fromWorkloads(v.Placed.Workloads)
	if err != nil {
		return Placement{}, err
	}
	for i, w := range subjects {
		scope.Subjects = append(scope.Subjects, policy.Subject{Workload: w, AllTraffic: v.Placed.Workloads[i].AllTraffic})
	}
	if scope.Peers, err = fromWorkloads(v.Placed.Peers); err != nil {
		return Placement{}, err
	}
	scope.Addresses = policy.AddressesOf(flows)
	ephemeral, err := recording.ToEphemeralPorts(v.Placed.EphemeralPorts)
	ephemeral = slices.DeleteFunc(ephemeral, func(p recording.EphemeralPort) bool { return o.IsFixedPort(p.Flow) })
	return Placement{Flows: flows, Scope: scope, Notices: slices.Clone(v.Placed.Notices), EphemeralPorts: ephemeral}, err
}

// addProcesses adds to flows of a placement the processes of the recorded flows from which they come.
func addProcesses(flows, recorded []flow.Flow, origins []int) {
	for i, at := range origins {
		if at >= 0 {
			flows[i].Process, flows[i].First, flows[i].Named = recorded[at].Process, recorded[at].First, recorded[at].Named
		}
	}
}

// Origins returns for each flow of a placement the index of the recorded flow whose process and time it has, or -1 if
// there is none. Command lines may differ, because those of recordings that are written have no secrets.
//
// A placement changes the ends and the port of a flow, and may unite several. It never changes how a flow was opened,
// so that is what identifies the recorded flow.
func Origins(placed, recorded []flow.Flow) []int {
	type opened struct {
		first    time.Duration
		named    string
		dialled  uint16
		protocol flow.Protocol
		icmpType uint8
		pid      int
	}
	key := func(f flow.Flow) opened {
		return opened{f.First, f.Named, f.Dialled, f.Protocol, f.ICMPType, f.Process.PID}
	}
	candidates := make(map[opened][]int)
	for i, f := range recorded {
		candidates[key(f)] = append(candidates[key(f)], i)
	}
	var origins []int
	for _, f := range placed {
		origin := -1
		for _, i := range candidates[key(f)] {
			if isSame(recorded[i].Process, f.Process) {
				origin = i
				break
			}
		}
		origins = append(origins, origin)
	}
	return origins
}

// isSame reports whether two processes are equal but for their command lines.
func isSame(p, q flow.Process) bool {
	p.Command, p.Exec, q.Command, q.Exec = "", "", "", ""
	return p.Equal(q)
}

// fromWorkloads returns the workloads of a placement.
func fromWorkloads(recorded []recording.Workload) ([]policy.Workload, error) {
	var all []policy.Workload
	for _, v := range recorded {
		w := policy.Workload{Name: v.Name, Namespace: v.Namespace, Labels: v.PodLabels, Selector: v.Labels}
		if len(v.Service.Labels) > 0 {
			w.Own, w.OwnLabels = v.Labels, v.PodLabels
			w.Selector, w.Labels = v.Service.Labels, v.Service.PodLabels
		}
		for _, p := range v.Ports {
			protocol, err := recording.ToProtocol(p.Protocol)
			if err != nil {
				return nil, fmt.Errorf("workload %s: port %s: %w", v.Name, p.Name, err)
			}
			w.Ports = append(w.Ports, policy.Port{Name: p.Name, Number: p.Number, Protocol: protocol})
		}
		all = append(all, w)
	}
	return all, nil
}
