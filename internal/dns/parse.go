// Package dns reads the DNS answers that a cgroup received and finds the name that it looked up for the address to
// which it connects.
//
// It sends no queries and opens no sockets. [Parse] reads one response, [Streams] splits DNS over TCP into responses,
// [Names] records their contents per cgroup. It rejects queries, messages without exactly one question, and unreadable
// questions. Every answer is untrusted: no input causes a panic, and memory stays within the limits that the types
// state. Data that is dropped for a limit is counted, never ignored.
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

// Answer is the content of one response.
type Answer struct {
	// Question is the queried name in canonical form: lower case, without trailing dot, "" for the root,
	// internationalised names as they are on the wire (punycode). A byte other than a letter, digit, hyphen or
	// underscore is a backslash and three decimal digits (RFC 1035, section 5.1), "*" too, so that no name reads as a
	// pattern, and none can break out of a YAML scalar or reach a terminal.
	Question string

	// Name is the host in the same form. It is Question, with three exceptions. For "_8443._https.api.test", queried
	// for HTTPS or SVCB records, it is "api.test". For a name that the resolver itself completed from a search list, it
	// is the completed name (see [Parse]). For SRV records it is empty, because their name is not a host's.
	Name string

	// Addrs are all addresses of Name, IPv4-mapped ones as IPv4, without duplicates, in the order of the message.
	Addrs []netip.Addr

	// Targets are the hosts of SRV records for which the message has addresses, each once.
	Targets []Target

	// Service reports that SRV records name a host, also if the message lacks its addresses: clients then query for
	// these.
	Service bool

	// Truncated reports that addresses may be missing: the server set the TC bit, or a part of the message that has to
	// be read is cut or malformed.
	Truncated bool
}

// Target is a host that an SRV record names.
type Target struct {
	Name  string       // in the form of Answer.Question
	Addrs []netip.Addr // as in Answer
}

// Has reports whether the answer contains an address, for any name.
func (a Answer) Has(addr netip.Addr) bool {
	addr = canonicalAddr(addr)
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
// All A and AAAA records of the answer section count for the question, whatever their owner: so CNAME and DNAME chains
// need not be followed, and records in an odd order or another letter case cause no trouble. A record outside of every
// chain counts too: the kernel program, which cannot follow names, does the same, and the two must agree. The address
// hints of HTTPS and SVCB records (RFC 9460) count too. If the answer has such records, or SRV records, the additional
// section is read as well: addresses of an HTTPS or SVCB target, also through more such records, count for the
// question; those of an SRV target count for the target. Everything is of class IN.
//
// A resolver that completes names itself (CoreDNS, autopath) answers "api.test.shop.svc.cluster.local", the first
// attempt of a search list, with a CNAME to "api.test": then that is the name. This differs from a Service of type
// ExternalName by the number of labels before the namespace: only the completed name has several.
//
// A response with the code "no such name" or any other error code, or without addresses, is an Answer without
// addresses. Parse fails on a query, on an opcode other than 0, on no question and on more than one (RFC 9619), and on
// a header or question that is cut or malformed; a dot inside a label is malformed, as in
// golang.org/x/net/dns/dnsmessage. A message that is cut or malformed behind its question is Truncated, not an error.
// Reading the worst message of 64 KiB takes less than 32 MiB.
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
