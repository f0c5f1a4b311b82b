package networkpolicy

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	networkingv1 "k8s.io/api/networking/v1"
	"sigs.k8s.io/yaml"

	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/internal/policy/policytest"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// TestGenerate_RandomPoliciesAreTrue evaluates random flows against the policy that is generated from them.
// NETZERO_TEST_SEED repeats a failure with the printed seed.
func TestGenerate_RandomPoliciesAreTrue(t *testing.T) {
	seed := policytest.Seed(t)
	for i := range uint64(200) {
		r := policytest.New(seed, i)
		subject := r.Workload()
		flows := from(subject, r.Flows()...)
		policies := Dialect{alone(subject)}.Generate(flows)
		c := claims{t, subject, flows, policies, fmt.Sprintf("case %d of seed %d", i, seed)}
		c.allowFlows()
		c.denyNeighbours()
		c.ignoreOrder(r)
		c.needEveryRule()
		c.surviveYAML()
		if unused := (Dialect{alone(subject)}).Unused(policies, flows); len(unused) > 0 {
			c.errorf("unused: %q", unused)
		}
		if t.Failed() {
			return
		}
	}
}

// claims are the properties of a generated policy.
type claims struct {
	t        *testing.T
	subject  policy.Workload
	flows    []flow.Flow
	policies []*networkingv1.NetworkPolicy
	origin   string
}

func (c claims) errorf(format string, args ...any) {
	c.t.Helper()
	c.t.Errorf("%s: %s\n%s", c.origin, fmt.Sprintf(format, args...), toYAML(c.t, c.policies[0]))
}

func (c claims) allowFlows() {
	for _, f := range (Dialect{}).Required(c.flows) {
		if v := (Dialect{alone(c.subject)}).Evaluate(c.policies, f); v.Outcome != policy.Allowed || v.Notices != nil {
			c.errorf("%s is %s: %s %s", f.Target(), v.Outcome, v.Reason, v.Notices)
		}
	}
}

func (c claims) denyNeighbours() {
	opened, named := make(map[permission]bool), make(map[policy.AllowedName]bool)
	for _, f := range (Dialect{}).Required(c.flows) {
		opened[Dialect{alone(c.subject)}.permissionOf(c.subject, policy.Egress, f)] = true
		named[nameOf(f)] = true
	}
	for _, f := range (Dialect{}).Required(c.flows) {
		for difference, n := range neighbours(f) {
			isNamed := n.Destination.Kind != flow.External || named[nameOf(n)]
			if isNamed && opened[(Dialect{alone(c.subject)}).permissionOf(c.subject, policy.Egress, n)] {
				continue // another flow allows it
			}
			if v := (Dialect{alone(c.subject)}).Evaluate(c.policies, n); v.Outcome != policy.Denied || v.Reason == "" {
				c.errorf("%s is needed, with %s it is %s, %s: %s", f.Target(), difference, n.Target(), v.Outcome, v.Reason)
			}
		}
	}
}

func (c claims) ignoreOrder(r policytest.Draw) {
	shuffled := slices.Clone(c.flows)
	for _, f := range c.flows { // seen again, later, from another process
		f.Count, f.First, f.Process.PID, f.Destination.Evidence = f.Count+1, f.First+1, 7, flow.ByDNS
		shuffled = append(shuffled, f)
	}
	r.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
	if diff := cmp.Diff(c.policies, (Dialect{alone(c.subject)}).Generate(shuffled)); diff != "" {
		c.errorf("another order, another policy (-want +got):\n%s", diff)
	}
}

// needEveryRule checks that a golden file that loses any of its rules denies a flow.
func (c claims) needEveryRule() {
	for i := range c.policies[0].Spec.Egress {
		mutant := c.policies[0].DeepCopy()
		mutant.Spec.Egress = slices.Delete(mutant.Spec.Egress, i, i+1)
		if !slices.ContainsFunc((Dialect{}).Required(c.flows), func(f flow.Flow) bool {
			return Dialect{alone(c.subject)}.Evaluate([]*networkingv1.NetworkPolicy{mutant}, f).Outcome == policy.Denied
		}) {
			c.errorf("no flow needs rule %d", i)
		}
	}
}

func (c claims) surviveYAML() {
	again := new(networkingv1.NetworkPolicy)
	if err := yaml.UnmarshalStrict([]byte(toYAML(c.t, c.policies[0])), again); err != nil {
		c.errorf("read policy: %v", err)
	}
	if diff := cmp.Diff(c.policies[0], again); diff != "" {
		c.errorf("YAML changed the policy (-want +got):\n%s", diff)
	}
	if err := Validate(again); err != nil {
		c.errorf("%v", err)
	}
}
