package endpoint

import (
	"net/netip"
	"os"
	"testing"

	"github.com/netzero-dev/netzero/netzerotest/flow"
)

func TestListenersAt_EndedServer(t *testing.T) {
	self := os.Getpid()
	id := New(Config{Self: self, Workload: "orders"})
	loopback := netip.MustParseAddr("127.0.0.1")
	ownWorkload := identified{flow.Endpoint{Kind: flow.Workload, Name: "orders", Evidence: flow.ByOption}, Self}
	named := func(name string) identified {
		return identified{flow.Endpoint{Kind: flow.Workload, Name: name, Addr: loopback, Evidence: flow.ByListener},
			Other}
	}

	server := start(t, "serve", "-", "tcp", "127.0.0.1:0")
	port := netip.MustParseAddrPort(server.line).Port()
	gone := start(t, "wait")
	gone.stop()
	gonePort := unusedPort(t)
	client := start(t, "wait").pid
	_, inProcess := listen(t, "tcp", "127.0.0.1:0")

	for _, tt := range []struct {
		reason string
		pid    int
		port   uint16
		bound  []Owner
		want   identified
	}{
		{"a server that is gone", self, gonePort, []Owner{{gone.pid, "orders-db"}}, named("orders-db")},
		{"a server that is gone and talked to itself", gone.pid, gonePort, []Owner{{gone.pid, "orders-db"}},
			ownWorkload},
		{"the test process's own server that is closed", self, gonePort, []Owner{{self, "x.test"}}, ownWorkload},
		{"a child called the test process's server that is closed", client, gonePort, []Owner{{self, "x.test"}},
			ownWorkload},
		{"the newest of two that are gone", self, gonePort, []Owner{{gone.pid + 1, "older"}, {gone.pid, "newer"}},
			named("newer")},
		{"one that is gone without a name stays visible", self, gonePort, []Owner{{1 << 30, ""}},
			identified{flow.Endpoint{Kind: flow.Address, Addr: loopback}, Other}},
		{"one without a name that runs", self, gonePort, []Owner{{client, ""}}, named("endpoint-test")},
		{"a name does not hang on how long its process lives", self, port, []Owner{{server.pid, "started-as"}},
			named("started-as")},
		{"a test that found a free port for a child", self, port, []Owner{{self, "x.test"}, {server.pid, "child"}},
			named("child")},
		{"the same without a recorded bind of the child", self, port, []Owner{{self, "x.test"}},
			named("endpoint-test")},
		{"the same for a child that found the port", client, port, []Owner{{client, "client"}}, named("endpoint-test")},
		{"a server that is gone, whose port the test has now", self, inProcess.Port(), []Owner{{gone.pid, "orders-db"}},
			named("orders-db")},
	} {
		q := Query{PID: tt.pid, Protocol: flow.TCP, Addr: loopback, Port: tt.port, Bound: tt.bound}
		check(t, tt.reason, id.Identify, q, tt.want)
	}
	check(t, "a bind by the workload does not prove self traffic if the listener is unknown", id.Identify,
		Query{PID: self, Protocol: flow.SCTP, Addr: loopback, Port: gonePort, Bound: []Owner{{self, "x.test"}}},
		identified{flow.Endpoint{Kind: flow.Address, Addr: loopback}, Other})
}

func TestListenersAt_SeveralOwners(t *testing.T) {
	self := os.Getpid()
	l, addr := listen(t, "tcp", "127.0.0.1:0")
	id := New(Config{Self: self, Workload: "orders"})
	q := Query{PID: self, Protocol: flow.TCP, Addr: addr.Addr(), Port: addr.Port()}
	own := identified{flow.Endpoint{Kind: flow.Workload, Name: "orders", Evidence: flow.ByOption}, Self}
	named := func(name string) identified {
		return identified{flow.Endpoint{Kind: flow.Workload, Name: name, Addr: addr.Addr(), Evidence: flow.ByListener},
			Other}
	}
	inherit := func(name string) child {
		t.Helper()
		f := file(t, l)
		c, err := tryStart(t, copyBinary(t, name), passing(f), "serve", "file", "", "")
		f.Close()
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	worker := inherit("worker")
	check(t, "the test process shares its listener with a child and calls it", id.Identify, q, named("worker"))
	q.PID = worker.pid
	check(t, "that child calls it", id.Identify, q, own)
	q.PID = start(t, "wait").pid
	check(t, "another child calls it", id.Identify, q, named("worker"))
	inherit("apprentice")
	check(t, "the smallest name of several", id.Identify, q, named("apprentice"))
	l.Close()
	q.PID = self
	check(t, "the test process has handed its listener over", id.Identify, q, named("apprentice"))
	q.Bound = []Owner{{self, "x.test"}}
	check(t, "the same, and the kernel saw it bind", id.Identify, q, named("apprentice"))
}

func TestListenersAt_BinderAmongOthers(t *testing.T) {
	self := os.Getpid()
	servers, port := startServers(t, "share tcp 127.0.0.1")
	loopback := netip.MustParseAddr("127.0.0.1")
	l, err := listenConfig(true).Listen(t.Context(), "tcp", netip.AddrPortFrom(loopback, port).String())
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, row := range []struct {
		bound []Owner
		name  string
	}{
		{[]Owner{{self, "x"}, {servers[0].pid, "y"}}, "y"},
		{[]Owner{{servers[0].pid, "y"}, {self, "x"}}, "y"},
		{nil, "endpoint-test"},
	} {
		q := Query{PID: self, Protocol: flow.TCP, Addr: loopback, Port: port, Bound: row.bound}
		want := identified{flow.Endpoint{Kind: flow.Workload, Name: row.name, Addr: loopback,
			Evidence: flow.ByListener}, Other}
		check(t, "whoever bound last, the test process shares the port", New(Config{Workload: "orders"}).Identify, q,
			want)
	}
}
