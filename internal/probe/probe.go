// Package probe loads the eBPF programs, attaches them to a cgroup v2 tree and delivers their events in order.
//
// It is the only user of package bpf. It does not interpret events: other packages handle names, endpoints and
// policies. It never loses an event silently: the kernel counts what it could not deliver, and [Probe.Lost] returns the
// counts.
package probe

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/netzero-dev/netzero/internal/goroutine"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

var (
	// ErrNotPermitted is returned if this process lacks the capabilities to load or attach the programs.
	ErrNotPermitted = errors.New("not permitted")
	// ErrNotSupported is returned if the kernel lacks what the programs need.
	ErrNotSupported = errors.New("not supported by this kernel")
	// ErrNotFiring is returned if the programs are attached but do not see this process.
	ErrNotFiring = errors.New("the attached eBPF programs do not see this process")
)

// Sizes limits the kernel's tables. 0 selects the value of DefaultSizes.
type Sizes struct {
	RingBytes  uint32 // of the ring buffer: a power of two, and a multiple of the page size
	MaxFlows   uint32 // distinct flows, and distinct server names
	MaxCgroups uint32 // watched, tracked or ignored cgroups

	RequestRingBytes uint32 // as RingBytes, for what clients send
}

// DefaultSizes is enough for tens of thousands of flows, and for thousands of containers, in one test.
var DefaultSizes = Sizes{RingBytes: 8 << 20, MaxFlows: 65536, MaxCgroups: 16384, RequestRingBytes: 8 << 20}

// Key identifies a flow in the kernel: connections with the same key are one flow.
type Key struct {
	Cgroup           uint64        // the id that was passed to Watch, or the id of a CgroupEvent
	Netns            uint64        // cookie of the network namespace; 0 if unknown
	Name             uint64        // see Question; if Since is set, the time at which the candidates last changed
	Since            time.Duration // CLOCK_MONOTONIC; every name that was queried since then is a candidate; else 0
	Bound            uint64        // distinguishes servers that use Port in turn, and connections; otherwise opaque
	Recording        goroutine.ID  // of the goroutine, or of the one that started the process; 0 if not certain
	Program          uint64        // distinguishes executables; 0 if unknown, and for the test process after Check
	CgroupGeneration uint64        // number of cgroups tracked before; distinguishes containers with the same address
	Addr             netip.Addr
	Generation       uint32 // of NextGeneration
	Port             uint16
	ICMPType         uint8 // of an ICMP or ICMPv6 request; else 0
	Protocol         flow.Protocol
}

// Question returns the hash of the DNS question that led to the address. It returns 0 if the kernel knows of no
// question or of several; for several, Since is set.
func (k Key) Question() uint64 {
	if k.Name>>63 == 1 {
		return k.Name
	}
	return 0
}

const boundIsConnection = 1 << 63 // BOUND_IS_CONNECTION in abi.h

// Connection returns the ID of a TCP connection that was opened before this generation and sent payload in it; 0 for
// any other flow. Each such connection is a flow of its own. The ID is the socket's cookie. It stays the same
// after the probe is closed.
func (k Key) Connection() uint64 {
	if k.Bound&boundIsConnection == 0 {
		return 0
	}
	return k.Bound &^ boundIsConnection
}

// Connection is a TCP connection that was opened by a task in scope, or by a process before its sockets were tracked.
type Connection struct {
	ID   uint64 // see [Key.Connection]
	Key         // as of connect; if the connection is older than the probe, Generation is 0 and there are no names
	Hint uint64 // see [FlowEvent]
	PID  int    // of the initiator, as in [Initiator]
}

// Initiator is the task for which the kernel acted.
type Initiator struct {
	PID        int          // process id in the initial pid namespace; 0 if unknown
	Comm       string       // name of the thread, at most 15 bytes
	Executable string       // file name of its executable, at most 63 bytes; empty on a kernel without BTF
	Process    flow.Process // the result of Handler.ReadProcess
}

// An Event is a *FlowEvent, *BindEvent, *DNSEvent, *QuestionEvent, *CgroupEvent, *NameEvent or *ClientEvent, which
// Handler.Handle gets, or a *MkdirEvent or *EnterEvent, which have functions of their own.
type Event interface{ event() }

