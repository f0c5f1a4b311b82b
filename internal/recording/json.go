package recording

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
)

// data is a [Recording] as it is written.
type data struct {
	Workloads      []Workload      `json:"workloads,omitempty"`
	Flows          []Flow          `json:"flows,omitempty"`
	Notices        []Notice        `json:"notices,omitempty"`
	Initiators     []initiator     `json:"initiators,omitempty"`
	EphemeralPorts []EphemeralFlow `json:"ephemeralPorts,omitempty"`
	Losses         []Loss          `json:"losses,omitempty"`
}

// initiator is an entry of [Recording].Initiators as it is written.
type initiator struct {
	Workload Endpoint `json:"workload"`
	Binary   string   `json:"binary"`
	Process  Process  `json:"process,omitzero"`
	First    string   `json:"first,omitempty"` // as in Flow
}

// EphemeralFlow is an [EphemeralPort] as it is written.
type EphemeralFlow struct {
	Flow      Flow   `json:"flow"`
	Container string `json:"container,omitempty"`
	Test      bool   `json:"test,omitempty"`
}

// MarshalJSON returns the recording as JSON. A recording that UnmarshalJSON would refuse is an error.
func (r Recording) MarshalJSON() ([]byte, error) {
	d := data{Workloads: r.Workloads, Flows: FromFlows(r.Flows), Notices: r.Notices, Losses: r.Losses}
	for program, first := range r.Initiators {
		d.Initiators = append(d.Initiators, initiator{
			fromEndpoint(program.Workload), program.Binary, fromProcess(first.Process), fromDuration(first.First),
		})
	}
	slices.SortFunc(d.Initiators, func(a, b initiator) int {
		return cmp.Or(
			cmp.Compare(a.Workload.Namespace, b.Workload.Namespace), cmp.Compare(a.Workload.Name, b.Workload.Name),
			cmp.Compare(a.Binary, b.Binary), cmp.Compare(fmt.Sprint(a.Workload), fmt.Sprint(b.Workload)),
		)
	})
	d.EphemeralPorts = FromEphemeralPorts(r.EphemeralPorts)
	if _, err := d.recording(); err != nil {
		return nil, err
	}
	// The caller's encoder escapes HTML, unless it is set not to.
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(d)
	return text.Bytes(), err
}

// UnmarshalJSON is the inverse of MarshalJSON. It refuses unknown fields.
func (r *Recording) UnmarshalJSON(text []byte) error {
	var d data
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	err := decoder.Decode(&d)
	if err == nil {
		*r, err = d.recording()
	}
	return err
}

func (d data) recording() (Recording, error) {
	r := Recording{Workloads: d.Workloads, Notices: d.Notices, Losses: d.Losses}
	var err error
	if r.Flows, err = ToFlows(d.Flows); err != nil {
		return Recording{}, err
	}
	for i, v := range d.Initiators {
		workload, err := toEndpoint(v.Workload)
		first, firstErr := toDuration(v.First)
		if err := errors.Join(err, firstErr); err != nil {
			return Recording{}, fmt.Errorf("initiator %d: %w", i, err)
		}
		if r.Initiators == nil {
			r.Initiators = make(map[Program]Initiator)
		}
		r.Initiators[Program{workload, v.Binary}] = Initiator{toProcess(v.Process), first}
	}
	r.EphemeralPorts, err = ToEphemeralPorts(d.EphemeralPorts)
	return r, err
}

// FromEphemeralPorts returns flows to ephemeral ports as data, in their order, without command lines.
func FromEphemeralPorts(ports []EphemeralPort) []EphemeralFlow {
	var all []EphemeralFlow
	for _, p := range ports {
		all = append(all, EphemeralFlow{fromFlow(p.Flow), p.Container, p.Test})
	}
	return all
}

// ToEphemeralPorts is the inverse of [FromEphemeralPorts], but for command lines. The error names the flow by its
// index, and says what is wrong with it.
func ToEphemeralPorts(v []EphemeralFlow) ([]EphemeralPort, error) {
	var ports []EphemeralPort
	for i, one := range v {
		f, err := toFlow(one.Flow)
		if err != nil {
			return nil, fmt.Errorf("ephemeral port %d: %w", i, err)
		}
		ports = append(ports, EphemeralPort{f, one.Container, one.Test})
	}
	return ports, nil
}

