package endpoint

import (
	"net/netip"
	"os"
	"testing"

	"github.com/netzero-dev/netzero/netzerotest/flow"
)

func TestPorts_MachineRange(t *testing.T) {
	if _, addr := listen(t, "tcp", "127.0.0.1:0"); !machinePorts().has(addr.Port()) {
		t.Errorf("the kernel gave port %d, the machine's ports are %v", addr.Port(), machinePorts())
	}
}

// portOfAPolicy has the results of Identify about a port.
type portOfAPolicy struct {
	Name      string
	Port      uint16
	Ephemeral bool
	Peer      string // its pattern
}

func TestIdentify_PolicyPort(t *testing.T) {
	self, loopback := os.Getpid(), netip.MustParseAddr("127.0.0.1")
	own, public := ownAddr(t), netip.MustParseAddr("203.0.113.9")
	_, inProcess := listen(t, "tcp", "127.0.0.1:0")
	server := netip.MustParseAddrPort(start(t, "serve", "-", "tcp", "127.0.0.1:0").line)
	ours, childs := inProcess.Port(), server.Port()
	exact, exactChild := inProcess.String(), server.String()
	outside := portRange{1, 1}
	onOwn := netip.AddrPortFrom(own, ours).String()

	for _, tt := range []struct {
		reason string
		peers  []string
		ports  portRange // of the machine
		q      Query
		want   portOfAPolicy
	}{
		{"a peer in the test process", []string{exact, "search"}, machinePorts(),
			Query{PID: self, Protocol: flow.TCP, Addr: loopback, Port: ours},
			portOfAPolicy{"search", ours, true, exact}},
		{"the same, with the port of the real one", []string{exact, "search:8080"}, machinePorts(),
			Query{PID: self, Protocol: flow.TCP, Addr: loopback, Port: ours},
			portOfAPolicy{"search", 8080, false, exact}},
		{"the user insists on the port", []string{"127.0.0.1:50051", "search:50051"}, portRange{50051, 50051},
			Query{PID: self, Protocol: flow.TCP, Addr: loopback, Port: 50051},
			portOfAPolicy{"search", 50051, false, "127.0.0.1:50051"}},
		{"the same, outside of the machine's ports", []string{exact, "search"}, outside,
			Query{PID: self, Protocol: flow.TCP, Addr: loopback, Port: ours},
			portOfAPolicy{"search", ours, false, exact}},
		{"a peer on localhost, reached by IPv6, without a listener any more", []string{"localhost:40000", "search"},
			portRange{40000, 40000},
			Query{PID: self, Protocol: flow.TCP, Addr: netip.IPv6Loopback(), Port: 40000},
			portOfAPolicy{"search", 40000, true, "localhost:40000"}},
		{"a peer by name that is here", []string{"search.example:40000", "search"}, portRange{40000, 40000},
			Query{PID: self, Protocol: flow.TCP, Addr: loopback, Port: 40000, Name: "search.example"},
			portOfAPolicy{"search", 40000, true, "search.example:40000"}},
		{"a peer at another address of this machine", []string{onOwn, "search"}, machinePorts(),
			Query{PID: self, Protocol: flow.TCP, Addr: own, Port: ours}, portOfAPolicy{"search", ours, true, onOwn}},
		{"a peer elsewhere", []string{"203.0.113.9:40000", "search"}, portRange{40000, 40000},
			Query{PID: self, Protocol: flow.TCP, Addr: public, Port: 40000},
			portOfAPolicy{"search", 40000, false, "203.0.113.9:40000"}},
		{"a peer elsewhere with its port", []string{"203.0.113.0/24", "search:8080"}, machinePorts(),
			Query{PID: self, Protocol: flow.UDP, Addr: public, Port: 9},
			portOfAPolicy{"search", 8080, false, "203.0.113.0/24"}},
		{"a protocol without ports", []string{"203.0.113.0/24", "search:8080"}, machinePorts(),
			Query{PID: self, Protocol: flow.ICMP, Addr: public}, portOfAPolicy{"search", 0, false, "203.0.113.0/24"}},

		{"a child's server", nil, machinePorts(),
			Query{PID: self, Protocol: flow.TCP, Addr: loopback, Port: childs},
			portOfAPolicy{"endpoint-test", childs, true, ""}},
		{"the same, outside of the machine's ports", nil, outside,
			Query{PID: self, Protocol: flow.TCP, Addr: loopback, Port: childs},
			portOfAPolicy{"endpoint-test", childs, false, ""}},
		{"a peer without a port yields to the child, with its port", []string{"127.0.0.1", "search:8080"},
			machinePorts(),
			Query{PID: self, Protocol: flow.TCP, Addr: loopback, Port: childs},
			portOfAPolicy{"endpoint-test", childs, true, ""}},
		{"a peer that is a child", []string{exactChild, "search"}, machinePorts(),
			Query{PID: self, Protocol: flow.TCP, Addr: loopback, Port: childs},
			portOfAPolicy{"search", childs, true, exactChild}},
		{"the same, with the port of the real one", []string{exactChild, "search:8080"}, machinePorts(),
			Query{PID: self, Protocol: flow.TCP, Addr: loopback, Port: childs},
			portOfAPolicy{"search", 8080, false, exactChild}},

		{"the test itself is no flow", nil, machinePorts(),
			Query{PID: self, Protocol: flow.TCP, Addr: loopback, Port: ours}, portOfAPolicy{"orders", ours, false, ""}},
		{"no listener is no flow", nil, portRange{40000, 40000},
			Query{PID: self, Protocol: flow.TCP, Addr: netip.MustParseAddr("127.0.0.77"), Port: 40000},
			portOfAPolicy{"", 40000, false, ""}},
		{"an address elsewhere", nil, portRange{40000, 40000},
			Query{PID: self, Protocol: flow.TCP, Addr: public, Port: 40000}, portOfAPolicy{"", 40000, false, ""}},
		{"a resolver", nil, machinePorts(),
			Query{PID: self, Protocol: flow.UDP, Addr: loopback, Port: 53},
			portOfAPolicy{flow.ClusterResolver.Name, 53, false, ""}},
	} {
		id := New(Config{Workload: "orders", Peers: mustPeers(t, tt.peers...)})
		id.ephemeral = tt.ports
		got := id.Identify(tt.q)
		short := portOfAPolicy{got.Endpoint.Name, got.Port, got.Ephemeral, got.Peer.String()}
		if short != tt.want {
			t.Errorf("%s: Identify(%+v) = %+v, want %+v", tt.reason, tt.q, short, tt.want)
		}
	}
}