// FlowEvent reports a new flow.
type FlowEvent struct {
	Time time.Duration // CLOCK_MONOTONIC
	Key
	Initiator
	Stack *goroutine.Stack // at most 64 frames; nil in other processes than this one, or if unknown

	// For a connection that is older than the generation (see [Key.Connection]): the generation in which it was opened,
	// 0 if it is older than the probe; and ServerNameKey.Hash of the server name that the client sent, 0 if unknown.
	Opened uint32
	Hint   uint64

	// Forgotten is the number of connections that the kernel had counted when it forgot the flow, because Handler.Forget
	// returned true. It is 0 if the kernel has not forgotten the flow.
	Forgotten uint64
}

// stackEvent carries the stack of a flow that may follow.
type stackEvent struct {
	Key
	stack *goroutine.Stack
}

// BindEvent reports that a TCP or UDP socket in scope was bound to a local address.
type BindEvent struct {
	Time time.Duration // CLOCK_MONOTONIC
	Key                // the local address; Name, CgroupGeneration and Generation are zero
	Initiator
}

// DNSEvent carries a UDP answer from port 53 to a question that was seen before, or a piece of a TCP stream to or from
// port 53 of a resolver that this side has connected to.
type DNSEvent struct {
	Time          time.Duration // CLOCK_MONOTONIC
	Cgroup        uint64        // of the client
	Recording     goroutine.ID  // of the client; 0 if not certain
	Generation    uint32        // at the time of the question; over TCP, now
	Sent          bool          // to the resolver
	Cookie        uint64        // of the socket
	Protocol      flow.Protocol
	Sequence      uint32 // TCP sequence number of Payload[0]
	SYN, FIN, RST bool
	Payload       []byte
	Cut           int // bytes of a UDP answer beyond Payload
}

// QuestionEvent reports that a recording looks up a name over UDP for the first time since [Probe.NextGeneration]. It
// covers A, AAAA, SRV and HTTPS records, and may be repeated. The first answer with an address is reported as a
// DNSEvent.
type QuestionEvent struct {
	Time       time.Duration // CLOCK_MONOTONIC
	Cgroup     uint64
	Netns      uint64       // cookie of the network namespace; 0 if unknown
	Recording  goroutine.ID // 0 if not certain
	Generation uint32       // of NextGeneration
	Initiator
	Type  uint16           // of the records
	Name  []byte           // as on the wire, with the final zero
	Stack *goroutine.Stack // as in [FlowEvent]; only if enforcement is enabled, and for connected sockets

	socket uint64 // its cookie
}

// CgroupEvent reports a cgroup that was created after [Probe.TrackNewCgroups] and is tracked now: it is in scope until
// [Probe.Ignore]. The event precedes the cgroup's first other event. It is sent once, or twice if a packet was seen
// before a task; then the first one has no names.
type CgroupEvent struct {
	Time   time.Duration // CLOCK_MONOTONIC
	Cgroup uint64
	// Names is the cgroup's path from the cgroup upwards: its own name, then its ancestors' names without the root; at
	// most 16, each at most 127 bytes. It is empty if the kernel has no BTF or is locked down, or if only a packet was
	// seen.
	Names []string
	Cut   bool // some names or bytes may be missing: there are 16 names, or one has 127 bytes
}

// MkdirEvent reports that a cgroup is being created, in the v2 tree or in another one. No task is in it yet. It is sent
// after [Probe.TrackNewCgroups], if the kernel has BTF and is not locked down.
type MkdirEvent struct {
	Time time.Duration // CLOCK_MONOTONIC
	Path string        // from the root of its tree, with a leading slash; at most 511 bytes
}

// EnterEvent reports that a task entered a cgroup that was passed to [Probe.TrackEntered].
type EnterEvent struct {
	Time   time.Duration // CLOCK_MONOTONIC
	Cgroup uint64
	By     uint64 // the cgroup of the task that moved or started it; Cgroup if it moved itself
}

// ClientEvent reports that a process of this machine executes a client of an engine (docker, podman or nerdctl, judged
// by its name), or that such a client ended. A client that is older than the recording is not reported.
type ClientEvent struct {
	Time      time.Duration // CLOCK_MONOTONIC
	PID       int           // in the initial pid namespace
	Recording goroutine.ID
	Unrelated bool     // it does not descend from this process; see [Probe.TracksDescendants]
	Ended     bool     // only Time and PID are set
	Name      string   // of the thread, which is the program's: at most 15 bytes
	Command   []string // arguments
	Cut       bool     // the last arguments are missing: they exceed 1024 bytes
}

