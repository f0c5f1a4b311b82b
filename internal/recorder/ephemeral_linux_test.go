package recorder

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netzero-dev/netzero/internal/cgroup"
	"github.com/netzero-dev/netzero/internal/endpoint"
	"github.com/netzero-dev/netzero/internal/probe"
	"github.com/netzero-dev/netzero/internal/session"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

func TestEphemeralPorts(t *testing.T) {
	v4, v6 := netip.MustParseAddr("127.0.0.1"), netip.IPv6Loopback()
	server := func(name string, addr netip.Addr, port uint16) endpoint.Identity {
		return endpoint.Identity{
			Endpoint: flow.Endpoint{Kind: flow.Workload, Name: name, Addr: addr, Evidence: flow.ByListener},
			Port:     port, Relation: endpoint.Other, Ephemeral: true,
		}
	}
	unknown := server("", v6, 43121)
	unknown.Endpoint = flow.Endpoint{Kind: flow.Address, Addr: v6}
	peer := func(address, name string, addr netip.Addr, port uint16) endpoint.Identity {
		p, err := endpoint.ParsePeer(address, name)
		if err != nil {
			t.Fatal(err)
		}
		i := server(p.Name, addr, port)
		i.Peer, i.Endpoint.Evidence = p, flow.ByOption
		return i
	}
	stable := peer("127.0.0.1:43121", "search:8080", v4, 8080)
	stable.Ephemeral = false
	const (
		searchErr = `Peer("127.0.0.1:43121", "search"): port 43121 is ephemeral and changes with every run: ` +
			`say at which port the real search serves: Peer(…, "search:8080")`
		mailErr = `Peer("localhost:43122", "mail"): port 43122 is ephemeral and changes with every run: ` +
			`say at which port the real mail serves: Peer(…, "mail:8080")`
	)
	for _, tt := range []struct {
		reason     string
		identities []endpoint.Identity
		ignored    string // a destination that is ignored
		fixed      string // a destination at a fixed port
		err        string
		changing   []string
	}{
		{reason: "nothing"},
		{reason: "a peer with a port", identities: []endpoint.Identity{stable}},
		{
			reason:     "a peer without a port",
			identities: []endpoint.Identity{peer("127.0.0.1:43121", "search", v4, 43121)},
			err:        searchErr,
		},
		{reason: "two peers, one of them over IPv4 and IPv6",
			identities: []endpoint.Identity{
				peer("localhost:43122", "mail", v6, 43122), peer("localhost:43122", "mail", v4, 43122),
				peer("127.0.0.1:43121", "search", v4, 43121),
			},
			err: searchErr + "; " + mailErr},
		{reason: "a peer that is ignored", identities: []endpoint.Identity{peer("127.0.0.1:43121", "search", v4, 43121)},
			ignored: "127.0.0.1"},
		{reason: "a peer with a fixed port", identities: []endpoint.Identity{peer("127.0.0.1:43121", "search", v4, 43121)},
			fixed: "search"},
		{reason: "a child, and an unknown listener", identities: []endpoint.Identity{server("python3", v4, 43121), unknown},
			changing: []string{"python3:43121/TCP", "[::1]:43121/TCP"}},
		{
			reason:     "two clients of one port",
			identities: []endpoint.Identity{server("python3", v4, 43121), server("python3", v6, 43121)},
			changing:   []string{"python3:43121/TCP"},
		},
		{
			reason:     "a child with a fixed port",
			identities: []endpoint.Identity{server("python3", v4, 43121), server("ruby", v4, 43121)},
			fixed:      "python3", changing: []string{"ruby:43121/TCP"},
		},
		{
			reason:     "a child that is ignored",
			identities: []endpoint.Identity{server("python3", v4, 43121)},
			ignored:    "localhost:43121",
		},
	} {
		t.Run(tt.reason, func(t *testing.T) {
			options := Options{FixedPort: func(f flow.Flow) bool { return tt.fixed != "" && f.Destination.Name == tt.fixed }}
			if tt.ignored != "" {
				ignored, err := endpoint.ParseIgnore(tt.ignored)
				if err != nil {
					t.Fatal(err)
				}
				options.Ignored.Destinations = append(options.Ignored.Destinations, ignored)
			}
			recorder := &Recorder{containers: &containerState{}, session: &session.Session{Leaf: &cgroup.Leaf{}}}
			rec := &Recording{recorder: recorder, options: options}
			s := &resolution{snapshot: rec.snapshot()}
			for _, identity := range tt.identities {
				f := flow.Flow{Destination: identity.Endpoint, Protocol: flow.TCP, Port: identity.Port}
				s.flows = append(s.flows, resolvedFlow{
					observation: observation{event: &probe.FlowEvent{}, flow: f, identity: identity},
				})
			}
			attributed, err := s.result()
			got := ""
			if err != nil {
				got = err.Error()
			}
			if diff := cmp.Diff(tt.err, got); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
			var changing []string
			for _, p := range attributed.EphemeralPorts {
				changing = append(changing, p.Flow.Target())
			}
			if diff := cmp.Diff(tt.changing, changing); diff != "" {
				t.Errorf("changing ports (-want +got):\n%s", diff)
			}
		})
	}
}
