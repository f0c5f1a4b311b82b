// Package endpoint says who is at the other end of an address: it turns a connecting process, a destination address
// and port and the DNS name that was asked for into a [flow.Endpoint].
//
// It refuses to guess and to ask the network: it resolves no name in either direction, opens no connection and enters
// no namespace. What it cannot name stays an address, so that it is seen. It reads /proc as it is now, so a server that
// was gone before its first flow was looked at is known only if the kernel saw it bind ([Query].Bound). Network
// namespaces are those of whole processes: a thread that left its process's namespace is not told apart. On other
// systems than Linux the package compiles and knows options, DNS names and addresses, but no processes.
package endpoint

import (
	"net/netip"

	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// Query is one destination and who connected to it.
type Query struct {
	PID      int // the connecting process as this process sees it; 0 where unknown
	Protocol flow.Protocol
	Addr     netip.Addr
	Port     uint16
	Name     string  // the DNS name that the workload asked for, "" where it asked for none
	Bound    []Owner // the processes that the kernel saw binding to this address and port, newest last; may be empty

	// Container says that the process runs in a container: the test process is somebody else to it. OwnNetwork says that
	// it has a network namespace of its own, so that loopback is the container's; else it has this machine's.
	Container, OwnNetwork bool

	// Apart says that the process, which runs in no container, was in another network namespace than the test process when it
	// connected; MaybeApart, that the kernel could not tell.
	Apart, MaybeApart bool
}

// Owner is a process that listens, or has listened, at an address.
type Owner struct {
	PID  int
	Name string // as [ReadProcess] names it; in Query.Bound "" asks for the name of the process that has this PID now
}

// Identity says who is at the other end of a query, and what a policy has to know of it.
type Identity struct {
	Endpoint  flow.Endpoint
	Port      uint16 // by which a policy knows the destination: normally the one that was dialled
	Relation  Relation
	Peer      Peer  // what the user said of it; the zero Peer where Endpoint rests on something else
	Ephemeral bool  // Port is one that this machine gave to whoever asked for any: the next run may well have another
	Local     bool  // the address is one of this machine, as the connecting process sees it
	Listener  Owner // who was found to listen there, whatever Endpoint says; the zero Owner where nobody was
	Test      bool  // Endpoint is the test process, which a container reached
}

// Relation says whether a destination makes a flow.
type Relation uint8

// The relations of a workload to a destination.
const (
	Other         Relation = iota + 1 // somebody else: a flow
	Self                              // the workload talks to itself: never subject to a policy, so no flow
	NobodyListens                     // an address of this machine where nobody listens: no rule can be written, a notice
)

// String returns the relation in words.
func (r Relation) String() string {
	switch r {
	case Other:
		return "other"
	case Self:
		return "self"
	case NobodyListens:
		return "nobody listens"
	}
	return "unknown"
}

// normal returns the address as policies and tables know it: unmapped, without zone, and loopback for the unspecified
// address, because that is where Linux sends what is connected to 0.0.0.0 or [::].
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
