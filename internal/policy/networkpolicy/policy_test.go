package networkpolicy

import (
	"strings"
	"testing"

	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

func TestIsolated_Reasons(t *testing.T) {
	shop := policy.Workload{Name: "checkout", Namespace: "shop"}
	for _, row := range []struct {
		reason, policies string
		subject          policy.Workload
		why              string // "" if the subject is isolated
	}{
		{
			"egress without rules isolates",
			"metadata: {name: p}\nspec: {podSelector: {}, policyTypes: [Egress]}",
			checkout, "",
		},
		{"egress rules without types isolate", "metadata: {name: p}\nspec: {podSelector: {}, egress: [{}]}", checkout, ""},
		{"nothing makes a policy one for ingress", "metadata: {name: p}\nspec: {podSelector: {}}", checkout,
			"policy p is not of the type Egress"},
		{
			"types outweigh rules",
			"metadata: {name: p}\nspec: {podSelector: {}, policyTypes: [Ingress], egress: [{}]}",
			checkout, "policy p is not of the type Egress",
		},
		{"no egress rules and no types", "metadata: {name: p}\nspec: {podSelector: {}, egress: []}", checkout,
			"policy p is not of the type Egress"},
		{
			"labels decide",
			"metadata: {name: p}\nspec: {podSelector: {matchLabels: {app: cart}}, policyTypes: [Egress]}",
			checkout,
			"policy p selects app=cart, the pods have app=checkout",
		},
		{
			"labels of one's own replace app",
			"metadata: {name: p}\nspec: {podSelector: {matchLabels: {tier: web}}, policyTypes: [Egress]}",
			policy.Workload{Name: "checkout", Labels: map[string]string{"tier": "web"}},
			"",
		},
		{
			"empty labels would be any pod's",
			"metadata: {name: p}\nspec: {podSelector: {matchLabels: {app: checkout}}, policyTypes: [Egress]}",
			policy.Workload{Name: "checkout", Labels: map[string]string{}},
			"",
		},
		{
			"expressions select too",
			"metadata: {name: p}\nspec: {podSelector: {matchExpressions: [{key: app, operator: In, " +
				"values: [a, checkout]}]}, policyTypes: [Egress]}",
			checkout, "",
		},
		{
			"an operator that is none selects nothing",
			"metadata: {name: p}\nspec: {podSelector: {matchExpressions: [{key: app, operator: Is, values: [a]}]}, " +
				"policyTypes: [Egress]}",
			checkout,
			"policy p selects <error>, the pods have app=checkout",
		},
		{"namespaces differ", "metadata: {name: p, namespace: prod}\nspec: {podSelector: {}, policyTypes: [Egress]}", shop,
			"policy p is in namespace prod, not in shop"},
		{"the policy has no namespace", "metadata: {name: p}\nspec: {podSelector: {}, policyTypes: [Egress]}", shop, ""},
		{
			"the subject has no namespace",
			"metadata: {name: p, namespace: prod}\nspec: {podSelector: {}, policyTypes: [Egress]}",
			checkout, "",
		},
	} {
		policies := parse(t, row.policies)
		isolated, why := isolates(policies, row.subject, policy.Egress)
		want := "no policy isolates checkout for egress: " + row.why
		if isolated != (row.why == "") || !isolated && why != want {
			t.Errorf("%s: got %v: %s, want %s", row.reason, isolated, why, want)
		}
		v := Dialect{alone(row.subject)}.Evaluate(policies, tcp(workload("cache"), 6379))
		if unprotected := v.Outcome == policy.Unprotected; unprotected == isolated || unprotected && v.Reason != why {
			t.Errorf("%s: verdict is %s: %s", row.reason, v.Outcome, v.Reason)
		}
	}
}

func TestEvaluate_NoPolicy(t *testing.T) {
	for _, f := range []flow.Flow{tcp(workload("cache"), 6379), ping(at("203.0.113.9"))} {
		v := Dialect{alone(checkout)}.Evaluate(nil, f)
		if v.Outcome != policy.Unprotected || v.Rule != -1 || !strings.HasSuffix(v.Reason, "there is none") {
			t.Errorf("%s: got %+v", f.Target(), v)
		}
	}
}
