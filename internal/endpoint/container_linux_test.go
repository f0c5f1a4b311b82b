package endpoint

import (
	"net/netip"
	"os"
	"os/exec"
	"testing"

	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// For a container the test process is another workload, and loopback is the container's unless it uses this machine's
// network.
func TestIdentify_FromContainer(t *testing.T) {
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
	test := identified{flow.Endpoint{Kind: flow.Workload, Name: "orders", Addr: loopback, Evidence: flow.ByListener},
		Other}
	redis := identified{flow.Endpoint{Kind: flow.Workload, Name: "redis-server", Addr: loopback,
		Evidence: flow.ByListener}, Other}
	for _, row := range []struct {
		reason string
		query  Query
		want   identified
	}{
		{"its own loopback", query(true, loopback, inProcess.Port()), self4},
		{"the test process on this machine's loopback", query(false, loopback, inProcess.Port()), test},
		{"a process of this machine on this machine's loopback", query(false, loopback, serverPort), redis},
		{"a server of the test that the user named", query(false, loopback, 1),
			identified{flow.Endpoint{Kind: flow.Workload, Name: "fake", Addr: loopback, Evidence: flow.ByOption},
				Other}},
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

// For a container, the machine's other processes are the node. Processes that the test started are not. For the test
// process nothing is the node, and neither is anything at loopback, which a pod has for itself.
func TestIdentify_NodeFromContainer(t *testing.T) {
	unrelated, err := tryStart(t, copyBinary(t, "statsd"), func(*exec.Cmd) {}, "serve", "-", "tcp", "[::]:0")
	if err != nil {
		t.Fatal(err)
	}
	test, err := tryStart(t, copyBinary(t, "orders"), func(*exec.Cmd) {}, "serve", "-", "tcp", "[::]:0")
	if err != nil {
		t.Fatal(err)
	}
	port := netip.MustParseAddrPort(unrelated.line).Port()
	own := netip.Addr{}
	local, err := readLocalAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for addr := range local {
		if !addr.IsLoopback() && addr.Is4() {
			own = addr
		}
	}
	if !own.IsValid() {
		t.Fatal("this machine has no address but loopback")
	}
	loopback := netip.MustParseAddr("127.0.0.1")
	const container = 1 << 30
	for _, row := range []struct {
		reason string
		self   int
		query  Query
		want   bool
	}{
		{"of the machine, by its address", test.pid,
			Query{PID: container, Addr: own, Container: true, OwnNetwork: true}, true},
		{"a child of the test process", os.Getpid(),
			Query{PID: container, Addr: own, Container: true, OwnNetwork: true}, false},
		{"in scope when it came to listen, and orphaned since", test.pid,
			Query{PID: container, Addr: own, Container: true, OwnNetwork: true,
				Bound: []Owner{{unrelated.pid, "statsd"}}}, false},
		{"seen by the test process", test.pid, Query{PID: test.pid, Addr: own}, false},
		{"from the machine's own network", test.pid, Query{PID: container, Addr: own, Container: true}, false},
		{"by its loopback", test.pid, Query{PID: container, Addr: loopback, Container: true}, false},
	} {
		row.query.Protocol, row.query.Port = flow.TCP, port
		got := New(Config{Self: row.self, Workload: "orders"}).Identify(row.query)
		if got.Endpoint.Name != "statsd" || got.Endpoint.Node != row.want {
			t.Errorf("%s: %+v, Node is not %v", row.reason, got.Endpoint, row.want)
		}
	}
	named := New(Config{Self: test.pid, Workload: "orders",
		Peers: mustPeers(t, netip.AddrPortFrom(loopback, port).String(), "agent")})
	if got := named.Identify(Query{PID: container, Protocol: flow.TCP, Addr: own, Port: port, Container: true,
		OwnNetwork: true}).Endpoint; got.Name != "agent" || got.Node {
		t.Errorf("the user's word: %+v", got)
	}
}
