package page

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/netzero-dev/netzero/internal/report"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// Graph is who sends to whom. Nodes and edges are sorted.
type Graph struct {
	Nodes []Node
	Edges []Edge
}

// Node is an end of flows, with the size of its drawing in pixels.
type Node struct {
	Label         string
	Kind          flow.Kind
	Width, Height float64
}

// Reach returns how far the border of the node is from its center to the left and to the right, at a height above or
// below the center.
func (n Node) Reach(height float64) float64 {
	h := n.Height / 2
	height = min(math.Abs(height), h)
	switch kindClass(n.Kind) {
	case "workload":
		return n.Width / 2
	case "infrastructure":
		return n.Width/2 - hexagon*height/h
	}
	return n.Width/2 - h + math.Sqrt(h*h-height*height)
}

// Edge is the flows from one node to another, or to itself, as indexes of nodes.
type Edge struct{ From, To int }

// Point is a position in pixels, from the upper left corner.
type Point struct{ X, Y float64 }

// Positions are where a graph is drawn.
type Positions struct {
	Width, Height float64 // of the drawing
	Nodes         []Point // the centers, in the order of the nodes
	// Edges are cubic Bézier splines in the order of the edges: a start, and then two control points and an end for each
	// curve. They lead from the border of a node to that of the other one.
	Edges [][]Point
}

// Layout returns the positions of a graph. The same graph has to have the same positions.
type Layout func(Graph) (Positions, error)

const (
	nodeHeight = 36
	maxLabel   = 30  // columns of a label that are drawn
	character  = 7.3 // pixels of a column
	padding    = 30  // pixels beside a label
	hexagon    = 12  // pixels of a point of a hexagon
)

// drawing is a graph as SVG shows it.
type drawing struct {
	Width, Height string
	More          string // says what is left out; empty for nothing
	Nodes         []drawnNode
	Edges         []drawnEdge
}

// drawnNode is a node. Index is that of the page's data, and Shape is a path around the center.
type drawnNode struct {
	Index int
	X, Y  string
	Label string // shortened
	Title string
	Class string
	Shape string
}

// drawnEdge is an edge. Its ends are indexes of the page's data.
type drawnEdge struct {
	From, To int
	Path     string
	Title    string
	Class    string
}

// draw lays the graph of a model out.
func draw(m *model, layout Layout) (*drawing, error) {
	all, more := m.lines()
	ends := m.ends()
	var shown []int // the ends that have lines, ascending
	for p := range all {
		shown = append(shown, p.from, p.to)
	}
	slices.Sort(shown)
	shown = slices.Compact(shown)
	var g Graph
	index := make(map[int]int)
	for i, end := range shown {
		n := ends[end]
		width := float64(utf8.RuneCountInString(shorten(n.Label)))*character + padding
		g.Nodes = append(g.Nodes, Node{n.Label, n.Kind, math.Ceil(width), nodeHeight})
		index[end] = i
	}
	for p := range all {
		g.Edges = append(g.Edges, Edge{index[p.from], index[p.to]})
	}
	slices.SortFunc(g.Edges, func(a, b Edge) int { return cmp.Or(cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To)) })
	at, err := layout(g)
	if err != nil {
		return nil, err
	}
	if len(at.Nodes) != len(g.Nodes) || len(at.Edges) != len(g.Edges) {
		return nil, fmt.Errorf("positions of %d nodes and %d edges, want %d and %d", len(at.Nodes), len(at.Edges),
			len(g.Nodes), len(g.Edges))
	}
	d := &drawing{Width: pixels(at.Width), Height: pixels(at.Height), More: more}
	flows := make([]traffic, len(g.Nodes))
	for i, e := range g.Edges {
		path, err := curve(at.Edges[i])
		if err != nil {
			return nil, fmt.Errorf("edge %d: %w", i, err)
		}
		p := pair{shown[e.From], shown[e.To]}
		t := all[p]
		flows[e.From] = sum(flows[e.From], t)
		if e.From != e.To {
			flows[e.To] = sum(flows[e.To], t)
		}
		d.Edges = append(d.Edges, drawnEdge{
			From: p.from, To: p.to, Path: path, Class: t.class(),
			Title: ends[p.from].Label + " to " + ends[p.to].Label + ": " + t.String() + m.evidence(p),
		})
	}
	// The last is on top.
	slices.SortStableFunc(d.Edges, func(a, b drawnEdge) int { return cmp.Compare(a.rank(), b.rank()) })
	for i, n := range g.Nodes {
		d.Nodes = append(d.Nodes, drawnNode{
			Index: shown[i], X: pixels(at.Nodes[i].X), Y: pixels(at.Nodes[i].Y), Label: shorten(n.Label),
			Title: n.Label + ", " + n.Kind.String() + ": " + flows[i].String(), Class: kindClass(n.Kind),
			Shape: shape(n.Kind, n.Width/2, n.Height/2),
		})
	}
	return d, nil
}

