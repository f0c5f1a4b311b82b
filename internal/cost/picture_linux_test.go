package cost

import (
	"bytes"
	"fmt"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/plotutil"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// pictureOf draws one column per dimension: above the added time, below the added memory.
func pictureOf(all []growth) ([]byte, error) {
	rows := make([][]*plot.Plot, 2)
	for _, g := range all {
		var seconds, maps, resident plotter.XYs
		for i, m := range g.Added {
			x := float64(g.Counts[i])
			seconds = append(seconds, plotter.XY{X: x, Y: m.Seconds * 1000})
			maps = append(maps, plotter.XY{X: x, Y: m.Maps / (1 << 20)})
			resident = append(resident, plotter.XY{X: x, Y: m.Resident / (1 << 20)})
		}
		above, err := newPlot(g.Name, "ms", "time", seconds)
		if err != nil {
			return nil, err
		}
		below, err := newPlot(g.Name, "MiB", "maps", maps, "process", resident)
		if err != nil {
			return nil, err
		}
		rows[0], rows[1] = append(rows[0], above), append(rows[1], below)
	}
	canvas := vgsvg.New(vg.Length(len(all))*8*vg.Centimeter, 12*vg.Centimeter)
	tiles := draw.Tiles{Rows: len(rows), Cols: len(all), PadX: vg.Millimeter * 4, PadY: vg.Millimeter * 4}
	for i, row := range plot.Align(rows, tiles, draw.New(canvas)) {
		for j, tile := range row {
			rows[i][j].Draw(tile)
		}
	}
	var b bytes.Buffer
	if _, err := canvas.WriteTo(&b); err != nil {
		return nil, fmt.Errorf("write the picture: %w", err)
	}
	return b.Bytes(), nil
}

// newPlot returns a plot of lines with points. The arguments are pairs of a name and its values.
func newPlot(x, y string, lines ...any) (*plot.Plot, error) {
	p := plot.New()
	p.X.Label.Text, p.Y.Label.Text = x, y
	p.Y.Min = 0
	p.Legend.Top, p.Legend.Left = true, true
	if err := plotutil.AddLinePoints(p, lines...); err != nil {
		return nil, fmt.Errorf("plot %s of %s: %w", y, x, err)
	}
	return p, nil
}
