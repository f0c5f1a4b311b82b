package cluster

import (
	"net/netip"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/internal/policy/networkpolicy"
	"github.com/netzero-dev/netzero/internal/recording"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// TestReplay_AnnotationsAreNetZeros shows the effect of annotations. The cluster allows a port to more destinations
// than the recorded one, which the replay expects, and NetZero denies the others.
func TestReplay_AnnotationsAreNetZeros(t *testing.T) {
	cart := flow.Endpoint{Kind: flow.Workload, Name: "cart", Namespace: "shop"}
	to := func(e flow.Endpoint, port uint16) flow.Flow {
		return flow.Flow{Source: cart, Destination: e, Protocol: flow.TCP, Port: port, Count: 1}
	}
	host := func(name, addr string) flow.Endpoint {
		return flow.Endpoint{Kind: flow.External, Name: name, Addr: netip.MustParseAddr(addr), Evidence: flow.ByDNS}
	}
	for _, row := range []struct {
		name            string
		recorded, other flow.Flow
	}{
		{"a host by its name", to(host("api.stripe.com", "203.0.113.7"), 443),
			to(host("api.example.com", "203.0.113.8"), 443)},
		{
			"the API server at unknown addresses",
			to(flow.Endpoint{Kind: flow.APIServer, Name: "kubernetes", Namespace: "default"}, 6443),
			to(host("api.example.com", "203.0.113.8"), 6443),
		},
		{
			"pods on the network of their nodes",
			to(flow.Endpoint{Kind: flow.Workload, Name: "agent", Namespace: "monitoring", HostNetwork: true}, 9100),
			to(flow.Endpoint{Kind: flow.Workload, Name: "prometheus", Namespace: "monitoring"}, 9100),
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			scope := policy.Scope{Subjects: []policy.Subject{{Workload: policy.Workload{Name: "cart", Namespace: "shop"}}}}
			policies := networkpolicy.Dialect{Scope: scope}.Generate([]flow.Flow{row.recorded})
			if v := (networkpolicy.Dialect{Scope: scope}).Evaluate(policies, row.recorded); v.Outcome != policy.Allowed {
				t.Errorf("NetZero denies the recorded flow: %s", v.Reason)
			}
			if v := (networkpolicy.Dialect{Scope: scope}).Evaluate(policies, row.other); v.Outcome == policy.Allowed {
				t.Errorf("NetZero allows %s: %s", row.other.Target(), v.Reason)
			}
			var text strings.Builder
			for _, p := range policies {
				one, err := yaml.Marshal(p)
				if err != nil {
					t.Fatal(err)
				}
				text.WriteString("---\n" + string(one))
			}
			replay(t, Scenario{
				Policies: text.String(), Flows: recording.FromFlows([]flow.Flow{row.recorded}),
				Workloads: []recording.Workload{{Name: "cart", Namespace: "shop"}},
			})
		})
	}
}
