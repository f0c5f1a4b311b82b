package policy_test

import (
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/netzero-dev/netzero/internal/cilium"
)

// ciliumPolicy parses a policy of the pods app=checkout with the rules.
func ciliumPolicy(t *testing.T, rules string) *cilium.NetworkPolicy {
	t.Helper()
	p := new(cilium.NetworkPolicy)
	text := "metadata: {name: checkout}\nspec:\n  endpointSelector: {matchLabels: {\"k8s:app\": checkout}}\n" + rules
	if err := yaml.UnmarshalStrict([]byte(text), p); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	if err := cilium.Validate(p); err != nil {
		t.Fatal(err)
	}
	return p
}
