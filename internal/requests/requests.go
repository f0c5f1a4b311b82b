// Package requests reads the requests that clients send over TCP connections: HTTP/1, HTTP/2, gRPC and Kafka.
//
// It gets pieces of each connection's bytes from the kernel, which leaves out bodies, and parses all of it again, with
// zeros in place of what was left out. The kernel's framing is only a hint: where the two disagree, the connection is
// opaque. So is one that speaks another protocol, leaves HTTP after a request, or that servers may understand in
// another way than this package. It does not look at bodies, nor at what HTTP servers answer.
package requests

import (
	"slices"
	"sync"

	"github.com/netzero-dev/netzero/netzerotest/flow"
)

const (
	// maxQueued bounds what waits for the parser of a connection, in bytes of data.
	maxQueued = 64 << 20
	// maxDistinct bounds the different requests of a connection.
	maxDistinct = 100_000
	// maxHead bounds the part of a request before its body, in bytes.
	maxHead = 1 << 20
	// maxURI bounds a path with its query, in bytes.
	maxURI = 64 << 10
)

// Reasons why a connection is opaque.
const (
	otherProtocol = "another protocol than HTTP and Kafka"
	proxyRequest  = "a request to a proxy"
	webSocket     = "WebSocket"
	halfRequest   = "an incomplete request"
	longURI       = "a URL longer than 64 KiB"
	tooMany       = "more than 100000 different requests"
	overflow      = "more requests at once than NetZero could read"
	unread        = "requests that came after the recording"
	unknownTopic  = "a topic ID that no metadata names"
)

// opaque is an error that says why a connection is opaque.
type opaque string

func (o opaque) Error() string { return string(o) }

// Piece is a part of what one end of a connection sent, in order. Only the client's bytes are complete.
type Piece struct {
	Connection uint64 // identifies it
	Skipped    uint64 // bytes before Data that were left out
	Data       []byte // owned by the receiver
	IsReply    bool   // sent by the server: a response of Kafka, with its length prefix
	Ends       bool   // the client sends nothing more
	Opaque     string // why nothing more of the connection is read; empty if more may follow
}

// Result is what is known about a connection.
type Result struct {
	Requests []flow.Request // sorted, without duplicates
	Opaque   string         // why there may be more, as a noun phrase: "TLS"; empty if all of them were understood
	Sent     bool           // the client has sent something
}

// Streams parses connections, each in a goroutine of its own. The zero value is ready to use. Its methods may be called
// from several goroutines; pieces of one connection must come in order, from one. Connections share what responses of
// Kafka say about IDs of topics.
type Streams struct {
	mu      sync.Mutex
	started bool
	idle    sync.Cond // no parser is running
	running int       // parsers that neither wait for bytes nor have ended
	parsers sync.WaitGroup
	closed  bool

	connections map[uint64]*connection
	topics      map[topicID]string
}

func (s *Streams) start() {
	if !s.started {
		s.started = true
		s.idle.L = &s.mu
		s.connections = make(map[uint64]*connection)
		s.topics = make(map[topicID]string)
	}
}

// Add passes on a piece. It does not wait for the parser. Pieces after one that ends the connection, and after Close,
// are ignored.
func (s *Streams) Add(p Piece) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.start()
	if s.closed {
		return
	}
	c := s.connections[p.Connection]
	if c == nil {
		c = newConnection(s)
		s.connections[p.Connection] = c
		s.parsers.Add(1)
		s.running++
		go c.run()
	}
	c.add(p)
}

// Wait returns once everything that was added before has been parsed, or Close was called.
func (s *Streams) Wait() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.start()
	for s.running > 0 && !s.closed {
		s.idle.Wait()
	}
}

// stopped notes that a parser waits or has ended.
func (s *Streams) stopped() {
	if s.running--; s.running == 0 {
		s.idle.Broadcast()
	}
}

// Result returns what is known about a connection; zero for one without pieces. Call Wait before. A connection whose
// last request is incomplete, other than its body, is opaque until the rest has come.
func (s *Streams) Result(connection uint64) Result {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.connections[connection]
	if c == nil {
		return Result{}
	}
	r := Result{Opaque: c.opaque, Sent: c.sent}
	if r.Opaque == "" && c.partial {
		r.Opaque = halfRequest
	}
	distinct := make(map[flow.Request]bool, len(c.requests))
	for request := range c.requests {
		distinct[request] = true
	}
	for use := range c.uses {
		topic, found := s.topics[use.id]
		if !found {
			if r.Opaque == "" {
				r.Opaque = unknownTopic
			}
			continue
		}
		distinct[flow.Request{Protocol: flow.Kafka, Method: use.method, Topic: topic}] = true
	}
	for request := range distinct {
		r.Requests = append(r.Requests, request)
	}
	slices.SortFunc(r.Requests, flow.Request.Compare)
	return r
}

// Close ends all parsers and waits for them. Results stay.
func (s *Streams) Close() {
	s.mu.Lock()
	s.start()
	s.closed = true
	for _, c := range s.connections {
		c.wake()
	}
	s.idle.Broadcast()
	s.mu.Unlock()
	s.parsers.Wait()
}
