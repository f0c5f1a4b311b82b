package netzerotest

import (
	"os"
	"path/filepath"
	"testing"

	networkingv1 "k8s.io/api/networking/v1"
	"sigs.k8s.io/yaml"

	"github.com/netzero-dev/netzero/internal/manifest"
	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/internal/policy/networkpolicy"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

const deployed = `{apiVersion: v1, kind: Namespace, metadata: {name: data, labels: {team: storage}}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: orders-db, namespace: data}
spec:
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec: {containers: [{name: pg, image: pg, ports: [{name: pg, containerPort: 5432}]}]}
`

// TestManifestsTellWhatSelectorsAndPortsMean holds a policy that somebody wrote by hand against what the manifests know.
func TestManifestsTellWhatSelectorsAndPortsMean(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "all.yaml"), []byte(deployed), 0o600); err != nil {
		t.Fatal(err)
	}
	manifests, err := manifest.Read(dir, "all.yaml")
	if err != nil {
		t.Fatal(err)
	}
	f := Flow{
		Source:      flow.Endpoint{Kind: flow.Workload, Name: "checkout"},
		Destination: flow.Endpoint{Kind: flow.Workload, Name: "orders-db"},
		Protocol:    flow.TCP, Port: 5432, Count: 1,
	}
	for _, whole := range []bool{false, true} { // as somebody else's container, and as one of the recording's own
		recorded := settlement{flows: []Flow{f}, workloads: []policy.Subject{{Workload: policy.Workload{Name: "checkout", Namespace: "shop"}}}}
		if whole {
			recorded.workloads = append(recorded.workloads, policy.Subject{Workload: policy.Workload{Name: "orders-db"}, AllTraffic: true})
		}
		flows, scope, _, err := config{manifests: manifests}.deploy(recorded)
		if err != nil || len(flows) != 1 {
			t.Fatalf("%v, %v", flows, err)
		}
		for rule, want := range map[string]policy.Outcome{
			"{to: [{namespaceSelector: {matchLabels: {team: storage}}}], ports: [{port: pg}]}":   policy.Allowed,
			"{to: [{namespaceSelector: {matchLabels: {team: storage}}}], ports: [{port: http}]}": policy.Denied,
			"{to: [{namespaceSelector: {matchLabels: {team: shop}}}], ports: [{port: pg}]}":      policy.Denied,
		} {
			p := new(networkingv1.NetworkPolicy)
			text := "metadata: {name: checkout}\nspec: {podSelector: {matchLabels: {app: checkout}}, policyTypes: [Egress], egress: [" + rule + "]}"
			if err := yaml.UnmarshalStrict([]byte(text), p); err != nil {
				t.Fatal(err)
			}
			if v := (networkpolicy.Dialect{Scope: scope}).Evaluate([]*networkingv1.NetworkPolicy{p}, flows[0]); v.Outcome != want {
				t.Errorf("whole %v: %s is %s: %s", whole, rule, v.Outcome, v.Reason)
			}
		}
	}
}