// NameSource is the part of a client's first payload that names the server.
type NameSource uint8

// The sources; the values are those of enum name_source in abi.h.
const (
	NamesNothing    NameSource = iota // the payload has no name, names the server behind a proxy, or cannot be read
	NamesByTLS                        // the server_name extension of a TLS ClientHello
	NamesByTLSOuter                   // the same, if the ClientHello may contain an encrypted one with another name
	NamesByHTTP                       // the Host header of an HTTP/1 request
)

// ServerNameKey identifies how connections name their server.
type ServerNameKey struct {
	Key
	Hash     uint64 // of the name and its source; 0 without a name
	DNSMatch bool   // a DNS query for the address was pending, maybe of another client
}

// NameEvent reports how a client's first TCP payload names the server, once for each flow and name. It follows the
// flow's event, unless two CPUs reported them at the same time. A connection with no payload, or with too little, is
// not reported.
type NameEvent struct {
	Time time.Duration // CLOCK_MONOTONIC
	ServerNameKey
	Source NameSource
	Text   []byte // as sent: the body of the extension, or the value of the header; empty for NamesNothing
}

// Handler receives the events of a probe.
type Handler struct {
	// ReadProcess describes a task, given the stack of the flow's goroutine, which may be nil. It is called as soon as
	// the event is read, because the task may end. It must be quick. It may be nil.
	ReadProcess func(Initiator, *goroutine.Stack) flow.Process
	// Forget reports whether the kernel shall forget a flow at once, so that the next one to its destination is new. The
	// goroutine that calls ReadProcess calls it afterwards, and it must be quick. It may be nil.
	Forget func(*FlowEvent) bool
	// Unrelated reports whether a new cgroup is unrelated and shall be ignored. The goroutine that calls ReadProcess
	// calls it too, so that the flood of an unrelated cgroup is cut off before Handle gets to it. It may be nil.
	Unrelated func(*CgroupEvent) bool
	// Mkdir and Enter get their events from the goroutine that calls ReadProcess, because the process that caused the
	// event may end. They must be quick. They may be nil.
	Mkdir func(*MkdirEvent)
	Enter func(*EnterEvent)
	// Handle gets the events in the kernel's order, in batches. All calls come from one goroutine, which is not the one
	// that calls ReadProcess.
	Handle func([]Event)
	// Stream gets what clients send after [Probe.EnableRequests], in the order of the kernel. All calls come from one
	// goroutine of their own. It must be quick. It may be nil.
	Stream func(*StreamEvent)
}

func (*FlowEvent) event()   {}
func (*BindEvent) event()   {}
func (*DNSEvent) event()    {}
func (*CgroupEvent) event() {}
func (*MkdirEvent) event()  {}
func (*EnterEvent) event()  {}
func (*NameEvent) event()   {}
func (*stackEvent) event()  {}

func (*QuestionEvent) event() {}
func (*ClientEvent) event()   {}

// Loss counts events that the kernel could not deliver.
type Loss struct {
	FlowEvents uint64 // no room in the ring buffer for a new flow
	FlowSlots  uint64 // no room in the flow table
	BindEvents uint64 // no room in the ring buffer for a bind
	DNSEvents  uint64 // no room in the ring buffer for a DNS answer or question
	NameEvents uint64 // no room in the ring buffer for a server name
	NameSlots  uint64 // no room in the table of server names
	Sockets    uint64 // no memory for the destination of a socket
	Packets    uint64 // unreadable packets in scope

	CgroupEvents uint64 // no room in the ring buffer for a new cgroup, which is not tracked
	Cgroups      uint64 // no room in the cgroup table for a new cgroup, which is not tracked

	Children uint64 // no room in the table of descendants
	Stacks   uint64 // no room in the ring buffer for a call stack

	Enforcement uint64 // no room for what was refused, or for a name of an address

	StreamEvents uint64 // no room in the ring buffer for what a client sends
	Streams      uint64 // no memory for a connection whose client is read
}

