package policy

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	networkingv1 "k8s.io/api/networking/v1"

	"github.com/netzero-dev/netzero/internal/cilium"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// TestARuleForTheAPIServerIsForNobodyElse holds other flows against a rule without peers that an annotation keeps for some.
func TestARuleForTheAPIServerIsForNobodyElse(t *testing.T) {
	controller := Workload{Name: "controller", Namespace: "shop"}
	s := alone(controller)
	agent := workloadIn("monitoring", "agent")
	agent.HostNetwork = true
	other := agent
	other.Name = "other"
	generated := s.Generate(from(controller, toPort(flow.ClusterAPIServer, flow.TCP, 443), toPort(agent, flow.TCP, 9100)))
	bare := generated[0].DeepCopy()
	bare.Annotations = nil
	for _, row := range []struct {
		reason   string
		policies []*networkingv1.NetworkPolicy
		flow     flow.Flow
		want     Outcome
		says     string
	}{
		{"the API server", generated, toPort(flow.ClusterAPIServer, flow.TCP, 443), Allowed, "(everywhere)"},
		{"at its own port", generated, toPort(flow.ClusterAPIServer, flow.TCP, 6443), Allowed, ""},
		{"pods on the host network", generated, toPort(agent, flow.TCP, 9100), Allowed, ""},
		{"others there", generated, toPort(other, flow.TCP, 9100), Denied, "port 9100/TCP of rule 1 (everywhere) is not for other.monitoring (pods on the network of their nodes"},
		{"a host", generated, toPort(external("api.stripe.com", "198.51.100.1"), flow.TCP, 443), Denied, "is not for api.stripe.com, by the annotation netzero.dev/egress-api-server"},
		{"pods", generated, toPort(workload("db"), flow.TCP, 443), Denied, "netzero.dev/egress-api-server"},
		{"an address", generated, toPort(at("203.0.113.9"), flow.TCP, 6443), Denied, ""},
		{"a look-up", generated, flow.Flow{Destination: external("gone.example", "198.51.100.1"), Lookup: true}, Denied, ""},
		{"over UDP", generated, toPort(flow.ClusterAPIServer, flow.UDP, 443), Denied, ""},
		{"without the annotation it is for everybody", []*networkingv1.NetworkPolicy{bare}, toPort(external("api.stripe.com", "198.51.100.1"), flow.TCP, 443), Allowed, ""},
	} {
		v := s.Evaluate(row.policies, from(controller, row.flow)[0])
		w := s.Evaluator(row.policies)(from(controller, row.flow)[0])
		if v.Outcome != row.want || w.Outcome != row.want || !strings.Contains(v.Reason, row.says) {
			t.Errorf("%s: %s: %s, and at once %s, want %s: %q", row.reason, v.Outcome, v.Reason, w.Outcome, row.want, row.says)
		}
	}
	for _, entry := range []string{"443", "443/TCP,x/TCP", "6443/tcp", "0/TCP", "agent:443/TCP"} {
		p := generated[0].DeepCopy()
		p.Annotations[APIServerAnnotation] = entry
		if err := Validate(p); err == nil || !strings.Contains(err.Error(), "6443/TCP") {
			t.Errorf("%s: %v", entry, err)
		}
	}
	if err := Validate(generated[0]); err != nil {
		t.Error(err)
	}
	if merged := s.Merge(generated, nil); len(merged[0].Spec.Egress) > 0 || len(merged[0].Annotations) > 0 {
		t.Errorf("after an update without flows: %+v", merged[0])
	}
}

