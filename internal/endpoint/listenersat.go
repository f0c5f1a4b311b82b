package endpoint

import (
	"net/netip"
	"slices"

	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// listenersAt combines the binds that the kernel saw with the current /proc.
//
// As long as the newest process that was seen to bind still listens, /proc has more information: the other listeners.
// Afterwards the kernel's record alone counts, because all owners of the socket may be gone. There is one exception:
// tests bind to port 0 to find a free port, close the socket, and let another process listen there. So a bind by the
// workload itself loses against another process that listens now. Otherwise the flow would be classified as self
// traffic.
func (b *Batch) listenersAt(q Query, addr netip.Addr) listening {
	now := b.listening(q, addr)
	if len(q.Bound) == 0 {
		return now
	}
	// A process keeps the name with which it was seen to bind, so that the name does not depend on its lifetime.
	for i, owner := range now.Owners {
		if at := slices.IndexFunc(q.Bound, func(o Owner) bool { return o.PID == owner.PID && o.Name != "" }); at >= 0 {
			now.Owners[i].Name = q.Bound[at].Name
		}
	}
	newest := q.Bound[len(q.Bound)-1]
	own := newest.PID == q.PID || newest.PID == b.id.config.Self
	listensNow := slices.ContainsFunc(now.Owners, func(o Owner) bool { return o.PID == newest.PID })
	if listensNow || own && (len(now.Owners) > 0 || now.Unknown) {
		return now
	}
	if newest.Name == "" {
		newest.Name, _ = processName(newest.PID)
	}
	return listening{Owners: []Owner{newest}}
}

// listening returns the current listeners. Loopback is that of the connecting process. Any other address of this
// machine is in this process's network namespace, whichever namespace it was reached from.
func (b *Batch) listening(q Query, addr netip.Addr) listening {
	if q.Protocol != flow.TCP && q.Protocol != flow.UDP {
		return listening{Unknown: true} // no table to read
	}
	pid := b.id.config.Self
	switch _, known := b.namespaceOf(q); {
	case q.OtherNetwork && !known:
		return listening{Unknown: true}
	case q.OtherNetwork, addr.IsLoopback() && !q.Container && q.PID != 0 && alive(q.PID):
		pid = q.PID
	}
	namespace := networkOf(pid)
	l, read := b.listeners[namespace]
	if !read {
		l, _ = readListeners(pid)
		b.listeners[namespace] = l
	}
	if l == nil {
		return listening{Unknown: true}
	}
	likely := append([]int{q.PID, b.id.config.Self}, b.ownDescendants()...)
	return l.At(q.Protocol, addr, q.Port, likely...)
}

// ownDescendants returns the processes that descend from the test process.
func (b *Batch) ownDescendants() []int {
	if !b.walked {
		b.walked = true
		var err error
		b.descendants, err = Descendants(b.id.config.Self)
		b.fail(err)
	}
	return b.descendants
}
