//go:build !linux

package endpoint

import (
	"net"
	"net/netip"

	"github.com/netzero-dev/netzero/netzerotest/flow"
)

func readLocalAddrs() (localAddrs, error) {
	addrs, err := net.InterfaceAddrs()
	local := make(localAddrs)
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok {
			if ip, ok := netip.AddrFromSlice(n.IP); ok {
				local[normal(ip)] = true
			}
		}
	}
	return local, err
}

func readLocalAddrsOf(int) localAddrs { return nil }

func cgroupOf(flow.Protocol, []uint64) uint64 { return 0 }
