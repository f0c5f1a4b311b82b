package dns

import (
	"errors"
	"fmt"
)

const (
	MaxStreams = 256     // connections at a time
	maxAhead   = 1 << 17 // bytes of one connection that wait for a gap to fill
	maxPieces  = 1 << 10 // segments that these bytes may come in
)

var (
	errNoSocket = errors.New("segment of no known socket (cookie 0)")
	errStart    = errors.New("the start of the connection was not seen")
	errGap      = errors.New("a gap was not filled in time")
	errLength   = errors.New("a length shorter than a DNS header")
)

// Streams cuts DNS over TCP (RFC 7766) into messages: it puts the segments that came in from a server back into order
// and takes off the two-byte lengths.
//
// It holds at most 256 connections, and of each at most 64 KiB and 2 bytes of an unfinished message and 128 KiB, in at
// most 1,024 pieces, behind a gap: some 50 MiB in all. A connection that outgrows its bounds is read no further. When
// there are too many, the one that was quiet for longest is forgotten, but first those that stand between two messages
// or have ended, for which nothing is lost: their next message is read as that of a new connection.
//
// The zero value is ready. Not for concurrent use.
type Streams struct {
	streams map[uint64]*stream
	clock   uint64 // counts segments, to tell which connection was quiet for longest
	dropped uint64
}

// Segment takes in one TCP segment that a socket received, and returns the messages that it completes, in the order of
// the connection. They are copies, and never shorter than a DNS header; whether they are DNS, [Parse] says.
//
// The cookie names the socket, seq is the sequence number in the segment's header, and payload what follows the TCP
// header. Segments may come twice, overlap and come in any order. The connection starts with the SYN (the server's
// SYN-ACK), or where none was seen with the first payload, which then has to start a message. Another SYN with another
// sequence number is a new connection of that socket. A reset counts only where its sequence number is the next one,
// as it does for the kernel (RFC 5961), and a segment behind the end is ignored.
//
// An error says that the connection cannot be read any further, or that the segment had no socket (cookie 0). Either
// is counted in [Streams.Dropped]. The first comes once, with the messages before it; what else that connection brings
// is ignored.
func (s *Streams) Segment(cookie uint64, seq uint32, syn, fin, rst bool, payload []byte) (messages [][]byte, err error) {
	c := s.streams[cookie]
	if rst {
		if c != nil && c.next == seq {
			s.end(c)
		}
		return nil, nil
	}
	if syn {
		seq++ // a SYN takes up a sequence number of its own
	}
	switch {
	case c == nil && !syn && len(payload) == 0:
		return nil, nil
	case cookie == 0:
		// Sockets that share a cookie would mix their bytes.
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

// Dropped returns how many connections lost messages, or may have: because of the bounds, of a gap that was never
// filled, of a start that was not seen, of a length that cannot be. A gap that is open now counts for as long as it is
// open, so ask when the recording is over.
func (s *Streams) Dropped() uint64 {
	n := s.dropped
	for _, c := range s.streams {
		if c.gap() {
			n++
		}
	}
	return n
}

// open starts a connection whose first byte has the sequence number base.
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

// end notes that the server ends the connection. The rest of it stays known, so that a late repeat of its last segment
// does not look like a connection whose start was not seen.
func (s *Streams) end(c *stream) {
	// Half a message at the end was lost by us only where the lengths may have been misread from the start on. A
	// server that stops in the middle loses it for the workload as well.
	if c.gap() || c.joined && len(c.pending) > 0 {
		s.dropped++
	}
	c.finish()
}

// remove forgets a connection, in the middle of a message or not.
func (s *Streams) remove(cookie uint64) {
	if s.streams[cookie].unfinished() {
		s.dropped++
	}
	delete(s.streams, cookie)
}

// leastNeeded returns the cookie of the connection that was quiet for longest, of those that lose nothing if any does.
func (s *Streams) leastNeeded() uint64 {
	var (
		cookie uint64
		least  *stream
	)
	for k, c := range s.streams {
		if least == nil || c.unfinished() == least.unfinished() && c.used < least.used || !c.unfinished() && least.unfinished() {
			cookie, least = k, c
		}
	}
	return cookie
}
