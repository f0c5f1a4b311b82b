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
	dialects := []policy.Dialect[golden.Policy]{
		policy.As[golden.Policy](networkpolicy.Dialect{Scope: scope}),
		policy.As[golden.Policy](ciliumpolicy.Dialect{Scope: scope}),
	}
	for i, dialect := range dialects {
		added, _, _ := strings.Cut(parts[i+1], "```")
		text, err := golden.Format(golden.Header{}, dialect.Generate(before))
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
		replication := dialect.Evaluate(file.Policies, call("orders-db", "orders-db", 5432)).Outcome
		text, err = file.Rewrite(golden.Header{}, dialect.Merge(file.Policies, after))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(string(text), "---\n"+added) || strings.Contains(string(text), "5433") {
			t.Errorf("an update did not keep the policy as it is, or did not change the others:\n%s", text)
		}
		if replication != policy.Allowed {
			t.Errorf("replication is %s", replication)
		}
	}
}
