package dns

import (
	"container/list"
	"net/netip"
	"slices"
	"time"
)

// MaxNames limits the size of Names. Most workloads look up a dozen names; only a crawler needs more than this.
const MaxNames = 1 << 16

// Names records, per cgroup, which questions led to an address.
//
// It holds at most 65,536 names: one for each question and one for each pair of question and address, of each cgroup.
// How many of them lead to one address does not matter. A name takes at most about 1 KiB, so a hostile resolver can
// make it grow to about 100 MiB and no further. Beyond that the oldest names are dropped and [Names.Overflowed] counts
// them: a recording with dropped names cannot guarantee its names.
//
// The zero value is ready. Names is not safe for concurrent use: the order of answers and flows is significant.
type Names struct {
	entries    map[nameKey]*nameEntry
	order      list.List // of *recorded, in all entries, oldest first
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
	last  *recorded                // the latest one
}

// recorded is a name and the time of its latest answer.
type recorded struct {
	key  nameKey
	name string
	at   time.Duration
}

// Record adds an answer that a cgroup received at a time, of any monotonic clock. An answer without addresses is
// ignored, because no client can connect with it: so the misses of a search list do not replace the hit. The question
// of a truncated answer is recorded all the same: the kernel may have seen an address that this copy lacks.
func (n *Names) Record(cgroup uint64, a Answer, at time.Duration) {
	for _, t := range a.Targets {
		n.addAll(cgroup, t.Addrs, t.Name, at)
	}
	if a.Name == "" {
		return // not a host name, so no flow uses it
	}
	n.addAll(cgroup, a.Addrs, a.Name, at)
	if len(a.Addrs) > 0 || a.Truncated {
		// Last, so that it outlives its addresses: the hash alone finds the right name.
		n.add(nameKey{cgroup: cgroup, hash: Hash(a.Question)}, a.Name, at)
	}
}

func (n *Names) addAll(cgroup uint64, addrs []netip.Addr, name string, at time.Duration) {
	for _, addr := range addrs {
		if addr.IsValid() { // otherwise its key would be that of a question
			n.add(nameKey{cgroup: cgroup, addr: canonicalAddr(addr)}, name, at)
		}
	}
}

// Lookup returns the names by which the cgroup may have found addr, in canonical form and sorted; none if it never
// looked one up.
//
// A hash other than 0 is the question that the kernel saw at the time of the connect (see [Hash]): it decides, whatever
// other names led to addr since. A since other than 0 means that several names with this address were looked up at
// once: all names recorded from then on are candidates. Otherwise the name of the latest answer is returned.
func (n *Names) Lookup(cgroup uint64, addr netip.Addr, hash uint64, since time.Duration) []string {
	if e, ok := n.entries[nameKey{cgroup: cgroup, hash: hash}]; ok && hash != 0 {
		return []string{e.last.name}
	}
	e, ok := n.entries[nameKey{cgroup: cgroup, addr: canonicalAddr(addr)}]
	if !ok {
		return nil
	}
	if since == 0 {
		return []string{e.last.name}
	}
	var candidates []string
	for _, element := range e.names {
		if l := element.Value.(*recorded); l.at >= since {
			candidates = append(candidates, l.name)
		}
	}
	if len(candidates) == 0 {
		return []string{e.last.name}
	}
	slices.Sort(candidates)
	return candidates
}

// Invalidate drops all names of the cgroup. They do not count as overflowed.
func (n *Names) Invalidate(cgroup uint64) {
	for e := n.order.Front(); e != nil; {
		next := e.Next()
		if e.Value.(*recorded).key.cgroup == cgroup {
			n.drop(e)
		}
		e = next
	}
}

// Overflowed returns how many names were dropped for newer ones since the start. It never decreases.
func (n *Names) Overflowed() uint64 { return n.overflowed }

func (n *Names) add(key nameKey, name string, at time.Duration) {
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
		element = n.order.PushBack(&recorded{key: key, name: name})
		entry.names[name] = element
	}
	entry.last = element.Value.(*recorded)
	entry.last.at = at
	n.order.MoveToBack(element)
	for n.order.Len() > MaxNames {
		n.drop(n.order.Front())
		n.overflowed++
	}
}

// drop removes a name. The latest one goes last, so that an entry always has it.
func (n *Names) drop(e *list.Element) {
	l := n.order.Remove(e).(*recorded)
	entry := n.entries[l.key]
	delete(entry.names, l.name)
	if len(entry.names) == 0 {
		delete(n.entries, l.key)
	}
}

// canonicalAddr returns the canonical address: IPv4-mapped as IPv4, without an IPv6 zone, which no DNS answer can have.
func canonicalAddr(addr netip.Addr) netip.Addr { return addr.Unmap().WithZone("") }
