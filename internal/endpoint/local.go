package endpoint

import (
	"maps"
	"net/netip"
	"slices"
)

// localAddrs are the addresses of this machine, in the network namespace of this process.
type localAddrs map[netip.Addr]bool

// has reports whether a normal address is one of this machine. 127.0.0.0/8 and ::1 always are.
func (l localAddrs) has(a netip.Addr) bool { return a.IsLoopback() || l[a] }

// LocalAddrs returns the addresses of this machine's interfaces, sorted, in the network namespace of this process.
func LocalAddrs() ([]netip.Addr, error) {
	local, err := readLocalAddrs()
	return slices.SortedFunc(maps.Keys(local), netip.Addr.Compare), err
}
