package page

import "testing"

func TestCurve_Paths(t *testing.T) {
	for _, row := range []struct {
		reason string
		points []Point
		want   string
	}{
		{"a curve", []Point{{0, 0}, {5, 0}, {5, 10}, {10.4, 10}}, "M0 0c5 0 5 10 10 10"},
		{"a line", []Point{{1, 2}, {2, 2}, {3, 2}, {4, 2}}, "M1 2h3"},
		{
			"lines and curves",
			[]Point{
				{0, 0}, {1, 0}, {2, 0}, {3, 0}, {4, 0}, {5, 0}, {6, 0}, {7, 0}, {7, 9}, {8, 9}, {9, 9}, {9, 9}, {10, 9},
			},
			"M0 0h6c1 0 1 9 2 9h2",
		},
		{"to the left", []Point{{9, 9}, {5, 9}, {5, 0}, {1, 0}, {1, 0}, {0, 0}, {-1, 0}}, "M9 9c-4 0 -4 -9 -8 -9h-2"},
	} {
		if got, err := curve(row.points); err != nil || got != row.want {
			t.Errorf("%s: %q, %v, want %q", row.reason, got, err, row.want)
		}
	}
}
