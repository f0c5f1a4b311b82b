package policy_test

import (
	"testing"

	"github.com/netzero-dev/netzero/internal/cilium"
	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/internal/policy/ciliumpolicy"
	"github.com/netzero-dev/netzero/internal/policy/networkpolicy"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// TestIngress_CallerOfUnknownNamespace covers a server in a known namespace and a caller with a policy that can be
// applied to any namespace. The server's rule has to allow the caller from every namespace; a rule for its own does
// not suffice.
func TestIngress_CallerOfUnknownNamespace(t *testing.T) {
	caller := flow.Endpoint{Kind: flow.Workload, Name: "checkout"}
	server := flow.Endpoint{Kind: flow.Workload, Name: "orders-db", Namespace: "shop"}
	scope := policy.Scope{Subjects: []policy.Subject{
		{Workload: policy.Workload{Name: "checkout"}},
		{Workload: policy.Workload{Name: "orders-db", Namespace: "shop"}, AllTraffic: true},
	}}
	call := flow.Flow{Source: caller, Destination: server, Protocol: flow.TCP, Port: 5432}
	flows := []flow.Flow{call}

	t.Run("NetworkPolicy", func(t *testing.T) {
		policies := networkpolicy.Dialect{Scope: scope}.Generate(flows)
		from := policies[1].Spec.Ingress[0].From[0]
		if from.NamespaceSelector == nil || len(from.NamespaceSelector.MatchLabels) > 0 {
			t.Errorf("got namespaceSelector %v, want one of all namespaces", from.NamespaceSelector)
		}
		if v := (networkpolicy.Dialect{Scope: scope}).Evaluate(policies, call); v.Outcome != policy.Allowed {
			t.Errorf("the generated policies: %s", v.Reason)
		}
		if merged := (networkpolicy.Dialect{Scope: scope}).Merge(policies, flows); len(merged[1].Spec.Ingress) != 1 {
			t.Errorf("an update writes %v", merged[1].Spec.Ingress)
		}
		policies[1].Spec.Ingress[0].From[0].NamespaceSelector = nil
		if v := (networkpolicy.Dialect{Scope: scope}).Evaluate(policies, call); v.Outcome != policy.Denied {
			t.Errorf("a rule for the server's namespace: %s, %s", v.Outcome, v.Reason)
		}
		if v := (networkpolicy.Dialect{Scope: scope}).Evaluate(
			networkpolicy.Dialect{Scope: scope}.Merge(policies, flows), call,
		); v.Outcome != policy.Allowed {
			t.Errorf("an update of it: %s", v.Reason)
		}
	})
	t.Run("CiliumNetworkPolicy", func(t *testing.T) {
		dialect := ciliumpolicy.Dialect{Scope: scope}
		policies := dialect.Generate(flows)
		if v := dialect.Evaluate(policies, call); v.Outcome != policy.Allowed {
			t.Errorf("the generated policies: %s", v.Reason)
		}
		from := &ciliumpolicy.RulesOf(policies[1], policy.Ingress)[0].Endpoints[0]
		if len(from.MatchExpressions) != 1 || from.MatchExpressions[0].Key != cilium.KubernetesSource+cilium.NamespaceLabel {
			t.Errorf("got %v, want an expression for all namespaces", from)
		}
		if merged := dialect.Merge(policies, flows); len(ciliumpolicy.RulesOf(merged[1], policy.Ingress)) != 1 {
			t.Errorf("an update writes %v", ciliumpolicy.RulesOf(merged[1], policy.Ingress))
		}
		from.MatchExpressions = nil
		if v := dialect.Evaluate(policies, call); v.Outcome != policy.Denied {
			t.Errorf("a rule for the server's namespace: %s, %s", v.Outcome, v.Reason)
		}
		if v := dialect.Evaluate(dialect.Merge(policies, flows), call); v.Outcome != policy.Allowed {
			t.Errorf("an update of it: %s", v.Reason)
		}
	})
}
