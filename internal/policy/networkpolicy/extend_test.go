package networkpolicy

import (
	"testing"

	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

func TestExtend_RemovesNothing(t *testing.T) {
	subject := policy.Workload{Name: "shop"}
	to := func(name string) flow.Flow {
		return flow.Flow{
			Source:      workload("shop"),
			Destination: flow.Endpoint{Kind: flow.Workload, Name: name},
			Protocol:    flow.TCP, Port: 1,
		}
	}
	committed := Dialect{alone(subject)}.Generate([]flow.Flow{to("a"), to("b")})
	extended := Dialect{alone(subject)}.Extend(committed, []flow.Flow{to("c")})
	for _, name := range []string{"a", "b", "c"} {
		if v := (Dialect{alone(subject)}).Evaluate(extended, to(name)); v.Outcome != policy.Allowed {
			t.Errorf("%s is %s: %s", name, v.Outcome, v.Reason)
		}
	}
	if v := (Dialect{alone(subject)}).Evaluate(
		Dialect{alone(subject)}.Merge(committed, []flow.Flow{to("c")}), to("a"),
	); v.Outcome != policy.Denied {
		t.Errorf("Merge keeps what is unused: %s", v.Outcome)
	}
}

func TestExtend_ClosesNothing(t *testing.T) {
	committed := parse(t, header+toDNS+by443)
	unseen, seen := tcp(external("a.example", "198.51.100.2"), 443), tcp(external("api.stripe.com", "198.51.100.1"), 8443)
	extended := Dialect{alone(checkout)}.Extend(committed, []flow.Flow{seen})
	for _, f := range []flow.Flow{unseen, seen} {
		if v := (Dialect{alone(checkout)}).Evaluate(extended, f); v.Outcome != policy.Allowed {
			t.Errorf("%s is %s: %s", f.Target(), v.Outcome, v.Reason)
		}
	}
	if v := (Dialect{alone(checkout)}).Evaluate(
		Dialect{alone(checkout)}.Merge(committed, []flow.Flow{seen}), unseen,
	); v.Outcome != policy.Denied {
		t.Errorf("Merge keeps an unused internet rule: %s", v.Outcome)
	}
}
