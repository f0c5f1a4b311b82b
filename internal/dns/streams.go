package dns

import (
	"errors"
	"fmt"
)

const (
	MaxStreams = 256     // connections at a time
	maxAhead   = 1 << 17 // bytes of one connection that wait for a gap to fill
	maxPieces  = 1 << 10 // segments of these bytes
)

var (
	errNoSocket = errors.New("segment of no known socket (cookie 0)")
	errStart    = errors.New("the start of the connection was not seen")
	errGap      = errors.New("a gap was not filled in time")
	errLength   = errors.New("a length shorter than a DNS header")
)

// Streams splits DNS over TCP (RFC 7766) into messages: it reorders the segments from a server and removes the two-byte
// lengths.
//
// It holds at most 256 connections. For each it holds at most 64 KiB and 2 bytes of an unfinished message, and 128 KiB
// in at most 1,024 pieces after a gap: some 50 MiB in all. It stops reading a connection that exceeds these limits. If
// there are too many connections, it drops the longest idle one, but first those between two messages or at their end,
// because they lose nothing: their next message is read as that of a new connection.
//
// The zero value is ready. Streams is not safe for concurrent use.
type Streams struct {
	streams map[uint64]*stream
	clock   uint64 // counts segments, to find the longest idle connection
	dropped uint64
}

// Segment adds one TCP segment that a socket received, and returns the messages that it completes, in the order of the
// connection. They are copies, and never shorter than a DNS header; [Parse] decides whether they are DNS.
//
// The cookie identifies the socket, seq is the sequence number in the segment's header, and payload follows the TCP
// header. Segments may repeat, overlap and come in any order. The connection starts with the SYN (the server's
// SYN-ACK), or, if none was seen, with the first payload, which then has to start a message. Another SYN with another
// sequence number is a new connection of that socket. A reset counts only with the next sequence number, as for the
// kernel (RFC 5961). A segment after the end is ignored.
//
// An error means that the connection cannot be read any further, or that the segment had no socket (cookie 0).
// [Streams.Dropped] counts both. The error comes once, with the messages before it; later segments of that connection
// are ignored.
func (s *Streams) Segment(cookie uint64, seq uint32, syn, fin, rst bool, payload []byte) (
	messages [][]byte, err error,
) {
	c := s.streams[cookie]
	if rst {
		if c != nil && c.next == seq {
			s.end(c)
		}
		return nil, nil
	}
	if syn {
		seq++ // a SYN takes up one sequence number
	}
	switch {
	case c == nil && !syn && len(payload) == 0:
		return nil, nil
	case cookie == 0:
		// Sockets with the same cookie would mix their bytes.
		s.dropped++
		return nil, fmt.Errorf("reassemble DNS over TCP: %w", errNoSocket)
	case c == nil, syn && c.base != seq:
		c = s.open(cookie, seq)
		c.joined = !syn
	case syn:
		c.joined = false
	}
	s.clock++
	c.used = s.clock
	if c.over {
		return nil, nil
	}

	messages, err = c.receive(seq, fin, payload)
	if err != nil {
		s.dropped++
		c.finish()
		return messages, fmt.Errorf("reassemble DNS over TCP: %w", err)
	}
	if c.complete() {
		s.end(c)
	}
	return messages, nil
}

// Dropped returns how many connections lost messages, or may have: because of a limit, an unfilled gap, an unseen start
// or an impossible length. A gap counts as long as it is open, so call Dropped when the recording is over.
func (s *Streams) Dropped() uint64 {
	n := s.dropped
	for _, c := range s.streams {
		if c.gap() {
			n++
		}
	}
	return n
}

// open starts a connection with sequence number base for its first byte.
func (s *Streams) open(cookie uint64, base uint32) *stream {
	if s.streams == nil {
		s.streams = map[uint64]*stream{}
	}
	if old := s.streams[cookie]; old != nil {
		s.remove(cookie)
	} else if len(s.streams) >= MaxStreams {
		s.remove(s.leastNeeded())
	}
	c := &stream{base: base, next: base}
	s.streams[cookie] = c
	return c
}

// end records that the server ended the connection. The connection stays known, so that a late repeat of its last
// segment does not look like a connection with an unseen start.
func (s *Streams) end(c *stream) {
	// Half a message at the end is our loss only if the lengths may have been misread from the start. A server that
	// stops in the middle of a message loses it for the workload as well.
	if c.gap() || c.joined && len(c.pending) > 0 {
		s.dropped++
	}
	c.finish()
}

// remove drops a connection, whether or not a message is incomplete.
func (s *Streams) remove(cookie uint64) {
	if s.streams[cookie].unfinished() {
		s.dropped++
	}
	delete(s.streams, cookie)
}

// leastNeeded returns the cookie of the longest idle connection, preferring those that lose nothing.
func (s *Streams) leastNeeded() uint64 {
	var (
		cookie uint64
		least  *stream
	)
	for k, c := range s.streams {
		if least == nil || c.unfinished() == least.unfinished() && c.used < least.used ||
			!c.unfinished() && least.unfinished() {
			cookie, least = k, c
		}
	}
	return cookie
}
