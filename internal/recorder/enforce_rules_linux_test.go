package recorder

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/netzero-dev/netzero/internal/docker"
	"github.com/netzero-dev/netzero/internal/endpoint"
	"github.com/netzero-dev/netzero/internal/enforce"
	"github.com/netzero-dev/netzero/internal/enforce/enforcetest"
	"github.com/netzero-dev/netzero/internal/probe"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// isAllowed reports whether rules allow a destination: "10.0.0.1:443", "udp 10.0.0.1:53", "api.example.com:443", or
// "lookup api.example.com".
func isAllowed(t *testing.T, rules probe.Rules, destination string) bool {
	t.Helper()
	table := enforce.Table{Addresses: rules.Addresses, Names: rules.Names}
	if name, is := strings.CutPrefix(destination, "lookup "); is {
		return enforcetest.Lookup(table, name)
	}
	protocol, rest := flow.TCP, destination
	if udp, is := strings.CutPrefix(destination, "udp "); is {
		protocol, rest = flow.UDP, udp
	}
	if at, err := netip.ParseAddrPort(rest); err == nil {
		return enforcetest.Address(table, at.Addr(), protocol, at.Port())
	}
	host, text, _ := strings.Cut(rest, ":")
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		t.Fatal(err)
	}
	return enforcetest.Named(table, host, protocol, uint16(port))
}

// expect compares rules with the destinations that they allow and deny.
func expect(t *testing.T, rules probe.Rules, allowed, denied []string) {
	t.Helper()
	for _, destination := range allowed {
		if !isAllowed(t, rules, destination) {
			t.Errorf("%s is not allowed", destination)
		}
	}
	for _, destination := range denied {
		if isAllowed(t, rules, destination) {
			t.Errorf("%s is allowed", destination)
		}
	}
}

// shopMachine is a machine with a network of containers and a resolver that completes names.
func shopMachine() machine {
	addr := netip.MustParseAddr
	return machine{
		local: []netip.Addr{addr("192.0.2.1"), addr("fe80::1%eth0")}, resolvers: []netip.Addr{addr("192.0.2.53")},
		search: endpoint.Search{Domains: []string{"shop.svc.k8s.test", "svc.k8s.test", "k8s.test"}},
		hosts: map[string][]netip.Addr{
			"api.example.com": {addr("198.51.100.7")}, "other.test": {addr("198.51.100.8")},
		},
		engineHosts: []string{"192.0.2.99", "engine.test"},
		networks: []docker.Network{{
			ID: "n", Subnets: prefixesOf("172.18.0.0/16"), Gateways: []netip.Addr{addr("172.18.0.1")},
		}},
		containers: []docker.Container{
			{ID: "0123456789abcdef", Name: "lively_db", Networks: []docker.Attachment{
				{Aliases: []string{"db"}, Addrs: []netip.Addr{addr("172.18.0.2")}},
			}},
			{ID: "fedcba9876543210", Name: "cache", Networks: []docker.Attachment{{Aliases: []string{"cache"}}}},
			{ID: "sshd", Image: "testcontainers/sshd:1", Networks: []docker.Attachment{
				{Addrs: []netip.Addr{addr("172.18.0.9")}},
			}},
		},
	}
}

func TestEnforceRules_TestProcess(t *testing.T) {
	t.Setenv("KUBERNETES_SERVICE_HOST", "10.96.0.1")
	t.Setenv("KUBERNETES_SERVICE_PORT", "6443")
	e := newEnforcementTest(t)
	rec := e.recording("TestA", 5432)
	rec.options.Enforcement.Names = []WorkloadName{
		{"orders-db", "db", "shop"}, {"orders-cache", "cache", "shop"}, {"db.legacy.test", "db", ""},
	}
	rules, err := e.testRules(rec, shopMachine())
	if err != nil {
		t.Fatal(err)
	}
	expect(t, rules, []string{
		"10.1.2.3:5432", "api.example.com:5432", // the policy
		"127.0.0.1:9", "udp 127.1.2.3:9", "[::1]:9", "0.0.0.0:9", "[::]:9", "192.0.2.1:9", "[fe80::1]:9", // itself
		"192.0.2.53:53", "udp 192.0.2.53:53", // the resolver
		"192.0.2.99:2376", "engine.test:2376", "172.18.0.1:49153", // the engine, and the ports that it publishes
		"172.18.0.2:5432",                               // any container, at a port of a rule with a selector
		"10.96.0.1:6443", "kubernetes.default.svc:6443", // the API server
		"198.51.100.7:5432", "lookup api.example.com", "lookup api.example.com.svc.k8s.test", // in the hosts file too
		"db:5432", "lively_db:5432", "0123456789ab:5432", // by names of a container
		"orders-db:5432", "orders-db.shop:5432", "orders-db.shop.svc:5432", "orders-db.shop.svc.cluster.local:5432",
		"orders-db.shop.svc.k8s.test:5432", "db.legacy.test:5432", // by names of a Service
		"db.shop.svc.k8s.test:5432", // by a name that the resolver completes
	}, []string{
		"10.1.2.3:443", "api.example.com:443", "11.0.0.1:5432", "192.0.2.2:9", "192.0.2.53:5353", "198.51.100.8:5432",
		"172.18.0.2:80", "10.96.0.1:443", "kubernetes.default.svc:443", "lookup other.test", "lookup cache",
		"lookup orders-cache", "db:80", "lookup db.other.svc",
	})
}

