// Package endpoint identifies the destination of a flow: it turns a connecting process, a destination address and port
// and the DNS name that was looked up into a [flow.Endpoint].
//
// It does not guess and does not use the network: it resolves no names, opens no connections and enters no namespaces.
// A destination without a name stays a visible address. It reads the current /proc, so it knows a server that ended
// before its first flow was identified only if the kernel saw it bind ([Query].Bound). Network namespaces are those of
// whole processes; a thread in another namespace than its process is not distinguished. On other systems than Linux the
// package compiles and knows options, DNS names and addresses, but no processes.
package endpoint

import (
	"net/netip"

	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// Query is a destination and the process that connected to it.
type Query struct {
	PID      int // the connecting process as this process sees it; 0 if unknown
	Protocol flow.Protocol
	Addr     netip.Addr
	Port     uint16
	Name     string  // the DNS name that the workload looked up, "" if none
	Bound    []Owner // the processes that the kernel saw binding to this address and port, newest last

	// Container reports that the process runs in a container, so that the test process is a different workload.
	// OwnNetwork reports that it has its own network namespace, so that loopback is the container's; otherwise it uses
	// this machine's.
	Container, OwnNetwork bool

	// OtherNetwork reports that the process runs in no container and was in another network namespace than the test
	// process when it connected. MaybeOtherNetwork reports that the kernel could not determine this.
	OtherNetwork, MaybeOtherNetwork bool
}

// Owner is a process that listens, or listened, at an address.
type Owner struct {
	PID  int
	Name string // as in [ReadProcess]; "" in Query.Bound stands for the current name of the process PID
}

// Identity is the destination of a query, with the facts that a policy needs.
type Identity struct {
	Endpoint  flow.Endpoint
	Port      uint16 // the destination's port in a policy: usually the dialed one
	Relation  Relation
	Peer      Peer  // the user's option for it; the zero Peer if Endpoint has another source
	Ephemeral bool  // the kernel chose Port for a process that requested any: the next run may get another one
	Local     bool  // the address is local to this machine, as the connecting process sees it
	Listener  Owner // the process that listens there, whatever Endpoint is; the zero Owner if none was found
	Hidden    bool  // a process listens there, and this process may not see which: Listener is zero
	Test      bool  // Endpoint is the test process, reached from a container

	// ListenerCgroup is the ID of the cgroup in which a hidden listener made its socket; 0 if it is not known.
	ListenerCgroup uint64
}

// Relation says whether a destination is a flow.
type Relation uint8

// The relations of a workload to a destination.
const (
	Other      Relation = iota + 1 // another workload: a flow
	Self                           // the same workload: never subject to a policy, so no flow
	NoListener                     // a local address without a listener: no rule can be written, only a notice
)

// String returns the relation for messages.
func (r Relation) String() string {
	switch r {
	case Other:
		return "other"
	case Self:
		return "self"
	case NoListener:
		return "no listener"
	}
	return "unknown"
}

// normal returns an address in the form of policies and tables: unmapped, without zone, and loopback for the
// unspecified address, because Linux connects 0.0.0.0 and [::] to loopback.
func normal(a netip.Addr) netip.Addr {
	a = a.Unmap().WithZone("")
	if !a.IsUnspecified() {
		return a
	}
	if a.Is4() {
		return netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	return netip.IPv6Loopback()
}
