package enforce

import (
	"maps"
	"math"
	"slices"
)

// Union returns a table of what any of the tables allows. Where that has more than [MaxPorts] ranges of ports, the
// union also allows the smallest gaps between them.
func Union(tables ...Table) Table {
	union, _ := unite(tables, math.MaxInt)
	for p, ports := range union.Addresses {
		union.Addresses[p] = atMost(MaxPorts, ports)
	}
	for i, n := range union.Names {
		union.Names[i].Ports = atMost(MaxPorts, n.Ports)
	}
	return union
}

// Merge returns a table of what any of the tables allows, and nothing else. The error is a [*LimitError].
func Merge(tables ...Table) (Table, error) { return unite(tables, MaxPorts) }

// unite returns the union of tables, and an error if an address or a name has more than most ranges of ports.
func unite(tables []Table, most int) (Table, error) {
	var union Table
	var all names
	flat := flattening{joined: make(map[string][]PortRange)}
	for _, t := range tables {
		if t.Unrestricted {
			return Table{Unrestricted: true}, nil
		}
		flat.blocks = append(flat.blocks, t.blocks()...)
		for _, n := range t.Names {
			all.add(n)
		}
		union.Workloads = Join(union.Workloads, t.Workloads)
		union.APIServer, union.Host = Join(union.APIServer, t.APIServer), Join(union.Host, t.Host)
	}
	flat.denied = len(flat.blocks)
	union.Workload = func(name, namespace string) []PortRange {
		var ports []PortRange
		for _, t := range tables {
			if t.Workload != nil {
				ports = Join(ports, t.Workload(name, namespace))
			}
		}
		return ports
	}
	var err error
	if union.Addresses, err = flat.addresses(most); err != nil {
		return Table{}, err
	}
	union.Names, err = all.list(most)
	return union, err
}

// blocks returns the addresses of a table as blocks, which do not overlap.
func (t Table) blocks() []grant {
	prefixes := slices.SortedFunc(maps.Keys(t.Addresses), comparePrefixes)
	blocks := make([]grant, len(prefixes))
	var around []int
	for i, p := range prefixes {
		blocks[i] = grant{Block{Prefix: p}, t.Addresses[p]}
		for len(around) > 0 && !prefixes[around[len(around)-1]].Overlaps(p) {
			around = around[:len(around)-1]
		}
		if len(around) > 0 {
			outer := &blocks[around[len(around)-1]]
			outer.Except = append(outer.Except, p)
		}
		around = append(around, i)
	}
	return blocks
}
