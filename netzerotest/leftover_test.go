package netzerotest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/netzero-dev/netzero/golden"
	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/internal/report"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// What an ended test left behind is judged as what a test opens is: a flow that no rule is for is red, too, until the golden
// lists it.
func TestFlowsWithoutRulesAreRedAfterTheirTest(t *testing.T) {
	scope := policy.Scope{Subjects: []policy.Subject{{Workload: policy.Workload{Name: "shop"}}}}
	for reason, f := range withoutWords() {
		leftBehind(t, "NetworkPolicy, "+reason, kubernetes(scope), config{}, f)
		leftBehind(t, "CiliumNetworkPolicy, "+reason, ciliums(scope), config{cilium: true}, f)
	}
}

func leftBehind[P golden.Policy](t *testing.T, reason string, d dialect[P], c config, f Flow) {
	t.Helper()
	judge := func(policies []P) report.Report {
		t.Helper()
		text, err := golden.Format(golden.Header{Test: "TestShop"}, policies)
		if err != nil {
			t.Fatalf("%s: %v", reason, err)
		}
		path := filepath.Join(t.TempDir(), "x.yaml")
		if err := os.WriteFile(path, text, 0o644); err != nil {
			t.Fatal(err)
		}
		result := report.Report{Test: "TestShop", Golden: "x.yaml", Neighbour: "TestOther"}
		if err := judgeLeftover(&result, testOver{name: "TestShop", golden: path, config: c}, d, []Flow{f}); err != nil {
			t.Fatalf("%s: %v", reason, err)
		}
		return result
	}
	none := d.rules.Generate(nil)
	if result := judge(none); !result.Failed() || !strings.Contains(result.String(), f.Target()) {
		t.Errorf("%s: passes, or the text does not name %s:\n%s", reason, f.Target(), result)
	}
	updated := judge(d.rules.Merge(none, []Flow{f}))
	if impossible := f.Destination == (flow.Endpoint{Kind: flow.Address}); updated.Failed() != impossible { // nothing could allow it
		t.Errorf("%s: after an update it fails: %v\n%s", reason, updated.Failed(), updated)
	}
}
