package networkpolicy

import (
	"strings"
	"testing"

	networkingv1 "k8s.io/api/networking/v1"

	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// TestAPIServer_RuleMatchesNothingElse evaluates other flows against a rule without peers that an annotation
// reserves.
func TestAPIServer_RuleMatchesNothingElse(t *testing.T) {
	controller := policy.Workload{Name: "controller", Namespace: "shop"}
	s := alone(controller)
	agent := workloadIn("monitoring", "agent")
	agent.HostNetwork = true
	other := agent
	other.Name = "other"
	generated := Dialect{s}.Generate(from(
		controller, toPort(flow.ClusterAPIServer, flow.TCP, 443), toPort(agent, flow.TCP, 9100),
	))
	bare := generated[0].DeepCopy()
	bare.Annotations = nil
	for _, row := range []struct {
		reason   string
		policies []*networkingv1.NetworkPolicy
		flow     flow.Flow
		want     policy.Outcome
		says     string
	}{
		{"the API server", generated, toPort(flow.ClusterAPIServer, flow.TCP, 443), policy.Allowed, "(everywhere)"},
		{"at its own port", generated, toPort(flow.ClusterAPIServer, flow.TCP, 6443), policy.Allowed, ""},
		{"pods on the host network", generated, toPort(agent, flow.TCP, 9100), policy.Allowed, ""},
		{
			"others there", generated, toPort(other, flow.TCP, 9100), policy.Denied,
			"port 9100/TCP of rule 1 (everywhere) is not for other.monitoring (pods on the network of their nodes",
		},
		{
			"a host", generated,
			toPort(external("api.stripe.com", "198.51.100.1"), flow.TCP, 443),
			policy.Denied,
			"is not for api.stripe.com, by the annotation netzero.dev/egress-api-server",
		},
		{"pods", generated, toPort(workload("db"), flow.TCP, 443), policy.Denied, "netzero.dev/egress-api-server"},
		{"an address", generated, toPort(at("203.0.113.9"), flow.TCP, 6443), policy.Denied, ""},
		{
			"a lookup", generated,
			flow.Flow{Destination: external("gone.example", "198.51.100.1"), Lookup: true},
			policy.Denied, "",
		},
		{"over UDP", generated, toPort(flow.ClusterAPIServer, flow.UDP, 443), policy.Denied, ""},
		{
			"without the annotation it is for everybody", []*networkingv1.NetworkPolicy{bare},
			toPort(external("api.stripe.com", "198.51.100.1"), flow.TCP, 443),
			policy.Allowed, "",
		},
	} {
		v := Dialect{s}.Evaluate(row.policies, from(controller, row.flow)[0])
		w := Dialect{s}.Evaluator(row.policies)(from(controller, row.flow)[0])
		if v.Outcome != row.want || w.Outcome != row.want || !strings.Contains(v.Reason, row.says) {
			t.Errorf("%s: %s: %s, and at once %s, want %s: %q", row.reason, v.Outcome, v.Reason, w.Outcome, row.want, row.says)
		}
	}
	for _, entry := range []string{"443", "443/TCP,x/TCP", "6443/tcp", "0/TCP", "agent:443/TCP"} {
		p := generated[0].DeepCopy()
		p.Annotations[policy.APIServerAnnotation] = entry
		if err := Validate(p); err == nil || !strings.Contains(err.Error(), "6443/TCP") {
			t.Errorf("%s: %v", entry, err)
		}
	}
	if err := Validate(generated[0]); err != nil {
		t.Error(err)
	}
	if merged := (Dialect{s}).Merge(generated, nil); len(merged[0].Spec.Egress) > 0 || len(merged[0].Annotations) > 0 {
		t.Errorf("after an update without flows: %+v", merged[0])
	}
}
