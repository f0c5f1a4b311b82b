package graphlayout

import (
	"math"
	"slices"

	"github.com/netzero-dev/netzero/internal/page"
)

const (
	nodeGap   = 14  // between nodes of a column, in pixels
	lineGap   = 8   // between lines that pass a column
	loopSize  = 16  // of a self loop beyond its node
	leastGap  = 36  // between columns of a wide part
	usualGap  = 64  // between columns
	mostGap   = 170 // between columns with steep edges between them
	portGap   = 7   // between the ends of lines at a node
	bundle    = 4   // long edges to one node, which become one line
	movements = 24  // sweeps that move nodes next to their neighbors
)

// edge is an edge of a part.
type edge struct {
	id       int // in the whole graph
	from, to int
	back     bool  // closes a cycle: it leads from a column to one further left
	chain    []int // the places that it joins, from the left to the right; nil for a self loop
}

// part is nodes that edges connect. The places in its columns are its nodes, and then those where edges pass.
type part struct {
	ids   []int // of the nodes, in the whole graph
	nodes []page.Node
	edges []edge

	width, height float64

	column      []int   // of each place
	left, right [][]int // the neighbors of each place in the columns beside its own
	columns     [][]int // the places, from the top down
	y           []float64
	tall        []float64 // the height that a place needs
	x           []float64 // the center of each column
	half        []float64 // half of the width of each column
}

// lay finds positions, relative to the part's own corner.
func (p *part) lay() {
	p.rank()
	p.pass()
	p.order()
	p.move()
	p.measure()
}

// rank gives each node its column: one further right than its callers.
func (p *part) rank() {
	d := newDirected(len(p.nodes))
	for _, e := range p.edges {
		d.add(e.from, e.to)
	}
	d = acyclic(d)
	p.column = make([]int, len(p.nodes))
	waiting := make([]int, len(p.nodes))
	var ready []int
	for n, from := range d.from {
		if waiting[n] = len(from); len(from) == 0 {
			ready = append(ready, n)
		}
	}
	for ; len(ready) > 0; ready = ready[1:] {
		n := ready[0]
		for _, to := range d.to[n] {
			p.column[to] = max(p.column[to], p.column[n]+1)
			if waiting[to]--; waiting[to] == 0 {
				ready = append(ready, to)
			}
		}
	}
	for i := range p.edges {
		e := &p.edges[i]
		e.back = p.column[e.from] > p.column[e.to]
	}
}

// pass gives long edges places in the columns between their ends. Many long edges to one node share these places: they
// join to one line.
func (p *part) pass() {
	p.left, p.right = make([][]int, len(p.nodes)), make([][]int, len(p.nodes))
	p.tall = make([]float64, len(p.nodes))
	for i, n := range p.nodes {
		p.tall[i] = n.Height
	}
	type way struct {
		to   int
		back bool
	}
	long := make(map[way]int)
	for _, e := range p.edges {
		if span := p.column[e.to] - p.column[e.from]; max(span, -span) > 1 {
			long[way{e.to, e.back}]++
		}
	}
	type shared struct {
		way
		column int
	}
	places := make(map[shared]int)
	for i := range p.edges {
		e := &p.edges[i]
		if e.from == e.to {
			p.tall[e.from] = p.nodes[e.from].Height + 2*loopSize
			continue
		}
		from, to, w := e.from, e.to, way{e.to, e.back}
		if e.back {
			from, to = to, from
		}
		e.chain = []int{from}
		for c := p.column[from] + 1; c < p.column[to]; c++ {
			place, known := places[shared{w, c}]
			if !known {
				place = len(p.column)
				p.column, p.tall = append(p.column, c), append(p.tall, 0)
				p.left, p.right = append(p.left, nil), append(p.right, nil)
				if long[w] >= bundle {
					places[shared{w, c}] = place
				}
			}
			e.chain = append(e.chain, place)
		}
		e.chain = append(e.chain, to)
		for j, b := range e.chain[1:] {
			if a := e.chain[j]; !slices.Contains(p.right[a], b) {
				p.right[a], p.left[b] = append(p.right[a], b), append(p.left[b], a)
			}
		}
	}
	p.columns = make([][]int, slices.Max(p.column)+1)
	for place, c := range p.column {
		p.columns[c] = append(p.columns[c], place)
	}
}

// isNode reports whether a place is that of a node.
func (p *part) isNode(place int) bool { return place < len(p.nodes) }

