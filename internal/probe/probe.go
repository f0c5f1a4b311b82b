// Package probe loads the eBPF programs, attaches them to a cgroup v2 tree and delivers what they see, in order.
//
// It is the only user of package bpf. It gives no meaning to what it delivers: names, endpoints and policies are the
// business of others. It refuses to lose silently: whatever the kernel could not deliver is counted there, and
// [Probe.Lost] tells.
package probe

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/netzero-dev/netzero/internal/goroutine"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

var (
	// ErrNotPermitted is returned where this process lacks the capabilities to load or attach the programs.
	ErrNotPermitted = errors.New("not permitted")
	// ErrNotSupported is returned where the kernel lacks what the programs need.
	ErrNotSupported = errors.New("not supported by this kernel")
	// ErrNotFiring is returned where the programs are attached but do not see this process.
	ErrNotFiring = errors.New("the attached eBPF programs do not see this process")
)

// Sizes bounds what the kernel keeps for us.
type Sizes struct {
	RingBytes  uint32 // of the ring buffer: a power of two, a multiple of the page size; 0 is DefaultSizes'
	MaxFlows   uint32 // different flows that are kept apart, and names of their servers; 0 is DefaultSizes'
	MaxCgroups uint32 // watched, adopted or disregarded; 0 is DefaultSizes'
}

// DefaultSizes is enough for tens of thousands of flows, and for thousands of containers, in one test.
var DefaultSizes = Sizes{RingBytes: 8 << 20, MaxFlows: 65536, MaxCgroups: 16384}

// Key is what makes two connections the same flow to the kernel.
type Key struct {
	Cgroup           uint64        // the id that was given to Watch, or of a CgroupEvent
	Netns            uint64        // cookie of the network namespace; 0 where unknown
	Name             uint64        // see Question; with Since, the time at which the candidates changed last
	Since            time.Duration // CLOCK_MONOTONIC; every name that was asked for from then on may be meant; else 0
	Bound            uint64        // tells apart the servers in scope that took turns at Port, or connections; else of no meaning
	Recording        goroutine.ID  // of the goroutine, or of the one that started the process; 0 where that is not certain
	Program          uint64        // tells executables apart; 0 for the test process once it is known to the programs, or where unknown
	CgroupGeneration uint64        // of cgroups that were adopted until then: flows to an address that a container had before differ
	Addr             netip.Addr
	Generation       uint32 // what NextGeneration had returned last
	Port             uint16
	ICMPType         uint8 // of what was asked by ICMP or ICMPv6; else 0
	Protocol         flow.Protocol
}

// Question returns the hash of the DNS question that led to the address, or 0 where the kernel knows of none or of
// several, of which Since tells.
func (k Key) Question() uint64 {
	if k.Name>>63 == 1 {
		return k.Name
	}
	return 0
}

const boundIsConnection = 1 << 63 // BOUND_IS_CONNECTION of the C

// Connection returns the ID of a TCP connection that was opened before this generation and has sent payload in it; 0 where
// the flow is another one. Each such connection is a flow of its own. The ID is the socket's cookie, which stays the same
// after the probe.
func (k Key) Connection() uint64 {
	if k.Bound&boundIsConnection == 0 {
		return 0
	}
	return k.Bound &^ boundIsConnection
}

// Connection is a TCP connection that a task in scope opened, or a process that was adopted before.
type Connection struct {
	ID   uint64 // see [Key.Connection]
	Key         // as connect was told; Generation 0 where it was opened before the probe, and then without names
	Hint uint64 // see [FlowEvent]
	PID  int    // of who opened it, as in [Initiator]
}

// Initiator is the task on whose behalf the kernel acted.
type Initiator struct {
	PID        int          // process id in the initial pid namespace; 0 where unknown
	Comm       string       // the thread's name, at most 15 bytes
	Executable string       // its executable's file name, at most 63 bytes; empty on a kernel without BTF
	Process    flow.Process // what Handler.ReadProcess made of it
}

// An Event is a *FlowEvent, a *BindEvent, a *DNSEvent, a *QuestionEvent, a *CgroupEvent or a *NameEvent.
type Event interface{ event() }

// FlowEvent tells of a flow that is new.
type FlowEvent struct {
	Time time.Duration // CLOCK_MONOTONIC
	Key
	Initiator
	Stack *goroutine.Stack // in this process, at most 64 frames; nil where it is another one, or is not known

	// Of a connection from before the generation ([Key.Connection]): the generation in which it was opened, 0 for before
	// the probe, and ServerNameKey.Hash of what the client named the server by, 0 where that is not known.
	Opened uint32
	Hint   uint64
}

