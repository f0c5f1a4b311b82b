package graphlayout

import (
	"cmp"
	"slices"

	"github.com/netzero-dev/netzero/internal/page"
)

// place writes the positions of a part whose corner is at a point.
func (p *part) place(at *page.Positions, corner page.Point) {
	move := func(x, y float64) page.Point { return page.Point{X: corner.X + x, Y: corner.Y + y} }
	for i, id := range p.ids {
		at.Nodes[id] = move(p.x[p.column[i]], p.y[i])
	}
	starts, ends := p.ports()
	for i, e := range p.edges {
		if e.from == e.to {
			at.Edges[e.id] = p.loop(e.from, move)
			continue
		}
		first, last := e.chain[0], e.chain[len(e.chain)-1]
		x := p.x[p.column[first]] + p.nodes[first].Reach(starts[i])
		y := p.y[first] + starts[i]
		spline := []page.Point{move(x, y)}
		to := func(x2, y2 float64) {
			if x2-x < 0.1 {
				return
			}
			middle := (x + x2) / 2
			spline = append(spline, move(middle, y), move(middle, y2), move(x2, y2))
			x, y = x2, y2
		}
		// Within a column an edge is straight, so that it passes no node there.
		to(p.x[p.column[first]]+p.half[p.column[first]], y)
		for _, place := range e.chain[1 : len(e.chain)-1] {
			c := p.column[place]
			to(p.x[c]-p.half[c], p.y[place])
			to(p.x[c]+p.half[c], p.y[place])
		}
		end := p.y[last] + ends[i]
		to(p.x[p.column[last]]-p.half[p.column[last]], end)
		to(p.x[p.column[last]]-p.nodes[last].Reach(ends[i]), end)
		if e.back {
			slices.Reverse(spline)
		}
		at.Edges[e.id] = spline
	}
}

// ports returns how far above or below the centers of their nodes the edges begin and end, from the left to the right.
// At a node they have the order of the places to which they lead.
func (p *part) ports() (starts, ends []float64) {
	starts, ends = make([]float64, len(p.edges)), make([]float64, len(p.edges))
	begin, arrive := make([][]int, len(p.nodes)), make([][]int, len(p.nodes))
	for i, e := range p.edges {
		if e.from != e.to {
			first, last := e.chain[0], e.chain[len(e.chain)-1]
			begin[first], arrive[last] = append(begin[first], i), append(arrive[last], i)
		}
	}
	for n, node := range p.nodes {
		p.spread(begin[n], starts, node.Height, func(i int) int { return p.edges[i].chain[1] })
		p.spread(arrive[n], ends, node.Height, func(i int) int { return p.edges[i].chain[len(p.edges[i].chain)-2] })
	}
	return starts, ends
}

// spread places the ends of edges on a side of a node, sorted by the heights of the places to which they lead. Those to
// the same place, which is not a node, are one line.
func (p *part) spread(edges []int, port []float64, height float64, toward func(edge int) int) {
	slices.SortStableFunc(edges, func(a, b int) int { return cmp.Compare(p.y[toward(a)], p.y[toward(b)]) })
	index, last := make([]int, len(edges)), 0
	for i, e := range edges {
		if i > 0 && (p.isNode(toward(e)) || toward(e) != toward(edges[i-1])) {
			last++
		}
		index[i] = last
	}
	gap := min(portGap, height*2/3/float64(max(last, 1)))
	for i, e := range edges {
		port[e] = (float64(index[i]) - float64(last)/2) * gap
	}
}

// loop returns the curve of an edge from a node to itself, around its upper right corner.
func (p *part) loop(n int, move func(x, y float64) page.Point) []page.Point {
	const inset = 24
	x, y := p.x[p.column[n]], p.y[n]
	right, top := x+p.nodes[n].Width/2, y-p.nodes[n].Height/2
	side := p.nodes[n].Height / 6
	return []page.Point{
		move(x+p.nodes[n].Reach(side), y-side), move(right+loopSize*1.3, y-side),
		move(right-inset, top-loopSize*1.3), move(right-inset, top),
	}
}
