package enforce

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"maps"
	"net/netip"
	"slices"
)

// Block is a range of addresses without its exceptions, which are parts of it.
type Block struct {
	Prefix netip.Prefix
	Except []netip.Prefix
}

// Contains reports whether an address is in the block.
func (b Block) Contains(addr netip.Addr) bool {
	return b.Prefix.Contains(addr) &&
		!slices.ContainsFunc(b.Except, func(e netip.Prefix) bool { return e.Contains(addr) })
}

// Internet returns the blocks of all addresses of both families.
func Internet() []Block {
	return []Block{
		{Prefix: netip.PrefixFrom(netip.IPv4Unspecified(), 0)}, {Prefix: netip.PrefixFrom(netip.IPv6Unspecified(), 0)},
	}
}

// Builder makes [Table].Addresses and [Table].Names of what rules allow and deny.
type Builder struct {
	allowed, denied []grant
	names           names
}

// grant is a block with ports that a rule allows or denies.
type grant struct {
	Block
	ports []PortRange
}

// Allow adds addresses with allowed ports.
func (b *Builder) Allow(block Block, ports []PortRange) {
	if len(ports) > 0 {
		b.allowed = append(b.allowed, grant{block, Join(ports)})
	}
}

// Deny adds addresses with denied ports. They take precedence over allowed ones.
func (b *Builder) Deny(block Block, ports []PortRange) {
	if len(ports) > 0 {
		b.denied = append(b.denied, grant{block, Join(ports)})
	}
}

// AllowName adds an allowed name.
func (b *Builder) AllowName(n Name) { b.names.add(n) }

// HasNames reports whether there are names so far.
func (b *Builder) HasNames() bool { return len(b.names) > 0 }

// DenyNames removes ports from all names. A name without any port may still be looked up, unless everything is denied.
func (b *Builder) DenyNames(ports []PortRange) {
	if Contains(ports, AnyProtocol, 0) {
		clear(b.names)
	}
	for key, allowed := range b.names {
		b.names[key] = Subtract(allowed, ports)
	}
}

// NamedPorts returns the ports of all names.
func (b *Builder) NamedPorts() []PortRange {
	var all [][]PortRange
	for _, ports := range b.names {
		all = append(all, ports)
	}
	return Join(all...)
}

// LimitError says that the rules open more ranges of ports than the kernel's tables hold.
type LimitError struct {
	What   string // an address, a range or a name
	Ranges int
}

func (e *LimitError) Error() string {
	return fmt.Sprintf("%s has %d ranges of ports, and Enforce holds %d: use wider ranges, or leave Enforce out",
		e.What, e.Ranges, MaxPorts)
}

// Table returns a table of the addresses and names so far. The error is a [*LimitError].
func (b *Builder) Table() (Table, error) {
	allowed, denied := compact(b.allowed), compact(b.denied)
	flat := flattening{blocks: append(allowed, denied...), denied: len(allowed), joined: make(map[string][]PortRange)}
	addresses, err := flat.addresses(MaxPorts)
	if err != nil {
		return Table{}, err
	}
	names, err := b.names.list(MaxPorts)
	return Table{Addresses: addresses, Names: names}, err
}

// compact joins the ports of equal blocks.
func compact(all []grant) []grant {
	kept, at := make([]grant, 0, len(all)), make(map[string]int, len(all))
	for _, g := range all {
		key := fmt.Sprint(g.Prefix, g.Except)
		if i, known := at[key]; known {
			kept[i].ports = append(kept[i].ports, g.ports...)
			continue
		}
		at[key] = len(kept)
		kept = append(kept, grant{g.Block, slices.Clone(g.ports)})
	}
	for i := range kept {
		kept[i].ports = Join(kept[i].ports)
	}
	return kept
}

// flattening turns overlapping blocks into prefixes of which the longest decides.
//
// It visits the prefixes of all blocks and exceptions, each before those inside of it. Between two of them the same
// blocks hold all addresses.
type flattening struct {
	blocks []grant
	denied int                    // the first block that denies
	lists  [][]PortRange          // the distinct lists of ports
	listOf []uint32               // of each block
	joined map[string][]PortRange // by the lists of the blocks that hold an address
	key    []byte                 // reused
	begin  map[netip.Prefix][]int // the blocks with this prefix
	end    map[netip.Prefix][]int // the blocks with this exception
}

// visited is a prefix around the one that is visited next.
type visited struct {
	prefix netip.Prefix
	blocks []int       // that hold its addresses, sorted
	ports  []PortRange // at the nearest prefix that the table has
}

