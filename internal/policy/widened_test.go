package policy_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	networkingv1 "k8s.io/api/networking/v1"

	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/internal/policy/ciliumpolicy"
	"github.com/netzero-dev/netzero/internal/policy/networkpolicy"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

func TestWidened_RulesOpenedToAnyone(t *testing.T) {
	s := policy.Scope{
		Subjects: []policy.Subject{
			{Workload: policy.Workload{Name: "orders"}, AllTraffic: true},
			{Workload: policy.Workload{Name: "db"}, AllTraffic: true},
		},
	}
	named := flow.Flow{Source: workload("orders"), Destination: workload("db"), Protocol: flow.TCP, Port: 5432, Count: 1}
	other := flow.Flow{
		Source: workloadIn("jobs", "report"), Destination: workload("db"), Protocol: flow.TCP, Port: 5432, Count: 1,
	}
	anyone := flow.Flow{
		Source: flow.Endpoint{Kind: flow.Anyone}, Destination: workload("db"), Protocol: flow.TCP, Port: 5432,
		Count: 1,
	}
	elsewhere := anyone
	elsewhere.Port = 9187
	for _, tt := range []struct {
		reason           string
		committed, flows []flow.Flow // nil: no policies are committed
		want             []string
	}{
		{
			"the committed callers", []flow.Flow{named, other}, []flow.Flow{anyone},
			[]string{"pods app=orders", "pods app=report in namespace jobs"},
		},
		{
			"callers of this run, too", []flow.Flow{named}, []flow.Flow{anyone, other},
			[]string{"pods app=orders", "pods app=report in namespace jobs"},
		},
		{"nothing is committed, and callers are known", nil, []flow.Flow{anyone, named}, []string{"pods app=orders"}},
		{"no other caller is known", nil, []flow.Flow{anyone}, nil},
		{"anyone may call already", []flow.Flow{anyone, named}, []flow.Flow{anyone, named}, nil},
		{"another port", []flow.Flow{named}, []flow.Flow{named, elsewhere}, nil},
		{"no one calls", []flow.Flow{named}, []flow.Flow{named}, nil},
	} {
		var policies []*networkingv1.NetworkPolicy
		var ciliums ciliumpolicy.Policies
		if tt.committed != nil {
			policies = networkpolicy.Dialect{Scope: s}.Generate(tt.committed)
			ciliums = ciliumpolicy.Dialect{Scope: s}.Generate(tt.committed)
		}
		for dialect, all := range map[string][]policy.Widened{
			"NetworkPolicy": (networkpolicy.Dialect{Scope: s}).Widened(policies, tt.flows),
			"Cilium":        ciliumpolicy.Dialect{Scope: s}.Widened(ciliums, tt.flows),
		} {
			var got []string
			for _, w := range all {
				if w.Flow.Source.Kind != flow.Anyone || w.Flow.Port != 5432 {
					t.Errorf("%s, %s: %s", tt.reason, dialect, arrow(w.Flow))
				}
				got = append(got, w.Callers...)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("%s, %s (-want +got):\n%s", tt.reason, dialect, diff)
			}
		}
	}
}
