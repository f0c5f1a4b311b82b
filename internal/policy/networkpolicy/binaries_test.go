package networkpolicy

import (
	"slices"
	"testing"

	networkingv1 "k8s.io/api/networking/v1"

	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

func openedBy(binaries ...string) []flow.Flow {
	return []flow.Flow{{
		Source:      flow.Endpoint{Kind: flow.Workload, Name: "shop"},
		Destination: flow.Endpoint{Kind: flow.Workload, Name: "db"},
		Protocol:    flow.TCP, Port: 5432, Binaries: binaries,
	}}
}

// If the policy with a subject's name does not isolate it, the first policy that does has the list. Otherwise
// accepting a program would have no effect.
func TestBinaries_ListInIsolatingPolicy(t *testing.T) {
	scope := policy.Scope{Subjects: []policy.Subject{{Workload: policy.Workload{Name: "shop"}}}, Binaries: true}
	policies := Dialect{policy.Scope{Subjects: scope.Subjects}}.Generate(openedBy())
	policies[0].Name = "by-hand"
	merged := Dialect{scope}.Merge(policies, openedBy("curl"))
	if why := (Dialect{scope}).Unlisted(merged, openedBy("curl")[0], "curl"); why != "" {
		t.Error(why)
	}
}

func TestBinaries_Unite(t *testing.T) {
	scope := policy.Scope{Subjects: []policy.Subject{{Workload: policy.Workload{Name: "shop"}}}, Binaries: true}
	a, b := Dialect{scope}.Generate(openedBy("psql")), Dialect{scope}.Generate(openedBy("curl"))
	none := Dialect{policy.Scope{Subjects: scope.Subjects}}.Generate(openedBy("wget"))
	for _, row := range []struct {
		sets [][]*networkingv1.NetworkPolicy
		want string
	}{
		{[][]*networkingv1.NetworkPolicy{a, b}, "curl,psql"},
		{[][]*networkingv1.NetworkPolicy{a, none}, ""},
	} {
		for range 2 {
			united, err := Unite(row.sets...)
			if err != nil {
				t.Fatal(err)
			}
			if got := united[0].Annotations[policy.BinariesAnnotation]; got != row.want {
				t.Errorf("the union lists %q, want %q", got, row.want)
			}
			slices.Reverse(row.sets)
		}
	}
}
