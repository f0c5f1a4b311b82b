// Package flow holds what a recording saw, as plain values: who sent to whom, over which protocol, to which port.
//
// A test gets its flows from Recording.Flows of package netzerotest and can make assertions on them. An [Endpoint] also
// holds the address and the evidence of one run: compare its [Endpoint.Identity], or its Name. The example shows both.
//
// The package imports only the standard library. It does not decide whether a policy allows a flow.
package flow

import (
	"cmp"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Protocol is an IP protocol number, as assigned by IANA.
type Protocol uint8

// The protocols that have a name in Kubernetes policies or in reports.
const (
	ICMP    Protocol = 1
	TCP     Protocol = 6
	UDP     Protocol = 17
	ICMPv6  Protocol = 58
	SCTP    Protocol = 132
	UDPLite Protocol = 136
)

// String returns the name that Kubernetes and Cilium use ("TCP"), or "IP/47" for a protocol without one.
func (p Protocol) String() string {
	switch p {
	case ICMP:
		return "ICMP"
	case TCP:
		return "TCP"
	case UDP:
		return "UDP"
	case ICMPv6:
		return "ICMPv6"
	case SCTP:
		return "SCTP"
	case UDPLite:
		return "UDP-Lite"
	}
	return "IP/" + strconv.Itoa(int(p))
}

// HasPorts reports whether the protocol has ports that a NetworkPolicy can name.
func (p Protocol) HasPorts() bool { return p == TCP || p == UDP || p == SCTP }

// IsICMP reports whether the protocol is ICMP or ICMPv6.
func (p Protocol) IsICMP() bool { return p == ICMP || p == ICMPv6 }

// Flow is one source that sends to one destination over one protocol and port, however often. Flows are not comparable
// with ==; use [Flow.Equal] for all fields, or [Flow.Compare] for those that a policy sees.
type Flow struct {
	Source      Endpoint
	Destination Endpoint
	Protocol    Protocol
	Port        uint16 // the destination's port; 0 for protocols without ports
	ICMPType    uint8  // of ICMP and ICMPv6, the type of the request: 8 or 128 for an echo; 0 if unknown

	Count   uint64        // connection attempts (TCP) or datagrams (all other protocols)
	Refused uint64        // those of Count that the kernel refused, with the option Enforce; policies ignore this field
	First   time.Duration // from the start of the recording to the first of them
	Process Process       // the process that opened the first of them

	// Lookup marks a DNS name that was looked up and has no address. Its Protocol and Port are 0.
	Lookup bool
	// Before marks traffic over a connection that was opened before the recording began. Policies ignore this field.
	Before bool

	// Dialled is the port that the first of them dialled, if it differs from Port: a port that a container publishes, or
	// one that the option Peer stands for. It is 0 otherwise. Policies ignore this field.
	Dialled uint16
	// Named says what gave the destination its name, in more detail than its Evidence: "Peer at shop_test.go:31",
	// "container orders-db-1 (image postgres:17)". It is empty if there is nothing to add. Policies ignore this field.
	Named string

	// Binaries are the file names of all programs that opened the flow, sorted, without duplicates. The test's own binary
	// and unknown programs are left out. A name is cut to 63 bytes; each byte other than ASCII letters, digits and
	// "._+@-" is percent-encoded: "my%20tool".
	Binaries []string

	// Requests are the requests that clients sent over the flow's connections, sorted by [Request.Compare], without
	// duplicates. Only the option Requests records them. A connection over which nothing was sent adds none.
	Requests []Request
	// Opaque says why Requests may lack some of them: "TLS", "opened before the recording". Policies then allow every
	// request. It is empty if the requests of every connection were understood, and without the option Requests.
	Opaque string
}

// Equal reports whether all fields of f and g are equal, counts, times and processes included. A nil slice equals an
// empty one. For flows of different runs [Flow.Compare] is the better choice, since times and process ids differ.
//
// go-cmp calls Equal as well, so its options that ignore single fields of a Flow have no effect.
func (f Flow) Equal(g Flow) bool {
	return f.Source == g.Source && f.Destination == g.Destination && f.Protocol == g.Protocol && f.Port == g.Port &&
		f.ICMPType == g.ICMPType && f.Count == g.Count && f.Refused == g.Refused && f.First == g.First &&
		f.Process.Equal(g.Process) && f.Lookup == g.Lookup && f.Before == g.Before && f.Dialled == g.Dialled &&
		f.Named == g.Named && slices.Equal(f.Binaries, g.Binaries) && slices.Equal(f.Requests, g.Requests) &&
		f.Opaque == g.Opaque
}

// Compare orders flows by source, destination, port, protocol, ICMP type and Lookup. It returns -1, 0 or +1. Flows that
// compare equal may still differ in counts, times, processes, the evidence of their ends and the fields that policies
// ignore.
func (f Flow) Compare(g Flow) int {
	return cmp.Or(
		f.Source.Compare(g.Source),
		f.Destination.Compare(g.Destination),
		cmp.Compare(f.Port, g.Port),
		cmp.Compare(f.Protocol, g.Protocol),
		cmp.Compare(f.ICMPType, g.ICMPType),
		compareBools(g.Lookup, f.Lookup),
	)
}

// Target returns the destination as a person reads it: "orders-db:5432/TCP", "[2001:db8::7]:53/UDP",
// "203.0.113.9/IP/47", "203.0.113.9/ICMP echo request", "api.example.com:*" for a name that was looked up without an
// answer.
func (f Flow) Target() string {
	host := f.Destination.String()
	switch {
	case f.Lookup:
		return host + ":*"
	case f.Protocol.IsICMP():
		return host + "/" + f.Message()
	case !f.Protocol.HasPorts():
		return host + "/" + f.Protocol.String()
	}
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	return host + ":" + strconv.Itoa(int(f.Port)) + "/" + f.Protocol.String()
}

// Kind is the kind of an endpoint. The zero Kind is none of them.
type Kind uint8

// The kinds of endpoint, in the order in which policies list them.
const (
	Workload  Kind = iota + 1 // a workload of the cluster: pods, or a process that stands for them; known by name
	Resolver                  // the cluster's DNS service
	APIServer                 // the cluster's API server; it runs on nodes or outside, so no pod selector matches it
	External                  // a host outside the cluster, by its DNS name
	Address                   // an IP address about which nothing else is known
	Anyone                    // any caller, of a server that the test itself calls (option Driver); only as a source
)

// String returns the kind as reports print it: "workload", "API server"; "unknown" for the zero Kind.
func (k Kind) String() string {
	switch k {
	case Workload:
		return "workload"
	case Resolver:
		return "resolver"
	case APIServer:
		return "API server"
	case External:
		return "external"
	case Address:
		return "address"
	case Anyone:
		return "anyone"
	}
	return "unknown"
}

// Evidence says how the name of an endpoint was found. Policies ignore it.
type Evidence uint8

// The kinds of evidence.
const (
	NoEvidence    Evidence = iota
	ByOption               // the option Peer, or the name of the recording's own workload
	ByListener             // a process of this machine listened at the address
	ByDNS                  // the workload looked up the name before it connected
	ByResolvConf           // the address is a name server of the process's resolv.conf, or a loopback name server
	ByContainer            // a container had the address, or published the port
	ByTLS                  // the TLS server name that the client sent, and for which it had made no DNS query
	ByTLSOuter             // as ByTLS, but the ClientHello may hold another name, encrypted (ECH)
	ByHTTP                 // the Host header of an HTTP/1 request, for which the client had made no DNS query
	ByEnvironment          // the environment of the process holds the address: KUBERNETES_SERVICE_HOST
)

// String returns the evidence as reports print it: "DNS", "TLS server name"; "none" for NoEvidence.
func (e Evidence) String() string {
	switch e {
	case ByOption:
		return "Peer"
	case ByListener:
		return "listening process"
	case ByDNS:
		return "DNS"
	case ByResolvConf:
		return "resolv.conf"
	case ByContainer:
		return "container"
	case ByTLS:
		return "TLS server name"
	case ByTLSOuter:
		return "TLS server name, which may be only the outer one (ECH)"
	case ByEnvironment:
		return "KUBERNETES_SERVICE_HOST"
	case ByHTTP:
		return "HTTP Host header"
	}
	return "none"
}

// Endpoint is one end of a flow. Endpoints are comparable with ==, which compares the address and the evidence too.
type Endpoint struct {
	Kind Kind
	// Name is the name of the workload, or the DNS name in lower case without a trailing dot. An Address has one only if a
	// Service of that name leads to it.
	Name      string
	Namespace string     // the workload's Kubernetes namespace; empty for the namespace of the policy
	Addr      netip.Addr // the address that was used, never IPv4-mapped; the zero Addr for the recording's own workload
	Evidence  Evidence   // how the name was found

	// Node is true for a workload that is not a pod, but a process on the machine on which the other end runs.
	Node bool
	// HostNetwork is true for a workload whose pods use the network of their nodes, so that no selector matches them.
	HostNetwork bool
}

// WorkloadEndpoint returns the [Endpoint.Identity] of a workload in the namespace of the policy, to compare with.
func WorkloadEndpoint(name string) Endpoint { return Endpoint{Kind: Workload, Name: name} }

// ExternalHost returns the [Endpoint.Identity] of a host outside the cluster with public addresses, to compare with.
// The name is a DNS name in lower case without a trailing dot.
func ExternalHost(name string) Endpoint { return Endpoint{Kind: External, Name: name} }

// ClusterResolver is the DNS service of a cluster, by the name and namespace that every common distribution uses.
var ClusterResolver = Endpoint{Kind: Resolver, Name: "kube-dns", Namespace: "kube-system"}

// ClusterAPIServer is the API server, behind the Service that every cluster has.
var ClusterAPIServer = Endpoint{Kind: APIServer, Name: "kubernetes", Namespace: "default"}

// Identity returns the endpoint as a policy sees it, the same in every run: without the evidence, and without the
// address if a selector or a name stands for it. An Address keeps its address. An External host keeps one that is not
// public (see [Public]), because a rule for the internet does not cover it. The API server keeps the address of its
// Service's endpoints, if known.
func (e Endpoint) Identity() Endpoint {
	e.Evidence = NoEvidence
	switch {
	case e.Kind == Anyone:
		return Endpoint{Kind: Anyone}
	case e.Kind == Address, e.Kind == APIServer:
	case e.Kind == External && e.Addr.IsValid() && !Public(e.Addr):
	default:
		e.Addr = netip.Addr{}
	}
	return e
}

// Compare orders endpoints by kind, namespace, name and address; then pods, pods in the host's network, processes of
// the node. It ignores the evidence, and returns -1, 0 or +1.
func (e Endpoint) Compare(f Endpoint) int {
	return cmp.Or(
		cmp.Compare(e.Kind, f.Kind),
		cmp.Compare(e.Namespace, f.Namespace),
		cmp.Compare(e.Name, f.Name),
		e.Addr.Compare(f.Addr),
		compareBools(e.Node, f.Node),
		compareBools(e.HostNetwork, f.HostNetwork),
	)
}

func compareBools(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// String returns the name, with the namespace if there is one ("orders-db.shop"), and otherwise the address. Anyone is
// "anywhere".
func (e Endpoint) String() string {
	switch {
	case e.Kind == Anyone:
		return "anywhere"
	case e.Kind == Address || e.Name == "":
		return e.Addr.String()
	case e.Namespace != "":
		return e.Name + "." + e.Namespace
	}
	return e.Name
}
