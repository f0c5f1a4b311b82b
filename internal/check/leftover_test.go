package check

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/netzero-dev/netzero/internal/placement"

	"github.com/netzero-dev/netzero/golden"
	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/internal/report"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// A flow that no rule can express fails the next test, too, until the golden file lists it.
func TestLeftovers_FlowsWithoutRules(t *testing.T) {
	scope := policy.Scope{Subjects: []policy.Subject{{Workload: policy.Workload{Name: "shop"}}}}
	for reason, f := range inexpressible() {
		leftBehind(t, "NetworkPolicy, "+reason, dialectFor(golden.Kubernetes, scope), Options{}, f)
		leftBehind(
			t, "CiliumNetworkPolicy, "+reason, dialectFor(golden.Cilium, scope),
			Options{Placement: placement.Options{Cilium: true}},
			f,
		)
	}
}

func leftBehind(t *testing.T, reason string, d dialect, o Options, f flow.Flow) {
	t.Helper()
	check := func(policies []golden.Policy) report.Report {
		t.Helper()
		text, err := golden.Format(golden.Header{Test: "TestShop"}, policies)
		if err != nil {
			t.Fatalf("%s: %v", reason, err)
		}
		path := filepath.Join(t.TempDir(), "x.yaml")
		if err := os.WriteFile(path, text, 0o644); err != nil {
			t.Fatal(err)
		}
		result := report.Report{Test: "TestShop", Golden: "x.yaml", RunningTest: "TestOther"}
		o.Test, o.Golden = "TestShop", path
		if err := checkLeftover(new(Leftovers), &result, o, d, []flow.Flow{f}); err != nil {
			t.Fatalf("%s: %v", reason, err)
		}
		return result
	}
	none := d.Generate(nil)
	if result := check(none); !result.Failed() || !strings.Contains(result.String(), f.Target()) {
		t.Errorf("%s: passes, or the text does not name %s:\n%s", reason, f.Target(), result)
	}
	updated := check(d.Merge(none, []flow.Flow{f}))
	// Nothing can allow it.
	if impossible := f.Destination == (flow.Endpoint{Kind: flow.Address}); updated.Failed() != impossible {
		t.Errorf("%s: after an update it fails: %v\n%s", reason, updated.Failed(), updated)
	}
}
