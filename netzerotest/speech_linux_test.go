package netzerotest

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netzero-dev/netzero/internal/cgroup"
	"github.com/netzero-dev/netzero/internal/endpoint"
	"github.com/netzero-dev/netzero/internal/flow"
	"github.com/netzero-dev/netzero/internal/probe"
	"github.com/netzero-dev/netzero/internal/session"
)

// called is what a client sent that calls its server so.
func called(hash uint64, source probe.NameSource, text string) *probe.NameEvent {
	return &probe.NameEvent{ServerNameKey: probe.ServerNameKey{Key: calledKey, Hash: hash}, Source: source, Text: []byte(text)}
}

var calledKey = probe.Key{Cgroup: 1, Addr: netip.MustParseAddr("203.0.113.9"), Port: 8443, Protocol: flow.TCP}

// Which came first, on which processor, must not show; nor must a connection without a name hide behind one with.
func TestFlowIsWhatItsClientsCallTheServer(t *testing.T) {
	seen := &probe.FlowEvent{Key: calledKey}
	var (
		a       = called(1, probe.NamesByHTTP, "a.test:80")
		again   = called(2, probe.NamesByTLS, "\x00\x09\x00\x00\x06A.TEST")
		b       = called(3, probe.NamesByTLSOuter, "\x00\x09\x00\x00\x06b.test")
		nothing = called(0, probe.NamesNothing, "")
		address = called(4, probe.NamesByHTTP, "203.0.113.9:8443")
	)
	later := *seen
	later.Generation++
	laterNothing := *nothing
	laterNothing.Generation++
	counts := map[probe.Key]uint64{calledKey: 100, later.Key: 7}
	calls := map[probe.ServerNameKey]uint64{a.ServerNameKey: 1, again.ServerNameKey: 2, b.ServerNameKey: 4}
	for _, row := range []struct {
		reason string
		events [][]probe.Event // orders in which they may come
		want   map[string]uint64
	}{
		{"nothing was said: the address", [][]probe.Event{{seen}}, map[string]uint64{"203.0.113.9 none": 100}},
		{"one name", [][]probe.Event{{seen, a}, {a, seen}}, map[string]uint64{"a.test HTTP Host header": 1}},
		{"one name, said in two ways", [][]probe.Event{{seen, a, again}, {again, a, seen}, {a, seen, again}},
			map[string]uint64{"a.test TLS server name": 3}},
		{"two names", [][]probe.Event{{seen, again, b}, {b, seen, again}},
			map[string]uint64{"a.test TLS server name": 2, "b.test TLS server name, which may be only the outer one (ECH)": 4}},
		{"a name, and somebody who said something else", [][]probe.Event{{seen, b, nothing}, {nothing, seen, b}, {b, nothing, seen}},
			map[string]uint64{"b.test TLS server name, which may be only the outer one (ECH)": 4, "203.0.113.9 none": 96}},
		{"an attempt that the kernel kept apart", [][]probe.Event{{seen, b, &later}, {&later, b, seen}},
			map[string]uint64{"b.test TLS server name, which may be only the outer one (ECH)": 4}},
		{"the same, and something was said", [][]probe.Event{{seen, b, &later, &laterNothing}, {&laterNothing, &later, b, seen}},
			map[string]uint64{"b.test TLS server name, which may be only the outer one (ECH)": 4, "203.0.113.9 none": 7}},
		{"an address is no name", [][]probe.Event{{seen, address}, {address, seen}}, map[string]uint64{"203.0.113.9 none": 100}},
	} {
		for _, order := range row.events {
			c := &capture{session: &session.Session{Leaf: &cgroup.Leaf{ID: 1}}, speeches: make(map[probe.Key]*speech)}
			m := &membership{capture: c, identifier: endpoint.New(endpoint.Config{}), seen: make(map[sightingKey]sighting)}
			c.containers, c.members = newContainers(func() {}), []*membership{m}
			c.handle(order)
			got := make(map[string]uint64)
			for _, s := range m.seen {
				if count, own := m.countOf(s, m.named(), counts, calls); own {
					d := s.flow.Destination
					got[d.String()+" "+d.Evidence.String()] = count
				}
			}
			if diff := cmp.Diff(row.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", row.reason, diff)
			}
		}
	}
}