// Minus returns the losses since an earlier count.
func (l Loss) Minus(earlier Loss) Loss {
	return Loss{
		FlowEvents: l.FlowEvents - earlier.FlowEvents,
		FlowSlots:  l.FlowSlots - earlier.FlowSlots,
		BindEvents: l.BindEvents - earlier.BindEvents,
		DNSEvents:  l.DNSEvents - earlier.DNSEvents,
		NameEvents: l.NameEvents - earlier.NameEvents,
		NameSlots:  l.NameSlots - earlier.NameSlots,
		Sockets:    l.Sockets - earlier.Sockets,
		Packets:    l.Packets - earlier.Packets,

		CgroupEvents: l.CgroupEvents - earlier.CgroupEvents,
		Cgroups:      l.Cgroups - earlier.Cgroups,

		Children: l.Children - earlier.Children,
		Stacks:   l.Stacks - earlier.Stacks,

		Enforcement: l.Enforcement - earlier.Enforcement,

		StreamEvents: l.StreamEvents - earlier.StreamEvents,
		Streams:      l.Streams - earlier.Streams,
	}
}

// Environment variables that prevent losses, and what else does.
const (
	maxFlowsVariable  = "NETZERO_MAX_FLOWS"
	ringBytesVariable = "NETZERO_RING_BYTES"
	requestVariable   = "NETZERO_REQUEST_RING_BYTES"
	fewerCgroups      = "record fewer tests in one process, or stop other work on the machine"
)

// LossPart is one kind of event that was lost.
type LossPart struct {
	What   string // "new flows (ring buffer full)"
	Count  uint64
	Remedy string // "raise NETZERO_RING_BYTES"; empty if there is none
}

// Parts returns the kinds of events that were lost.
func (l Loss) Parts() []LossPart {
	const maxFlows, ringBytes = "raise " + maxFlowsVariable, "raise " + ringBytesVariable
	return slices.DeleteFunc([]LossPart{
		{"new flows (ring buffer full)", l.FlowEvents, ringBytes},
		{"new flows (flow table full)", l.FlowSlots, maxFlows},
		{"listening sockets (ring buffer full)", l.BindEvents, ringBytes},
		{"DNS answers or queries (ring buffer full)", l.DNSEvents, ringBytes},
		{"server names (ring buffer full)", l.NameEvents, ringBytes},
		{"server names (name table full)", l.NameSlots, maxFlows},
		{"destinations of sockets (no memory)", l.Sockets, ""},
		{"packets (unreadable)", l.Packets, ""},
		{"events of new cgroups (ring buffer full)", l.CgroupEvents, ringBytes},
		{"events of new cgroups (cgroup table full)", l.Cgroups, fewerCgroups},
		{"child processes (process table full)", l.Children, ""},
		{"call stacks (ring buffer full)", l.Stacks, ringBytes},
		{"refused attempts or declared names (table full)", l.Enforcement, ""},
		{"pieces of requests (ring buffer full)", l.StreamEvents, "raise " + requestVariable},
		{"connections with requests (no memory)", l.Streams, ""},
	}, func(p LossPart) bool { return p.Count == 0 })
}

// LossError reports that a recording is incomplete.
type LossError struct {
	Loss Loss
}

// Error lists all losses, and their remedies.
func (e *LossError) Error() string {
	var lost []string
	for _, part := range e.Loss.Parts() {
		lost = append(lost, fmt.Sprintf("%d %s", part.Count, part.What))
	}
	text := "the recording is incomplete: the kernel lost " + strings.Join(lost, ", ")
	var variables []string
	if e.Loss.FlowSlots+e.Loss.NameSlots > 0 {
		variables = append(variables, maxFlowsVariable)
	}
	if e.Loss.FlowEvents+e.Loss.BindEvents+e.Loss.DNSEvents+e.Loss.NameEvents+e.Loss.CgroupEvents+e.Loss.Stacks > 0 {
		variables = append(variables, ringBytesVariable)
	}
	if e.Loss.StreamEvents > 0 {
		variables = append(variables, requestVariable)
	}
	if len(variables) > 0 {
		text += "; raise " + strings.Join(variables, " and ")
	}
	if e.Loss.Cgroups > 0 {
		text += fmt.Sprintf("; more than %d containers and services started on this machine during the recording: %s",
			DefaultSizes.MaxCgroups, fewerCgroups)
	}
	return text
}
