package graphlayout

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netzero-dev/netzero/internal/page"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// graphOf returns a graph of the edges "a>b" and of the nodes "a". Names that begin with "dns" are the resolver, those
// with a dot are external.
func graphOf(text string) page.Graph {
	var g page.Graph
	index := make(map[string]int)
	node := func(name string) int {
		i, known := index[name]
		if !known {
			i = len(g.Nodes)
			index[name] = i
			kind := flow.Workload
			switch {
			case strings.HasPrefix(name, "dns"):
				kind = flow.Resolver
			case strings.Contains(name, "."):
				kind = flow.External
			}
			g.Nodes = append(g.Nodes, page.Node{Label: name, Kind: kind, Width: float64(30 + 8*len(name)), Height: 36})
		}
		return i
	}
	for _, word := range strings.Fields(text) {
		from, to, isEdge := strings.Cut(word, ">")
		if i := node(from); isEdge {
			g.Edges = append(g.Edges, page.Edge{From: i, To: node(to)})
		}
	}
	return g
}

// boutique is Online Boutique: github.com/GoogleCloudPlatform/microservices-demo.
const boutique = `
	loadgenerator>frontend frontend>ad frontend>cart frontend>checkout frontend>currency frontend>productcatalog
	frontend>recommendation frontend>shipping checkout>cart checkout>currency checkout>email checkout>payment
	checkout>productcatalog checkout>shipping recommendation>productcatalog cart>redis-cart`

// random returns a graph with cycles and self loops, another one for each seed.
func random(seed uint64, nodes, edges int) page.Graph {
	r := rand.New(rand.NewPCG(seed, 2))
	var words []string
	for i := range nodes {
		words = append(words, fmt.Sprintf("service-%d", i))
	}
	for i := 0; i < edges; {
		word := fmt.Sprintf("service-%d>service-%d", r.IntN(nodes), r.IntN(nodes))
		if !slices.Contains(words, word) {
			words = append(words, word)
			i++
		}
	}
	return graphOf(strings.Join(words, " "))
}

// services returns a graph as large tests have it: each of the services calls some that come later, names outside of
// the cluster, and the resolver.
func services(n, outside int) page.Graph {
	r := rand.New(rand.NewPCG(3, 4))
	var words []string
	for i := range n {
		words = append(words, fmt.Sprintf("service-%d>dns", i))
		if i+1 < n {
			words = append(words, fmt.Sprintf("service-%d>service-%d", i, i+1+r.IntN(min(8, n-i-1))))
		}
	}
	for i := range outside {
		words = append(words, fmt.Sprintf("service-%d>name-%d.example.com", r.IntN(n), i))
	}
	slices.Sort(words)
	return graphOf(strings.Join(slices.Compact(words), " "))
}

// example is a graph that each property is tested on.
type example struct {
	reason string
	graph  page.Graph
}

var graphs = append([]example{
	{"no node", page.Graph{}},
	{"one node", graphOf("a")},
	{"one node that calls itself", graphOf("a>a")},
	{"two nodes", graphOf("a>b")},
	{"both ways", graphOf("a>b b>a")},
	{"nodes without edges", graphOf("a b c d")},
	{"a cycle behind its caller", graphOf("a>b b>c c>d d>b")},
	{"a long edge", graphOf("a>b b>c c>d a>d")},
	{"parts", graphOf("a>b c>d e>f f>e g>x.org h>y.org")},
	{"nodes of each kind", graphOf("a>b a>dns b>dns a>x.example.com b>b b>x.example.com")},
	{"a star", graphOf("hub>a hub>b hub>c hub>d hub>e hub>f hub>g hub>h hub>i hub>j hub>k hub>l hub>m")},
	{"Online Boutique", graphOf(boutique)},
	{"a large test", services(60, 240)},
	{"300 random nodes", random(1, 300, 600)},
	{"all call all", random(1, 9, 81)},
}, randomGraphs()...)

func randomGraphs() []example {
	var all []example
	for seed := range uint64(40) {
		nodes := 3 + int(seed%20)
		all = append(all, example{fmt.Sprint("random graph ", seed), random(seed, nodes, nodes*int(1+seed%3))})
	}
	return all
}

