package policydiff

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// block is a range of addresses without its exceptions.
type block struct {
	prefix netip.Prefix
	except []netip.Prefix
}

// blockOf reads a range that was validated.
func blockOf(cidr string, except []string) block {
	prefix, _ := netip.ParsePrefix(cidr)
	b := block{prefix: prefix.Masked()}
	for _, text := range except {
		if e, err := netip.ParsePrefix(text); err == nil {
			b.except = append(b.except, e.Masked())
		}
	}
	return b
}

func (b block) contains(a netip.Addr) bool {
	return b.prefix.Contains(a) &&
		!slices.ContainsFunc(b.except, func(e netip.Prefix) bool { return e.Contains(a) })
}

// holds reports whether a block contains every address of a segment.
func (b block) holds(s segment) bool {
	return b.contains(s.first) && b.prefix.Contains(s.last) &&
		!slices.ContainsFunc(b.except, func(e netip.Prefix) bool {
			return s.first.Compare(e.Addr()) <= 0 && e.Addr().Compare(s.last) <= 0
		})
}

// segment is a run of addresses of one family, both ends included.
type segment struct{ first, last netip.Addr }

// lastOf returns the last address of a prefix.
func lastOf(p netip.Prefix) netip.Addr {
	bytes := p.Addr().AsSlice()
	for bit := p.Bits(); bit < len(bytes)*8; bit++ {
		bytes[bit/8] |= 0x80 >> (bit % 8)
	}
	last, _ := netip.AddrFromSlice(bytes)
	return last
}

// segmentsOf cuts both address families where a block or an exception begins or ends: the addresses of a segment are
// all in a block or all outside of it. It leaves out what is in no block.
func segmentsOf(blocks []block) []segment {
	var starts []netip.Addr
	for _, b := range blocks {
		for _, p := range append([]netip.Prefix{b.prefix}, b.except...) {
			starts = append(starts, p.Addr())
			if after := lastOf(p).Next(); after.IsValid() {
				starts = append(starts, after)
			}
		}
	}
	slices.SortFunc(starts, netip.Addr.Compare)
	starts = slices.Compact(starts)
	var segments []segment
	for i, first := range starts {
		last := lastOf(netip.PrefixFrom(first, 0).Masked())
		if i+1 < len(starts) && starts[i+1].BitLen() == first.BitLen() {
			last = starts[i+1].Prev()
		}
		if slices.ContainsFunc(blocks, func(b block) bool { return b.contains(first) }) {
			segments = append(segments, segment{first, last})
		}
	}
	return segments
}

// joined joins sorted segments that touch.
func joined(segments []segment) []segment {
	var all []segment
	for _, s := range segments {
		if n := len(all); n > 0 && all[n-1].last.Next() == s.first {
			all[n-1].last = s.last
			continue
		}
		all = append(all, s)
	}
	return all
}

// prefixesOf returns the fewest prefixes that hold exactly the addresses of a segment.
func prefixesOf(s segment) []netip.Prefix {
	var all []netip.Prefix
	for at := s.first; ; {
		bits := at.BitLen()
		for bits > 0 {
			wider := netip.PrefixFrom(at, bits-1)
			if wider.Masked().Addr() != at || lastOf(wider).Compare(s.last) > 0 {
				break
			}
			bits--
		}
		p := netip.PrefixFrom(at, bits)
		all = append(all, p)
		if at = lastOf(p).Next(); !at.IsValid() || at.Compare(s.last) > 0 {
			return all
		}
	}
}

// describeAddresses names sorted, joined segments: "203.0.113.9", "10.0.0.0/8 except 10.1.0.0/16", "the internet".
func describeAddresses(segments []segment) string {
	var phrases []string
	for _, bits := range []int{32, 128} {
		var own []segment
		for _, s := range segments {
			if s.first.BitLen() == bits {
				own = append(own, s)
			}
		}
		if len(own) > 0 {
			phrases = append(phrases, describeFamily(own)...)
		}
	}
	if len(phrases) == 2 && phrases[0] == internet+" (IPv4)" && phrases[1] == internet+" (IPv6)" {
		return internet
	}
	if len(phrases) == 2 && phrases[0] == everyAddress+" of 0.0.0.0/0" && phrases[1] == everyAddress+" of ::/0" {
		return everyAddress
	}
	return strings.Join(phrases, ", ")
}

const (
	internet     = "the internet"
	everyAddress = "every address"
)

// describeFamily names the segments of one address family, by a prefix with exceptions where that is shorter.
func describeFamily(segments []segment) []string {
	var direct []netip.Prefix
	for _, s := range segments {
		direct = append(direct, prefixesOf(s)...)
	}
	around := netip.PrefixFrom(segments[0].first, segments[0].first.BitLen())
	for !around.Contains(segments[len(segments)-1].last) {
		around = netip.PrefixFrom(around.Addr(), around.Bits()-1).Masked()
	}
	var except []netip.Prefix
	at := around.Addr()
	for _, s := range segments {
		if at.Compare(s.first) < 0 {
			except = append(except, prefixesOf(segment{at, s.first.Prev()})...)
		}
		at = s.last.Next()
	}
	if end := lastOf(around); at.IsValid() && at.Compare(end) <= 0 {
		except = append(except, prefixesOf(segment{at, end})...)
	}
	if len(except)+1 >= len(direct) && !(around.Bits() == 0 && len(direct) == 1) {
		return addressTexts(direct)
	}
	if around.Bits() == 0 {
		var public []netip.Prefix // exceptions that are a part of the internet
		for _, e := range except {
			if flow.Public(e.Addr()) || flow.Public(lastOf(e)) {
				public = append(public, e)
			}
		}
		family := " (IPv4)"
		if around.Addr().Is6() {
			family = " (IPv6)"
		}
		switch {
		case len(except) == 0:
			return []string{everyAddress + " of " + around.String()}
		case len(public) == 0:
			return []string{internet + family}
		}
	}
	return []string{around.String() + " except " + strings.Join(addressTexts(except), ", ")}
}

func addressTexts(prefixes []netip.Prefix) []string {
	var texts []string
	for _, p := range prefixes {
		if p.IsSingleIP() {
			texts = append(texts, p.Addr().String())
		} else {
			texts = append(texts, p.String())
		}
	}
	return texts
}