// stackEvent tells of the stack of a flow that may come.
type stackEvent struct {
	Key
	stack *goroutine.Stack
}

// BindEvent tells of a TCP or UDP socket in scope that got a local address.
type BindEvent struct {
	Time time.Duration // CLOCK_MONOTONIC
	Key                // the local address; Name, CgroupGeneration and Generation are zero
	Initiator
}

// DNSEvent carries a UDP answer from port 53 to a question that was seen leaving, or a piece of a TCP stream from or to port 53
// of a resolver that this side has connected to.
type DNSEvent struct {
	Time          time.Duration // CLOCK_MONOTONIC
	Cgroup        uint64        // of who asked
	Recording     goroutine.ID  // the same; 0 where that is not certain
	Generation    uint32        // what NextGeneration had returned last when he asked; over TCP now
	Sent          bool          // to the resolver
	Cookie        uint64        // of the socket
	Protocol      flow.Protocol
	Sequence      uint32 // TCP sequence number of Payload[0]
	SYN, FIN, RST bool
	Payload       []byte
	Cut           int // bytes that a UDP answer had beyond Payload
}

// QuestionEvent tells that a name is looked up over UDP, for the first time by its recording since [Probe.NextGeneration]: in
// A, AAAA, SRV or HTTPS records. Now and then it is told again. A DNSEvent tells of the first answer with an address.
type QuestionEvent struct {
	Time       time.Duration // CLOCK_MONOTONIC
	Cgroup     uint64
	Netns      uint64       // cookie of the network namespace; 0 where unknown
	Recording  goroutine.ID // 0 where that is not certain
	Generation uint32       // what NextGeneration had returned last
	Initiator
	Type uint16 // of the records
	Name []byte // as on the wire, with the zero at its end
}

// CgroupEvent tells of a cgroup that was born after [Probe.TrackNewCgroups], and was adopted: it is in scope from its first
// event on, which comes after this one, until [Probe.Ignore]. It is told once; twice where a packet of it was seen
// before a task, the first time without names.
type CgroupEvent struct {
	Time   time.Duration // CLOCK_MONOTONIC
	Cgroup uint64
	// Names is the cgroup's path from itself upwards: its own name, then those of the cgroups that it lies in, without
	// the root; at most 16, each at most 127 bytes. It is empty where the kernel has no BTF, does not let itself be
	// read, or saw a packet only.
	Names []string
	Cut   bool // there are 16, and may be more; or one has 127 bytes, and may have more
	// Entered tells instead that a task has come into a cgroup that [Probe.TrackEntered] was given.
	Entered bool
	Created bool // it is being made, if need be by an engine for a container; then Cgroup is 0, and Names tell that it may be in any tree
}

// ClientEvent tells that a process that descends from this one ([Probe.TracksDescendants]) executes a client of an engine, by its name: docker, podman,
// nerdctl; or that one has ended. One that was older than the recording is not told.
type ClientEvent struct {
	Time      time.Duration // CLOCK_MONOTONIC
	PID       int           // in the initial pid namespace
	Recording goroutine.ID
	Ended     bool     // nothing else is set but Time and PID
	Name      string   // of the thread: that of the program, at most 15 bytes
	Command   []string // arguments; not all, where they are longer than 1024 bytes
	Cut       bool     // then the last ones are missing
}

// NameSource is where a client names the server that it connects to.
type NameSource uint8

// The sources, in the order of the kernel's.
const (
	NamesNothing    NameSource = iota // the client's first bytes name nobody, or a proxy's other end, or cannot be read
	NamesByTLS                        // the extension server_name of a TLS ClientHello
	NamesByTLSOuter                   // the same, of a hello that has room for an encrypted one, which may hold another name
	NamesByHTTP                       // the header Host of an HTTP/1 request
)

// ServerNameKey is what makes two TCP connections the same.
type ServerNameKey struct {
	Key
	Hash     uint64 // of what the client said, source included; 0 where it named nothing
	DNSMatch bool   // a question waited for a connection to the address, which may have been another client's
}

// NameEvent tells what a client's first bytes over TCP name the server by, where that is new for the flow. It comes after the flow's event, unless two processors told of the two at one time. A connection on
// which the client sent nothing, or not yet enough, is not told of.
type NameEvent struct {
	Time time.Duration // CLOCK_MONOTONIC
	ServerNameKey
	Source NameSource
	Text   []byte // as it was sent: the body of the extension, or the header's value; empty for NamesNothing
}