func positions(t *testing.T, g page.Graph) page.Positions {
	t.Helper()
	at, err := Layered(g)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

func TestLayered_NodesDoNotOverlap(t *testing.T) {
	for _, row := range graphs {
		at := positions(t, row.graph)
		if len(at.Nodes) != len(row.graph.Nodes) {
			t.Fatalf("%s: %d positions of %d nodes", row.reason, len(at.Nodes), len(row.graph.Nodes))
		}
		for i, a := range row.graph.Nodes {
			p := at.Nodes[i]
			if !(p.X-a.Width/2 >= 0 && p.Y-a.Height/2 >= 0 && p.X+a.Width/2 <= at.Width && p.Y+a.Height/2 <= at.Height) {
				t.Errorf("%s: node %s at %v is outside of %gx%g", row.reason, a.Label, p, at.Width, at.Height)
			}
			for j, b := range row.graph.Nodes[:i] {
				q := at.Nodes[j]
				if math.Abs(p.X-q.X) < (a.Width+b.Width)/2 && math.Abs(p.Y-q.Y) < (a.Height+b.Height)/2+nodeGap/2 {
					t.Errorf("%s: nodes %s at %v and %s at %v overlap", row.reason, a.Label, p, b.Label, q)
				}
			}
		}
	}
}

// Edges lead from border to border, stay in the drawing, and pass no other node.
func TestLayered_EdgesJoinTheirNodes(t *testing.T) {
	for _, row := range graphs {
		g, at := row.graph, positions(t, row.graph)
		if len(at.Edges) != len(g.Edges) {
			t.Fatalf("%s: %d splines of %d edges", row.reason, len(at.Edges), len(g.Edges))
		}
		for i, e := range g.Edges {
			name := row.reason + ": " + g.Nodes[e.From].Label + ">" + g.Nodes[e.To].Label
			spline := at.Edges[i]
			if len(spline) < 4 || len(spline)%3 != 1 {
				t.Fatalf("%s: %d points", name, len(spline))
			}
			for _, end := range []struct {
				point page.Point
				node  int
			}{{spline[0], e.From}, {spline[len(spline)-1], e.To}} {
				node, center := g.Nodes[end.node], at.Nodes[end.node]
				dx, dy := math.Abs(end.point.X-center.X), math.Abs(end.point.Y-center.Y)
				isSide := math.Abs(dx-node.Reach(dy)) < 0.01 && dy < node.Height/2
				isTop := math.Abs(dy-node.Height/2) < 0.01 && dx < node.Width/2
				if !isSide && !isTop {
					t.Errorf("%s: the end %v is not on the border of %s at %v", name, end.point, node.Label, center)
				}
			}
			for _, p := range samples(spline) {
				if p.X < 0 || p.Y < 0 || p.X > at.Width || p.Y > at.Height {
					t.Errorf("%s: point %v is outside of %gx%g", name, p, at.Width, at.Height)
				}
				for n, center := range at.Nodes {
					node := g.Nodes[n]
					if n != e.From && n != e.To && math.Abs(p.X-center.X) < node.Width/2-1 &&
						math.Abs(p.Y-center.Y) < node.Height/2-1 {
						t.Errorf("%s passes %s at %v", name, node.Label, p)
					}
				}
			}
		}
	}
}

// samples returns points of a spline.
func samples(spline []page.Point) []page.Point {
	var all []page.Point
	for i := 0; i+3 < len(spline); i += 3 {
		a, b, c, d := spline[i], spline[i+1], spline[i+2], spline[i+3]
		for step := range 11 {
			t := float64(step) / 10
			u := 1 - t
			mix := func(a, b, c, d float64) float64 { return u*u*u*a + 3*u*u*t*b + 3*u*t*t*c + t*t*t*d }
			all = append(all, page.Point{X: mix(a.X, b.X, c.X, d.X), Y: mix(a.Y, b.Y, c.Y, d.Y)})
		}
	}
	return all
}

// Callers stand to the left, unless the edge closes a cycle.
func TestLayered_CallersAreLeft(t *testing.T) {
	for _, row := range []struct {
		graph string
		back  []string // edges that lead to the left
	}{
		{"a>b b>c a>c", nil},
		{boutique, nil},
		{"a>b b>c c>d d>b", []string{"d>b"}},
		{"a>b b>a c>a", []string{"b>a"}},
		{"a>b b>a b>c c>a", []string{"a>b"}}, // one edge fewer than from a
	} {
		g := graphOf(row.graph)
		at := positions(t, g)
		var back []string
		for _, e := range g.Edges {
			if at.Nodes[e.From].X >= at.Nodes[e.To].X {
				back = append(back, g.Nodes[e.From].Label+">"+g.Nodes[e.To].Label)
			}
		}
		if diff := cmp.Diff(row.back, back); diff != "" {
			t.Errorf("%s: edges to the left (-want +got)\n%s", row.graph, diff)
		}
	}
}

func TestLayered_TwoWaysAreTwoLines(t *testing.T) {
	at := positions(t, graphOf("a>b b>a"))
	there, back := at.Edges[0], at.Edges[1]
	if math.Abs(there[0].Y-back[len(back)-1].Y) < 5 || math.Abs(there[len(there)-1].Y-back[0].Y) < 5 {
		t.Errorf("the edges coincide: %v and %v", there, back)
	}
}

// A DNS service has callers in all columns.
func TestLayered_ManyLongEdgesJoin(t *testing.T) {
	for _, row := range []struct {
		graph string
		want  int // ends of lines at the last node
	}{
		{"a>b b>c c>d d>e a>x b>x c>x d>x e>x", 2},
		{"b>c c>d d>e b>x c>x d>x e>x", 4}, // few stay apart
	} {
		g := graphOf(row.graph)
		at := positions(t, g)
		ends := make(map[page.Point]bool)
		for i, e := range g.Edges {
			if g.Nodes[e.To].Label == "x" {
				ends[at.Edges[i][len(at.Edges[i])-1]] = true
			}
		}
		if len(ends) != row.want {
			t.Errorf("%s: the lines end at %v, want %d points", row.graph, ends, row.want)
		}
	}
}

func TestLayered_Deterministic(t *testing.T) {
	for _, row := range graphs {
		if diff := cmp.Diff(positions(t, row.graph), positions(t, row.graph)); diff != "" {
			t.Errorf("%s (-first +next)\n%s", row.reason, diff)
		}
	}
}

func TestLayered_UnknownNode(t *testing.T) {
	for _, e := range []page.Edge{{From: 0, To: 1}, {From: -1, To: 0}} {
		g := graphOf("a")
		g.Edges = []page.Edge{e}
		if _, err := Layered(g); err == nil || !strings.Contains(err.Error(), "edge 0: from node") {
			t.Errorf("%v: error %v", e, err)
		}
	}
}

func BenchmarkLayered(b *testing.B) {
	for _, row := range []struct {
		name  string
		graph page.Graph
	}{
		{"nodes=12", graphOf(boutique)}, {"nodes=300", services(60, 240)}, {"nodes=300,random", random(1, 300, 600)},
	} {
		b.Run(row.name, func(b *testing.B) {
			for b.Loop() {
				if _, err := Layered(row.graph); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
