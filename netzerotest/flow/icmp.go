package flow

import "strconv"

// The types of ICMP messages that are requests. All others are replies, or messages of the kernel itself.
const (
	echo            = 8
	timestamp       = 13 // RFC 792
	information     = 15
	addressMask     = 17  // RFC 950
	echoV6          = 128 // RFC 4443
	nodeInformation = 139 // RFC 4620
)

// Message describes the request of a flow over ICMP or ICMPv6: "ICMP echo request", "ICMPv6 type 200", or the protocol
// alone if the type is unknown.
func (f Flow) Message() string {
	name := f.Protocol.String()
	switch {
	case f.ICMPType == 0:
		return name
	case f.Protocol == ICMP && f.ICMPType == echo, f.Protocol == ICMPv6 && f.ICMPType == echoV6:
		return name + " echo request"
	case f.Protocol == ICMP && f.ICMPType == timestamp:
		return name + " timestamp request"
	case f.Protocol == ICMP && f.ICMPType == information:
		return name + " information request"
	case f.Protocol == ICMP && f.ICMPType == addressMask:
		return name + " address mask request"
	case f.Protocol == ICMPv6 && f.ICMPType == nodeInformation:
		return name + " node information query"
	}
	return name + " type " + strconv.Itoa(int(f.ICMPType))
}
