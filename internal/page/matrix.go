package page

import (
	"cmp"
	"fmt"
	"math"
	"slices"
)

const (
	maxMatrix = 40 // sources, and destinations, of the matrix
	heats     = 5  // shades of the matrix
)

// matrix shows how often each source sent to each destination.
type matrix struct {
	Columns []heading
	Lines   []matrixLine
	More    string // says what is left out; empty for nothing
	Max     string // the highest count
}

// heading is an end of flows.
type heading struct{ Label, Kind string }

// matrixLine is a source with a cell for each destination.
type matrixLine struct {
	heading
	Cells []cell
}

// cell is the flows from one source to one destination. Heat is 0 for none, and at most heats.
type cell struct {
	From, To int    // indexes of nodes
	Text     string // the count, short
	Label    string // in words
	Heat     int
	Denied   bool
	New      bool
}

// pair is two ends of flows, as indexes of nodes.
type pair struct{ from, to int }

// traffic is the flows between two ends.
type traffic struct {
	flows, denied, fresh int
	count                uint64
}

// pairs returns the traffic between the ends of a model.
func (m *model) pairs() map[pair]traffic {
	all := make(map[pair]traffic)
	for _, one := range m.Rows {
		t := all[pair{one.From, one.To}]
		t.flows++
		t.count += one.Count
		if one.Verdict == denied {
			t.denied++
		}
		if one.New {
			t.fresh++
		}
		all[pair{one.From, one.To}] = t
	}
	return all
}

// String returns the traffic in words.
func (t traffic) String() string {
	text := count(t.flows, "flow") + ", seen " + number(t.count) + " times"
	if t.count == 1 {
		text = count(t.flows, "flow") + ", seen once"
	}
	if t.denied > 0 {
		text += ", " + number(uint64(t.denied)) + " denied"
	} else if t.fresh > 0 {
		text += ", " + number(uint64(t.fresh)) + " new"
	}
	return text
}

func newMatrix(m *model) matrix {
	all := m.pairs()
	sources, destinations := make(map[int]traffic), make(map[int]traffic)
	var highest uint64
	for p, t := range all {
		sources[p.from], destinations[p.to] = sum(sources[p.from], t), sum(destinations[p.to], t)
		highest = max(highest, t.count)
	}
	rows, columns := busiest(sources), busiest(destinations)
	v := matrix{Max: number(highest)}
	if len(rows) < len(sources) || len(columns) < len(destinations) {
		v.More = fmt.Sprintf("Shown are %d of %d sources and %d of %d destinations: those with denied flows and the most "+
			"traffic. The table below has all flows.", len(rows), len(sources), len(columns), len(destinations))
	}
	for _, to := range columns {
		v.Columns = append(v.Columns, m.heading(to))
	}
	for _, from := range rows {
		line := matrixLine{heading: m.heading(from)}
		for _, to := range columns {
			t, known := all[pair{from, to}]
			if !known {
				line.Cells = append(line.Cells, cell{})
				continue
			}
			line.Cells = append(line.Cells, cell{
				From: from, To: to, Text: short(t.count), Heat: heat(t.count, highest),
				Label:  m.Nodes[from].Label + " to " + m.Nodes[to].Label + ": " + t.String(),
				Denied: t.denied > 0, New: t.fresh > 0,
			})
		}
		v.Lines = append(v.Lines, line)
	}
	return v
}

func (m *model) heading(i int) heading { return heading{m.Nodes[i].Label, m.Nodes[i].Kind.String()} }

func sum(a, b traffic) traffic {
	return traffic{a.flows + b.flows, a.denied + b.denied, a.fresh + b.fresh, a.count + b.count}
}

// busiest returns the nodes for the matrix, in their order: those with most denied flows, then those with most traffic.
func busiest(all map[int]traffic) []int {
	var nodes []int
	for i := range all {
		nodes = append(nodes, i)
	}
	slices.SortFunc(nodes, func(a, b int) int {
		return cmp.Or(
			cmp.Compare(all[b].denied, all[a].denied), cmp.Compare(all[b].count, all[a].count), cmp.Compare(a, b),
		)
	})
	nodes = nodes[:min(len(nodes), maxMatrix)]
	slices.Sort(nodes)
	return nodes
}

// heat returns the shade of a count, on a logarithmic scale.
func heat(n, highest uint64) int {
	if highest < 2 || n < 1 {
		return 1
	}
	share := math.Log(float64(n)) / math.Log(float64(highest))
	return 1 + min(int(share*heats), heats-1)
}

// short returns a count in at most four characters: "980", "1.2k", "34k", "5M".
func short(n uint64) string {
	units := []string{"", "k", "M", "G", "T", "P", "E"}
	value, unit := float64(n), 0
	for value >= 999.5 {
		value /= 1000
		unit++
	}
	if unit > 0 && value < 9.95 {
		return fmt.Sprintf("%.1f%s", value, units[unit])
	}
	return fmt.Sprintf("%.0f%s", value, units[unit])
}
