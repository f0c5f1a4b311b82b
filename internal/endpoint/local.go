package endpoint

import (
	"net"
	"net/netip"
)

// localAddrs are the addresses of this machine, in the network namespace of this process.
type localAddrs map[netip.Addr]bool

// readLocalAddrs reads the addresses of the interfaces. It returns none where they cannot be read; loopback needs none.
func readLocalAddrs() localAddrs {
	local := make(localAddrs)
	addrs, _ := net.InterfaceAddrs()
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok {
			if ip, ok := netip.AddrFromSlice(n.IP); ok {
				local[normal(ip)] = true
			}
		}
	}
	return local
}

// has reports whether a normal address is one of this machine. 127.0.0.0/8 and ::1 always are.
func (l localAddrs) has(a netip.Addr) bool { return a.IsLoopback() || l[a] }
