package policy

import (
	"testing"

	"github.com/netzero-dev/netzero/internal/flow"
)
func TestExtendDropsNothing(t *testing.T) {
	subject := Workload{Name: "shop"}
	to := func(name string) flow.Flow {
		return flow.Flow{Destination: flow.Endpoint{Kind: flow.Workload, Name: name}, Protocol: flow.TCP, Port: 1}
	}
	committed := Generate(subject, []flow.Flow{to("a"), to("b")})
	extended := Extend(committed, subject, []flow.Flow{to("c")})
	for _, name := range []string{"a", "b", "c"} {
		if v := Evaluate(extended, subject, to(name)); v.Outcome != Allowed {
			t.Errorf("%s is %s: %s", name, v.Outcome, v.Reason)
		}
	}
	if v := Evaluate(Merge(committed, subject, []flow.Flow{to("c")}), subject, to("a")); v.Outcome != Denied {
		t.Errorf("Merge keeps what is unused: %s", v.Outcome)
	}
}
