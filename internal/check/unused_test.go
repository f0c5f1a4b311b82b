package check

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

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

// A rule is unused by recordings if none of them needs it. Tests without a complete recording may need it.
func TestUnion_Unused(t *testing.T) {
	scope := policy.Scope{Subjects: []policy.Subject{{Workload: policy.Workload{Name: "shop"}}}}
	flows := []flow.Flow{opened("shop", 1, ""), opened("shop", 2, "")}
	pkg := Package{Path: "example.com/shop", SourceTests: func() map[string]bool {
		return map[string]bool{"TestA": true, "TestB": true}
	}}
	for _, row := range []struct {
		reason         string
		listed         []string
		tests, partial []string
		missing        []string
	}{
		{"the file of a test", nil, []string{"TestA"}, nil, nil},
		{"a test in part", nil, []string{"TestA"}, []string{"TestA"}, []string{"TestA"}},
		{"a listed test is missing", []string{"TestA", "TestB"}, []string{"TestA"}, nil, []string{"TestB"}},
		{"a listed test is gone", []string{"TestA", "TestGone"}, []string{"TestA"}, nil, nil},
		{"a test that is not listed, in part", []string{"TestA"}, []string{"TestA", "TestB"}, []string{"TestB"},
			[]string{"TestB"}},
	} {
		named := func(tests []string) (all []string) {
			for _, test := range tests {
				all = append(all, pkg.TestName(test))
			}
			return all
		}
		text, err := golden.Format(golden.Header{Tests: named(row.listed)},
			dialectFor(golden.Kubernetes, scope).Generate(flows))
		if err != nil {
			t.Fatal(err)
		}
		file, err := golden.Parse("x.yaml", text)
		if err != nil {
			t.Fatal(err)
		}
		u := Union{Tests: named(row.tests), Partial: named(row.partial)}
		u.Placed.Scope, u.Placed.Flows = scope, flows[:1]
		rules, missing := u.Unused(file, pkg)
		if len(rules) != 1 {
			t.Errorf("%s: the unused rules are %q, want one", row.reason, rules)
		}
		if diff := cmp.Diff(named(row.missing), missing, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s: missing (-want +got)\n%s", row.reason, diff)
		}
	}
}
