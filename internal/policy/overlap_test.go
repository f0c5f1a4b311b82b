package policy

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// A rule for anyone at a port covers all callers at that port, and nothing else.
func TestCover_AnyoneCoversCallers(t *testing.T) {
	db := workload("orders-db")
	anyone := flow.Endpoint{Kind: flow.Anyone}
	ping := func(source flow.Endpoint, icmpType uint8, port uint16) flow.Flow {
		return flow.Flow{Source: source, Destination: db, Protocol: flow.ICMP, ICMPType: icmpType, Port: port}
	}
	udp := query(5432)
	udp.Protocol = flow.UDP
	for _, c := range []struct {
		reason      string
		flow, other flow.Flow
		needed      bool
	}{
		{"the same port", query(5432), between(anyone, db, 5432), false},
		{"another port", query(5432), between(anyone, db, 5433), true},
		{"another protocol", udp, between(anyone, db, 5432), true},
		{"another workload", query(5432), between(anyone, workload("cache"), 5432), true},
		{"another caller", query(5432), between(workload("cart"), db, 5432), true},
		{"a ping, whatever its port says", ping(workload("cart"), 8, 1), ping(anyone, 8, 2), false},
		{"a ping that is not known to be one", ping(workload("cart"), 0, 0), ping(anyone, 8, 0), false},
		{"another type of ICMP", ping(workload("cart"), 13, 0), ping(anyone, 8, 0), true},
	} {
		want := []flow.Flow{c.flow, c.other}
		if !c.needed {
			want = want[1:]
		}
		if diff := cmp.Diff(want, Needed(Ingress, []flow.Flow{c.flow, c.other}), sameAddr); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.reason, diff)
		}
		if got := Needed(Egress, []flow.Flow{c.flow, c.other}); len(got) != 2 {
			t.Errorf("%s: of egress %d flows are needed", c.reason, len(got))
		}
	}
}
