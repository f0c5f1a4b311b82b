package dns

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/net/dns/dnsmessage"
)

// Question is the question of one query.
type Question struct {
	ID   uint16
	Name string // in the form of Answer.Question
	Type uint16 // of the records
}

var errResponse = errors.New("not a query")

// ParseQuestion reads one DNS query, without the length that precedes it on TCP. It fails on everything but a standard
// query with exactly one question; resolvers do not answer others either.
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

// WireName returns a name from its wire format, which includes the terminating zero, in the form of Answer.Question;
// false if it is malformed. A dot within a label becomes "\046", like every byte other than a letter, digit, hyphen or
// underscore.
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

// IsLookup reports whether a query of this type looks up the addresses of a host: A, AAAA, SRV or HTTPS.
func IsLookup(kind uint16) bool {
	switch dnsmessage.Type(kind) {
	case dnsmessage.TypeA, dnsmessage.TypeAAAA, dnsmessage.TypeSRV, dnsmessage.TypeHTTPS:
		return true
	}
	return false
}

// HostOf returns the host of a question: without the labels for a service, a port or a scheme, which begin with an
// underscore (RFC 2782, RFC 9460). It returns "" if no other label is left.
func HostOf(question string) string {
	for strings.HasPrefix(question, "_") {
		_, question, _ = strings.Cut(question, ".")
	}
	return question
}
