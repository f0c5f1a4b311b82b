package networkpolicy

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// An entry for a lookup allows no name that the list excluded before. If a person removed the list, so that no name
// is checked, it returns only for a workload without a rule, and then holds all names that the flows need.
func TestLookups_EntriesAllowNoOtherName(t *testing.T) {
	api := tcp(external("api.example", "203.0.113.9"), 443)
	open := parse(t, header+theInternet)
	for want, f := range map[string]flow.Flow{
		"":                              lookup(host("telemetry.example")),
		"api.example:443/TCP,nowhere:*": lookup(workload("nowhere")),
	} {
		flows := []flow.Flow{api, f}
		merged := Dialect{alone(checkout)}.Merge(open, flows)
		if got := merged[0].Annotations[policy.NamesAnnotation]; got != want {
			t.Errorf("%s: lists %q, want %q", f.Target(), got, want)
		}
		for _, allowed := range flows {
			if v := (Dialect{alone(checkout)}).Evaluate(merged, allowed); v.Outcome != policy.Allowed {
				t.Errorf("%s is %s: %s", allowed.Target(), v.Outcome, v.Reason)
			}
		}
		if diff := cmp.Diff(merged, (Dialect{alone(checkout)}).Merge(merged, flows)); diff != "" {
			t.Errorf("the second update changes it (-first +second):\n%s", diff)
		}
	}
	closed := parse(t, header+theInternet)
	closed[0].Annotations = map[string]string{policy.NamesAnnotation: "telemetry.example:*"}
	if v := (Dialect{alone(checkout)}).Evaluate(closed, api); v.Outcome != policy.Denied {
		t.Errorf("an entry for a lookup opened the internet: %s", v.Reason)
	}
}

// A workload that was looked up but not reached has no caller.
func TestLookups_AreNoIngress(t *testing.T) {
	scope := policy.Scope{
		Subjects: []policy.Subject{{Workload: checkout}, {Workload: policy.Workload{Name: "db"}, AllTraffic: true}},
	}
	f := lookup(workload("db"))
	policies := Dialect{scope}.Generate([]flow.Flow{f})
	if HasType(policies[1], policy.Ingress) || len(policies[1].Spec.Ingress) > 0 {
		t.Errorf("db is a server:\n%s", toYAML(t, policies[1]))
	}
	v := (Dialect{scope}).Evaluate(policies, f)
	if v.Outcome != policy.Allowed || len(Dialect{scope}.NotIsolated(policies, []flow.Flow{f})) > 0 {
		t.Errorf("%s: %s", v.Outcome, v.Reason)
	}
}
