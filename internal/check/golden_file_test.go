package check

import (
	"testing"

	"github.com/netzero-dev/netzero/golden"
	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// A rule is unused once all tests of the file have recorded: its owner, or those that share it.
func TestGoldenFile_WhenRulesAreUnused(t *testing.T) {
	type run struct {
		test                              string
		failed, partial, skipped, isGoing bool
	}
	a, b := run{test: "TestA"}, run{test: "TestB"}
	failed, partial := run{test: "TestA", failed: true}, run{test: "TestA", partial: true}
	skipped, going := run{test: "TestA", skipped: true}, run{test: "TestA", isGoing: true}
	both := []string{".TestA", ".TestB"}
	owner, shared := Member{}, Member{Shares: true}
	for _, row := range []struct {
		reason string
		member Member
		runs   []run
		listed []string // in the file
		want   bool     // a rule is unused
	}{
		{"the owner", owner, []run{a}, nil, true},
		{"other tests follow", Member{AtEnd: true}, []run{a}, nil, true},
		{"the owner failed", owner, []run{failed}, nil, true},
		{"the owner may have skipped a subtest", owner, []run{skipped}, nil, true},
		{"the owner ran in part", owner, []run{partial}, nil, false},
		{"the owner has not ended", owner, []run{going}, nil, false},
		{"the owner runs again, in full", owner, []run{partial, a}, nil, true},

		{"a shared file of one test", shared, []run{a}, nil, true},
		{"both of its tests", shared, []run{a, b}, both, true},
		{"other tests may begin", Member{Shares: true, AtEnd: true}, []run{a, b}, both, false},
		{"one has not begun", shared, []run{a}, both, false},
		{"one has not ended", shared, []run{going, b}, nil, false},
		{"one failed", shared, []run{failed, b}, both, false},
		{"one failed, then passed", shared, []run{failed, b, a}, both, true},
		{"one may have skipped a subtest", shared, []run{skipped, b}, both, false},
		{"one ran in part", shared, []run{partial, b}, both, false},
		{"one ran in part, then in full", shared, []run{partial, b, a}, both, false},
	} {
		scope := policy.Scope{Subjects: []policy.Subject{{Workload: policy.Workload{Name: "shop"}}}}
		flows := []flow.Flow{opened("shop", 1, ""), opened("shop", 2, "")}
		var goldens Register
		var tests *GoldenFile
		for _, run := range row.runs {
			row.member.Test = run.test
			var release func()
			var err error
			if tests, release, err = goldens.Begin("x.yaml", row.member); err != nil {
				t.Fatalf("%s: %v", row.reason, err)
			}
			if run.isGoing {
				continue
			}
			o := Options{Test: run.test, Partial: run.partial}
			if run.skipped {
				o.Skipped = func() string { return "shop_test.go:31" }
			}
			if err := tests.end(o, part{scope, flows[:1]}, !run.failed); err != nil {
				t.Fatalf("%s: %v", row.reason, err)
			}
			release()
		}
		file := &golden.File{
			Header: golden.Header{Tests: row.listed}, Policies: dialectFor(golden.Kubernetes, scope).Generate(flows),
		}
		if unused := tests.unused(file, nil); (len(unused) > 0) != row.want {
			t.Errorf("%s: unused %q, want some: %v", row.reason, unused, row.want)
		}
	}
}
