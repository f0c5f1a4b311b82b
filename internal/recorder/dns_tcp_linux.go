package recorder

import (
	"encoding/binary"

	"github.com/netzero-dev/netzero/internal/dns"
	"github.com/netzero-dev/netzero/internal/probe"
)

// maxPendingQuestions bounds how many questions over TCP may wait for their answers. Most resolvers are asked one at a time.
const maxPendingQuestions = 1 << 16

// pendingQuestion is a question over TCP. Of UDP the kernel knows what was asked.
type pendingQuestion struct {
	cookie uint64 // of the socket
	id     uint16
	name   string
}

// questionsIn takes in a segment to a resolver, and returns the questions that it completes. What is no question is not ours to
// complain about.
func (r *Recorder) questionsIn(e *probe.DNSEvent) (questions []dns.Question) {
	messages, _ := r.questionStreams.Segment(e.Cookie, e.Sequence, e.SYN, e.FIN, e.RST, e.Payload)
	for _, m := range messages {
		q, err := dns.ParseQuestion(m)
		if err != nil {
			continue
		}
		if r.pendingQuestions == nil || len(r.pendingQuestions) >= maxPendingQuestions {
			r.pendingQuestions = make(map[pendingQuestion]bool) // what answers the others is no evidence any more: a flow has an address then
		}
		r.pendingQuestions[pendingQuestion{e.Cookie, q.ID, q.Name}] = true
		questions = append(questions, q)
	}
	return questions
}

// isAnswer reports whether a message from a resolver over TCP answers a question that was asked there.
func (r *Recorder) isAnswer(e *probe.DNSEvent, message []byte, question string) bool {
	q := pendingQuestion{e.Cookie, binary.BigEndian.Uint16(message), question}
	asked := r.pendingQuestions[q]
	delete(r.pendingQuestions, q)
	return asked
}
