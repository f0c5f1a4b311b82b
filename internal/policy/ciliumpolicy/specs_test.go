package ciliumpolicy

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/netzero-dev/netzero/internal/cilium"
	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// A CiliumNetworkPolicy with several specs acts as several policies of one name, each with its own selector.
const specsYAML = `
apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: {name: shop}
specs:
- endpointSelector: {matchLabels: {app: shop}}
  egress:
  - toCIDR: [203.0.113.1/32]
    toPorts: [{ports: [{port: "443", protocol: TCP}]}]
- endpointSelector: {matchLabels: {app: shop}}
  egress:
  - toCIDR: [203.0.113.2/32]
    toPorts: [{ports: [{port: "443", protocol: TCP}]}]
- endpointSelector: {matchLabels: {app: db}}
  egress:
  - toCIDR: [203.0.113.3/32]
    toPorts: [{ports: [{port: "443", protocol: TCP}]}]
`

func specsPolicy(t *testing.T, text string) *cilium.NetworkPolicy {
	t.Helper()
	p := new(cilium.NetworkPolicy)
	if err := yaml.UnmarshalStrict([]byte(text), p); err != nil {
		t.Fatal(err)
	}
	if err := Validate(p); err != nil {
		t.Fatal(err)
	}
	return p
}

func toAddress(from, addr string) flow.Flow {
	return flow.Flow{
		Source:      flow.Endpoint{Kind: flow.Workload, Name: from},
		Destination: flow.Endpoint{Kind: flow.Address, Addr: netip.MustParseAddr(addr)},
		Protocol:    flow.TCP, Port: 443,
	}
}

func specsScope(names ...string) Dialect {
	var c Dialect
	for _, name := range names {
		c.Subjects = append(c.Subjects, policy.Subject{Workload: policy.Workload{Name: name}})
	}
	return c
}

func TestSpecs_EvaluatedTogether(t *testing.T) {
	all := specsPolicy(t, specsYAML)
	mixed := specsPolicy(
		t,
		strings.Replace(
			strings.Replace(specsYAML, "specs:\n- endpointSelector", "spec:\n  endpointSelector", 1),
			"- endpointSelector", "specs:\n- endpointSelector", 1,
		),
	)
	for name, p := range map[string]*cilium.NetworkPolicy{"specs": all, "spec and specs": mixed} {
		for _, c := range []struct {
			from, addr string
			want       policy.Outcome
		}{
			{"shop", "203.0.113.1", policy.Allowed}, {"shop", "203.0.113.2", policy.Allowed},
			{"shop", "203.0.113.3", policy.Denied},
			{"db", "203.0.113.3", policy.Allowed}, {"db", "203.0.113.1", policy.Denied},
			{"other", "203.0.113.1", policy.Unprotected},
		} {
			scope, f := specsScope("shop", "db", "other"), toAddress(c.from, c.addr)
			if got := scope.Evaluate(Policies{p}, f); got.Outcome != c.want {
				t.Errorf("%s: %s to %s is %v (%s), want %v", name, c.from, c.addr, got.Outcome, got.Reason, c.want)
			}
			if got := scope.Evaluator(Policies{p})(f); got.Outcome != c.want {
				t.Errorf("%s: by the evaluator %s to %s is %v (%s), want %v", name, c.from, c.addr, got.Outcome, got.Reason, c.want)
			}
		}
		if !specsScope("db").Protects(Policies{p}) || specsScope("other").Protects(Policies{p}) {
			t.Errorf("%s: whom it protects is wrong", name)
		}
		if len(specsScope("db").Foreign(Policies{p})) != 0 || len(specsScope("other").Foreign(Policies{p})) != 1 {
			t.Errorf("%s: wrong owner", name)
		}
		if lines := specsScope("shop", "db").NotIsolated(Policies{p}, nil); len(lines) > 0 {
			t.Errorf("%s: not isolated: %v", name, lines)
		}
		unused := specsScope("shop", "db").Unused(Policies{p}, []flow.Flow{
			toAddress("shop", "203.0.113.2"), toAddress("db", "203.0.113.3"),
		})
		if len(unused) != 1 || !strings.Contains(unused[0], "203.0.113.1") {
			t.Errorf("%s: unused are %q, want the rule for 203.0.113.1", name, unused)
		}
	}
}

