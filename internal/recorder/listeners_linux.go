package recorder

import (
	"net/netip"
	"slices"

	"github.com/netzero-dev/netzero/internal/endpoint"
	"github.com/netzero-dev/netzero/internal/probe"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// listeners records which recorded processes bound which local addresses, newest last.
type listeners struct {
	owners map[listenAddress][]listener
}

type listenAddress struct {
	netns    uint64
	protocol flow.Protocol
	port     uint16
}

type listener struct {
	addr   netip.Addr
	cgroup uint64
	endpoint.Owner
}

func (l *listeners) add(e *probe.BindEvent, owner endpoint.Owner) {
	if l.owners == nil {
		l.owners = make(map[listenAddress][]listener)
	}
	key, entry := listenAddress{e.Netns, e.Protocol, e.Port}, listener{e.Addr, e.Cgroup, owner}
	l.owners[key] = append(slices.DeleteFunc(l.owners[key], func(o listener) bool { return o == entry }), entry)
}

// at returns the processes that bound the destination of a flow, or its port on all addresses.
func (l *listeners) at(k probe.Key) []endpoint.Owner {
	var owners []endpoint.Owner
	for _, o := range l.owners[listenAddress{k.Netns, k.Protocol, k.Port}] {
		if o.addr.IsUnspecified() || o.addr == k.Addr || k.Addr.IsUnspecified() && o.addr.IsLoopback() {
			owners = append(owners, o.Owner)
		}
	}
	return owners
}

// cgroupOf returns the cgroup of a process when it last bound an address, or 0.
func (l *listeners) cgroupOf(pid int) uint64 {
	for _, owners := range l.owners {
		for _, o := range owners {
			if o.PID == pid {
				return o.cgroup
			}
		}
	}
	return 0
}