// Handler takes what a probe delivers.
type Handler struct {
	// Look tells more of a task, and of the stack of a flow's goroutine, which may be nil. It is called the moment that its event
	// is read, because tasks end; it must be quick. It may be nil.
	ReadProcess func(Initiator, *goroutine.Stack) flow.Process
	// Unrelated says whether a newborn cgroup belongs to nobody, and is to be disregarded. It is called from where Look is, so that
	// whoever floods the kernel's buffers does not until Handle has come to it. It is told of those that are being made (Made), and of
	// tasks that come into older ones (Entered), and nobody else is. It may be nil.
	Unrelated func(*CgroupEvent) bool
	// Handle gets the events, in the order in which the kernel saw them, as many at a time as have come meanwhile. It
	// is called from one goroutine, which is not the one that calls Look.
	Handle func([]Event)
}

func (*FlowEvent) event()   {}
func (*BindEvent) event()   {}
func (*DNSEvent) event()    {}
func (*CgroupEvent) event() {}
func (*NameEvent) event()   {}
func (*stackEvent) event()  {}

func (*QuestionEvent) event() {}
func (*ClientEvent) event()   {}

// Loss counts what the kernel saw but could not deliver.
type Loss struct {
	FlowEvents uint64 // no room in the ring buffer for a new flow
	FlowSlots  uint64 // no room among the flows that are kept apart
	BindEvents uint64 // no room in the ring buffer for a bind
	DNSEvents  uint64 // no room in the ring buffer for a DNS answer or question
	NameEvents uint64 // no room in the ring buffer for the name of a server
	NameSlots  uint64 // no room among the names of servers that are kept apart
	Sockets    uint64 // no memory for what a socket named
	Packets    uint64 // packets in scope that could not be read

	CgroupEvents uint64 // no room in the ring buffer to tell of a newborn cgroup: what it did is lost with it
	Cgroups      uint64 // no room among the cgroups for a newborn one: what it did is lost with it

	Children uint64 // no room among the processes that are known to belong to a recording
	Stacks   uint64 // no room in the ring buffer for the call stack of who opened a flow
}

// Minus returns what was lost since an earlier count.
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
	}
}

// LossError says that a recording is incomplete.
type LossError struct {
	Loss Loss
}

// Error names every way in which something was lost, and what to do.
func (e *LossError) Error() string {
	var lost []string
	add := func(n uint64, what string) {
		if n > 0 {
			lost = append(lost, fmt.Sprintf("%d %s", n, what))
		}
	}
	add(e.Loss.FlowEvents, "new flows (ring buffer full)")
	add(e.Loss.FlowSlots, "new flows (flow table full)")
	add(e.Loss.BindEvents, "listening sockets (ring buffer full)")
	add(e.Loss.DNSEvents, "DNS answers or questions (ring buffer full)")
	add(e.Loss.NameEvents, "names of servers (ring buffer full)")
	add(e.Loss.NameSlots, "names of servers (name table full)")
	add(e.Loss.Sockets, "destinations of sockets (no memory)")
	add(e.Loss.Packets, "packets (unreadable)")
	add(e.Loss.CgroupEvents, "events of new cgroups (ring buffer full)")
	add(e.Loss.Cgroups, "events of new cgroups (cgroup table full)")
	add(e.Loss.Children, "child processes (process table full)")
	add(e.Loss.Stacks, "call stacks (ring buffer full)")
	text := "the recording is incomplete, the kernel lost " + strings.Join(lost, ", ")
	var variables []string
	if e.Loss.FlowSlots+e.Loss.NameSlots > 0 {
		variables = append(variables, "NETZERO_MAX_FLOWS")
	}
	if e.Loss.FlowEvents+e.Loss.BindEvents+e.Loss.DNSEvents+e.Loss.NameEvents+e.Loss.CgroupEvents+e.Loss.Stacks > 0 {
		variables = append(variables, "NETZERO_RING_BYTES")
	}
	if len(variables) > 0 {
		text += "; raise " + strings.Join(variables, " and ")
	}
	if e.Loss.Cgroups > 0 {
		text += fmt.Sprintf("; more than %d containers and services started on this machine during the recording: "+
			"record fewer tests in one process, or keep other work off the machine", DefaultSizes.MaxCgroups)
	}
	return text
}
