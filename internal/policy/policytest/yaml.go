package policytest

import (
	"strings"
	"testing"

	networkingv1 "k8s.io/api/networking/v1"
	"sigs.k8s.io/yaml"

	"github.com/netzero-dev/netzero/internal/cilium"
)

const (
	// CheckoutEgress starts a NetworkPolicy that isolates checkout for egress. Rules in flow style follow it.
	CheckoutEgress = `
metadata: {name: checkout}
spec:
  podSelector: {matchLabels: {app: checkout}}
  policyTypes: [Egress]
  egress:
`
	// ToInternet is a rule for port 443 of all public addresses.
	ToInternet = "  - {to: [{ipBlock: {cidr: 0.0.0.0/0, except: [10.0.0.0/8]}}, {ipBlock: {cidr: '::/0'}}], " +
		"ports: [{port: 443}]}\n"
	// ToPrivateAddress is a rule for two ports of 10.9.0.1.
	ToPrivateAddress = "  - {to: [{ipBlock: {cidr: 10.9.0.1/32}}], ports: [{port: 636}, {port: 443}]}\n"
)

// Parse parses NetworkPolicies from YAML documents.
func Parse(t *testing.T, documents string) []*networkingv1.NetworkPolicy {
	t.Helper()
	var policies []*networkingv1.NetworkPolicy
	for document := range strings.SplitSeq(documents, "\n---\n") {
		policies = append(policies, unmarshal[networkingv1.NetworkPolicy](t, document))
	}
	return policies
}

// EgressPolicy parses a NetworkPolicy that isolates checkout for egress, from an annotation and rules in flow style.
func EgressPolicy(t *testing.T, annotation, rules string) []*networkingv1.NetworkPolicy {
	t.Helper()
	return Parse(t, "metadata: {name: checkout, annotations: {"+annotation+"}}\n"+
		"spec: {podSelector: {matchLabels: {app: checkout}}, policyTypes: [Egress], egress: ["+rules+"]}")
}

// CiliumPolicy parses a valid CiliumNetworkPolicy of checkout from the fields of its spec, indented by two spaces.
func CiliumPolicy(t *testing.T, fields string) *cilium.NetworkPolicy {
	t.Helper()
	p := unmarshal[cilium.NetworkPolicy](t,
		"metadata: {name: checkout}\nspec:\n  endpointSelector: {matchLabels: {\"k8s:app\": checkout}}\n"+fields)
	if err := cilium.Validate(p); err != nil {
		t.Fatal(err)
	}
	return p
}

// CiliumEgressPolicy parses a CiliumNetworkPolicy of checkout from egress rules in flow style.
func CiliumEgressPolicy(t *testing.T, rules string) []*cilium.NetworkPolicy {
	t.Helper()
	return []*cilium.NetworkPolicy{unmarshal[cilium.NetworkPolicy](t,
		"apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata: {name: checkout}\n"+
			"spec: {endpointSelector: {matchLabels: {app: checkout}}, egress: ["+rules+"]}")}
}

func unmarshal[P any](t *testing.T, document string) *P {
	t.Helper()
	p := new(P)
	if err := yaml.UnmarshalStrict([]byte(document), p); err != nil {
		t.Fatalf("read policy: %v\n%s", err, document)
	}
	return p
}

// ToYAML returns a policy as YAML.
func ToYAML(t *testing.T, p any) string {
	t.Helper()
	text, err := yaml.Marshal(p)
	if err != nil {
		t.Fatalf("write policy: %v", err)
	}
	return string(text)
}

// ToYAMLs returns policies as YAML, one text each.
func ToYAMLs[P any](t *testing.T, policies []P) []string {
	t.Helper()
	var texts []string
	for _, p := range policies {
		texts = append(texts, ToYAML(t, p))
	}
	return texts
}

// Clone returns copies of policies.
func Clone[P interface{ DeepCopy() P }](policies []P) []P {
	var copies []P
	for _, p := range policies {
		copies = append(copies, p.DeepCopy())
	}
	return copies
}
