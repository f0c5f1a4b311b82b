package policy

import "github.com/netzero-dev/netzero/netzerotest/flow"

// The types of an echo request.
const (
	echo   = 8
	echoV6 = 128
)

// ICMPTypeOf returns the ICMP type of a flow. An unknown one counts as an echo request.
func ICMPTypeOf(f flow.Flow) int {
	switch {
	case f.ICMPType != 0:
		return int(f.ICMPType)
	case f.Protocol == flow.ICMPv6:
		return echoV6
	}
	return echo
}