// rank is lower for edges that others may cover.
func (e drawnEdge) rank() int { return slices.Index([]string{"", "new", "denied"}, e.Class) }

// class returns the class of an edge in the style sheet.
func (t traffic) class() string {
	switch {
	case t.denied > 0:
		return "denied"
	case t.fresh > 0:
		return "new"
	}
	return ""
}

const (
	maxPorts = 6  // in the title of an edge
	maxFact  = 60 // characters of each fact there
)

// evidence returns the ports of the flows between two ends, and for the first of them when it was seen, by which
// process, and where in the code.
func (m *model) evidence(p pair) string {
	var ports []string
	var first string
	for _, one := range m.Rows {
		if m.drawn(one.From) != p.from || m.drawn(one.To) != p.to {
			continue
		}
		if ports = append(ports, strings.TrimPrefix(one.Port+"/"+one.Protocol, "/")); len(ports) > 1 {
			continue
		}
		for _, name := range []string{"opened", "sent", "at", "by", "in"} {
			if i := slices.IndexFunc(one.Seen[0].Facts, func(f report.Attribute) bool { return f.Name == name }); i >= 0 {
				first += "\n" + name + " " + cut(one.Seen[0].Facts[i].Value, maxFact)
			}
		}
	}
	if n := len(ports) - maxPorts; n > 0 {
		ports = append(ports[:maxPorts], strconv.Itoa(n)+" more")
	}
	return " (" + strings.Join(ports, ", ") + ")" + first
}

// cut returns the beginning of a text.
func cut(text string, characters int) string {
	runes := []rune(text)
	if len(runes) <= characters {
		return text
	}
	return string(runes[:characters-1]) + "…"
}

// kindClass returns the class of a node in the style sheet, and in the legend.
func kindClass(k flow.Kind) string {
	switch k {
	case flow.Workload:
		return "workload"
	case flow.Resolver, flow.APIServer:
		return "infrastructure"
	}
	return "external"
}

// shape returns the outline of a node: a rectangle for workloads, a hexagon for infrastructure, and round ends for all
// others.
func shape(k flow.Kind, w, h float64) string {
	switch kindClass(k) {
	case "workload":
		return fmt.Sprintf("M%s %sh%sa6 6 0 0 1 6 6v%sa6 6 0 0 1-6 6h%sa6 6 0 0 1-6-6v%sa6 6 0 0 1 6-6z",
			pixels(6-w), pixels(-h), pixels(2*w-12), pixels(2*h-12), pixels(12-2*w), pixels(12-2*h))
	case "infrastructure":
		return fmt.Sprintf("M%s 0l%d %sh%sl%d %sl%d %sh%sz", pixels(-w), hexagon, pixels(-h), pixels(2*w-2*hexagon),
			hexagon, pixels(h), -hexagon, pixels(h), pixels(2*hexagon-2*w))
	}
	return fmt.Sprintf("M%s %sh%sa%s %s 0 0 1 0 %sh%sa%s %s 0 0 1 0 %sz", pixels(h-w), pixels(-h), pixels(2*w-2*h),
		pixels(h), pixels(h), pixels(2*h), pixels(2*h-2*w), pixels(h), pixels(h), pixels(-2*h))
}

// curve returns the path of a spline, in whole pixels. Each command is relative to the end of the one before, which is
// shorter.
func curve(points []Point) (string, error) {
	if len(points) < 4 || len(points)%3 != 1 {
		return "", fmt.Errorf("%d points, want 4, 7, 10 and so on", len(points))
	}
	whole := func(p Point) (x, y int) { return int(math.Round(p.X)), int(math.Round(p.Y)) }
	x, y := whole(points[0])
	path := fmt.Sprintf("M%d %d", x, y)
	straight := 0 // the length of a horizontal line that the path does not have yet
	for i := 1; i < len(points); i += 3 {
		x1, y1 := whole(points[i])
		x2, y2 := whole(points[i+1])
		x3, y3 := whole(points[i+2])
		isStraight := y1 == y && y2 == y && y3 == y
		if isStraight {
			straight += x3 - x
		}
		if isLast := i+3 == len(points); straight != 0 && (isLast || !isStraight) {
			path += fmt.Sprintf("h%d", straight)
			straight = 0
		}
		if !isStraight {
			path += fmt.Sprintf("c%d %d %d %d %d %d", x1-x, y1-y, x2-x, y2-y, x3-x, y3-y)
		}
		x, y = x3, y3
	}
	return path, nil
}

// pixels returns a length with one decimal at most.
func pixels(v float64) string { return strconv.FormatFloat(math.Round(v*10)/10, 'f', -1, 64) }

// shorten returns a label that fits into its node.
func shorten(label string) string {
	runes := []rune(label)
	if len(runes) <= maxLabel {
		return label
	}
	return string(runes[:maxLabel/2]) + "…" + string(runes[len(runes)-maxLabel/2+1:])
}
