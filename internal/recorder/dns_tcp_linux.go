package recorder

import (
	"encoding/binary"

	"github.com/netzero-dev/netzero/internal/dns"
	"github.com/netzero-dev/netzero/internal/probe"
)

// maxPendingQuestions bounds the questions over TCP that have no answer yet. Most resolvers are sent one at a time.
const maxPendingQuestions = 1 << 16

// pendingQuestion is a question over TCP. For UDP the kernel matches questions and answers.
type pendingQuestion struct {
	cookie uint64 // of the socket
	id     uint16
	name   string
}

// questionsIn adds a segment that was sent to a resolver, and returns the questions that it completes. It skips
// everything that is not a question, because clients may send anything.
func (c *correlation) questionsIn(e *probe.DNSEvent) (questions []dns.Question) {
	messages, _ := c.questionStreams.Segment(e.Cookie, e.Sequence, e.SYN, e.FIN, e.RST, e.Payload)
	for _, m := range messages {
		q, err := dns.ParseQuestion(m)
		if err != nil {
			continue
		}
		if c.pendingQuestions == nil || len(c.pendingQuestions) >= maxPendingQuestions {
			// Answers to the dropped questions do not count any more: their flows are known by address.
			c.pendingQuestions = make(map[pendingQuestion]bool)
		}
		c.pendingQuestions[pendingQuestion{e.Cookie, q.ID, q.Name}] = true
		questions = append(questions, q)
	}
	return questions
}

// isAnswer reports whether a message over TCP answers a question that was sent on the same connection.
func (c *correlation) isAnswer(e *probe.DNSEvent, message []byte, question string) bool {
	q := pendingQuestion{e.Cookie, binary.BigEndian.Uint16(message), question}
	asked := c.pendingQuestions[q]
	delete(c.pendingQuestions, q)
	return asked
}
