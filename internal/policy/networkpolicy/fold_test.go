package networkpolicy

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netzero-dev/netzero/internal/policy"
)

func TestFold_KeepsHandWrittenPatterns(t *testing.T) {
	checkout := policy.Workload{Name: "checkout"}
	s := alone(checkout)
	flows := from(checkout, toHosts("shard-1.db.example")...)
	committed := Dialect{s}.Generate(flows)
	committed[0].Annotations[policy.NamesAnnotation] = "shard-1*.db.example:443/TCP"
	s.Fold = []string{"*.db.example"}
	if diff := cmp.Diff(committed, (Dialect{s}).Merge(committed, flows)); diff != "" {
		t.Errorf("what allows the flow already was changed:\n%s", diff)
	}
}
