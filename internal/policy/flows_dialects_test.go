package policy_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	networkingv1 "k8s.io/api/networking/v1"
	"sigs.k8s.io/yaml"

	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// Helpers that build the flows and policies of this package's tests.

var checkout = policy.Workload{Name: "checkout"}

func workload(name string) flow.Endpoint { return flow.Endpoint{Kind: flow.Workload, Name: name} }

func workloadIn(namespace, name string) flow.Endpoint {
	return flow.Endpoint{Kind: flow.Workload, Name: name, Namespace: namespace}
}

func resolver() flow.Endpoint {
	return flow.Endpoint{Kind: flow.Resolver, Addr: netip.MustParseAddr("127.0.0.53")}
}

func external(name, addr string) flow.Endpoint {
	return flow.Endpoint{Kind: flow.External, Name: name, Addr: netip.MustParseAddr(addr)}
}

func at(addr string) flow.Endpoint {
	return flow.Endpoint{Kind: flow.Address, Addr: netip.MustParseAddr(addr)}
}

func tcp(to flow.Endpoint, port uint16) flow.Flow { return toPort(to, flow.TCP, port) }

func udp(to flow.Endpoint, port uint16) flow.Flow { return toPort(to, flow.UDP, port) }

func ping(to flow.Endpoint) flow.Flow { return toPort(to, flow.ICMP, 0) }

func toPort(to flow.Endpoint, protocol flow.Protocol, port uint16) flow.Flow {
	return flow.Flow{
		Source:      flow.Endpoint{Kind: flow.Workload, Name: "checkout"},
		Destination: to, Protocol: protocol, Port: port, Count: 1,
	}
}

// parse parses policies from YAML documents.
func parse(t *testing.T, documents string) []*networkingv1.NetworkPolicy {
	t.Helper()
	var policies []*networkingv1.NetworkPolicy
	for document := range strings.SplitSeq(documents, "\n---\n") {
		p := new(networkingv1.NetworkPolicy)
		if err := yaml.UnmarshalStrict([]byte(document), p); err != nil {
			t.Fatalf("read policy: %v\n%s", err, document)
		}
		policies = append(policies, p)
	}
	return policies
}

func toYAML(t *testing.T, p any) string {
	t.Helper()
	text, err := yaml.Marshal(p)
	if err != nil {
		t.Fatalf("write policy: %v", err)
	}
	return string(text)
}

// alone returns the scope of a test process.
func alone(w policy.Workload) policy.Scope {
	return policy.Scope{Subjects: []policy.Subject{{Workload: w}}}
}

// from returns flows with a workload as their source.
func from(w policy.Workload, flows ...flow.Flow) []flow.Flow {
	own := slices.Clone(flows)
	for i := range own {
		own[i].Source = workloadIn(w.Namespace, w.Name)
	}
	return own
}
