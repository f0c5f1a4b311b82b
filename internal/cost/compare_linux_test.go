package cost

import (
	"fmt"
	"strings"
	"testing"
)

// TestCompare measures the same work under each observer.
func TestCompare(t *testing.T) {
	all := observers(t)
	s := serve(t)
	n, each := times()
	var b strings.Builder
	b.WriteString("| one operation | " + all[0].name)
	for _, o := range all[1:] {
		b.WriteString(" | " + o.name)
	}
	b.WriteString(" |\n|---" + strings.Repeat("|---", len(all)) + "|\n")
	for _, k := range kinds {
		measured := make([][]float64, len(all))
		for range n {
			for i, o := range all {
				o.during(t, func() {
					measured[i] = append(measured[i], runWork(t, k, s, each, o.netzero, o.prefix...))
				})
			}
		}
		fmt.Fprintf(&b, "| %s | %s", k.what, duration(median(measured[0])))
		for i, o := range all[1:] {
			ratio := median(ratios(measured[i+1], measured[0]))
			fmt.Fprintf(&b, " | %.2f", ratio)
			figure(t, k.name+"/"+o.name, ratio)
		}
		b.WriteString(" |\n")
	}
	write(t, "compare.md", b.String())
}
