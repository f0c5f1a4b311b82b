// Package dns reads the DNS answers that a cgroup received and tells under which name it asked for the address that
// it connects to.
//
// It asks nothing itself, resolves nothing again and opens no socket: [Parse] reads one response, [Streams] cuts DNS
// over TCP into such responses, [Names] remembers per cgroup what they said. It refuses queries, messages without
// exactly one question and questions that cannot be read. Every answer is taken for hostile: no input panics, and
// memory stays within the bounds that the types state; what had to be given up for a bound is counted, never passed
// over.
//
// Limits: no DNS over TLS or HTTPS, no multicast DNS; times to live are ignored, because a workload may keep an address
// for as long as it likes. A designated resolver (RFC 9462) is known as resolver.arpa.
package dns

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"golang.org/x/net/dns/dnsmessage"
)

// Answer is what one response says.
type Answer struct {
	// Question is the name that was asked for, in canonical form: lower case, without trailing dot, "" for the root,
	// internationalised names as they are on the wire (punycode). A byte that is no letter, digit, hyphen or
	// underscore is written as a backslash and three decimal digits (RFC 1035, section 5.1), "*" too, so that no
	// name asked for reads as a pattern, and none can break out of a YAML scalar or reach a terminal.
	Question string

	// Name is the host that was meant, in the same form. It is Question, but that "_8443._https.api.test", asked for
	// its HTTPS or SVCB records, is "api.test"; that a name of which the resolver itself completed a search list is
	// what it was completed to (see [Parse]); and that it is empty where SRV records were asked for, whose name is no
	// host's.
	Name string

	// Addrs is every address of Name, IPv4-mapped ones as IPv4, without repeats, in the order of the message.
	Addrs []netip.Addr

	// Targets are the hosts that SRV records name, each once, of which the message holds addresses.
	Targets []Target

	// Service says that SRV records name a host, also where the message does not hold its addresses: clients ask for these then.
	Service bool

	// Truncated says that addresses may lack: the server set the TC bit, or the message ends (or cannot be read)
	// somewhere in what has to be read of it.
	Truncated bool
}

// Target is a host that an SRV record names.
type Target struct {
	Name  string       // in the form of Answer.Question
	Addrs []netip.Addr // as in Answer
}

// Has reports whether the answer holds an address, of whichever name.
func (a Answer) Has(addr netip.Addr) bool {
	addr = bare(addr)
	return slices.Contains(a.Addrs, addr) ||
		slices.ContainsFunc(a.Targets, func(t Target) bool { return slices.Contains(t.Addrs, addr) })
}

var (
	errQuery     = errors.New("not a response")
	errOpcode    = errors.New("not a standard query (opcode 0)")
	errQuestions = errors.New("not exactly one question")
)

// Parse reads one DNS response, without the length that precedes it on TCP.
//
// All A and AAAA records of the answer section count for the question, whoever owns them: CNAME and DNAME chains need
// not be followed, and records in an odd order or in another letter case need no care. A record that no chain reaches
// counts too. That is what the kernel program does, which cannot follow names, and the two must agree. The address
// hints of HTTPS and SVCB records (RFC 9460) count too. Where the answer has such records, or SRV records, the additional
// section is read as well: addresses of an HTTPS or SVCB target, also through more such records, count for the question;
// those of an SRV target are the target's. Everything is of class IN.
//
// A resolver that completes names itself (CoreDNS, autopath) answers "api.test.shop.svc.cluster.local", the first try of
// a search list, with a CNAME to "api.test": then that is the name. It can be told from a Service of type ExternalName
// where what precedes the namespace has several labels.
//
// A response that says "no such name", or any other error code, or that has no address, is an Answer without any.
// Parse fails on a query, on an opcode other than 0, on no question and on more than one (RFC 9619), and on a header
// or question that is cut or malformed; a dot inside a label is malformed, as in golang.org/x/net/dns/dnsmessage. A
// message that is cut or malformed behind its question is no error but Truncated. While it is read, a message of 64 KiB
// that does its worst costs less than 32 MiB.
func Parse(msg []byte) (Answer, error) {
	var p dnsmessage.Parser
	header, err := p.Start(msg)
	if err != nil {
		return Answer{}, fmt.Errorf("parse DNS header: %w", err)
	}
	if !header.Response {
		return Answer{}, fmt.Errorf("parse DNS message: %w", errQuery)
	}
	if header.OpCode != 0 {
		return Answer{}, fmt.Errorf("parse DNS message: %w", errOpcode)
	}
	question, err := p.Question()
	if errors.Is(err, dnsmessage.ErrSectionDone) {
		return Answer{}, fmt.Errorf("parse DNS question: %w", errQuestions)
	}
	if err != nil {
		return Answer{}, fmt.Errorf("parse DNS question: %w", err)
	}
	if err := p.SkipQuestion(); !errors.Is(err, dnsmessage.ErrSectionDone) {
		return Answer{}, fmt.Errorf("parse DNS question: %w", errQuestions)
	}

	answer := Answer{Question: canonical(question.Name), Truncated: header.Truncated}
	answer.Name = host(answer.Question, question.Type)
	if header.RCode != dnsmessage.RCodeSuccess {
		return answer, nil
	}
	s := sections{parser: &p, question: question, answer: &answer}
	answer.Truncated = !s.read() || answer.Truncated
	return answer, nil
}
