package placement

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
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

// Requests, and the reason why some of them are not known, stay with a flow that changes its ends or its port, and with
// each of the flows that it becomes.
func TestServices_FlowsKeepRequests(t *testing.T) {
	manifests := manifesttest.Read(t, endpoints+`---
{apiVersion: v1, kind: Service, metadata: {name: web},
  spec: {selector: {app: web}, ports: [{port: 80, targetPort: http}]}}
---
{apiVersion: apps/v1, kind: Deployment, metadata: {name: web}, spec: {selector: {matchLabels: {app: web}},
  template: {metadata: {labels: {app: web}}, spec: {containers: [{name: web, image: web,
    ports: [{name: http, containerPort: 8080}]}]}}}}
`)
	get := flow.Request{Protocol: flow.HTTP, Method: "GET", Path: "/"}
	head := flow.Request{Protocol: flow.HTTP, Method: "HEAD", Path: "/"}
	to := func(name string, port uint16, evidence flow.Evidence, requests ...flow.Request) flow.Flow {
		return flow.Flow{
			Source: flow.WorkloadEndpoint("shop"), Protocol: flow.TCP, Port: port, Requests: requests,
			Destination: flow.Endpoint{Kind: flow.Workload, Name: name, Evidence: evidence},
		}
	}
	refused := to("ldap", 389, flow.ByDNS, get)
	refused.Opaque = "TLS"
	placed, err := Place(recording.Recording{
		Flows: []flow.Flow{
			to("web", 80, flow.ByDNS, get), to("web", 8080, flow.ByDNS, head), to("web", 8080, flow.ByContainer, head),
			refused,
		},
		Workloads: []recording.Workload{{Name: "shop"}},
	}, Options{Manifests: manifests, Rules: policy.Scope{Requests: true}})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range flow.Fold(placed.Flows) {
		got = append(got, fmt.Sprint(f.Target(), f.Requests, f.Opaque))
	}
	want := []string{"web:8080/TCP[GET / HEAD /]", "203.0.113.9:389/TCP[GET /]TLS"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}
