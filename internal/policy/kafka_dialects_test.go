package policy_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/internal/policy/ciliumpolicy"
	"github.com/netzero-dev/netzero/internal/policy/networkpolicy"
	"github.com/netzero-dev/netzero/internal/policy/policytest"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// Both dialects list Kafka requests in the same annotation.
func TestKafka_InBothDialects(t *testing.T) {
	scope := policy.Scope{Subjects: []policy.Subject{{Workload: policytest.Checkout}}, Requests: true}
	t.Run("NetworkPolicy", func(t *testing.T) {
		checkKafkaLists(t, networkpolicy.Dialect{Scope: scope})
	})
	t.Run("CiliumNetworkPolicy", func(t *testing.T) {
		checkKafkaLists(t, ciliumpolicy.Dialect{Scope: scope})
	})
}

func checkKafkaLists[P metav1.Object](t *testing.T, d policy.Dialect[P]) {
	broker := func(requests ...flow.Request) []flow.Flow {
		return []flow.Flow{policytest.Sends(policytest.TCP(policytest.Workload("kafka"), 9092), requests...)}
	}
	produce, fetch := policytest.Kafka("produce", "alpha-telemetry"), policytest.Kafka("fetch", "payments")
	list := func(policies []P) string { return policies[0].GetAnnotations()[policy.KafkaAnnotation] }
	evaluate := func(policies []P, f flow.Flow) policy.Verdict {
		t.Helper()
		v := d.Evaluate(policies, f)
		if diff := cmp.Diff(v, d.Evaluator(policies)(f)); diff != "" {
			t.Errorf("(-one by one +all):\n%s", diff)
		}
		return v
	}
	policies := d.Generate(broker(produce, fetch))
	if got := list(policies); got != "fetch payments,produce alpha-telemetry" {
		t.Errorf("the generated list is %q", got)
	}
	if v := evaluate(policies, broker(fetch)[0]); v.Outcome != policy.Allowed || len(v.Notices) > 0 {
		t.Errorf("%+v", v)
	}
	create := policytest.Kafka("create", "beta")
	if v := evaluate(policies, broker(create)[0]); v.Outcome != policy.Denied || v.Policy != "checkout" ||
		v.Reason != "create beta is not in the annotation netzero.dev/kafka, which lists fetch payments, "+
			"produce alpha-telemetry" {
		t.Errorf("%+v", v)
	}
	if got := list(d.Merge(policies, broker(produce, create))); got != "create beta,produce alpha-telemetry" {
		t.Errorf("the merged list is %q", got)
	}
	if got := list(d.Extend(policies, broker(create))); got != "create beta,fetch payments,produce alpha-telemetry" {
		t.Errorf("the extended list is %q", got)
	}
	if unused := d.Unused(policies, broker(produce)); !slices.Contains(unused, "policy checkout: Kafka fetch payments") {
		t.Errorf("unused: %q", unused)
	}
	without := d.Generate(broker())
	v := evaluate(without, broker(produce)[0])
	if v.Outcome != policy.Allowed || len(v.Notices) != 1 || !strings.Contains(v.Notices[0], "netzero.dev/kafka") {
		t.Errorf("%+v", v)
	}
	if got := list(d.Extend(without, broker(produce))); got != "" {
		t.Errorf("extended, a list that may deny other tests: %q", got)
	}
	if got := list(d.Merge(without, broker(produce))); got != "produce alpha-telemetry" {
		t.Errorf("merged, the first list is %q", got)
	}
}
