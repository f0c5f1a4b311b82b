package dns

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/net/dns/dnsmessage"
)

// Question is what one query asks.
type Question struct {
	ID   uint16
	Name string // in the form of Answer.Question
	Type uint16 // of the records
}

var errResponse = errors.New("not a query")

// ParseQuestion reads one DNS query, without the length that precedes it on TCP. It fails on what is no standard query with
// exactly one question, which resolvers do not answer either.
func ParseQuestion(msg []byte) (Question, error) {
	var p dnsmessage.Parser
	header, err := p.Start(msg)
	if err != nil {
		return Question{}, fmt.Errorf("parse DNS header: %w", err)
	}
	if header.Response || header.OpCode != 0 {
		return Question{}, fmt.Errorf("parse DNS message: %w", errResponse)
	}
	question, err := p.Question()
	if err != nil {
		return Question{}, fmt.Errorf("parse DNS question: %w", err)
	}
	if err := p.SkipQuestion(); !errors.Is(err, dnsmessage.ErrSectionDone) {
		return Question{}, fmt.Errorf("parse DNS question: %w", errQuestions)
	}
	return Question{ID: header.ID, Name: canonical(question.Name), Type: uint16(question.Type)}, nil
}

// WireName returns a name that stands on the wire, with the zero that ends it, in the form of Answer.Question; false where it is
// none. A dot within a label is written as "\046", as all that is no letter, digit, hyphen or underscore.
func WireName(wire []byte) (string, bool) {
	var labels []string
	for len(wire) > 0 {
		n := int(wire[0])
		if n == 0 {
			return strings.Join(labels, "."), true
		}
		if n > 63 || len(wire) < 1+n {
			return "", false
		}
		label := make([]byte, 0, n)
		for _, b := range wire[1 : 1+n] {
			switch b = lower(b); {
			case 'a' <= b && b <= 'z', '0' <= b && b <= '9', b == '-', b == '_':
				label = append(label, b)
			default:
				label = append(label, '\\', '0'+b/100, '0'+b/10%10, '0'+b%10)
			}
		}
		labels, wire = append(labels, string(label)), wire[1+n:]
	}
	return "", false
}

// LooksUp reports whether a question is one for the addresses of a host: for records of type A, AAAA, SRV or HTTPS.
func LooksUp(kind uint16) bool {
	switch dnsmessage.Type(kind) {
	case dnsmessage.TypeA, dnsmessage.TypeAAAA, dnsmessage.TypeSRV, dnsmessage.TypeHTTPS:
		return true
	}
	return false
}

// HostOf returns the host that a question is about: without the labels that name a service, a port or a scheme, which begin with
// an underscore (RFC 2782, RFC 9460). "" where nothing else is left.
func HostOf(question string) string {
	for strings.HasPrefix(question, "_") {
		_, question, _ = strings.Cut(question, ".")
	}
	return question
}
