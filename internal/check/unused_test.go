package check

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/netzero-dev/netzero/golden"
	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// Rules that no test needed are only removed from the file that the tests have been compared with.
func TestShared_PrunesOnlyFilesOfItsDialect(t *testing.T) {
	scope := policy.Scope{Subjects: []policy.Subject{{Workload: policy.Workload{Name: "shop"}}}}
	flows := []flow.Flow{opened("shop", 1, ""), opened("shop", 2, "")}
	for _, c := range []struct {
		reason string
		found  golden.Dialect // of the file after the tests; "" if it has gone
		want   bool           // a rule is removed
	}{
		{"the file of the tests", golden.Kubernetes, true},
		{"replaced by one of the other dialect", golden.Cilium, false},
		{"removed", "", false},
	} {
		path := filepath.Join(t.TempDir(), "x.yaml")
		if c.found != "" {
			text, err := golden.Format(golden.Header{}, dialectFor(c.found, scope).Generate(flows))
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, text, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		goldens := new(Register)
		shared, _, err := goldens.Begin(path, Member{Test: "TestA", Shares: true})
		if err != nil {
			t.Fatal(err)
		}
		if err := shared.end(Options{Test: "TestA"}, part{scope, flows[:1]}, true); err != nil {
			t.Fatal(err)
		}
		if file, err := golden.Read(path); err == nil {
			if unused := shared.unused(file, nil); (len(unused) > 0) != c.want {
				t.Errorf("%s: unused %q, want some: %v", c.reason, unused, c.want)
			}
		}
		if sum := goldens.Check(nil, true); sum.Failed || (len(sum.Lines) > 0) != c.want {
			t.Errorf("%s: %+v, want a rule removed: %v", c.reason, sum, c.want)
		}
	}
}
