package netzerotest

import (
	"slices"
	"strings"

	"github.com/netzero-dev/netzero/internal/probe"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// askedAs returns as which of the names that DNS was asked for, and that have this address, a client knows the server that it
// calls so after a question. Where there is none the client's word counts, but for the outer name of a hello that may hold another one.
func (c *capture) askedAs(e *probe.NameEvent, said words, name string) []string {
	if said.outer {
		return nil
	}
	const ever = 1
	known := c.names.Lookup(e.Cgroup, e.Addr, 0, ever)
	if slices.Contains(known, name) {
		return []string{name}
	}
	return slices.DeleteFunc(known, func(known string) bool { return !is(known, name) })
}

// is reports whether a name that DNS was asked for is what a client calls the server: that name itself, or it with a domain
// that the resolver searches.
func is(asked, name string) bool { return asked == name || strings.HasPrefix(asked, name+".") }

// key is under what the kernel counts how many connections of a flow say so.
func (w words) key(k probe.Key) probe.ServerNameKey {
	return probe.ServerNameKey{Key: k, Hash: w.hash, DNSMatch: w.asked}
}

// tally is how many connections of a flow say whom they mean.
type tally struct {
	clear   uint64 // one of the names that DNS was asked for, of those that may be meant
	others  uint64 // another name
	strayed uint64 // of these, where a question was or may have been waiting: it was another client's, or this one has two names for the server
}

// isWhole reports whether this is said by all connections, of which there are so many.
func (t tally) isWhole(all uint64) bool { return t.clear+t.others >= all && t.clear+t.others > 0 }

func (s *speech) tally(k probe.Key, names map[probe.ServerNameKey]uint64) (t tally) {
	counted := make(map[words]bool) // what is short for several names is said once
	// Where the kernel could not read the answer, it does not know for which connection the question was.
	unread := len(s.asked) > 0 && k.Question() == 0 && k.Since == 0
	for _, asked := range []bool{true, false} {
		for name, call := range s.names {
			if s.isAsked(name) != asked {
				continue
			}
			for _, w := range call.words {
				if counted[w] {
					continue
				}
				counted[w] = true
				switch n := names[w.key(k)]; {
				case asked && !w.outer:
					t.clear += n
				case !asked && (w.asked || unread):
					t.others, t.strayed = t.others+n, t.strayed+n
				case !asked:
					t.others += n
				}
			}
		}
	}
	return t
}

// countOfMeant is countOf for a sighting under a name that DNS was asked for, or under none. Several names may have been meant:
// where every connection says which it does, it is that one, and no other. Where one of them says nothing of the kind, it is
// each of them.
func (m *membership) countOfMeant(s sighting, said *speech, all uint64, names map[probe.ServerNameKey]uint64) (count uint64, counts bool) {
	key := s.event.Key
	t := said.tally(key, names)
	left := all - min(t.others, all)
	whole := t.isWhole(all + s.flow.Count)
	own := t.clear
	if key.Since != 0 {
		own = said.count(key, names, func(name string) bool {
			return slices.ContainsFunc(s.meant, func(meant string) bool { return is(meant, name) })
		})
	}
	switch {
	case s.isBare():
		return left, said.nameless
	case s.flow.Destination.Evidence != flow.ByDNS: // which may hold for one of the names only
		return all, key.Since == 0 || !whole || t.clear == 0 || own > 0
	case whole && own > 0:
		return own, true
	case whole && t.strayed > 0:
		return left, !m.capture.isCalled(key, s.meant) // its own question was for another client: for whom, if nobody was heard to mean it?
	}
	return left, !whole
}

// isCalled reports whether a client was heard to call the server at an address by one of these names, which DNS was asked for.
func (c *capture) isCalled(k probe.Key, asked []string) bool {
	for at, s := range c.speeches {
		if at.Cgroup != k.Cgroup || at.Addr != k.Addr {
			continue
		}
		for name, call := range s.names {
			heard := slices.ContainsFunc(call.words, func(w words) bool { return !w.outer })
			if heard && slices.ContainsFunc(asked, func(asked string) bool { return is(asked, name) }) {
				return true
			}
		}
	}
	return false
}
