package testnet

import (
	"encoding/binary"
	"io"
	"net"
	"net/netip"

	"golang.org/x/net/dns/dnsmessage"
)

// The size limits of a UDP reply: 512 bytes unless the client allowed more with EDNS, and never more than maxUDP.
const (
	minUDP = 512
	maxUDP = 1232
)

// ServeDNS serves zone at address ("203.0.113.53:53") over UDP and TCP, as a recursive server that knows only the zone:
// NXDOMAIN for every other name, an empty answer for another type of a known name. It supports EDNS. If its port is 53,
// commands made from now on find the server in /etc/resolv.conf.
func (l *Lab) ServeDNS(address string, zone *Zone) (*Server, error) {
	server, err := l.listen(address, func(s *Server, where netip.AddrPort) error {
		return s.serveBoth(where,
			func(conn net.Conn) { answerStream(conn, zone) },
			func(_ netip.AddrPort, datagram []byte) []byte { return zone.answer(datagram, "udp") })
	})
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.resolvers = append(l.resolvers, server.Address())
	return server, nil
}

// answerStream answers the length-prefixed queries of a TCP connection.
func answerStream(conn io.ReadWriter, zone *Zone) {
	var length [2]byte
	for {
		if _, err := io.ReadFull(conn, length[:]); err != nil {
			return
		}
		query := make([]byte, binary.BigEndian.Uint16(length[:]))
		if _, err := io.ReadFull(conn, query); err != nil {
			return
		}
		reply := zone.answer(query, "tcp")
		if reply == nil {
			return
		}
		// One write, so that clients that read only once get the whole reply.
		if _, err := conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(reply))), reply...)); err != nil {
			return
		}
	}
}

// request is the relevant part of a query.
type request struct {
	header   dnsmessage.Header
	question dnsmessage.Question
	edns     bool
	limit    int // bytes that the client accepts over UDP
}

// answer returns the reply to a query; nil for anything else.
func (z *Zone) answer(query []byte, network string) []byte {
	req, code, ok := readRequest(query)
	if !ok {
		return nil
	}
	if code != dnsmessage.RCodeSuccess {
		return reply(req, code, found{})
	}
	answer := z.answerTo(req.question, network)
	if !answer.exists {
		code = dnsmessage.RCodeNameError
	}
	if network != "udp" {
		answer.truncate = false
	}
	if answer.truncate {
		return reply(req, dnsmessage.RCodeSuccess, found{truncate: true})
	}
	whole := reply(req, code, answer)
	if network == "udp" && len(whole) > req.limit {
		return reply(req, code, found{truncate: true})
	}
	return whole
}

func readRequest(query []byte) (req request, code dnsmessage.RCode, ok bool) {
	var parser dnsmessage.Parser
	header, err := parser.Start(query)
	if err != nil || header.Response {
		return req, 0, false
	}
	req = request{header: header, limit: minUDP}
	if header.OpCode != 0 {
		return req, dnsmessage.RCodeNotImplemented, true
	}
	if req.question, err = parser.Question(); err != nil {
		return req, dnsmessage.RCodeFormatError, true
	}
	if parser.SkipAllQuestions() != nil || parser.SkipAllAnswers() != nil || parser.SkipAllAuthorities() != nil {
		return req, dnsmessage.RCodeFormatError, true
	}
	for {
		extra, err := parser.AdditionalHeader()
		if err == dnsmessage.ErrSectionDone {
			return req, dnsmessage.RCodeSuccess, true
		}
		if err != nil || parser.SkipAdditional() != nil {
			return req, dnsmessage.RCodeFormatError, true
		}
		if extra.Type == dnsmessage.TypeOPT {
			req.edns = true
			req.limit = min(max(int(extra.Class), minUDP), maxUDP)
		}
	}
}

// reply builds a message; nil if it cannot be built, so that the client sees a server that does not answer.
func reply(req request, code dnsmessage.RCode, answer found) []byte {
	message := dnsmessage.Message{
		Header: dnsmessage.Header{
			ID:                 req.header.ID,
			Response:           true,
			OpCode:             req.header.OpCode,
			RecursionDesired:   req.header.RecursionDesired,
			RecursionAvailable: true,
			Truncated:          answer.truncate,
			RCode:              code,
		},
		Answers:     answer.records,
		Additionals: answer.extra,
	}
	if req.question.Name.Length > 0 {
		message.Questions = []dnsmessage.Question{req.question}
	}
	if req.edns {
		var header dnsmessage.ResourceHeader
		if err := header.SetEDNS0(maxUDP, dnsmessage.RCodeSuccess, false); err != nil {
			return nil
		}
		message.Additionals = append(message.Additionals,
			dnsmessage.Resource{Header: header, Body: &dnsmessage.OPTResource{}})
	}
	packed, err := message.Pack()
	if err != nil {
		return nil
	}
	return packed
}
