package recorder

import (
	"errors"
	"maps"
	"net/netip"
	"testing"

	"github.com/netzero-dev/netzero/internal/docker"
	"github.com/netzero-dev/netzero/internal/endpoint"
	"github.com/netzero-dev/netzero/internal/enforce"
	"github.com/netzero-dev/netzero/internal/enforce/enforcetest"
	"github.com/netzero-dev/netzero/internal/goroutine"
	"github.com/netzero-dev/netzero/internal/probe"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// policyKernel keeps policies as the kernel does.
type policyKernel struct {
	enabled  int
	last     probe.PolicyID
	policies map[probe.PolicyID]enforce.Table
	tasks    map[goroutine.ID]probe.PolicyID
	below    map[uint64]probe.PolicyID
	level    int
	fails    string // the method that returns an error
}

func newPolicyKernel() *policyKernel {
	return &policyKernel{
		policies: make(map[probe.PolicyID]enforce.Table), tasks: make(map[goroutine.ID]probe.PolicyID),
		below: make(map[uint64]probe.PolicyID),
	}
}

var errKernel = errors.New("the kernel refuses this")

func (k *policyKernel) check(method string) error {
	if method == k.fails {
		return errKernel
	}
	return nil
}

func (k *policyKernel) EnableEnforcement() error {
	k.enabled++
	return k.check("EnableEnforcement")
}

func (k *policyKernel) NewPolicy(r probe.Rules) (probe.PolicyID, error) {
	if err := k.check("NewPolicy"); err != nil {
		return 0, err
	}
	k.last++
	k.policies[k.last] = enforce.Table{Addresses: maps.Clone(r.Addresses), Names: r.Names}
	return k.last, nil
}

func (k *policyKernel) AddRules(id probe.PolicyID, r probe.Rules) error {
	has := k.policies[id]
	all := together(probe.Rules{Addresses: has.Addresses, Names: has.Names}, r)
	k.policies[id] = enforce.Table{Addresses: all.Addresses, Names: all.Names}
	return k.check("AddRules")
}

func (k *policyKernel) RemovePolicy(id probe.PolicyID) error {
	if _, known := k.policies[id]; !known {
		return errors.New("no such policy")
	}
	delete(k.policies, id)
	return k.check("RemovePolicy")
}

func (k *policyKernel) Enforce(_ uint64, recording goroutine.ID, id probe.PolicyID) error {
	k.tasks[recording] = id
	return k.check("Enforce")
}

func (k *policyKernel) EnforceBelow(parent uint64, level int, id probe.PolicyID) error {
	k.below[parent], k.level = id, level
	return k.check("EnforceBelow")
}

// allows reports whether a task of a recording may connect to a TCP port of an address.
func (k *policyKernel) allows(recording goroutine.ID, addr string, port uint16) bool {
	return k.permits(k.tasks[recording], addr, port)
}

// permits reports whether a policy allows a TCP port of an address.
func (k *policyKernel) permits(id probe.PolicyID, addr string, port uint16) bool {
	t, enforced := k.policies[id]
	return !enforced || enforcetest.Address(t, netip.MustParseAddr(addr), flow.TCP, port)
}

// enforcementTest is an enforcement on a machine that the test describes.
type enforcementTest struct {
	*enforcement
	kernel  *policyKernel
	machine machine
	active  []*Recording
}

func newEnforcementTest(t *testing.T) *enforcementTest {
	t.Helper()
	e := &enforcementTest{kernel: newPolicyKernel(), machine: machine{
		local: []netip.Addr{netip.MustParseAddr("192.0.2.1")}, resolvers: []netip.Addr{netip.MustParseAddr("192.0.2.53")},
	}}
	e.enforcement = &enforcement{
		kernel: e.kernel, own: 7,
		read: func(bool) (machine, error) {
			m := e.machine
			m.containers = append([]docker.Container{}, m.containers...)
			return m, nil
		},
		endpoint: func(rec *Recording, c docker.Container) (flow.Endpoint, bool) {
			return rec.options.endpointOf(c, ""), true
		},
	}
	return e
}

// recording returns a recording of a test that may connect to 10.0.0.0/8 at a port; with port 0 it has no policy.
func (e *enforcementTest) recording(test string, port uint16) *Recording {
	o := Options{
		Test: test, Package: test == "package", Namespace: "shop",
		ClusterName: func(string) (flow.Endpoint, bool) { return flow.Endpoint{}, false },
	}
	if port != 0 {
		o.Enforcement = &Enforcement{Own: tableOf(port)}
	}
	return newRecording(&Recorder{containers: &containerState{}}, o, endpoint.Peers{})
}

// tableOf allows a TCP port of 10.0.0.0/8, of api.example.com, and of the workload db in namespace shop.
func tableOf(port uint16) enforce.Table {
	ports := onePort(port, flow.TCP)
	return enforce.Table{
		Addresses: map[netip.Prefix][]enforce.PortRange{netip.MustParsePrefix("10.0.0.0/8"): ports},
		Names:     []enforce.Name{{Host: "api.example.com", Ports: ports}},
		Workloads: ports, APIServer: onePort(6443, flow.TCP),
		Workload: func(name, namespace string) []enforce.PortRange {
			if name != "db" || namespace != "shop" && namespace != "" {
				return nil
			}
			return ports
		},
	}
}

func (e *enforcementTest) join(t *testing.T, rec *Recording) {
	t.Helper()
	if err := e.admit(rec, e.active); err != nil {
		t.Fatal(err)
	}
	e.active = append(e.active, rec)
	if err := e.begin(rec, e.active); err != nil {
		t.Fatal(err)
	}
}

func (e *enforcementTest) leave(t *testing.T, rec *Recording) {
	t.Helper()
	e.active = without(e.active, rec)
	if err := e.end(rec, e.active); err != nil {
		t.Fatal(err)
	}
}
