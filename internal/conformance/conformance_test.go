package conformance

import (
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/netzero-dev/netzero/golden"
	"github.com/netzero-dev/netzero/internal/cilium"
	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/internal/policy/ciliumpolicy"
	"github.com/netzero-dev/netzero/internal/policy/policytest"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

func newCRD(t *testing.T) *crd {
	t.Helper()
	c, err := readCRD()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestValidators_AcceptGoldenFiles validates all committed policies of the repository with Cilium: in examples,
// in tests' directories and in scripts.
func TestValidators_AcceptGoldenFiles(t *testing.T) {
	schema := newCRD(t)
	found := 0
	eachFile(t, func(origin string, file *golden.File) {
		if file.Dialect != golden.Cilium {
			return
		}
		for _, p := range file.Policies {
			found++
			accept(t, schema, origin, []byte(toYAML(t, p)))
		}
	})
	if found < 5 {
		t.Errorf("%d policies", found)
	}
	t.Logf("%d policies", found)
}

func accept(t *testing.T, schema *crd, origin string, text []byte) {
	t.Helper()
	if err := sanitize(text); err != nil {
		t.Errorf("%s: Cilium refuses: %v\n%s", origin, err, text)
	}
	if err := schema.validate(text); err != nil {
		t.Errorf("%s: the API server refuses: %v\n%s", origin, err, text)
	}
}

// TestValidators_AcceptGeneratedPolicies draws flows of all kinds, and merges others into the generated policies.
func TestValidators_AcceptGeneratedPolicies(t *testing.T) {
	t.Parallel()
	schema := newCRD(t)
	seed := policytest.Seed(t)
	for i := range uint64(300) {
		r := draw{rand.New(rand.NewPCG(seed, i))}
		scope := ciliumpolicy.Dialect{Scope: policy.Scope{Subjects: []policy.Subject{
			{Workload: policy.Workload{Name: "checkout", Namespace: pick(r, "", "shop")}},
			{Workload: policy.Workload{Name: "orders-db", Namespace: pick(r, "", "data"),
				Labels: map[string]string{"app.kubernetes.io/name": "db"}}, AllTraffic: true},
		}, Fold: []string{"*.db.example", "shard-*.example"}}}
		generated := scope.Generate(r.flows())
		for _, p := range slices.Concat(generated, scope.Merge(generated, r.flows())) {
			if err := cilium.Validate(p); err != nil {
				t.Errorf("case %d: %v", i, err)
			}
			text, err := golden.Format(golden.Header{Test: t.Name()}, []golden.Policy{p})
			if err != nil {
				t.Fatal(err)
			}
			accept(t, schema, "generated", text)
		}
		if t.Failed() {
			return
		}
	}
}

func (r draw) flows() []flow.Flow {
	flows := make([]flow.Flow, r.IntN(60))
	for i := range flows {
		subjects := []flow.Endpoint{{Kind: flow.Workload, Name: "checkout"}, {Kind: flow.Workload, Name: "orders-db"}}
		f := flow.Flow{
			Source: subjects[r.IntN(2)], Destination: r.endpoint(), Count: 1,
			Protocol: []flow.Protocol{flow.TCP, flow.UDP, flow.SCTP, flow.ICMP, flow.ICMPv6, 47}[r.IntN(6)],
			Port:     uint16(1 + r.IntN(65535)),
		}
		if r.IntN(3) == 0 {
			f.Source, f.Destination = f.Destination, subjects[1]
		}
		if r.IntN(8) == 0 {
			f.Source = flow.Endpoint{Kind: flow.Anyone}
			f.Destination = subjects[1]
		}
		if !f.Protocol.HasPorts() {
			f.Port = 0
		}
		if f.Protocol.IsICMP() {
			f.ICMPType = []uint8{0, 8, 13, 15, 17, 128, 139}[r.IntN(7)]
		}
		flows[i] = f
	}
	return flows
}

func (r draw) endpoint() flow.Endpoint {
	addr := netip.MustParseAddr(pick(r, "203.0.113.7", "2001:db8::7", "10.0.0.1", "fe80::1%eth0", "169.254.169.254",
		"::ffff:192.0.2.1"))
	switch r.IntN(6) {
	case 0:
		return flow.Endpoint{Kind: flow.Workload, Name: pick(r, "cache", "orders-db", "yes", "1"),
			Namespace: pick(r, "", "data", "default")}
	case 1:
		return flow.ClusterResolver
	case 2:
		return flow.Endpoint{Kind: flow.External, Name: pick(r, "api.stripe.com", "a_b.example", "kubernetes.default.svc",
			"1.db.example", "eu.1.db.example", "shard-1.example", strings.Repeat("a.", 120)+"test"), Addr: addr}
	case 3:
		return flow.ClusterAPIServer
	case 4:
		return flow.Endpoint{Kind: flow.Workload, Name: pick(r, "statsd", "no label!"), Addr: addr, Node: true}
	}
	return flow.Endpoint{Kind: flow.Address, Addr: addr}
}

const valid = `apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: {name: x}
spec:
  endpointSelector: {matchLabels: {"k8s:app": x}}
  egress:
  - toCIDRSet: [{cidr: 203.0.113.0/24}]
    toPorts: [{ports: [{port: "443", protocol: TCP}]}]
  - {}
`

// TestValidators_RejectInvalidPolicies proves that the validators detect errors, and shows which errors only Validate
// finds.
func TestValidators_RejectInvalidPolicies(t *testing.T) {
	schema := newCRD(t)
	accept(t, schema, "valid", []byte(valid))
	if err := ours(t, valid); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		reason, old, new string
		sanitizer, crd   bool // whether they reject it too
	}{
		{"no rules at all", valid[strings.Index(valid, "  egress:"):], "  egress: []\n", true, false},
		{"two kinds of peer", "toCIDRSet:", "toEntities: [world]\n    toCIDRSet:", true, false},
		{"no entity", "toCIDRSet: [{cidr: 203.0.113.0/24}]", "toEntities: [internet]", true, true},
		{"lower case", "TCP", "tcp", false, true},
		{"a name in place of a pattern", "toCIDRSet: [{cidr: 203.0.113.0/24}]", `toFQDNs: [{matchName: "*.example"}]`, true,
			true},
		{"DNS on ingress",
			"egress:\n  - toCIDRSet: [{cidr: 203.0.113.0/24}]\n    toPorts: [{ports: [{port: \"443\", protocol: TCP}]}]",
			"ingress:\n  - toPorts: [{ports: [{port: \"53\", protocol: ANY}], rules: {dns: [{matchPattern: \"*\"}]}}]", true,
			false},
		{"41 ports", `{port: "443", protocol: TCP}`, strings.Repeat(`{port: "443", protocol: TCP},`, 41), true, true},
		{"a range that ends before it begins", `"443"`, `"443", endPort: 80`, false, false},
		{"host bits of a /32 of IPv6", "203.0.113.0/24", "2001:db8::1/32", false, false},
		{"an IPv4 range as IPv6", "203.0.113.0/24", `"::ffff:203.0.113.0/120"`, false, false},
		{"host bits", "203.0.113.0/24", "203.0.113.7/24", false, false},
	} {
		text := strings.Replace(valid, c.old, c.new, 1)
		if text == valid {
			t.Fatalf("%s: nothing was replaced", c.reason)
		}
		if err := ours(t, text); err == nil {
			t.Errorf("%s: it is read", c.reason)
		}
		if err := sanitize([]byte(text)); (err != nil) != c.sanitizer {
			t.Errorf("%s: sanitizer: %v", c.reason, err)
		}
		if err := schema.validate([]byte(text)); (err != nil) != c.crd {
			t.Errorf("%s: CRD: %v", c.reason, err)
		}
	}
}

// ours reads a policy as a golden file.
func ours(t *testing.T, text string) error {
	t.Helper()
	file := filepath.Join(t.TempDir(), "x.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := golden.Read(file)
	return err
}
