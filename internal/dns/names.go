package dns

import (
	"container/list"
	"net/netip"
)

// maxNames bounds what Names holds. Most workloads ask for a dozen names; one that needs more than this is a crawler.
const maxNames = 1 << 16

// Names remembers, per cgroup, which question last led to an address.
//
// It holds at most 65,536 entries: one for each address and one for each question of each cgroup. A name takes at most
// about 1 KiB, so a hostile resolver can make it grow to about 100 MiB and no further. Beyond that the entry that was
// learned longest ago gives way, and [Names.Overflowed] counts it: a recording during which that happened cannot
// promise its names.
//
// The zero value is ready. Not for concurrent use: answers and flows come in one order, and that order is the point.
type Names struct {
	entries    map[nameKey]*list.Element // of *nameEntry
	order      list.List                 // learned longest ago first
	overflowed uint64
}

// nameKey is an address of a cgroup, or, with the zero Addr, a question of it.
type nameKey struct {
	cgroup uint64
	addr   netip.Addr
	hash   uint64
}

type nameEntry struct {
	key  nameKey
	name string
}

// Learn takes in an answer that a cgroup received. The last answer for an address counts. An answer without addresses
// teaches nothing, for no one can connect after it; so the misses of a search list leave the hit alone. If it was
// truncated, its question is kept all the same: the kernel may have seen an address that this copy of it lost.
func (n *Names) Learn(cgroup uint64, a Answer) {
	for _, addr := range a.Addrs {
		if !addr.IsValid() {
			continue // its key would be that of a question
		}
		n.put(nameKey{cgroup: cgroup, addr: bare(addr)}, a.Question)
	}
	if len(a.Addrs) > 0 || a.Truncated {
		// Last, so that it outlives its addresses: by the hash alone the right name is found.
		n.put(nameKey{cgroup: cgroup, hash: Hash(a.Question)}, a.Question)
	}
}

// Lookup returns the name under which the cgroup last learned addr, in canonical form.
//
// A hash that is not 0 is the kernel's own word for the question at the time of the connect (see [Hash]). Where it is
// that of a question that the cgroup asked and that was answered, that question is the name, whatever other name led
// to addr since. A hash that is not known is ignored, and so is a number without the highest bit, which is no hash.
func (n *Names) Lookup(cgroup uint64, addr netip.Addr, hash uint64) (string, bool) {
	if e, ok := n.entries[nameKey{cgroup: cgroup, hash: hash}]; ok {
		return e.Value.(*nameEntry).name, true
	}
	if e, ok := n.entries[nameKey{cgroup: cgroup, addr: bare(addr)}]; ok {
		return e.Value.(*nameEntry).name, true
	}
	return "", false
}

// Forget drops all that the cgroup learned. What is dropped so does not count as overflowed.
func (n *Names) Forget(cgroup uint64) {
	for e := n.order.Front(); e != nil; {
		next := e.Next()
		if e.Value.(*nameEntry).key.cgroup == cgroup {
			n.drop(e)
		}
		e = next
	}
}

// Overflowed returns how many entries gave way to newer ones since the start. It never falls.
func (n *Names) Overflowed() uint64 { return n.overflowed }

func (n *Names) put(key nameKey, name string) {
	if e, ok := n.entries[key]; ok {
		e.Value.(*nameEntry).name = name
		n.order.MoveToBack(e)
		return
	}
	if n.entries == nil {
		n.entries = map[nameKey]*list.Element{}
	}
	if len(n.entries) >= maxNames {
		n.drop(n.order.Front())
		n.overflowed++
	}
	n.entries[key] = n.order.PushBack(&nameEntry{key: key, name: name})
}

func (n *Names) drop(e *list.Element) {
	delete(n.entries, n.order.Remove(e).(*nameEntry).key)
}

// bare returns the address as all tables of this package know it: IPv4 as IPv4, without an IPv6 zone, which no DNS
// answer can hold.
func bare(addr netip.Addr) netip.Addr { return addr.Unmap().WithZone("") }
