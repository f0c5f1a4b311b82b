package page_test

import (
	"bytes"
	"testing"

	"github.com/netzero-dev/netzero/internal/page"
	"github.com/netzero-dev/netzero/internal/page/graphlayout"
)

// The pages of the command have this layout.
func TestRender_SizesWithGraph(t *testing.T) {
	for _, row := range []struct{ flows, limit int }{{12, 80_000}, {1_000, 500_000}, {5_000, 2_500_000}} {
		var b bytes.Buffer
		if err := page.Render(&b, page.Generated(row.flows), graphlayout.Layered); err != nil {
			t.Fatal(err)
		}
		if b.Len() > row.limit || !bytes.Contains(b.Bytes(), []byte("<svg ")) {
			t.Errorf("%d flows take %d bytes, more than %d, or have no graph", row.flows, b.Len(), row.limit)
		}
	}
}