func TestEnforceRules_Container(t *testing.T) {
	e := newEnforcementTest(t)
	rec := e.recording("TestA", 5432)
	table := rec.options.Enforcement.Own
	orders := newContainer{
		Container: docker.Container{
			ID: "00112233445566778899", Name: "orders", Search: []string{"corp.test"},
			Hosts:     []string{"api.example.com:198.51.100.9", "v6.test:2001:db8::1", "gateway.test:host-gateway"},
			Resolvers: []netip.Addr{netip.MustParseAddr("192.0.2.54")},
			APIServer: []string{"KUBERNETES_SERVICE_HOST=10.96.0.2"},
			Networks:  []docker.Attachment{{Aliases: []string{"orders"}}},
		},
		pod: "00112233445566778899",
	}
	m := shopMachine()
	m.containers = append(m.containers, docker.Container{ID: orders.ID, Networks: []docker.Attachment{
		{Addrs: []netip.Addr{netip.MustParseAddr("172.18.0.4")}},
	}})
	table.APIServer = append(table.APIServer, onePort(443, flow.TCP)...)
	rules, err := e.containerRules(rec, orders, table, m)
	if err != nil {
		t.Fatal(err)
	}
	expect(t, rules, []string{
		"10.1.2.3:5432", "127.0.0.1:9", "172.18.0.4:9", "orders:9", // the policy and itself
		"192.0.2.53:53", "udp 192.0.2.54:53", // its resolvers
		"192.0.2.1:49153", "172.18.0.1:49153", "172.18.0.9:8080", // published ports, and the test process
		"db:5432", "db.corp.test:5432", "172.18.0.2:5432", // another container
		"198.51.100.9:5432", "10.96.0.2:443",
	}, []string{
		"172.18.0.2:80", "lookup cache", "198.51.100.7:5432", "[2001:db8::1]:5432", "192.0.2.99:2376",
		"udp 192.0.2.54:54",
	})

	table.Workloads, table.Host = nil, onePort(9100, flow.TCP)
	if rules, err = e.containerRules(rec, orders, table, m); err != nil {
		t.Fatal(err)
	}
	expect(t, rules, []string{"192.0.2.1:9100"}, []string{"192.0.2.1:49153", "172.18.0.9:8080"})

	orders.onHost, table.Workloads = true, onePort(5432, flow.TCP)
	if rules, err = e.containerRules(rec, orders, table, m); err != nil {
		t.Fatal(err)
	}
	expect(t, rules, []string{"192.0.2.1:9", "172.18.0.2:5432"}, []string{"172.18.0.2:80"})
}