// move gives each place its height, near those of its neighbors.
func (p *part) move() {
	p.y = make([]float64, len(p.column))
	for _, c := range p.columns {
		for i, place := range c {
			if i > 0 {
				p.y[place] = p.y[c[i-1]] + p.distance(c[i-1], place)
			}
		}
	}
	for sweep := range movements {
		for i := range p.columns {
			c, sides := p.columns[i], [][][]int{p.left}
			if sweep%2 == 1 {
				c, sides = p.columns[len(p.columns)-1-i], [][][]int{p.right}
			}
			if sweep >= movements/2 {
				sides = [][][]int{p.left, p.right}
			}
			p.shift(c, sides)
		}
	}
}

// distance returns the least distance between the centers of two places of a column, the upper one first.
func (p *part) distance(a, b int) float64 {
	gap := float64(nodeGap)
	if !p.isNode(a) && !p.isNode(b) {
		gap = lineGap
	}
	return (p.tall[a]+p.tall[b])/2 + gap
}

// shift moves the places of a column as near as possible to the means of their neighbors, by least squares, without a
// change of their order: the pool adjacent violators algorithm on the heights without the least distances.
func (p *part) shift(column []int, sides [][][]int) {
	type block struct {
		mean, weight float64
		size         int
	}
	var blocks []block
	offset := make([]float64, len(column))
	for i, place := range column {
		if i > 0 {
			offset[i] = offset[i-1] + p.distance(column[i-1], place)
		}
		total, weight := 0.0, 0.0
		for _, beside := range sides {
			for _, n := range beside[place] {
				w := p.stiffness(place, n)
				total, weight = total+w*p.y[n], weight+w
			}
		}
		if weight == 0 {
			total, weight = p.y[place]*0.01, 0.01
		}
		blocks = append(blocks, block{total/weight - offset[i], weight, 1})
		for n := len(blocks); n > 1 && blocks[n-2].mean >= blocks[n-1].mean; n-- {
			a, b := blocks[n-2], blocks[n-1]
			w := a.weight + b.weight
			blocks = append(blocks[:n-2], block{(a.mean*a.weight + b.mean*b.weight) / w, w, a.size + b.size})
		}
	}
	i := 0
	for _, b := range blocks {
		for range b.size {
			p.y[column[i]] = b.mean + offset[i]
			i++
		}
	}
}

// stiffness returns the weight of a piece of an edge: long edges shall be straight.
func (p *part) stiffness(a, b int) float64 {
	switch {
	case !p.isNode(a) && !p.isNode(b):
		return 8
	case p.isNode(a) && p.isNode(b):
		return 1
	}
	return 2
}

// measure moves the part to its corner, places the columns, and sets the size.
func (p *part) measure() {
	top, bottom := math.Inf(1), math.Inf(-1)
	for place, y := range p.y {
		top, bottom = min(top, y-p.tall[place]/2), max(bottom, y+p.tall[place]/2)
	}
	for place := range p.y {
		p.y[place] -= top
	}
	p.height = bottom - top
	p.x, p.half = make([]float64, len(p.columns)), make([]float64, len(p.columns))
	gaps, spare := make([]float64, len(p.columns)), 0.0
	for i, c := range p.columns {
		steepest := 0.0
		for _, place := range c {
			if p.isNode(place) {
				p.half[i] = max(p.half[i], p.nodes[place].Width/2)
			}
			for _, n := range p.left[place] {
				steepest = max(steepest, math.Abs(p.y[place]-p.y[n]))
			}
		}
		if i > 0 {
			gaps[i] = max(usualGap, min(steepest/3, mostGap))
			spare += gaps[i] - leastGap
		}
		p.width += gaps[i] + 2*p.half[i]
	}
	// A part that is too wide gets smaller gaps, if it fits then.
	narrower := 0.0
	if excess := p.width - fullWidth; excess > 0 && excess < spare {
		narrower = excess / spare
	}
	p.width = 0
	for i, gap := range gaps {
		if i > 0 {
			p.width += gap - narrower*(gap-leastGap)
		}
		p.x[i] = p.width + p.half[i]
		p.width += 2 * p.half[i]
	}
	for _, e := range p.edges {
		if e.from == e.to {
			p.width = max(p.width, p.x[p.column[e.from]]+p.nodes[e.from].Width/2+loopSize)
		}
	}
}
