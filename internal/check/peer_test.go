package check

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/netzero-dev/netzero/internal/placement"
	"github.com/netzero-dev/netzero/internal/policy"

	"github.com/netzero-dev/netzero/golden"
	"github.com/netzero-dev/netzero/internal/recording"
	"github.com/netzero-dev/netzero/internal/report"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// Only the policy of its destination, if there is one, contains a flow from a peer.
func TestPeer_IsCallerOnly(t *testing.T) {
	workload := func(name string) flow.Endpoint { return flow.Endpoint{Kind: flow.Workload, Name: name} }
	opens := func(from, to string, port uint16) flow.Flow {
		return flow.Flow{
			Source: workload(from), Destination: workload(to), Protocol: flow.TCP, Port: port, Count: 1,
			Binaries: []string{"postgres"},
		}
	}
	recorded := recording.Recording{
		Flows:     []flow.Flow{opens("orders-db", "checkout", 8080), opens("orders-db", "replica", 5432)},
		Workloads: []recording.Workload{{Name: "checkout", AllTraffic: true}},
	}
	const (
		kubernetesWant = `apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: checkout, annotations: {netzero.dev/binaries: ''}}
spec:
  podSelector: {matchLabels: {app: checkout}}
  policyTypes: [Egress, Ingress]
  ingress: [{from: [{podSelector: {matchLabels: {app: orders-db}}}], ports: [{port: 8080}]}]
`
		ciliumWant = `apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: {name: checkout, annotations: {netzero.dev/binaries: ''}}
spec:
  endpointSelector: {matchLabels: {'k8s:app': checkout}}
  ingress:
  - fromEndpoints: [{matchLabels: {'k8s:app': orders-db}}]
    toPorts: [{ports: [{port: '8080', protocol: TCP}]}]
  egress: [{}]
`
	)
	placed, err := placement.Place(recorded, placement.Options{Rules: policy.Scope{Binaries: true}})
	if err != nil {
		t.Fatal(err)
	}
	checkPeer(t, dialectFor(golden.Kubernetes, placed.Scope), kubernetesWant, placed.Flows)
	checkPeer(t, dialectFor(golden.Cilium, placed.Scope), ciliumWant, placed.Flows)
}

func checkPeer(t *testing.T, d dialect, want string, flows []flow.Flow) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "golden.yaml")
	if err := os.WriteFile(path, []byte(want), 0o600); err != nil {
		t.Fatal(err)
	}
	file, err := golden.Read(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := golden.Diff(file.Policies, d.Generate(flows)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	result := report.Report{Strict: true}
	compareFlows(&result, d, file, flows)
	compareBinaries(&result, d, file, flows, nil)
	result.Unused = append(d.Unused(file.Policies, flows), ownFile(t, path, "TestShop").foreign(d, file)...)
	if result.Failed() {
		t.Errorf("the test fails:\n%s", result)
	}
}
