package repo_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/netzero-dev/netzero/golden"
	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/internal/policy/ciliumpolicy"
	"github.com/netzero-dev/netzero/internal/policy/networkpolicy"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// The policies that docs/apply.md adds by hand are read in a golden file, and an update keeps them as they are written.
func TestPoliciesAddedByHandSurviveUpdates(t *testing.T) {
	parts := strings.Split(read(t, "docs/apply.md"), "```yaml\n")
	if len(parts) != 3 {
		t.Fatalf("docs/apply.md has %d policies, want one of each dialect", len(parts)-1)
	}
	scope := policy.Scope{Subjects: []policy.Subject{
		{Workload: policy.Workload{Name: "checkout"}}, {Workload: policy.Workload{Name: "orders-db"}, AllTraffic: true},
	}}
	workload := func(name string) flow.Endpoint { return flow.Endpoint{Kind: flow.Workload, Name: name} }
	call := func(from, to string, port uint16) flow.Flow {
		return flow.Flow{Source: workload(from), Destination: workload(to), Protocol: flow.TCP, Port: port, Count: 1}
	}
	before, after := []flow.Flow{call("checkout", "orders-db", 5433)}, []flow.Flow{call("checkout", "orders-db", 5432)}
	for i, part := range parts[1:] {
		added, _, _ := strings.Cut(part, "```")
		var text []byte
		var err error
		if i == 0 {
			text, err = golden.Format(golden.Header{}, networkpolicy.Dialect{Scope: scope}.Generate(before))
		} else {
			text, err = golden.Format(golden.Header{}, ciliumpolicy.Dialect{Scope: scope}.Generate(before))
		}
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "golden.yaml")
		if err := os.WriteFile(path, []byte(string(text)+"---\n"+added), 0o600); err != nil {
			t.Fatal(err)
		}
		file, err := golden.Read(path)
		if err != nil {
			t.Fatal(err)
		}
		var denied policy.Outcome
		if replicated := call("orders-db", "orders-db", 5432); i == 0 {
			text, err = file.Rewrite(golden.Header{}, networkpolicy.Dialect{Scope: scope}.Merge(file.Policies, after))
			denied = networkpolicy.Dialect{Scope: scope}.Evaluate(file.Policies, replicated).Outcome
		} else {
			cilium := ciliumpolicy.Dialect{Scope: scope}
			text, err = file.RewriteCilium(golden.Header{}, cilium.Merge(file.Cilium, after))
			denied = cilium.Evaluate(file.Cilium, replicated).Outcome
		}
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(string(text), "---\n"+added) || strings.Contains(string(text), "5433") {
			t.Errorf("an update did not keep the policy as it is, or did not change the others:\n%s", text)
		}
		if denied != policy.Allowed {
			t.Errorf("replication is %s", denied)
		}
	}
}
