package graphlayout

import (
	"slices"

	"gonum.org/v1/gonum/graph"
	"gonum.org/v1/gonum/graph/iterator"
	"gonum.org/v1/gonum/graph/topo"

	"github.com/netzero-dev/netzero/internal/page"
)

// directed is a graph for gonum whose nodes 0, 1, 2 and so on have a fixed order. Those of gonum itself are maps, whose
// order would make the positions random.
type directed struct {
	to, from [][]int // by node; an edge occurs once in each
}

// vertex is a node for gonum.
type vertex int64

func (v vertex) ID() int64 { return int64(v) }

func newDirected(nodes int) *directed { return &directed{make([][]int, nodes), make([][]int, nodes)} }

// add adds an edge, unless it exists or leads to its own node.
func (d *directed) add(from, to int) {
	if from == to || slices.Contains(d.to[from], to) {
		return
	}
	d.to[from], d.from[to] = append(d.to[from], to), append(d.from[to], from)
}

func ordered(nodes []int) graph.Nodes {
	all := make([]graph.Node, len(nodes))
	for i, n := range nodes {
		all[i] = vertex(n)
	}
	return iterator.NewOrderedNodes(all)
}

func (d *directed) Node(id int64) graph.Node {
	if id < 0 || id >= int64(len(d.to)) {
		return nil
	}
	return vertex(id)
}

func (d *directed) Nodes() graph.Nodes {
	all := make([]int, len(d.to))
	for i := range all {
		all[i] = i
	}
	return ordered(all)
}

func (d *directed) From(id int64) graph.Nodes { return ordered(d.to[id]) }

func (d *directed) To(id int64) graph.Nodes { return ordered(d.from[id]) }

func (d *directed) HasEdgeFromTo(from, to int64) bool { return slices.Contains(d.to[from], int(to)) }

func (d *directed) HasEdgeBetween(a, b int64) bool {
	return d.HasEdgeFromTo(a, b) || d.HasEdgeFromTo(b, a)
}

func (d *directed) Edge(from, to int64) graph.Edge {
	if !d.HasEdgeFromTo(from, to) {
		return nil
	}
	return line{vertex(from), vertex(to)}
}

// line is an edge for gonum.
type line struct{ from, to vertex }

func (l line) From() graph.Node         { return l.from }
func (l line) To() graph.Node           { return l.to }
func (l line) ReversedEdge() graph.Edge { return line{l.to, l.from} }

// undirected is a directed graph whose edges lead both ways.
type undirected struct{ *directed }

func newUndirected(d *directed) undirected {
	both := newDirected(len(d.to))
	for from, all := range d.to {
		for _, to := range all {
			both.add(from, to)
			both.add(to, from)
		}
	}
	return undirected{both}
}

func (u undirected) EdgeBetween(a, b int64) graph.Edge { return u.Edge(a, b) }

// connected returns the parts of a graph that no edge connects, in the order of their first nodes.
func connected(g page.Graph) []*part {
	all := newDirected(len(g.Nodes))
	for _, e := range g.Edges {
		all.add(e.From, e.To)
	}
	var parts []*part
	index, member := make([]int, len(g.Nodes)), make([]*part, len(g.Nodes))
	for _, nodes := range topo.ConnectedComponents(newUndirected(all)) {
		p := new(part)
		for _, n := range nodes {
			p.ids = append(p.ids, int(n.ID()))
		}
		slices.Sort(p.ids)
		for i, id := range p.ids {
			index[id], member[id] = i, p
			p.nodes = append(p.nodes, g.Nodes[id])
		}
		parts = append(parts, p)
	}
	slices.SortFunc(parts, func(a, b *part) int { return a.ids[0] - b.ids[0] })
	for i, e := range g.Edges {
		p := member[e.From]
		p.edges = append(p.edges, edge{id: i, from: index[e.From], to: index[e.To]})
	}
	return parts
}

// acyclic returns a graph in which the edges that close cycles are reversed. The node of a cycle that calls most and is
// called least comes first. The cycle's edges to it are reversed: they lead to nodes behind it then, and close no other
// cycle.
func acyclic(d *directed) *directed {
	rest := newDirected(len(d.to))
	for from, all := range d.to {
		for _, to := range all {
			rest.add(from, to)
		}
	}
	for {
		isCyclic := false
		for _, cycle := range topo.TarjanSCC(rest) {
			if len(cycle) < 2 {
				continue
			}
			isCyclic = true
			members := make(map[int]bool)
			for _, n := range cycle {
				members[int(n.ID())] = true
			}
			first, best := -1, 0
			for n := range rest.to {
				if !members[n] {
					continue
				}
				// Callers from outside of the cycle say where it begins.
				balance := len(rest.to[n]) - len(rest.from[n])
				for _, from := range rest.from[n] {
					if !members[from] {
						balance += 3
					}
				}
				if first < 0 || balance > best {
					first, best = n, balance
				}
			}
			for _, from := range slices.Clone(rest.from[first]) {
				if members[from] {
					rest.remove(from, first)
					rest.add(first, from)
				}
			}
		}
		if !isCyclic {
			return rest
		}
	}
}

func (d *directed) remove(from, to int) {
	d.to[from] = slices.DeleteFunc(d.to[from], func(n int) bool { return n == to })
	d.from[to] = slices.DeleteFunc(d.from[to], func(n int) bool { return n == from })
}
