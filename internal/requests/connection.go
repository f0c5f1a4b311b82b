package requests

import (
	"bufio"
	"errors"
	"io"
	"sync"

	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// item is a part of a connection's queue.
type item struct {
	skipped uint64 // comes before data
	data    []byte
	isReply bool
}

// connection is one connection and its parser.
type connection struct {
	streams *Streams
	r       *bufio.Reader // reads the connection
	kafka   *kafka        // nil until the protocol is known to be Kafka

	// Of the parser's goroutine.
	inHead bool // it has read a part of a request's head
	head   int  // bytes that may still be read for the head
	read   uint64
	zeros  [2]uint64 // where in read bytes were left out, from the first to after the last; reset by parseKafka

	// Guarded by streams.mu.
	more     sync.Cond
	queue    []item
	queued   int    // bytes of data in queue
	waiting  bool   // the parser waits for an item
	done     bool   // the parser has ended
	partial  bool   // inHead, when the parser last waited or ended
	ended    bool   // no items follow those in queue
	end      string // why, if the client did not end it
	opaque   string
	sent     bool
	requests map[flow.Request]bool
	uses     map[topicUse]bool
}

func newConnection(s *Streams) *connection {
	c := &connection{streams: s, requests: make(map[flow.Request]bool), uses: make(map[topicUse]bool)}
	c.more.L = &s.mu
	c.r = bufio.NewReader(c)
	return c
}

// add appends a piece to the queue. The caller holds streams.mu.
func (c *connection) add(p Piece) {
	if c.ended {
		return
	}
	if !p.IsReply && (p.Skipped > 0 || len(p.Data) > 0) {
		c.sent = true
	}
	if !c.done && (p.Skipped > 0 || len(p.Data) > 0) {
		c.queue = append(c.queue, item{skipped: p.Skipped, data: p.Data, isReply: p.IsReply})
		c.queued += len(p.Data)
	}
	switch {
	case p.Opaque != "":
		c.ended, c.end = true, p.Opaque
	case c.queued > maxQueued:
		c.ended, c.end = true, overflow
	case p.Ends:
		c.ended = true
	}
	if c.done && c.opaque == "" {
		c.opaque = c.end
	}
	c.wake()
}

// wake makes the parser look at the queue again. The caller holds streams.mu.
func (c *connection) wake() {
	if c.waiting {
		c.waiting = false
		c.streams.running++
		c.more.Signal()
	}
}

// run parses the connection until it ends or is opaque.
func (c *connection) run() {
	defer c.streams.parsers.Done()
	err := c.parse()
	c.streams.mu.Lock()
	defer c.streams.mu.Unlock()
	var why opaque
	switch {
	case errors.As(err, &why):
		c.opaque = string(why)
	case c.ended && len(c.queue) == 0 && (err == nil || isEOF(err)): // what was there has been read
		c.opaque = c.end
	case c.streams.closed:
		if len(c.queue) > 0 {
			c.opaque = unread
		}
	case err != nil && !isEOF(err):
		c.opaque = otherProtocol
	}
	c.partial = c.inHead
	c.done = true
	c.queue, c.queued, c.r, c.kafka = nil, 0, nil, nil
	if c.opaque == "" && c.end != "" {
		c.opaque = c.end
	}
	c.streams.stopped()
}

func isEOF(err error) bool { return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) }

// Read returns the next bytes that the client has sent, with zeros for those that were left out. It waits for them.
// It handles the replies in front of them.
func (c *connection) Read(b []byte) (int, error) {
	if c.inHead {
		if c.head <= 0 {
			return 0, opaque("a request with a header of more than 1 MiB")
		}
		b = b[:min(len(b), c.head)]
	}
	c.streams.mu.Lock()
	defer c.streams.mu.Unlock()
	it, err := c.next()
	if err != nil {
		return 0, err
	}
	var n int
	if it.skipped > 0 {
		n = int(min(it.skipped, uint64(len(b))))
		clear(b[:n])
		it.skipped -= uint64(n)
		if c.zeros == ([2]uint64{}) {
			c.zeros[0] = c.read
		}
		c.zeros[1] = c.read + uint64(n)
	} else {
		n = copy(b, it.data)
		it.data = it.data[n:]
		c.queued -= n
	}
	c.read += uint64(n)
	c.drop()
	if c.inHead {
		c.head -= n
	}
	return n, nil
}

