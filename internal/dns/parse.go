// Package dns reads the DNS answers that a cgroup received and tells under which name it asked for the address that
// it connects to.
//
// It asks nothing itself, resolves nothing again and opens no socket: [Parse] reads one response, [Streams] cuts DNS
// over TCP into such responses, [Names] remembers per cgroup what they said. It refuses queries, messages without
// exactly one question and questions that cannot be read. Every answer is taken for hostile: no input panics, and
// memory stays within the bounds that the types state; what had to be given up for a bound is counted, never passed
// over.
//
// Limits: A and AAAA records only, so neither the hints of an HTTPS answer nor the target of an SRV answer is an
// address; no DNS over TLS or HTTPS, no multicast DNS; times to live are ignored, because a workload may keep an
// address for as long as it likes.
package dns

import (
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/net/dns/dnsmessage"
)

// Answer is what one response says.
type Answer struct {
	// Question is the name that was asked for, in canonical form: lower case, without trailing dot, "" for the root,
	// internationalised names as they are on the wire (punycode). A byte that is no letter, digit, hyphen or
	// underscore is written as a backslash and three decimal digits (RFC 1035, section 5.1), "*" too, so that no
	// name asked for reads as a pattern, and none can break out of a YAML scalar or reach a terminal.
	Question string

	// Addrs is every A and AAAA record of class IN in the answer section, IPv4-mapped ones as IPv4, without repeats,
	// in the order of the message.
	Addrs []netip.Addr

	// Truncated says that Addrs may lack some: the server set the TC bit, or the message ends (or cannot be read)
	// somewhere in its answer section.
	Truncated bool
}

var (
	errQuery     = errors.New("not a response")
	errOpcode    = errors.New("not a standard query (opcode 0)")
	errQuestions = errors.New("not exactly one question")
)

// Parse reads one DNS response, without the length that precedes it on TCP.
//
// All addresses of the answer section count for the question, whoever owns them: CNAME and DNAME chains need not be
// followed, and records in an odd order or in another letter case need no care. A record that no chain reaches counts
// too. That is what the kernel program does, which cannot follow names, and the two must agree. Addresses in the
// authority and additional sections are not read.
//
// A response that says "no such name", or any other error code, or that has no address, is an Answer without Addrs.
// Parse fails on a query, on an opcode other than 0, on no question and on more than one (RFC 9619), and on a header
// or question that is cut or malformed; a dot inside a label is malformed, as in golang.org/x/net/dns/dnsmessage. A
// message that is cut or malformed behind its question is no error but Truncated.
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
	if header.RCode != dnsmessage.RCodeSuccess {
		return answer, nil
	}
	addrs, whole := addresses(&p)
	answer.Addrs = addrs
	answer.Truncated = answer.Truncated || !whole
	return answer, nil
}

// addresses reads the answer section, and reports whether it could be read to its end.
func addresses(p *dnsmessage.Parser) (addrs []netip.Addr, whole bool) {
	// A set, not a search through addrs: one message can hold more than 4,000 addresses.
	seen := map[netip.Addr]bool{}
	whole = true
	for {
		header, err := p.AnswerHeader()
		if errors.Is(err, dnsmessage.ErrSectionDone) {
			return addrs, whole
		}
		if err != nil {
			// An owner name that cannot be followed (a compression loop) hides its own record only: skipping reads
			// no further than the pointer.
			whole = false
			if p.SkipAnswer() != nil {
				return addrs, false
			}
			continue
		}
		addr, err := address(p, header)
		if err != nil {
			return addrs, false
		}
		if addr.IsValid() && !seen[addr] {
			seen[addr] = true
			addrs = append(addrs, addr)
		}
	}
}

// address reads the record behind header, and returns the zero Addr if it is not an address. It looks at the length
// because the parser does not: it would read the next record's bytes into a short one.
func address(p *dnsmessage.Parser, header dnsmessage.ResourceHeader) (netip.Addr, error) {
	internet := header.Class == dnsmessage.ClassINET
	switch {
	case internet && header.Type == dnsmessage.TypeA && header.Length == 4:
		r, err := p.AResource()
		return netip.AddrFrom4(r.A), err
	case internet && header.Type == dnsmessage.TypeAAAA && header.Length == 16:
		r, err := p.AAAAResource()
		return netip.AddrFrom16(r.AAAA).Unmap(), err
	}
	return netip.Addr{}, p.SkipAnswer()
}
