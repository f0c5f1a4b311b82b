// Package flow holds what a recording saw, as plain values: who talked to whom, over which protocol, to which port.
//
// It knows neither the kernel nor Kubernetes and imports the standard library only, so that every other package can
// share its words. It refuses to interpret: whether a flow may be is the business of package policy.
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

// The protocols that Kubernetes policies or the report have a word for.
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

// IsICMP reports whether the protocol is ICMP, of either family of addresses.
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
}

// Equal reports whether all fields of f and g are equal, counts, times and processes included. A nil slice equals an
// empty one. For flows of different runs [Flow.Compare] is the better choice, since times and process ids differ.
//
// go-cmp calls Equal as well, so its options that ignore single fields of a Flow have no effect.
func (f Flow) Equal(g Flow) bool {
	return f.Source == g.Source && f.Destination == g.Destination && f.Protocol == g.Protocol && f.Port == g.Port &&
		f.ICMPType == g.ICMPType && f.Count == g.Count && f.First == g.First && f.Process.Equal(g.Process) &&
		f.Lookup == g.Lookup && f.Before == g.Before && f.Dialled == g.Dialled && f.Named == g.Named &&
		slices.Equal(f.Binaries, g.Binaries)
}

// Compare orders flows by what a policy sees of them: source, destination, port, protocol. Flows that compare equal
// differ in counts, times and processes only.
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

// Target returns the destination as a person reads it: "orders-db:5432/TCP", "[2001:db8::7]:53/UDP", "203.0.113.9/IP/47",
// "203.0.113.9/ICMP echo request", "api.example.com:*" for a look-up without an answer.
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

// Kind says how an endpoint is known.
type Kind uint8

// The kinds of endpoint, in the order in which they stand in a policy.
const (
	Workload  Kind = iota + 1 // pods of ours, by name
	Resolver                  // the cluster's DNS service
	APIServer                 // the cluster's API server, which runs on nodes or outside of the cluster, and so in no pods that a selector finds
	External                  // a host outside the cluster, by the DNS name that the workload asked for
	Address                   // an IP address about which nothing else is known
	Anyone                    // as a source only: whoever calls, which no recording can know
)

// String returns the kind in lower case.
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

// Evidence says what an endpoint's name rests on.
type Evidence uint8

// The kinds of evidence.
const (
	NoEvidence    Evidence = iota
	ByOption               // Peer, or the name of the recording's own workload
	ByListener             // a process of this machine listened there
	ByDNS                  // the workload asked for the name before it connected
	ByResolvConf           // the address is a name server of the process's resolv.conf, or a loopback one
	ByContainer            // a container had the address, or published the port
	ByTLS                  // the workload named the server in a TLS ClientHello, and did not ask DNS for that name before
	ByTLSOuter             // the same, where the hello has room for an encrypted one (ECH), which may hold another name
	ByHTTP                 // the workload named the server in an HTTP/1 request, and did not ask DNS for that name before
	ByEnvironment          // the environment of the process has the address: KUBERNETES_SERVICE_HOST
)

// String returns the evidence as the report words it.
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

// Endpoint is one end of a flow.
type Endpoint struct {
	Kind      Kind
	Name      string     // the workload's name, or the DNS name in lower case without trailing dot; of an Address what stands for it, if anything
	Namespace string     // the workload's Kubernetes namespace; empty is the one of the policy
	Addr      netip.Addr // the address that was used, never IPv4-mapped; the zero Addr for the recording's own workload
	Evidence  Evidence
	Node      bool // of a workload: no pods, but a process of the machine that the other end runs on, which it reached there

	// HostNetwork says of a workload that its pods use the network of their nodes, where no selector finds them.
	HostNetwork bool
}

// ClusterResolver is the DNS service of a cluster, as every common distribution calls it, whichever program it is.
var ClusterResolver = Endpoint{Kind: Resolver, Name: "kube-dns", Namespace: "kube-system"}

// ClusterAPIServer is the API server, behind the Service that every cluster has.
var ClusterAPIServer = Endpoint{Kind: APIServer, Name: "kubernetes", Namespace: "default"}

// Identity returns the endpoint as a policy sees it: without the evidence, and without the address where a selector
// or a name stands for it. A name keeps an address that is not public, because a rule for the internet does not
// cover it, and the API server that of the Endpoints of its Service, where it is known.
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

// Compare orders endpoints by kind, namespace, name and address, pods before the node and before pods on its network.
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

// String returns the name, with the namespace where there is one ("orders-db.shop"), or else the address; of anyone it
// returns "anywhere".
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