// TestHostNetworkTakesBothEntities: such pods are on the node of their callers, or on another.
func TestHostNetworkTakesBothEntities(t *testing.T) {
	controller := Workload{Name: "controller"}
	c := Cilium{alone(controller)}
	agent := workloadIn("monitoring", "agent")
	agent.HostNetwork = true
	for _, row := range []struct {
		rules string
		want  Outcome
	}{
		{`  egress: [{toEntities: [host, remote-node], toPorts: [{ports: [{port: "9100", protocol: TCP}]}]}]`, Allowed},
		{`  egress: [{toEntities: [host]}, {toEntities: [remote-node]}]`, Allowed},
		{`  egress: [{toEntities: [cluster]}]`, Allowed},
		{`  egress: [{toEntities: [host], toPorts: [{ports: [{port: "9100", protocol: TCP}]}]}]`, Denied},
		{`  egress: [{toEntities: [remote-node]}]`, Denied},
		{`  egress: [{toEntities: [host]}, {toEntities: [remote-node], toPorts: [{ports: [{port: "9101", protocol: TCP}]}]}]`, Denied},
		{`  egress: [{toEndpoints: [{matchLabels: {app: agent}}]}]`, Denied},
		{`  egress: [{toCIDR: [0.0.0.0/0]}]`, Denied},
	} {
		p := ciliumPolicy(t, strings.ReplaceAll(row.rules, "checkout", "controller"))
		p.Name, p.Spec.EndpointSelector.MatchLabels = "controller", map[string]string{"k8s:app": "controller"}
		f := from(controller, toPort(agent, flow.TCP, 9100))[0]
		if v := c.Evaluate(ciliumPolicies{p}, f); v.Outcome != row.want {
			t.Errorf("%s: %s: %s, want %s", row.rules, v.Outcome, v.Reason, row.want)
		}
	}
	generated := c.Generate(from(controller, toPort(agent, flow.TCP, 9100)))
	if again := c.Merge(generated, from(controller, toPort(agent, flow.TCP, 9100), toPort(agent, flow.TCP, 9101))); len(again[0].Spec.Egress) != len(generated[0].Spec.Egress) {
		t.Errorf("a second port has a rule of its own: %s", toYAML(t, again[0]))
	}
}

// TestNodesHoldTheAPIServer: where a cluster runs it, it is on some of the nodes, which may be those of its callers.
func TestNodesHoldTheAPIServer(t *testing.T) {
	controller := Workload{Name: "controller"}
	c := Cilium{alone(controller)}
	for _, row := range []struct {
		rules string
		want  Outcome
	}{
		{`  egress: [{toEntities: [kube-apiserver]}]`, Allowed},
		{`  egress: [{toEntities: [host, remote-node], toPorts: [{ports: [{port: "6443", protocol: TCP}]}]}]`, Allowed},
		{`  egress: [{toEntities: [host, remote-node], toPorts: [{ports: [{port: "10250", protocol: TCP}]}]}]`, Denied},
		{`  egress: [{toEntities: [remote-node], toPorts: [{ports: [{port: "6443", protocol: TCP}]}]}]`, Denied},
		{`  egress: [{toEntities: [host], toPorts: [{ports: [{port: "6443", protocol: TCP}]}]}]`, Denied},
		{`  egress: [{toEntities: [world]}]`, Denied},
	} {
		p := ciliumPolicy(t, strings.ReplaceAll(row.rules, "checkout", "controller"))
		p.Name, p.Spec.EndpointSelector.MatchLabels = "controller", map[string]string{"k8s:app": "controller"}
		f := from(controller, toPort(flow.ClusterAPIServer, flow.TCP, 443))[0]
		if v := c.Evaluate(ciliumPolicies{p}, f); v.Outcome != row.want {
			t.Errorf("%s: %s: %s, want %s", row.rules, v.Outcome, v.Reason, row.want)
		}
		merged := c.Merge(ciliumPolicies{p}, []flow.Flow{f})
		if isKept := slices.ContainsFunc(merged[0].Spec.Egress, func(r cilium.EgressRule) bool { return reflect.DeepEqual(r, p.Spec.Egress[0]) }); isKept != (row.want == Allowed) {
			t.Errorf("%s: an update keeps it: %v", row.rules, isKept)
		}
	}
}