func TestSpecs_KeptByUpdate(t *testing.T) {
	scope := specsScope("shop", "db")
	was := specsPolicy(t, specsYAML)
	was.Annotations = map[string]string{policy.BinariesAnnotation: "curl", "team": "a"}
	flows := []flow.Flow{
		toAddress("shop", "203.0.113.2"), toAddress("shop", "203.0.113.9"), toAddress("db", "203.0.113.3"),
		toAddress("db", "203.0.113.8"),
	}
	merged := scope.Merge(Policies{was}, flows)
	cidrs := func(s cilium.Spec) string {
		var all []string
		for _, r := range s.Egress {
			all = append(all, r.ToCIDR...)
			for _, c := range r.ToCIDRSet {
				all = append(all, c.CIDR)
			}
		}
		slices.Sort(all)
		return strings.Join(all, " ")
	}
	var got []string
	for _, p := range merged {
		if p.Name == "shop" {
			for _, s := range p.Specs {
				got = append(got, cidrs(s))
			}
			if diff := cmp.Diff(was.Annotations, p.Annotations); diff != "" || cilium.HasSpec(p) {
				t.Errorf("the annotations, or whether there is a spec, changed:\n%s", diff)
			}
		}
	}
	if diff := cmp.Diff([]string{"203.0.113.9/32", "203.0.113.2/32", "203.0.113.3/32"}, got); diff != "" {
		t.Errorf("specs (-want +got):\n%s", diff)
	}
	for _, f := range flows {
		if v := scope.Evaluate(merged, f); v.Outcome != policy.Allowed {
			t.Errorf("after the update %s to %s is %v: %s", f.Source.Name, f.Destination.Addr, v.Outcome, v.Reason)
		}
	}
	if again := scope.Merge(merged, flows); cmp.Diff(merged, again) != "" {
		t.Errorf("a second update changes it:\n%s", cmp.Diff(merged, again))
	}
	extended := scope.Extend(Policies{was}, flows)
	if got := cidrs(extended[0].Specs[0]); got != "203.0.113.1/32 203.0.113.9/32" {
		t.Errorf("extended, the first spec has %s", got)
	}

	// If all specs of the policy with a workload's name are for other workloads, the workload gets another spec. The
	// others stay.
	others := specsPolicy(t, strings.ReplaceAll(specsYAML, "app: shop", "app: front"))
	merged = specsScope("shop").Merge(Policies{others}, flows[:1])
	if len(merged) != 1 || len(merged[0].Specs) != 4 || cmp.Diff(others.Specs, merged[0].Specs[:3]) != "" {
		t.Errorf("merged into specs for others:\n%s", policy.EncodeJSON(merged))
	}
	if v := specsScope("shop").Evaluate(merged, flows[0]); v.Outcome != policy.Allowed {
		t.Errorf("not allowed: %s", v.Reason)
	}
}

func TestSpecs_UnitedBySelector(t *testing.T) {
	single := specsPolicy(
		t,
		"apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata: {name: shop}\n"+
			"spec: {endpointSelector: {matchLabels: {app: shop}}, egress: [{toCIDR: [203.0.113.4/32]}]}\n",
	)
	united, err := Unite(Policies{specsPolicy(t, specsYAML)}, Policies{single})
	if err != nil {
		t.Fatal(err)
	}
	back, err := Unite(Policies{single}, Policies{specsPolicy(t, specsYAML)})
	if err != nil || cmp.Diff(united, back) != "" {
		t.Errorf("the order counts (%v):\n%s", err, cmp.Diff(united, back))
	}
	scope := specsScope("shop", "db")
	for addr, from := range map[string]string{
		"203.0.113.1": "shop", "203.0.113.2": "shop", "203.0.113.3": "db", "203.0.113.4": "shop",
	} {
		for _, name := range []string{"shop", "db"} {
			want := policy.Denied
			if name == from {
				want = policy.Allowed
			}
			if v := scope.Evaluate(united, toAddress(name, addr)); v.Outcome != want {
				t.Errorf("%s to %s is %v (%s), want %v", name, addr, v.Outcome, v.Reason, want)
			}
		}
	}
}
