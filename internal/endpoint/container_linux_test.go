package endpoint

import (
	"net/netip"
	"os"
	"os/exec"
	"testing"

	"github.com/netzero-dev/netzero/internal/flow"
)

// To a container the test process is somebody else, and loopback is its own unless it has this machine's network.
func TestWhoIsAtTheOtherEndOfAContainer(t *testing.T) {
	self := os.Getpid()
	server, err := tryStart(t, copyBinary(t, "redis-server"), func(*exec.Cmd) {}, "serve", "-", "tcp", "[::]:0")
	if err != nil {
		t.Fatal(err)
	}
	serverPort := netip.MustParseAddrPort(server.line).Port()
	_, inProcess := listen(t, "tcp", "127.0.0.1:0")
	loopback := netip.MustParseAddr("127.0.0.1")
	id := New(Config{Self: self, Workload: "orders", Peers: mustPeers(t, "localhost:1", "fake:8080")})

	query := func(own bool, addr netip.Addr, port uint16) Query {
		return Query{PID: 1 << 30, Protocol: flow.TCP, Addr: addr, Port: port, Container: true, OwnNetwork: own}
	}
	self4 := identified{flow.Endpoint{Kind: flow.Address, Addr: loopback}, Self}
	test := identified{flow.Endpoint{Kind: flow.Workload, Name: "orders", Addr: loopback, Evidence: flow.ByListener}, Other}
	redis := identified{flow.Endpoint{Kind: flow.Workload, Name: "redis-server", Addr: loopback, Evidence: flow.ByListener}, Other}
	for _, row := range []struct {
		reason string
		query  Query
		want   identified
	}{
		{"its own loopback", query(true, loopback, inProcess.Port()), self4},
		{"the test process on this machine's loopback", query(false, loopback, inProcess.Port()), test},
		{"a process of this machine on this machine's loopback", query(false, loopback, serverPort), redis},
		{"a server of the test that the user named", query(false, loopback, 1),
			identified{flow.Endpoint{Kind: flow.Workload, Name: "fake", Addr: loopback, Evidence: flow.ByOption}, Other}},
	} {
		check(t, row.reason, id.Identify, row.query, row.want)
	}

	for _, row := range []struct {
		reason      string
		query       Query
		local, test bool
	}{
		{"its own loopback is not this machine's", query(true, loopback, 9), false, false},
		{"this machine's loopback", query(false, loopback, 9), true, false},
		{"the test process", query(false, loopback, inProcess.Port()), true, true},
		{"a public address", query(true, netip.MustParseAddr("203.0.113.9"), 9), false, false},
	} {
		if got := id.Identify(row.query); got.Local != row.local || got.Test != row.test {
			t.Errorf("%s: Local %v, Test %v; want %v, %v", row.reason, got.Local, got.Test, row.local, row.test)
		}
	}
	if got := id.Identify(query(false, loopback, serverPort)).Listener; got.PID != server.pid {
		t.Errorf("the listener is %+v, want pid %d", got, server.pid)
	}
}