// Workload is a set of pods of the cluster.
//
// In a recording it has the labels that options of the test give it, and no pod labels.
type Workload struct {
	Name      string `json:"name"`                // the name of its policy
	Namespace string `json:"namespace,omitempty"` // empty means the namespace to which the policies are applied

	// Labels is the pod selector of its own policy. PodLabels is all known labels of its pods: every generated selector
	// for the workload matches them, in the policies of others too.
	Labels    map[string]string `json:"labels,omitempty"`
	PodLabels map[string]string `json:"podLabels,omitempty"`

	// Service is the pods that rules select for the workload as a destination, if its Service selects others. PodLabels
	// has all of their labels.
	Service ServicePods `json:"service,omitzero"`

	Ports []NamedPort `json:"ports,omitempty"` // that rules may name

	HostNetwork bool `json:"hostNetwork,omitempty"` // its pods use the network of their nodes

	// AllTraffic says that all of its traffic was recorded, as for a container. Of the test process, callers are not
	// known.
	AllTraffic bool `json:"allTraffic,omitempty"`
}

// ServicePods is the pods of a Service.
type ServicePods struct {
	Labels    map[string]string `json:"labels,omitempty"`    // by which rules select them
	PodLabels map[string]string `json:"podLabels,omitempty"` // all that they share
}

// NamedPort is a port of pods that has a name.
type NamedPort struct {
	Name     string `json:"name"`
	Number   uint16 `json:"number"`
	Protocol string `json:"protocol"` // as in Flow
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
	Refused     uint64   `json:"refused,omitempty"`  // those of Count that the kernel refused
	Lookup      bool     `json:"lookup,omitempty"`   // a DNS name that got no address: protocol and port are not known
	Before      bool     `json:"before,omitempty"`   // over a connection from before the recording
	Binaries    []string `json:"binaries,omitempty"` // file names of the programs that opened it, sorted
	Named       string   `json:"named,omitempty"`    // what gave the destination its name, beyond the evidence
	First       string   `json:"first,omitempty"`    // from the start of the recording to the first attempt: "1.5ms"
	Process     Process  `json:"process,omitzero"`   // that opened it first

	Requests []Request `json:"requests,omitempty"` // of its clients; only with the option Requests
	Opaque   string    `json:"opaque,omitempty"`   // why requests may be missing: "TLS"
}

// Request is one kind of request that clients sent over a flow's connections.
type Request struct {
	Protocol string `json:"protocol"`        // "HTTP", "gRPC", "Kafka"
	Method   string `json:"method"`          // "POST"; of Kafka "produce", "fetch", "create", "alter", "delete"
	Host     string `json:"host,omitempty"`  // of HTTP
	Path     string `json:"path,omitempty"`  // of HTTP, without the query
	Query    string `json:"query,omitempty"` // of HTTP, from the question mark on
	Topic    string `json:"topic,omitempty"` // of Kafka
}

// Process is the process that opened a flow.
type Process struct {
	PID        int      `json:"pid,omitempty"`
	Name       string   `json:"name,omitempty"`       // file name of the executable
	Command    string   `json:"command,omitempty"`    // the command line, in shell syntax
	Executable string   `json:"executable,omitempty"` // its path
	Parents    []string `json:"parents,omitempty"`    // names and process ids, nearest first
	Container  string   `json:"container,omitempty"`
	Image      string   `json:"image,omitempty"` // of the container
	Exec       string   `json:"exec,omitempty"`  // the command of the engine from which it descends (docker exec)
	Stack      []Frame  `json:"stack,omitempty"` // innermost call first
	Test       string   `json:"test,omitempty"`  // in a recording of a package, the test that opened the flow
}

// Frame is one call on a stack.
type Frame struct {
	Function string `json:"function"`
	File     string `json:"file,omitempty"`
	Line     int    `json:"line,omitempty"`
	Started  bool   `json:"started,omitempty"` // a go statement
	Ended    bool   `json:"ended,omitempty"`   // a go statement of a goroutine that had ended
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
