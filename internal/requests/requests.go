// Package requests reads the requests that clients send over TCP connections: HTTP/1, HTTP/2, gRPC and Kafka.
//
// It gets pieces of each connection's bytes from the kernel, which leaves out bodies, and parses all of it again, with
// zeros in place of what was left out. The kernel's framing is only a hint: where the two disagree, the connection is
// opaque. So is one that speaks another protocol, or leaves HTTP after a request.
package requests

import "github.com/netzero-dev/netzero/netzerotest/flow"

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
	Opaque   string         // why there may be more: "TLS"; empty if all of them were understood
	Sent     bool           // the client has sent something
}

// Streams parses connections. Its methods may be called from several goroutines; pieces of one connection must come in
// order, from one.
type Streams struct{}

// Add passes on a piece. It does not wait for the parser.
func (s *Streams) Add(p Piece) { panic("not written") }

// Wait returns once everything that was added before has been parsed.
func (s *Streams) Wait() { panic("not written") }

// Result returns what is known about a connection; zero for one without pieces. Call Wait before.
func (s *Streams) Result(connection uint64) Result { panic("not written") }

// Close ends all parsers and waits for them.
func (s *Streams) Close() { panic("not written") }
