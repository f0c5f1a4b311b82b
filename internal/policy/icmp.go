package policy

import (
	"github.com/netzero-dev/netzero/internal/cilium"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// icmpType returns what a flow asks for. One of which nobody knows it is taken for a ping.
func IcmpType(f flow.Flow) int {
	switch {
	case f.ICMPType != 0:
		return int(f.ICMPType)
	case f.Protocol == flow.ICMPv6:
		return cilium.EchoV6
	}
	return cilium.Echo
}
