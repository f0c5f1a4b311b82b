package policy

import (
	"fmt"
	"testing"

	"github.com/netzero-dev/netzero/netzerotest/flow"
)

func TestPortRange_Overlap(t *testing.T) {
	r := PortRange{Name: "ftp", First: 30000, Last: 30009, Protocol: flow.TCP}
	for _, row := range []struct {
		other PortRange
		want  bool
	}{
		{r, true},
		{PortRange{Name: "ftp", First: 30009, Last: 30020, Protocol: flow.TCP}, true},
		{PortRange{Name: "ftp", Namespace: "shop", First: 29000, Last: 30000, Protocol: flow.TCP}, true},
		{PortRange{Name: "ftp", First: 30010, Last: 30020, Protocol: flow.TCP}, false},
		{PortRange{Name: "ftp", First: 30000, Last: 30009, Protocol: flow.UDP}, false},
		{PortRange{Name: "media", First: 30000, Last: 30009, Protocol: flow.TCP}, false},
	} {
		if r.Overlaps(row.other) != row.want || row.other.Overlaps(r) != row.want {
			t.Errorf("%s and %s: want %v", r, row.other, row.want)
		}
	}
	got := fmt.Sprint(r, PortRange{Name: "orders", Namespace: "shop", First: 50051, Last: 50051, Protocol: flow.TCP})
	if got != "ftp:30000-30009/TCP orders.shop:50051/TCP" {
		t.Error(got)
	}
}
