package policy

import (
	"fmt"

	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// PortRange is a range of ports of pods that listen at another port of the range in each run.
type PortRange struct {
	Name        string // of the workload
	Namespace   string // of the workload; empty is any
	First, Last uint16 // inclusive; equal for a single port
	Protocol    flow.Protocol
}

// String returns the range as the option Ports takes it: "ftp:30000-30009/TCP", "orders.shop:50051/TCP".
func (r PortRange) String() string {
	name := r.Name
	if r.Namespace != "" {
		name += "." + r.Namespace
	}
	if r.First == r.Last {
		return fmt.Sprintf("%s:%d/%s", name, r.First, r.Protocol)
	}
	return fmt.Sprintf("%s:%d-%d/%s", name, r.First, r.Last, r.Protocol)
}

// Has reports whether a flow goes to the workload at a port of the range.
func (r PortRange) Has(f flow.Flow) bool {
	to := f.Destination
	return to.Kind == flow.Workload && to.Name == r.Name && (r.Namespace == "" || to.Namespace == r.Namespace) &&
		f.Protocol == r.Protocol && r.First <= f.Port && f.Port <= r.Last
}

// Overlaps reports whether two ranges of one workload have a port in common.
func (r PortRange) Overlaps(o PortRange) bool {
	return r.Name == o.Name && (r.Namespace == o.Namespace || r.Namespace == "" || o.Namespace == "") &&
		r.Protocol == o.Protocol && r.First <= o.Last && o.First <= r.Last
}

// PortsOfFlow returns the first and the last port of a rule for a flow. last is 0 if the rule has a single port.
func (s Scope) PortsOfFlow(f flow.Flow) (first, last uint16) {
	for _, r := range s.Ranges {
		if r.Has(f) && r.First < r.Last {
			return r.First, r.Last
		}
	}
	return f.Port, 0
}

// AtFirstPorts returns the flows with their port replaced by the first of its range, so that flows that share a rule
// have the same port.
func (s Scope) AtFirstPorts(flows []flow.Flow) []flow.Flow {
	if len(s.Ranges) == 0 {
		return flows
	}
	moved := make([]flow.Flow, len(flows))
	for i, f := range flows {
		f.Port, _ = s.PortsOfFlow(f)
		moved[i] = f
	}
	return moved
}
