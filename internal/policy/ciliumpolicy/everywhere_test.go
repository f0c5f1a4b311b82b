package ciliumpolicy

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/netzero-dev/netzero/internal/cilium"
	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// Pods on the host network may run on their caller's node or on another.
func TestHostNetwork_NeedsBothEntities(t *testing.T) {
	controller := policy.Workload{Name: "controller"}
	c := Dialect{alone(controller)}
	agent := workloadIn("monitoring", "agent")
	agent.HostNetwork = true
	for _, row := range []struct {
		rules string
		want  policy.Outcome
	}{
		{
			`  egress: [{toEntities: [host, remote-node], toPorts: [{ports: [{port: "9100", protocol: TCP}]}]}]`,
			policy.Allowed,
		},
		{`  egress: [{toEntities: [host]}, {toEntities: [remote-node]}]`, policy.Allowed},
		{`  egress: [{toEntities: [cluster]}]`, policy.Allowed},
		{`  egress: [{toEntities: [host], toPorts: [{ports: [{port: "9100", protocol: TCP}]}]}]`, policy.Denied},
		{`  egress: [{toEntities: [remote-node]}]`, policy.Denied},
		{
			`  egress: [{toEntities: [host]}, {toEntities: [remote-node], toPorts: [{ports: [{port: "9101", protocol: TCP}]}]}]`,
			policy.Denied,
		},
		{`  egress: [{toEndpoints: [{matchLabels: {app: agent}}]}]`, policy.Denied},
		{`  egress: [{toCIDR: [0.0.0.0/0]}]`, policy.Denied},
	} {
		p := ciliumPolicy(t, strings.ReplaceAll(row.rules, "checkout", "controller"))
		p.Name, p.Spec.EndpointSelector.MatchLabels = "controller", map[string]string{"k8s:app": "controller"}
		f := from(controller, toPort(agent, flow.TCP, 9100))[0]
		if v := c.Evaluate(Policies{p}, f); v.Outcome != row.want {
			t.Errorf("%s: %s: %s, want %s", row.rules, v.Outcome, v.Reason, row.want)
		}
	}
	generated := c.Generate(from(controller, toPort(agent, flow.TCP, 9100)))
	again := c.Merge(generated, from(controller, toPort(agent, flow.TCP, 9100), toPort(agent, flow.TCP, 9101)))
	if len(again[0].Spec.Egress) != len(generated[0].Spec.Egress) {
		t.Errorf("a second port has a rule of its own: %s", toYAML(t, again[0]))
	}
}

// A self-hosted API server runs on some of the nodes, which may include its callers' nodes.
func TestAPIServer_NodeEntitiesInclude(t *testing.T) {
	controller := policy.Workload{Name: "controller"}
	c := Dialect{alone(controller)}
	for _, row := range []struct {
		rules string
		want  policy.Outcome
	}{
		{`  egress: [{toEntities: [kube-apiserver]}]`, policy.Allowed},
		{
			`  egress: [{toEntities: [host, remote-node], toPorts: [{ports: [{port: "6443", protocol: TCP}]}]}]`,
			policy.Allowed,
		},
		{
			`  egress: [{toEntities: [host, remote-node], toPorts: [{ports: [{port: "10250", protocol: TCP}]}]}]`,
			policy.Denied,
		},
		{`  egress: [{toEntities: [remote-node], toPorts: [{ports: [{port: "6443", protocol: TCP}]}]}]`, policy.Denied},
		{`  egress: [{toEntities: [host], toPorts: [{ports: [{port: "6443", protocol: TCP}]}]}]`, policy.Denied},
		{`  egress: [{toEntities: [world]}]`, policy.Denied},
	} {
		p := ciliumPolicy(t, strings.ReplaceAll(row.rules, "checkout", "controller"))
		p.Name, p.Spec.EndpointSelector.MatchLabels = "controller", map[string]string{"k8s:app": "controller"}
		f := from(controller, toPort(flow.ClusterAPIServer, flow.TCP, 443))[0]
		if v := c.Evaluate(Policies{p}, f); v.Outcome != row.want {
			t.Errorf("%s: %s: %s, want %s", row.rules, v.Outcome, v.Reason, row.want)
		}
		merged := c.Merge(Policies{p}, []flow.Flow{f})
		isKept := slices.ContainsFunc(merged[0].Spec.Egress, func(r cilium.EgressRule) bool {
			return reflect.DeepEqual(r, p.Spec.Egress[0])
		})
		if isKept != (row.want == policy.Allowed) {
			t.Errorf("%s: an update keeps it: %v", row.rules, isKept)
		}
	}
}
