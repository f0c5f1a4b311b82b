package graphlayout

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"

	"gonum.org/v1/gonum/graph/layout"
)

const (
	forces    = 60 // updates of the force-directed layout
	orderings = 24 // sweeps that remove crossings
)

// order sorts the columns so that few edges cross. It tries two beginnings: the nodes in their given order, which is by
// kind and name, and the force-directed layout. Either is the better one for many graphs.
func (p *part) order() {
	given := p.snapshot()
	first := p.untangle()
	best := p.columns
	p.columns = given
	y := p.forced()
	for _, c := range p.columns {
		slices.SortStableFunc(c, func(a, b int) int { return cmp.Compare(y[a], y[b]) })
	}
	if p.untangle() >= first {
		p.columns = best
	}
}

// untangle removes crossings, and returns how many are left.
func (p *part) untangle() int {
	index := p.indexes()
	best, fewest := p.snapshot(), p.crossings(index)
	for sweep := range orderings {
		if fewest == 0 {
			break
		}
		for i := range p.columns {
			c, beside := p.columns[i], p.left
			if sweep%2 == 1 {
				c, beside = p.columns[len(p.columns)-1-i], p.right
			}
			sortByNeighbors(c, beside, index)
		}
		if n := p.crossings(index); n < fewest {
			best, fewest = p.snapshot(), n
		}
	}
	p.columns = best
	index = p.indexes()
	p.swap(index)
	return p.crossings(index)
}

func (p *part) snapshot() [][]int {
	all := make([][]int, len(p.columns))
	for i, c := range p.columns {
		all[i] = slices.Clone(c)
	}
	return all
}

// indexes returns the index of each place in its column.
func (p *part) indexes() []float64 {
	index := make([]float64, len(p.column))
	for _, c := range p.columns {
		for i, place := range c {
			index[place] = float64(i)
		}
	}
	return index
}

// sortByNeighbors sorts a column by the mean of the neighbors' indexes. Places without neighbors stay.
func sortByNeighbors(column []int, beside [][]int, index []float64) {
	mean := make(map[int]float64, len(column))
	var moved []int
	for _, place := range column {
		if len(beside[place]) == 0 {
			continue
		}
		total := 0.0
		for _, n := range beside[place] {
			total += index[n]
		}
		mean[place] = total / float64(len(beside[place]))
		moved = append(moved, place)
	}
	slices.SortStableFunc(moved, func(a, b int) int { return cmp.Compare(mean[a], mean[b]) })
	for i, place := range column {
		if len(beside[place]) > 0 {
			column[i], moved = moved[0], moved[1:]
		}
		index[column[i]] = float64(i)
	}
}

// swap exchanges places next to each other as long as that removes crossings.
func (p *part) swap(index []float64) {
	for range orderings {
		isBetter := false
		for _, c := range p.columns {
			for i := range len(c) - 1 {
				a, b := c[i], c[i+1]
				now := inversions(p.left[a], p.left[b], index) + inversions(p.right[a], p.right[b], index)
				then := inversions(p.left[b], p.left[a], index) + inversions(p.right[b], p.right[a], index)
				if then < now {
					c[i], c[i+1] = b, a
					index[a], index[b] = float64(i+1), float64(i)
					isBetter = true
				}
			}
		}
		if !isBetter {
			return
		}
	}
}

// inversions counts the crossings of the edges of two places, the upper one first, with their neighbors on one side.
func inversions(upper, lower []int, index []float64) int {
	n := 0
	for _, a := range upper {
		for _, b := range lower {
			if index[a] > index[b] {
				n++
			}
		}
	}
	return n
}

// crossings counts how often edges cross.
func (p *part) crossings(index []float64) int {
	n := 0
	for c := range len(p.columns) - 1 {
		// The ends to the right, in the order of the ends to the left. Each inversion is a crossing; a Fenwick tree counts
		// them.
		tree := make([]int, len(p.columns[c+1])+1)
		seen := 0
		for _, place := range p.columns[c] {
			ends := make([]int, 0, len(p.right[place]))
			for _, to := range p.right[place] {
				ends = append(ends, int(index[to]))
			}
			for _, end := range ends {
				below := 0
				for i := end + 1; i > 0; i -= i & -i {
					below += tree[i]
				}
				n += seen - below
			}
			for _, end := range ends {
				for i := end + 1; i < len(tree); i += i & -i {
					tree[i]++
				}
				seen++
			}
		}
	}
	return n
}

// forced returns a height for each place from a force-directed layout.
func (p *part) forced() []float64 {
	d := newDirected(len(p.nodes))
	for _, e := range p.edges {
		d.add(e.from, e.to)
	}
	eades := layout.EadesR2{Updates: forces, Repulsion: 1, Rate: 0.05, Theta: 0.2, Src: rand.NewPCG(1, 1)}
	o := layout.NewOptimizerR2(newUndirected(d), eades.Update)
	for o.Update() {
	}
	// The columns go from the left to the right. So turn the layout until its own columns do.
	var dx, dy float64
	for _, e := range p.edges {
		a, b := o.Coord2(int64(e.from)), o.Coord2(int64(e.to))
		if e.back {
			a, b = b, a
		}
		dx, dy = dx+b.X-a.X, dy+b.Y-a.Y
	}
	length := max(math.Hypot(dx, dy), 1e-9)
	y := make([]float64, len(p.column))
	for n := range p.nodes {
		at := o.Coord2(int64(n))
		y[n] = (at.Y*dx - at.X*dy) / length
	}
	for _, e := range p.edges {
		for i, place := range e.chain {
			if !p.isNode(place) {
				share := float64(i) / float64(len(e.chain)-1)
				y[place] = y[e.chain[0]]*(1-share) + y[e.chain[len(e.chain)-1]]*share
			}
		}
	}
	return y
}
