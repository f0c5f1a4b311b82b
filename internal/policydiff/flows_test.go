package policydiff

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netzero-dev/netzero/internal/policy/policytest"
	"github.com/netzero-dev/netzero/internal/recording"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// recordedBy returns a recording of checkout and the container orders-db.
func recordedBy(t *testing.T, test string, flows ...flow.Flow) Recorded {
	t.Helper()
	r, err := RecordedOf(test, recording.File{
		Golden: "testdata/netzero/" + test + ".yaml",
		Placed: recording.Placed{
			Workloads: []recording.Workload{
				{Name: "checkout", PodLabels: map[string]string{"app": "checkout"}},
				{Name: "orders-db", PodLabels: map[string]string{"app": "orders-db"}, AllTraffic: true},
			},
			Flows: recording.FromFlows(flows),
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestFile_AddFlows(t *testing.T) {
	stripe := policytest.TCP(policytest.External("api.stripe.com", "198.51.100.1"), 443)
	for _, c := range []struct {
		reason, before, after string
		flows                 []flow.Flow
		want                  []string
	}{
		{"a flow that a peer allows now", egress("{ports: [{port: 53, protocol: UDP}, {port: 53}]}"),
			egress("{ports: [{port: 53, protocol: UDP}, {port: 53}]}, " + toDB),
			[]flow.Flow{policytest.Query(5432), policytest.Query(5433)}, []string{
				"checkout",
				"  + checkout may now reach orders-db on 5432/TCP (egress)",
				"      checkout -> orders-db:5432/TCP, recorded by TestA, TestB",
				"        before: denied, policy checkout: port 5432/TCP, egress rule 0 (everywhere) allows 53/UDP, 53/TCP",
				"        now: allowed, policy checkout: egress rule 1 (pods app=orders-db)",
			}},
		{"the one of two peers of a rule", egress("{ports: [{port: 53, protocol: UDP}]}"),
			kubernetes("netzero.dev/egress-names: 'api.stripe.com:443/TCP'", "policyTypes: [Egress], egress: ["+
				"{ports: [{port: 53, protocol: UDP}]}, {to: [{podSelector: {matchLabels: {app: cache}}}, "+
				"{ipBlock: {cidr: 0.0.0.0/0}}], ports: [{port: 443}]}]"),
			[]flow.Flow{stripe}, []string{
				"checkout",
				"  + checkout may now reach api.stripe.com on 443/TCP (egress)",
				"      checkout -> api.stripe.com:443/TCP, recorded by TestA, TestB",
				"        before: denied, policy checkout: port 443/TCP, egress rule 0 (everywhere) allows 53/UDP",
				"        now: allowed, policy checkout: egress rule 1 (the internet)",
				"  + checkout may now reach cache on 443/TCP (egress)",
			}},
		{"a callee that is isolated now", egress(toDB + ", {ports: [{port: 53, protocol: UDP}, {port: 53}]}"),
			egress(toDB+", {ports: [{port: 53, protocol: UDP}, {port: 53}]}") + "---\n" + closed,
			[]flow.Flow{policytest.Query(5432)}, []string{
				"orders-db",
				"  - orders-db could be reached by everything, and now ingress rules allow nothing (ingress)",
				"      checkout -> orders-db:5432/TCP, recorded by TestA, TestB",
				"        before: allowed, policy checkout: egress rule 0 (pods app=orders-db)",
				"        now: denied, policy closed: policy closed has no ingress rules: it denies everything",
			}},
		{"a deny rule", ofCilium("egress: [{toEntities: [all]}]"),
			ofCilium("egress: [{toEntities: [all]}], egressDeny: [{toCIDR: [203.0.113.0/24]}]"),
			[]flow.Flow{policytest.TCP(policytest.At("203.0.113.9"), 80)}, []string{
				"checkout",
				"  - a deny rule now keeps checkout from reaching 203.0.113.0/24 on every port and protocol (egress)",
				"      checkout -> 203.0.113.9:80/TCP, recorded by TestA, TestB",
				"        before: allowed, policy checkout: egress rule 0 (everywhere)",
				"        now: denied, policy checkout: egressDeny rule 0 (203.0.113.0/24) denies it, whatever other rules allow",
			}},
	} {
		t.Run(c.reason, func(t *testing.T) {
			before, after := parse(t, c.before), parse(t, c.after)
			f := File{Subjects: Compare(before, after)}
			f.AddFlows(before, after, []Recorded{recordedBy(t, "TestB", c.flows...), recordedBy(t, "TestA", c.flows...)})
			if diff := cmp.Diff(c.want, lines(t, f)); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

const closed = "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: closed}\n" +
	"spec: {podSelector: {matchLabels: {app: orders-db}}, policyTypes: [Ingress]}\n"

func TestRecordedOf_WithoutPlacement(t *testing.T) {
	if _, err := RecordedOf("TestA", recording.File{}); err == nil {
		t.Error("a recording without a placement is accepted")
	}
}

func TestRecorded_Belongs(t *testing.T) {
	r := recordedBy(t, "TestA")
	for path, want := range map[string]bool{
		"/src/shop/testdata/netzero/TestA.yaml": true,
		"TestA.yaml":                            true,
		`C:\src\testdata\netzero\TestA.yaml`:    true,
		"/src/shop/testdata/netzero/TestB.yaml": false,
		"/src/shop/OtherTestA.yaml":             false,
	} {
		if got := r.Belongs(path); got != want {
			t.Errorf("%s: %v", path, got)
		}
	}
}

// TestFile_AddFlows_FindsTheChange requires a change for nearly all drawn flows whose verdict differs.
func TestFile_AddFlows_FindsTheChange(t *testing.T) {
	seed := policytest.Seed(t)
	listed, others := 0, 0
	for i := range uint64(pairs) {
		for _, draw := range []func(policytest.Draw) drawn{drawKubernetes, drawCilium} {
			c := draw(policytest.New(seed, i))
			f := File{Subjects: Compare(c.before, c.after)}
			f.AddFlows(c.before, c.after, []Recorded{{Test: "TestA", scope: c.scope, flows: c.flows}})
			for _, s := range f.Subjects {
				for _, change := range s.Changes {
					listed += len(change.Flows)
				}
			}
			others += len(f.Others)
		}
	}
	if others*10 > listed { // a pod that two policies select may have a verdict that no change of one of them explains
		t.Errorf("%d flows have a change that explains them, %d have none", listed, others)
	}
}