// addresses returns the prefixes with their ports, and an error if one has more than most ranges.
func (f *flattening) addresses(most int) (map[netip.Prefix][]PortRange, error) {
	f.intern()
	prefixes := f.index()
	addresses := make(map[netip.Prefix][]PortRange, len(prefixes))
	var around []visited
	for _, p := range prefixes {
		for len(around) > 0 && !around[len(around)-1].prefix.Overlaps(p) {
			around = around[:len(around)-1]
		}
		var outer visited
		if len(around) > 0 {
			outer = around[len(around)-1]
		}
		v := visited{prefix: p, blocks: f.blocksAt(p, outer.blocks), ports: outer.ports}
		allowed := f.join(v.blocks)
		switch {
		case len(allowed) > most:
			return nil, &LimitError{p.String(), len(allowed)}
		case !slices.Equal(allowed, outer.ports):
			v.ports, addresses[p] = allowed, allowed
		}
		around = append(around, v)
	}
	return addresses, nil
}

// intern numbers the distinct lists of ports.
func (f *flattening) intern() {
	known := make(map[string]uint32)
	for _, g := range f.blocks {
		key := f.key[:0]
		for _, r := range g.ports {
			key = append(key, byte(r.Protocol))
			key = binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(key, r.First), r.Last)
		}
		f.key = key
		id, is := known[string(key)]
		if !is {
			id = uint32(len(f.lists))
			known[string(key)], f.lists = id, append(f.lists, g.ports)
		}
		f.listOf = append(f.listOf, id)
	}
}

// index finds where each block begins and ends to apply, and returns all of these prefixes, the wider ones first.
func (f *flattening) index() []netip.Prefix {
	f.begin, f.end = make(map[netip.Prefix][]int, len(f.blocks)), make(map[netip.Prefix][]int)
	for i, g := range f.blocks {
		p := g.Prefix.Masked()
		f.begin[p] = append(f.begin[p], i)
		for _, e := range g.Except {
			f.end[e.Masked()] = append(f.end[e.Masked()], i)
		}
	}
	all := slices.AppendSeq(slices.Collect(maps.Keys(f.begin)), maps.Keys(f.end))
	slices.SortFunc(all, comparePrefixes)
	return slices.Compact(all)
}

// comparePrefixes orders prefixes, each before those inside of it.
func comparePrefixes(a, b netip.Prefix) int {
	return cmp.Or(a.Addr().Compare(b.Addr()), cmp.Compare(a.Bits(), b.Bits()))
}

// blocksAt returns the blocks that hold the addresses of a prefix; outer are those around it.
func (f *flattening) blocksAt(p netip.Prefix, outer []int) []int {
	begin, end := f.begin[p], f.end[p]
	if len(begin) == 0 && len(end) == 0 {
		return outer
	}
	blocks := make([]int, 0, len(outer)+len(begin))
	for _, i := range outer {
		if _, ends := slices.BinarySearch(end, i); !ends {
			blocks = append(blocks, i)
		}
	}
	blocks = append(blocks, begin...)
	slices.Sort(blocks)
	return blocks
}

// join returns the ports that blocks allow together.
func (f *flattening) join(blocks []int) []PortRange {
	denied, _ := slices.BinarySearch(blocks, f.denied)
	allowing, denying := f.listsOf(blocks[:denied]), f.listsOf(blocks[denied:])
	if len(allowing) <= 1 && len(denying) == 0 {
		if len(allowing) == 0 {
			return nil
		}
		return f.lists[allowing[0]]
	}
	key := f.key[:0]
	for _, lists := range [][]uint32{allowing, denying} {
		key = binary.BigEndian.AppendUint32(key, uint32(len(lists)))
		for _, id := range lists {
			key = binary.BigEndian.AppendUint32(key, id)
		}
	}
	f.key = key
	joined, known := f.joined[string(key)]
	if !known {
		joined = Subtract(f.joinLists(allowing), f.joinLists(denying))
		f.joined[string(key)] = joined
	}
	return joined
}

// listsOf returns the distinct lists of blocks, sorted.
func (f *flattening) listsOf(blocks []int) []uint32 {
	lists := make([]uint32, len(blocks))
	for i, block := range blocks {
		lists[i] = f.listOf[block]
	}
	slices.Sort(lists)
	return slices.Compact(lists)
}

func (f *flattening) joinLists(ids []uint32) []PortRange {
	lists := make([][]PortRange, len(ids))
	for i, id := range ids {
		lists[i] = f.lists[id]
	}
	return Join(lists...)
}
