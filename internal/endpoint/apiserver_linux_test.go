package endpoint

import (
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"testing"

	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// TestAPIServer_OnThisMachine finds the API server: a child by its executable, and the one in the environment.
func TestAPIServer_OnThisMachine(t *testing.T) {
	loopback := netip.MustParseAddr("127.0.0.1")
	server, err := tryStart(t, copyBinary(t, "kube-apiserver"), func(*exec.Cmd) {}, "serve", "-", "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	child := netip.MustParseAddrPort(server.line).Port()
	_, own := listen(t, "tcp", "127.0.0.1:0")
	_, plain := listen(t, "tcp", "127.0.0.1:0")
	client, err := tryStart(t, testBinary(t), func(c *exec.Cmd) {
		c.Env = append(c.Environ(), "KUBERNETES_SERVICE_HOST=10.96.0.1", "KUBERNETES_SERVICE_PORT=6443")
	}, "wait")
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
	t.Setenv("KUBERNETES_SERVICE_PORT", strconv.Itoa(int(own.Port())))
	apiServer := func(evidence flow.Evidence, addr string) flow.Endpoint {
		e := flow.ClusterAPIServer
		e.Addr, e.Evidence = netip.MustParseAddr(addr), evidence
		return e
	}
	id := New(Config{Workload: "controller", Peers: mustPeers(t, "127.0.0.2:33333", "kubernetes.default.svc")})
	self := os.Getpid()
	for _, tt := range []struct {
		reason   string
		pid      int
		addr     netip.Addr
		port     uint16
		end      flow.Endpoint
		relation Relation
		want     uint16
	}{
		{"a child that is kube-apiserver, at the port of its Service", self, loopback, child,
			apiServer(flow.ByListener, "127.0.0.1"), Other, 443},
		{"a server of the test process that its environment names", self, loopback, own.Port(),
			apiServer(flow.ByEnvironment, "127.0.0.1"), Other, 443},
		{"another one", self, loopback, plain.Port(),
			flow.Endpoint{Kind: flow.Workload, Name: "controller", Evidence: flow.ByOption}, Self, plain.Port()},
		{"what a child's own environment names", client.pid, netip.MustParseAddr("10.96.0.1"), 6443,
			apiServer(flow.ByEnvironment, "10.96.0.1"), Other, 6443},
		{"the same address at another port", client.pid, netip.MustParseAddr("10.96.0.1"), 443,
			flow.Endpoint{Kind: flow.Address, Addr: netip.MustParseAddr("10.96.0.1")}, Other, 443},
		{"what another process's environment names", self, netip.MustParseAddr("10.96.0.1"), 6443,
			flow.Endpoint{Kind: flow.Address, Addr: netip.MustParseAddr("10.96.0.1")}, Other, 6443},
		{"a Peer", self, netip.MustParseAddr("127.0.0.2"), 33333, apiServer(flow.ByOption, "127.0.0.2"), Other, 443},
	} {
		got := id.Identify(Query{PID: tt.pid, Protocol: flow.TCP, Addr: tt.addr, Port: tt.port})
		if got.Endpoint != tt.end || got.Relation != tt.relation || got.Port != tt.want || got.Ephemeral {
			t.Errorf("%s: %+v, want %+v at %d, %s", tt.reason, got, tt.end, tt.want, tt.relation)
		}
	}
}
