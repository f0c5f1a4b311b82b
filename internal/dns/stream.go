package dns

import (
	"encoding/binary"
	"slices"
)

const (
	lengthLen = 2  // the length that precedes each message on TCP
	headerLen = 12 // the shortest message

	// A connection without a seen start is taken to be read correctly after this many bytes. The limit also keeps base
	// comparable before sequence numbers wrap.
	provenLen = 1 << 20
)

// stream is one direction of one connection. Sequence numbers are compared by the sign of their difference (RFC 9293,
// section 3.4), so that they may wrap.
type stream struct {
	base    uint32 // of the first byte
	next    uint32 // of the first missing byte
	joined  bool   // no SYN was seen: base is a guess
	closing bool   // a FIN was seen; end is its place
	end     uint32
	over    bool // ended, or given up

	pending []byte  // in order, less than a whole message
	ahead   []piece // after a gap, in order
	held    int     // bytes in ahead

	used uint64 // time of the last segment, by the clock of Streams
}

// piece is a segment that arrived before the bytes in front of it.
type piece struct {
	seq  uint32
	data []byte
}

// receive adds a segment and returns the messages that it completes.
func (c *stream) receive(seq uint32, fin bool, payload []byte) ([][]byte, error) {
	if end := seq + uint32(len(payload)); fin && distance(c.next, end) >= 0 {
		c.closing, c.end = true, end
	}
	if len(payload) == 0 {
		return nil, nil
	}
	if c.joined && distance(c.base, seq) < 0 {
		// Either the first segments came out of order and the supposed length was none, or this segment is a repeat
		// from before the recording. Nothing distinguishes the two.
		return nil, errStart
	}
	if distance(c.next, seq) > 0 {
		return nil, c.buffer(seq, payload)
	}
	c.extend(piece{seq, payload})
	c.drain()
	if c.joined && c.next-c.base >= provenLen {
		c.joined = false
	}
	return c.cut()
}

// extend appends the new part of p, which leaves no gap.
func (c *stream) extend(p piece) {
	known := -distance(c.next, p.seq)
	if known >= int64(len(p.data)) {
		return
	}
	p.data = p.data[known:]
	c.pending = append(c.pending, p.data...)
	c.next += uint32(len(p.data))
}

// buffer keeps a segment until the bytes before it arrive.
func (c *stream) buffer(seq uint32, payload []byte) error {
	covers := func(p piece) bool {
		before := distance(p.seq, seq)
		return before >= 0 && before+int64(len(payload)) <= int64(len(p.data))
	}
	if slices.ContainsFunc(c.ahead, covers) {
		return nil // a repeat
	}
	if c.held+len(payload) > maxAhead || len(c.ahead) >= maxPieces {
		return errGap
	}
	i := len(c.ahead)
	for i > 0 && distance(c.ahead[i-1].seq, seq) < 0 {
		i--
	}
	c.ahead = slices.Insert(c.ahead, i, piece{seq, slices.Clone(payload)})
	c.held += len(payload)
	return nil
}

// drain appends the buffered segments that no longer follow a gap.
func (c *stream) drain() {
	n := 0
	for _, p := range c.ahead {
		if distance(c.next, p.seq) > 0 {
			break
		}
		c.extend(p)
		c.held -= len(p.data)
		n++
	}
	c.ahead = slices.Delete(c.ahead, 0, n)
}

// cut removes the complete messages from pending and returns them.
func (c *stream) cut() (messages [][]byte, err error) {
	rest := c.pending
	for len(rest) >= lengthLen {
		n := int(binary.BigEndian.Uint16(rest))
		if n < headerLen {
			return messages, errLength
		}
		if len(rest) < lengthLen+n {
			break
		}
		messages = append(messages, rest[lengthLen:lengthLen+n:lengthLen+n])
		rest = rest[lengthLen+n:]
	}
	if len(messages) > 0 {
		// A copy: the messages own their memory, and a short rest would keep a long segment alive.
		c.pending = slices.Clone(rest)
	}
	return messages, nil
}

// complete reports whether the server ended the connection and every byte before the end was read.
func (c *stream) complete() bool { return c.closing && distance(c.end, c.next) >= 0 }

// gap reports whether bytes are missing that the server sent.
func (c *stream) gap() bool { return len(c.ahead) > 0 || c.closing && !c.complete() }

// unfinished reports whether dropping the connection now would lose a message.
func (c *stream) unfinished() bool { return len(c.pending) > 0 || c.gap() }

// finish drops all buffers of the connection and ends reading it.
func (c *stream) finish() {
	c.over, c.closing = true, false
	c.pending, c.ahead, c.held = nil, nil, 0
}

// distance returns how far to is after from; negative if it is before.
func distance(from, to uint32) int64 { return int64(int32(to - from)) }
