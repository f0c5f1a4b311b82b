// Package enforce holds what one workload may reach, in the form that the kernel compares with each new flow.
//
// A dialect of policies compiles a [Table] from committed policies. The recorder completes it with what the engine says
// about containers, and package probe writes it into the kernel.
package enforce

import (
	"net/netip"

	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// AnyProtocol is the protocol of a range that holds everything: each port of each protocol. It is the only range of its
// list.
const AnyProtocol flow.Protocol = 0

// PortRange is a range of ports of one protocol. For ICMP and ICMPv6 they are the types of requests. A protocol without
// ports, and [AnyProtocol], have the range from 0 to 65535.
type PortRange struct {
	Protocol    flow.Protocol
	First, Last uint16
}

// MaxPorts is the number of ranges that one address, and one name, may have.
const MaxPorts = 32

// Table is what the policies allow one workload to reach.
type Table struct {
	// Unrestricted says that everything is allowed: no policy isolates the workload for egress, and the verdict of its
	// flows does not depend on their destination.
	Unrestricted bool

	// Addresses are the allowed ranges of addresses. The longest prefix that contains an address decides alone, so an
	// exception is a prefix without ports, and a nested range repeats the ports of the ranges around it. IPv4 prefixes
	// are not mapped to IPv6. Each list is sorted, without overlaps, and has at most MaxPorts ranges.
	Addresses map[netip.Prefix][]PortRange
	// Names are the allowed DNS names, sorted by Host and Match, without duplicates. The most specific one decides alone:
	// an exact one, then the one with the longest Host, and of two with one Host that with the lower Match. So it repeats
	// the ports of the others that stand for the same names. Which of its addresses a name may have is judged when the
	// test ends.
	Names []Name

	// Workload returns the ports at which the rules with selectors allow a workload of the cluster. namespace is empty if
	// it is not known.
	Workload func(name, namespace string) []PortRange
	// Workloads are all ports at which such rules allow any workload. The address of a pod is known only once it runs,
	// so flows to addresses of containers are held against these ports, and judged when the test ends.
	Workloads []PortRange
	// APIServer are the ports at which the rules allow the cluster's API server, and Host those of the node.
	APIServer, Host []PortRange
}

// Match is what a [Name] stands for.
type Match uint8

// The kinds of names.
const (
	Exact     Match = iota // the host itself
	OneLabel               // "example.com" stands for one.example.com
	AnyLabels              // "example.com" stands for one.example.com and two.one.example.com, and "" for every name
)

// Name is a DNS name, or all names below one.
type Name struct {
	Host  string // lower case, without the final dot
	Match Match
	// Ports are the allowed ports of the addresses that the name has. None: it may only be looked up.
	Ports []PortRange
}
