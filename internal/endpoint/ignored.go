package endpoint

import (
	"fmt"
	"slices"

	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// Ignored is the set of destinations that the option Ignore excludes from the policy.
type Ignored struct {
	Destinations []Ignore

	// Driver reports that the test process is not a workload. The name of a container with a port then stands for the
	// flows of the test process only: a driver that inspects a database is not one of its clients, and the services are.
	Driver bool
}

// Has reports whether a flow is left out.
func (i Ignored) Has(f flow.Flow) bool {
	return slices.ContainsFunc(i.Destinations, func(d Ignore) bool {
		if i.Driver && d.IsNameWithPort() && f.Destination.Evidence == flow.ByContainer &&
			f.Source.Kind != flow.Anyone {
			return false
		}
		return slices.ContainsFunc(namesOf(f.Destination), func(name string) bool {
			return d.Match(f.Destination.Addr, f.Port, name)
		})
	})
}

// Without returns the flows that are not left out.
func (i Ignored) Without(flows []flow.Flow) []flow.Flow {
	return slices.DeleteFunc(slices.Clone(flows), i.Has)
}

// namesOf returns the names by which an option may refer to an endpoint.
func namesOf(e flow.Endpoint) []string {
	if e.Kind != flow.APIServer {
		return []string{e.Name}
	}
	name := e.Name + "." + flow.ClusterAPIServer.Namespace
	return []string{e.Name, name, name + ".svc", name + ".svc.cluster.local"}
}

// Ignore is a set of destinations that the user excludes from the policy.
type Ignore struct{ Pattern }

// ParseIgnore parses one address of the option Ignore: host:port, an IP address, a CIDR or a DNS name, each with or
// without a port. "*.example.com" matches every name with one or more labels before ".example.com".
func ParseIgnore(address string) (Ignore, error) {
	p, err := parsePattern(address)
	if err != nil {
		return Ignore{}, fmt.Errorf("parse Ignore(%q): address %w", address, err)
	}
	return Ignore{p}, nil
}

// IsNameWithPort reports whether the set is a single name with a port.
func (i Ignore) IsNameWithPort() bool { return i.kind == onName && i.port != 0 }
