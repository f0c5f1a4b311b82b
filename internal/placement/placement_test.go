package placement

import (
	"net/netip"
	"testing"

	networkingv1 "k8s.io/api/networking/v1"
	"sigs.k8s.io/yaml"

	"github.com/netzero-dev/netzero/internal/manifest/manifesttest"
	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/internal/policy/networkpolicy"
	"github.com/netzero-dev/netzero/internal/recording"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// Evaluation of a hand-written policy uses the labels and ports of the manifests.
func TestManifests_SelectorsAndNamedPorts(t *testing.T) {
	manifests := manifesttest.Read(t, manifesttest.OrdersDB)
	f := flow.Flow{
		Source:      flow.Endpoint{Kind: flow.Workload, Name: "checkout"},
		Destination: flow.Endpoint{Kind: flow.Workload, Name: "orders-db"},
		Protocol:    flow.TCP, Port: 5432, Count: 1,
	}
	for _, whole := range []bool{false, true} { // as a peer, and as a recorded container
		recorded := recording.Recording{
			Flows:     []flow.Flow{f},
			Workloads: []recording.Workload{{Name: "checkout", Namespace: "shop"}},
		}
		if whole {
			recorded.Workloads = append(recorded.Workloads, recording.Workload{Name: "orders-db", AllTraffic: true})
		}
		placed, err := Place(recorded, Options{Manifests: manifests})
		if err != nil || len(placed.Flows) != 1 {
			t.Fatalf("%v, %v", placed.Flows, err)
		}
		for rule, want := range map[string]policy.Outcome{
			"{to: [{namespaceSelector: {matchLabels: {team: storage}}}], ports: [{port: pg}]}":   policy.Allowed,
			"{to: [{namespaceSelector: {matchLabels: {team: storage}}}], ports: [{port: http}]}": policy.Denied,
			"{to: [{namespaceSelector: {matchLabels: {team: shop}}}], ports: [{port: pg}]}":      policy.Denied,
		} {
			p := new(networkingv1.NetworkPolicy)
			text := "metadata: {name: checkout}\nspec: {podSelector: {matchLabels: {app: checkout}}, policyTypes: [Egress], " +
				"egress: [" + rule + "]}"
			if err := yaml.UnmarshalStrict([]byte(text), p); err != nil {
				t.Fatal(err)
			}
			v := (networkpolicy.Dialect{Scope: placed.Scope}).Evaluate([]*networkingv1.NetworkPolicy{p}, placed.Flows[0])
			if v.Outcome != want {
				t.Errorf("whole %v: %s is %s: %s", whole, rule, v.Outcome, v.Reason)
			}
		}
	}
}

const endpoints = `{apiVersion: v1, kind: Service, metadata: {name: ldap}, spec: {ports: [{port: 389}]}}
---
{apiVersion: v1, kind: Endpoints, metadata: {name: ldap},
  subsets: [{addresses: [{ip: 203.0.113.9}], ports: [{port: 389}]}]}
`

// A flow to a Service without a selector goes to the Service's addresses, at any port or without one.
func TestServices_EveryFlowToAddresses(t *testing.T) {
	manifests := manifesttest.Read(t, endpoints)
	ldap := flow.Endpoint{Kind: flow.Workload, Name: "ldap"}
	shop := flow.Endpoint{Kind: flow.Workload, Name: "shop"}
	for _, f := range []flow.Flow{
		{Source: shop, Destination: ldap, Protocol: flow.TCP, Port: 389},
		{Source: shop, Destination: ldap, Protocol: flow.UDP, Port: 389},
		{Source: shop, Destination: ldap, Protocol: flow.ICMP, ICMPType: 8},
		{Source: shop, Destination: ldap, Lookup: true},
	} {
		recorded := recording.Recording{Flows: []flow.Flow{f}, Workloads: []recording.Workload{{Name: "shop"}}}
		placed, err := Place(recorded, Options{Manifests: manifests})
		flows := placed.Flows
		if err != nil || len(flows) != 1 || flows[0].Protocol != f.Protocol || flows[0].Lookup != f.Lookup ||
			!f.Lookup && flows[0].Destination.Addr != netip.MustParseAddr("203.0.113.9") {
			t.Errorf("%s became %v: %v", f.Target(), flows, err)
		}
	}
}
