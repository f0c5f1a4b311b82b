package probe

import "time"

// StreamEvent is a piece of what a client in scope sends over a TCP connection that it opened after
// [Probe.EnableRequests]. The kernel sends the pieces of a connection in order, and leaves out what its framing takes
// for bodies.
type StreamEvent struct {
	Time   time.Duration // CLOCK_MONOTONIC
	Stream uint64        // identifies the connection
	Cookie uint64        // of the socket
	Opened *Key          // of the flow; only in the first event, which is sent with the SYN and has no bytes
	Hint   uint64        // as in [FlowEvent]; 0 until it is known

	Skipped uint64 // bytes before Data that the kernel left out
	Data    []byte // owned by the receiver
	Reply   bool   // the server sent it: the response to a request of Kafka that asks for topics
	Ended   bool   // FIN or RST: the client sends nothing more

	Opaque StreamOpaque // why no more pieces of the connection follow; 0 if they may
}

// StreamOpaque says why the kernel stopped reading a connection.
type StreamOpaque uint8

// The reasons; the values are those of enum stream_opaque in stream.h.
const (
	StreamReadable StreamOpaque = iota
	StreamTLS                   // it begins with a TLS record
	StreamOther                 // it speaks none of the protocols that are read
	StreamGap                   // a packet was not seen
	StreamLost                  // no room in the ring buffer; counted in Loss.StreamEvents too
	StreamLimit                 // its framing exceeds what the kernel can follow

	// Only of [Probe.Unread].
	StreamMPTCP    // its bytes leave through other sockets
	StreamReceived // a process out of scope connected the socket
)
