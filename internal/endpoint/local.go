package endpoint

import "net/netip"

// localAddrs are the addresses of this machine, in the network namespace of this process.
type localAddrs map[netip.Addr]bool

// has reports whether a normal address is one of this machine. 127.0.0.0/8 and ::1 always are.
func (l localAddrs) has(a netip.Addr) bool { return a.IsLoopback() || l[a] }