// discard skips bytes that the client sends, without a copy of them.
func (c *connection) discard(n uint64) error {
	buffered := int(min(n, uint64(c.r.Buffered())))
	if _, err := c.r.Discard(buffered); err != nil {
		return err
	}
	c.streams.mu.Lock()
	defer c.streams.mu.Unlock()
	for n -= uint64(buffered); n > 0; {
		it, err := c.next()
		if err != nil {
			return err
		}
		zeros := min(n, it.skipped)
		it.skipped -= zeros
		n -= zeros
		data := int(min(n, uint64(len(it.data))))
		it.data = it.data[data:]
		c.queued -= data
		n -= uint64(data)
		c.drop()
	}
	return nil
}

// next waits for bytes of the client and returns the first item of the queue, which has some. The caller holds
// streams.mu, which next releases while it waits; the item is valid until the caller releases it.
func (c *connection) next() (*item, error) {
	for {
		if c.streams.closed {
			return nil, io.EOF
		}
		if len(c.queue) == 0 {
			if c.ended {
				return nil, io.EOF
			}
			c.partial = c.inHead
			c.waiting = true
			c.streams.stopped()
			for c.waiting {
				c.more.Wait()
			}
			continue
		}
		it := &c.queue[0]
		if !it.isReply {
			return it, nil
		}
		c.queue = c.queue[1:]
		c.queued -= len(it.data)
		if c.kafka != nil {
			c.streams.mu.Unlock()
			c.kafka.reply(*it)
			c.streams.mu.Lock()
		}
	}
}

// drop removes the first item of the queue if it is empty. The caller holds streams.mu.
func (c *connection) drop() {
	if c.queue[0].skipped == 0 && len(c.queue[0].data) == 0 {
		c.queue[0] = item{}
		c.queue = c.queue[1:]
	}
}

// begin waits for the first byte of a request. It returns io.EOF if none follows.
func (c *connection) begin() error {
	c.inHead = false
	if _, err := c.r.Peek(1); err != nil {
		return err
	}
	c.inHead, c.head = true, maxHead
	return nil
}

// record adds a request of HTTP.
func (c *connection) record(r flow.Request) error {
	c.streams.mu.Lock()
	defer c.streams.mu.Unlock()
	c.requests[r] = true
	return c.checkCount()
}

func (c *connection) checkCount() error {
	if len(c.requests)+len(c.uses) > maxDistinct {
		return opaque(tooMany)
	}
	return nil
}

// parse finds out the protocol, as the kernel does, and parses it.
func (c *connection) parse() error {
	if err := c.begin(); err != nil {
		return err
	}
	first, err := c.r.Peek(1)
	if err != nil {
		return err
	}
	switch b := first[0]; {
	case b == 0x16:
		return opaque("TLS")
	case b == 0:
		return c.parseKafka()
	case b < 'A' || b > 'Z':
		return opaque(otherProtocol)
	}
	const maxMethod = 32
	for n := 2; ; n++ { // one byte at a time: another protocol waits for its server after the first ones
		text, err := c.r.Peek(n)
		if err != nil {
			return err
		}
		b := text[n-1]
		if string(text) == "PRI " {
			return c.parseHTTP2(0)
		}
		if b == ' ' {
			return c.parseHTTP1()
		}
		if (b < 'A' || b > 'Z') && b != '-' && b != '_' || n > maxMethod {
			return opaque(otherProtocol)
		}
	}
}
