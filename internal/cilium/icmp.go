package cilium

import (
	"cmp"
	"strconv"

	"k8s.io/apimachinery/pkg/util/intstr"
)

// The echo requests that ping sends.
const (
	Echo   = 8   // ICMP
	EchoV6 = 128 // ICMPv6
)

// From Cilium's pkg/policy/api/icmp.go. Only requests open a flow. The other types only need to be readable.
var (
	typesV4 = map[string]int{
		"EchoReply": 0, "DestinationUnreachable": 3, "Redirect": 5, "Echo": Echo, "EchoRequest": Echo,
		"RouterAdvertisement": 9, "RouterSelection": 10, "TimeExceeded": 11, "ParameterProblem": 12, "Timestamp": 13,
		"TimestampReply": 14, "Photuris": 40, "ExtendedEchoRequest": 42, "ExtendedEchoReply": 43,
	}
	typesV6 = map[string]int{
		"DestinationUnreachable": 1, "PacketTooBig": 2, "TimeExceeded": 3, "ParameterProblem": 4, "EchoRequest": EchoV6,
		"EchoReply": 129, "MulticastListenerQuery": 130, "MulticastListenerReport": 131, "MulticastListenerDone": 132,
		"RouterSolicitation": 133, "RouterAdvertisement": 134, "NeighborSolicitation": 135,
		"NeighborAdvertisement": 136,
		"RedirectMessage":       137, "RouterRenumbering": 138, "ICMPNodeInformationQuery": 139,
		"ICMPNodeInformationResponse": 140, "HomeAgentAddressDiscoveryRequest": 144,
		"HomeAgentAddressDiscoveryReply": 145, "MobilePrefixSolicitation": 146, "MobilePrefixAdvertisement": 147,
		"ExtendedEchoRequest": 160, "ExtendedEchoReply": 161,
	}
)

// Number returns the type's number, or -1 for an unknown name of the family.
func (f ICMPField) Number() int {
	if f.Type.Type == intstr.Int {
		return int(f.Type.IntVal)
	}
	if n, err := strconv.ParseUint(f.Type.StrVal, 10, 8); err == nil {
		return int(n)
	}
	names := typesV4
	if f.Family == IPv6 {
		names = typesV6
	}
	if n, known := names[f.Type.StrVal]; known {
		return n
	}
	return -1
}

// Is reports whether two fields are the same type of the same family, in any spelling.
func (f ICMPField) Is(g ICMPField) bool {
	return cmp.Or(f.Family, IPv4) == cmp.Or(g.Family, IPv4) && f.Number() == g.Number()
}

// String returns a type as "ICMP echo request", or with its number.
func (f ICMPField) String() string {
	name := "ICMP"
	if cmp.Or(f.Family, IPv4) == IPv6 {
		name = "ICMPv6"
	}
	if n := f.Number(); name == "ICMP" && n != Echo || name == "ICMPv6" && n != EchoV6 {
		return name + " type " + f.Type.String()
	}
	return name + " echo request"
}