func TestEnforceRules_PeersAndIgnored(t *testing.T) {
	peer := func(address, name string) endpoint.Peer {
		p, err := endpoint.ParsePeer(address, name)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	ignore := func(address string) endpoint.Ignore {
		d, err := endpoint.ParseIgnore(address)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	o := Options{
		Test: "TestA", Namespace: "shop",
		ClusterName: func(name string) (flow.Endpoint, bool) {
			return flow.Endpoint{Kind: flow.Workload, Name: "db", Namespace: "shop"}, name == "db.internal.test"
		},
		Enforcement: &Enforcement{Own: tableOf(5432)},
		Peers: []endpoint.Peer{
			peer("198.51.100.1:15432", "db:5432"), peer("198.51.100.2", "db"), peer("198.51.100.3:5433", "db"),
			peer("198.51.100.4", "cache"), peer("replica.test:15432", "db:5432"), peer("198.51.100.5", "db:5432"),
			peer("198.51.100.6", "api.example.com"), peer("198.51.100.7", "db.internal.test"),
			peer("198.51.100.8", "kubernetes.default.svc:6443"), peer("localhost:15433", "db:5432"),
		},
		Ignored: endpoint.Ignored{Destinations: []endpoint.Ignore{
			ignore("203.0.113.0/24"), ignore("203.0.114.1:8125"), ignore("*.metrics.test"), ignore("trace.test:4317"),
		}},
	}
	rec := newRecording(&Recorder{}, o, endpoint.Peers{})
	rules, err := newEnforcementTest(t).testRules(rec, machine{})
	if err != nil {
		t.Fatal(err)
	}
	expect(t, rules, []string{
		"198.51.100.1:15432", "198.51.100.2:5432", "replica.test:15432", "198.51.100.5:9", "198.51.100.6:5432",
		"198.51.100.7:5432", "198.51.100.8:9", "db:5432", "db.shop.svc:5432",
		"203.0.113.9:9", "203.0.114.1:8125", "udp 203.0.114.1:8125", "a.b.metrics.test:9", "trace.test:4317",
	}, []string{
		"198.51.100.1:5432", "198.51.100.2:80", "198.51.100.3:5433", "198.51.100.4:5432", "replica.test:5432",
		"198.51.100.6:80", "lookup cache", "203.0.114.1:8126", "metrics.test:9", "trace.test:80",
	})
}

func TestEnforceRules_TooManyPorts(t *testing.T) {
	e := newEnforcementTest(t)
	rec := e.recording("TestA", 443)
	table := &rec.options.Enforcement.Own
	table.Workloads = nil
	for i := range uint16(enforce.MaxPorts) {
		table.Workloads = append(table.Workloads, onePort(2*i+1000, flow.TCP)...)
	}
	m := shopMachine()
	m.containers = nil
	if _, err := e.testRules(rec, m); err != nil {
		t.Errorf("%d ranges: %v", len(table.Workloads), err)
	}
	m.networks[0].Subnets = prefixesOf("10.1.0.0/16")
	if _, err := e.testRules(rec, m); err == nil || !strings.HasPrefix(err.Error(), "10.1.0.0/16 has 33 ranges") {
		t.Errorf("one more: %v", err)
	}
}

func TestEnforceRules_DialledPorts(t *testing.T) {
	web := portsOf(80, 90, flow.TCP)
	for _, row := range []struct {
		reason  string
		ports   []enforce.PortRange
		at, pod uint16
		want    []enforce.PortRange
	}{
		{"any port, and the same", web, 0, 0, web},
		{"a port that is allowed", web, 85, 0, onePort(85, flow.TCP)},
		{"a port that is not", web, 91, 0, nil},
		{"another port than that of the peer", web, 18080, 80, onePort(18080, flow.TCP)},
		{"a peer whose port is not allowed", web, 80, 18080, nil},
		{"any port stands for that of the peer", web, 0, 80, portsOf(0, 65535, flow.TCP)},
		{"everything", enforce.Everything(), 53, 0, onePort(53, flow.TCP, flow.UDP, flow.SCTP)},
		{"a protocol without ports", portsOf(0, 65535, flow.ICMP), 80, 0, nil},
	} {
		if diff := cmp.Diff(row.want, dialled(row.ports, row.at, row.pod)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", row.reason, diff)
		}
	}
}

func TestEnforceMachine_EngineHosts(t *testing.T) {
	for _, row := range []struct {
		reason, override string
		addresses        []string
		want             []string
	}{
		{"on this machine", "", []string{"unix:///var/run/docker.sock", ""}, nil},
		{
			"by TCP and SSH", "", []string{"tcp://Engine.test:2376", "ssh://user@[2001:db8::1]"},
			[]string{"2001:db8::1", "engine.test"},
		},
		{"the same twice", "", []string{"tcp://192.0.2.1:1", "tcp://192.0.2.1:2"}, []string{"192.0.2.1"}},
		{
			"with ports published elsewhere", "Ports.test", []string{"tcp://192.0.2.1:1"},
			[]string{"192.0.2.1", "ports.test"},
		},
	} {
		if got := engineHosts(row.override, row.addresses...); !slices.Equal(got, row.want) {
			t.Errorf("%s: %q, want %q", row.reason, got, row.want)
		}
	}
}

// A container that has left a network has no address there, and one that starts is known by its aliases before it has.
func TestEnforceMachine_Containers(t *testing.T) {
	addr := netip.MustParseAddr
	c := docker.Container{ID: "a", Started: 5, Networks: []docker.Attachment{
		{Network: "old", Addrs: []netip.Addr{addr("172.18.0.2")}, From: 3, Until: 4},
		{Network: "new", Addrs: []netip.Addr{addr("172.19.0.2")}, From: 4},
	}}
	m := machine{containers: []docker.Container{lasting(c), {ID: "b"}}}
	m.describe(map[string]docker.Container{
		"a": {Networks: []docker.Attachment{{Network: "requested"}}},
		"b": {Networks: []docker.Attachment{{Aliases: []string{"db"}}}},
	})
	want := []docker.Container{
		{ID: "a", Networks: []docker.Attachment{{Network: "new", Addrs: []netip.Addr{addr("172.19.0.2")}}}},
		{ID: "b", Networks: []docker.Attachment{{Aliases: []string{"db"}}}},
	}
	if diff := cmp.Diff(want, m.containers, cmpopts.EquateComparable(netip.Addr{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
