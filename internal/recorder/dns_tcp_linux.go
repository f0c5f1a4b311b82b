package recorder

import (
	"encoding/binary"

	"github.com/netzero-dev/netzero/internal/dns"
	"github.com/netzero-dev/netzero/internal/probe"
)

// maxAsking bounds how many questions over TCP may wait for their answers. Most resolvers are asked one at a time.
const maxAsking = 1 << 16

// asking is a question over TCP. Of UDP the kernel knows what was asked.
type asking struct {
	cookie uint64 // of the socket
	id     uint16
	name   string
}

// asks takes in a segment to a resolver, and returns the questions that it completes. What is no question is not ours to
// complain about.
func (c *Recorder) asks(e *probe.DNSEvent) (questions []dns.Question) {
	messages, _ := c.sent.Segment(e.Cookie, e.Sequence, e.SYN, e.FIN, e.RST, e.Payload)
	for _, m := range messages {
		q, err := dns.ParseQuestion(m)
		if err != nil {
			continue
		}
		if c.asking == nil || len(c.asking) >= maxAsking {
			c.asking = make(map[asking]bool) // what answers the others is no evidence any more: a flow has an address then
		}
		c.asking[asking{e.Cookie, q.ID, q.Name}] = true
		questions = append(questions, q)
	}
	return questions
}

// isAnswer reports whether a message from a resolver over TCP answers a question that was asked there.
func (c *Recorder) isAnswer(e *probe.DNSEvent, message []byte, question string) bool {
	q := asking{e.Cookie, binary.BigEndian.Uint16(message), question}
	asked := c.asking[q]
	delete(c.asking, q)
	return asked
}
