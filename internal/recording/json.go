package recording

// Version is the version of the format that this package writes, and the only one that it reads.
const Version = 1

// File is a recording, with its place in the cluster, as it is written to a file.
type File struct {
	Version int    `json:"version"`           // of the format; Write fills it in
	Test    string `json:"test"`              // the test's name, or "package" and the import path of a package
	Package string `json:"package,omitempty"` // import path of the package under test; empty where it is not known

	// Golden is the golden file, relative to the package's directory, with slashes. It is empty in a Row.
	Golden string `json:"golden"`

	// Workloads are those that get a policy, sorted by namespace and name. Peers are other workloads of which the
	// manifests know more than the name, sorted likewise. A workload of a flow that is in neither has the label app with
	// its name.
	Workloads []Workload `json:"workloads,omitempty"`
	Peers     []Workload `json:"peers,omitempty"`

	// Flows are the flows between the workloads of the cluster: after the manifests have given them namespaces and
	// ports, and without those that the option Ignore names. Policies are generated from these flows, and evaluated
	// against them. Recorded holds the flows as the test opened them. Both are sorted.
	Flows    []Flow `json:"flows,omitempty"`
	Recorded []Flow `json:"recorded,omitempty"`

	Notices []string `json:"notices,omitempty"` // for a person, one text each

	// Incomplete says why no policy may be generated from the recording: lost events, a container that could not be
	// identified, a wrong option. It is empty for a complete recording.
	Incomplete string `json:"incomplete,omitempty"`
}

// Workload is a set of pods of the cluster.
type Workload struct {
	Name      string `json:"name"`                // the name of its policy
	Namespace string `json:"namespace,omitempty"` // empty means the namespace to which the policies are applied

	// Labels is the pod selector of its own policy. PodLabels is all known labels of its pods: every generated selector
	// for the workload matches them, in the policies of others too.
	Labels    map[string]string `json:"labels,omitempty"`
	PodLabels map[string]string `json:"podLabels,omitempty"`

	HostNetwork bool `json:"hostNetwork,omitempty"` // its pods use the network of their nodes

	// AllTraffic says that all of its traffic was recorded, as for a container. Of the test process, callers are not
	// known.
	AllTraffic bool `json:"allTraffic,omitempty"`
}

// Flow is one source that talks to one destination over one protocol and port.
type Flow struct {
	Source      Endpoint `json:"source"`
	Destination Endpoint `json:"destination"`
	Protocol    string   `json:"protocol"`           // "TCP", "UDP", "SCTP", "ICMP", "ICMPv6", "UDP-Lite", else "IP/47"
	Port        uint16   `json:"port,omitempty"`     // the destination's port; 0 for protocols without ports
	ICMPType    uint8    `json:"icmpType,omitempty"` // of ICMP and ICMPv6; 0 where it is not known
	Dialled     uint16   `json:"dialled,omitempty"`  // the port that was dialled; 0 where it is Port
	Count       uint64   `json:"count,omitempty"`    // connection attempts (TCP) or datagrams (all else)
	Lookup      bool     `json:"lookup,omitempty"`   // a DNS name that got no address: protocol and port are not known
	Before      bool     `json:"before,omitempty"`   // over a connection from before the recording
	Binaries    []string `json:"binaries,omitempty"` // file names of the programs that opened it, sorted
	Process     string   `json:"process,omitempty"`  // file name of the executable that opened it first
}

// Endpoint is one end of a flow.
type Endpoint struct {
	Kind        Kind     `json:"kind"`
	Name        string   `json:"name,omitempty"`        // of the workload, or a DNS name in lower case
	Namespace   string   `json:"namespace,omitempty"`   // of the workload; empty means the namespace of the policy
	Addr        string   `json:"addr,omitempty"`        // the IP address that was used
	Evidence    Evidence `json:"evidence,omitempty"`    // what the name rests on; empty for nothing
	HostNetwork bool     `json:"hostNetwork,omitempty"` // the workload's pods use the network of their nodes
	Node        bool     `json:"node,omitempty"`        // the workload is a process of the machine, not pods
}

// Kind says how an endpoint is known.
type Kind string

// The kinds of endpoint, as package flow has them.
const (
	KindWorkload  Kind = "workload"  // pods, by the workload's name
	KindResolver  Kind = "resolver"  // the cluster's DNS
	KindAPIServer Kind = "apiserver" // the cluster's API server
	KindExternal  Kind = "external"  // a host outside of the cluster, by its DNS name
	KindAddress   Kind = "address"   // an IP address about which nothing else is known
	KindAnyone    Kind = "anyone"    // as a source only: any caller
)

// Evidence says what an endpoint's name rests on.
type Evidence string

// The kinds of evidence, as package flow has them.
const (
	NoEvidence    Evidence = ""
	ByOption      Evidence = "option"
	ByListener    Evidence = "listener"
	ByDNS         Evidence = "dns"
	ByResolvConf  Evidence = "resolvconf"
	ByContainer   Evidence = "container"
	ByTLS         Evidence = "tls"
	ByTLSOuter    Evidence = "tlsouter"
	ByHTTP        Evidence = "http"
	ByEnvironment Evidence = "environment"
)
