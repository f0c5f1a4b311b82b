package dns

import (
	"container/list"
	"net/netip"
	"slices"
	"time"
)

// MaxNames bounds what Names holds. Most workloads ask for a dozen names; one that needs more than this is a crawler.
const MaxNames = 1 << 16

// Names remembers, per cgroup, which questions led to an address.
//
// It holds at most 65,536 names: one for each question and one for each pair of question and address, of each cgroup. How
// many of them lead to one address does not matter. A name takes at most about 1 KiB, so a hostile resolver can make it grow
// to about 100 MiB and no further. Beyond that what was learned longest ago gives way, and [Names.Overflowed] counts it: a recording during which that happened cannot
// promise its names.
//
// The zero value is ready. Not for concurrent use: answers and flows come in one order, and that order is the point.
type Names struct {
	entries    map[nameKey]*nameEntry
	order      list.List // of *learned, in all entries, learned longest ago first
	overflowed uint64
}

// nameKey is an address of a cgroup, or, with the zero Addr, a question of it.
type nameKey struct {
	cgroup uint64
	addr   netip.Addr
	hash   uint64
}

// nameEntry holds the names that led to an address, or the one for a question.
type nameEntry struct {
	names map[string]*list.Element // of Names.order
	last  *learned                 // the one that was learned last
}

// learned is a name and when it was learned last.
type learned struct {
	key  nameKey
	name string
	at   time.Duration
}

// Learn takes in an answer that a cgroup received at a time, of any clock that does not jump. An answer without addresses
// teaches nothing, for no one can connect after it; so the misses of a search list leave the hit alone. If it was
// truncated, its question is kept all the same: the kernel may have seen an address that this copy of it lost.
func (n *Names) Learn(cgroup uint64, a Answer, at time.Duration) {
	for _, t := range a.Targets {
		n.learn(cgroup, t.Addrs, t.Name, at)
	}
	if a.Name == "" {
		return // no host's name, and so no flow's
	}
	n.learn(cgroup, a.Addrs, a.Name, at)
	if len(a.Addrs) > 0 || a.Truncated {
		// Last, so that it outlives its addresses: by the hash alone the right name is found.
		n.put(nameKey{cgroup: cgroup, hash: Hash(a.Question)}, a.Name, at)
	}
}

func (n *Names) learn(cgroup uint64, addrs []netip.Addr, name string, at time.Duration) {
	for _, addr := range addrs {
		if addr.IsValid() { // else its key would be that of a question
			n.put(nameKey{cgroup: cgroup, addr: bare(addr)}, name, at)
		}
	}
}

// Lookup returns the names under which the cgroup may have meant addr, in canonical form, sorted; none where it asked
// for none.
//
// hash, if it is not 0, is the kernel's own word for the question at the time of the connect (see [Hash]): then that is
// the name, whatever other name led to addr since. since, if it is not 0, says that several names with this address were
// asked for at once: all that were learned from then on may be meant. Where neither says anything that is known, the
// name that was learned last is the one.
func (n *Names) Lookup(cgroup uint64, addr netip.Addr, hash uint64, since time.Duration) []string {
	if e, ok := n.entries[nameKey{cgroup: cgroup, hash: hash}]; ok && hash != 0 {
		return []string{e.last.name}
	}
	e, ok := n.entries[nameKey{cgroup: cgroup, addr: bare(addr)}]
	if !ok {
		return nil
	}
	if since == 0 {
		return []string{e.last.name}
	}
	var meant []string
	for _, element := range e.names {
		if l := element.Value.(*learned); l.at >= since {
			meant = append(meant, l.name)
		}
	}
	if len(meant) == 0 {
		return []string{e.last.name}
	}
	slices.Sort(meant)
	return meant
}

// Forget drops all that the cgroup learned. What is dropped so does not count as overflowed.
func (n *Names) Forget(cgroup uint64) {
	for e := n.order.Front(); e != nil; {
		next := e.Next()
		if e.Value.(*learned).key.cgroup == cgroup {
			n.drop(e)
		}
		e = next
	}
}

// Overflowed returns how many names gave way to newer ones since the start. It never falls.
func (n *Names) Overflowed() uint64 { return n.overflowed }

func (n *Names) put(key nameKey, name string, at time.Duration) {
	if n.entries == nil {
		n.entries = make(map[nameKey]*nameEntry)
	}
	entry, ok := n.entries[key]
	if !ok {
		entry = &nameEntry{names: make(map[string]*list.Element)}
		n.entries[key] = entry
	}
	if !key.addr.IsValid() { // a question has one name
		for old, element := range entry.names {
			if old != name {
				n.order.Remove(element)
				delete(entry.names, old)
			}
		}
	}
	element, ok := entry.names[name]
	if !ok {
		element = n.order.PushBack(&learned{key: key, name: name})
		entry.names[name] = element
	}
	entry.last = element.Value.(*learned)
	entry.last.at = at
	n.order.MoveToBack(element)
	for n.order.Len() > MaxNames {
		n.drop(n.order.Front())
		n.overflowed++
	}
}

// drop forgets a name. The one that was learned last goes last, so that an entry always has it.
func (n *Names) drop(e *list.Element) {
	l := n.order.Remove(e).(*learned)
	entry := n.entries[l.key]
	delete(entry.names, l.name)
	if len(entry.names) == 0 {
		delete(n.entries, l.key)
	}
}

// bare returns the address as all tables of this package know it: IPv4 as IPv4, without an IPv6 zone, which no DNS
// answer can hold.
func bare(addr netip.Addr) netip.Addr { return addr.Unmap().WithZone("") }
