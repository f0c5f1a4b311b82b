package hubble

import (
	"fmt"
	"math"

	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// packet is the packet of an event, as far as flows need it.
type packet struct {
	protocol    flow.Protocol // 0 if Hubble does not describe it
	port        uint16        // the server's
	destination uint16        // the port in the packet
	icmpType    uint8         // of the request
	isControl   bool          // no policy decides about it
	isReply     bool
	guessed     bool // isReply follows from ports
	hasFlags    bool // TCP flags are known
	opens       bool // it opens a TCP connection
}

// packet returns the packet of an event.
func (e *event) packet() (packet, error) {
	l := e.L4
	switch {
	case l == nil:
		return packet{}, nil
	case l.TCP != nil:
		return e.withPorts(flow.TCP, l.TCP)
	case l.UDP != nil:
		return e.withPorts(flow.UDP, l.UDP)
	case l.SCTP != nil:
		return e.withPorts(flow.SCTP, l.SCTP)
	case l.ICMPv4 != nil:
		return e.withType(flow.ICMP, l.ICMPv4)
	case l.ICMPv6 != nil:
		return e.withType(flow.ICMPv6, l.ICMPv6)
	}
	return packet{}, nil
}

func (e *event) withPorts(protocol flow.Protocol, l *ports) (packet, error) {
	if highest := max(l.Source, l.Destination); highest > math.MaxUint16 {
		return packet{}, fmt.Errorf("l4.%s: %d is no port", protocol, highest)
	}
	p := packet{protocol: protocol, destination: uint16(l.Destination)}
	if f := l.Flags; f != nil {
		p.hasFlags, p.opens = true, f.SYN && !f.ACK
	}
	known := false
	p.isReply, known = e.direction(l)
	if !known {
		p.guessed = true
		p.isReply = !isServer(l.Destination) && isServer(l.Source)
	}
	p.port = uint16(l.Destination)
	if p.isReply {
		p.port = uint16(l.Source)
	}
	p.isControl = e.Reason == "RELATED"
	return p, nil
}

// isServer reports whether a port is below those that Linux gives to clients (net.ipv4.ip_local_port_range).
func isServer(port number) bool { return port != 0 && port < 32768 }

// direction returns whether the packet is a reply, if anything but its ports says so.
func (e *event) direction(l *ports) (isReply, known bool) {
	switch f := l.Flags; {
	case e.IsReply != nil:
		return *e.IsReply, true
	case e.Reply:
		return true, true
	case f != nil && f.SYN:
		return f.ACK, true
	case l.Chunk == "INIT", l.Chunk == "INIT_ACK":
		return l.Chunk == "INIT_ACK", true
	case e.EventType != nil && e.EventType.Type == verdictEvent:
		return false, true // of a connection's first packet
	case e.L7 != nil && e.L7.Type == request:
		return false, true
	}
	return false, false
}

// ICMP messages. Replies have the type of the request here.
var (
	icmpReplies = map[flow.Protocol]map[number]uint8{
		flow.ICMP:   {0: 8, 14: 13, 16: 15, 18: 17},
		flow.ICMPv6: {129: 128, 140: 139},
	}
	icmpControl = map[flow.Protocol]map[number]bool{
		flow.ICMP: {3: true, 4: true, 5: true, 9: true, 10: true, 11: true, 12: true},
		flow.ICMPv6: {
			1: true, 2: true, 3: true, 4: true, 130: true, 131: true, 132: true, 133: true, 134: true, 135: true,
			136: true, 137: true, 143: true,
		},
	}
)

func (e *event) withType(protocol flow.Protocol, l *icmp) (packet, error) {
	if l.Type > math.MaxUint8 {
		return packet{}, fmt.Errorf("l4.%s.type: %d is no type", protocol, l.Type)
	}
	p := packet{protocol: protocol, icmpType: uint8(l.Type), isControl: icmpControl[protocol][l.Type]}
	isRequest := e.IsReply != nil && !*e.IsReply
	if asked, isReply := icmpReplies[protocol][l.Type]; isReply && !isRequest {
		p.isReply, p.icmpType = true, asked
	}
	return p, nil
}
