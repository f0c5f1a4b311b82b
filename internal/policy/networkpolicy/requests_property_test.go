package networkpolicy

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	networkingv1 "k8s.io/api/networking/v1"

	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/internal/policy/policytest"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// TestRequests_RandomPoliciesAreTrue generates, edits, merges and extends policies for random flows with requests.
// NETZERO_TEST_SEED repeats a failure with the printed seed.
func TestRequests_RandomPoliciesAreTrue(t *testing.T) {
	seed := policytest.Seed(t)
	for i := range uint64(60) {
		r := policytest.New(seed, i)
		scope := r.Scope()
		scope.Requests = true
		scope.FoldPaths = policytest.Pick(r, nil, []string{"/customers/{name}"})
		before, flows := r.WithRequests(r.FlowsIn(scope)), r.WithRequests(r.FlowsIn(scope))
		c := requestClaims{
			t: t, dialect: Dialect{scope}, before: before, flows: flows, origin: fmt.Sprintf("case %d of seed %d", i, seed),
		}
		c.allowAndDeny()
		c.growAndShrink()
		committed, edits := r.Edit(c.dialect.Generate(append(before, flows[r.IntN(len(flows)+1):]...)))
		c.edits = edits
		c.mergeEdited(r, c.editRequests(r, committed))
		if t.Failed() {
			return
		}
	}
}

type requestClaims struct {
	t             *testing.T
	dialect       Dialect
	before, flows []flow.Flow
	edits         []string
	origin        string
}

func (c requestClaims) errorf(policies []*networkingv1.NetworkPolicy, format string, args ...any) {
	c.t.Helper()
	c.t.Errorf("%s, edits %q: %s\n%s", c.origin, c.edits, fmt.Sprintf(format, args...),
		strings.Join(policytest.ToYAMLs(c.t, policies), "---\n"))
}

// allowAndDeny checks that the generated policies allow the recorded requests, and no others where they list them.
func (c requestClaims) allowAndDeny() {
	policies := c.dialect.Generate(c.flows)
	c.valid(policies)
	evaluate := c.dialect.Evaluator(policies)
	for _, f := range c.dialect.Required(c.flows) {
		if v := evaluate(f); v.Outcome == policy.Denied {
			c.errorf(policies, "%s %v is denied: %s", arrow(f), f.Requests, v.Reason)
		}
		_, isSubject := c.dialect.SubjectOf(f.Source)
		alike := slices.ContainsFunc(c.flows, func(g flow.Flow) bool {
			return g.Destination.Name == f.Destination.Name && g.Port == f.Port && policy.NeedsEveryRequest(g) ||
				len(c.dialect.Fold) > 0 && g.Destination.Kind == flow.External && policy.NeedsEveryRequest(g)
		})
		if len(f.Requests) == 0 || !isSubject || alike || !f.Requests[0].IsHTTP() || evaluate(f).Outcome != policy.Allowed {
			continue
		}
		f.Requests = []flow.Request{policytest.HTTP("DELETE", "/neighbour")}
		if v := evaluate(f); v.Outcome != policy.Denied || !strings.Contains(v.Reason, "DELETE /neighbour is not in") {
			c.errorf(policies, "%s: DELETE /neighbour is %s: %s", arrow(f), v.Outcome, v.Reason)
		}
		f.Requests, f.Opaque = nil, "TLS"
		if v := evaluate(f); v.Outcome != policy.Denied || !strings.HasPrefix(v.Reason, "TLS: ") {
			c.errorf(policies, "%s: opaque is %s: %s", arrow(f), v.Outcome, v.Reason)
		}
	}
	if unused := c.dialect.Unused(policies, c.flows); len(unused) > 0 {
		c.errorf(policies, "unused: %q", unused)
	}
}

func (c requestClaims) valid(policies []*networkingv1.NetworkPolicy) {
	for _, p := range policies {
		if err := Validate(p); err != nil {
			c.errorf(policies, "%v", err)
		}
	}
}

// growAndShrink merges into unedited policies: the result equals the output of Generate.
func (c requestClaims) growAndShrink() {
	all := slices.Concat(c.before, c.flows)
	for _, step := range []struct {
		name      string
		committed []*networkingv1.NetworkPolicy
		flows     []flow.Flow
	}{
		{"from nothing", nil, all},
		{"more flows", c.dialect.Generate(c.before), all},
		{"fewer flows", c.dialect.Generate(all), c.flows},
		{"other flows", c.dialect.Generate(c.before), c.flows},
	} {
		merged, want := c.dialect.Merge(step.committed, step.flows), c.dialect.Generate(step.flows)
		if diff := cmp.Diff(want, merged, cmpopts.EquateEmpty()); diff != "" {
			c.errorf(step.committed, "%s (-generated +merged):\n%s", step.name, diff)
		}
	}
	extended := c.dialect.Extend(c.dialect.Generate(c.before), c.flows)
	for _, f := range c.dialect.Required(all) {
		if v := c.dialect.Evaluate(extended, f); v.Outcome == policy.Denied {
			c.errorf(extended, "extended, %s is %s: %s", arrow(f), v.Outcome, v.Reason)
		}
	}
}

// editRequests edits the lists as a person may do.
func (c requestClaims) editRequests(
	r policytest.Draw, policies []*networkingv1.NetworkPolicy,
) []*networkingv1.NetworkPolicy {
	for _, p := range policies {
		var entries []string
		for _, entry := range policy.EntriesOf(p, policy.RequestsAnnotation) {
			target, _, _ := strings.Cut(entry, " ")
			entries = append(entries, policytest.Pick(r, entry, entry, target+" *", target+" * /healthz", target+
				" GET /api/v1/invoices/{digits}", target+" PUT /never"))
		}
		entries = append(entries, policytest.Pick(r, "cache:80 GET /by-hand", "*.example:80 GET /", "cache:80 *",
			"nowhere:1 *", "[2001:db8::7]:80 GET /", "orders-db.data.svc:1-65535 GET /"))
		if r.IntN(2) == 0 {
			slices.Sort(entries)
			policy.SetEntries(p, policy.RequestsAnnotation, slices.Compact(entries))
		}
		if r.IntN(4) == 0 {
			policy.SetEntries(p, policy.KafkaAnnotation, policytest.Pick(r, []string{"*"}, []string{"produce *"}, nil,
				[]string{"fetch orders", "produce alpha-*"}))
		}
	}
	return policies
}

// mergeEdited checks what holds for policies that people edited.
func (c requestClaims) mergeEdited(r policytest.Draw, committed []*networkingv1.NetworkPolicy) {
	c.valid(committed)
	evaluate := c.dialect.Evaluator(committed)
	for _, f := range c.dialect.Required(slices.Concat(c.before, c.flows)) {
		if diff := cmp.Diff(c.dialect.Evaluate(committed, f), evaluate(f)); diff != "" {
			c.errorf(committed, "%s %v (-one by one +all):\n%s", arrow(f), f.Requests, diff)
		}
	}
	kept := policytest.Clone(committed)
	merged := c.dialect.Merge(committed, c.flows)
	c.valid(merged)
	if diff := cmp.Diff(kept, committed, cmpopts.EquateEmpty()); diff != "" {
		c.errorf(committed, "Merge changed the committed policies:\n%s", diff)
	}
	for _, f := range c.dialect.Required(c.flows) {
		if v := c.dialect.Evaluate(merged, f); v.Outcome == policy.Denied {
			c.errorf(append(committed, merged...), "merged, %s %v is denied: %s", arrow(f), f.Requests, v.Reason)
		}
	}
	if diff := cmp.Diff(merged, c.dialect.Merge(merged, c.flows)); diff != "" {
		c.errorf(append(committed, merged...), "the second time it changes (-first +second):\n%s", diff)
	}
	shuffled := slices.Clone(c.flows)
	r.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
	if diff := cmp.Diff(merged, c.dialect.Merge(committed, shuffled)); diff != "" {
		c.errorf(committed, "another order, another policy (-want +got):\n%s", diff)
	}
	extended := c.dialect.Extend(committed, c.flows)
	denied := c.dialect.Evaluator(committed)
	for _, f := range c.dialect.Required(slices.Concat(c.before, c.flows)) {
		v := c.dialect.Evaluate(extended, f)
		isNew := slices.ContainsFunc(c.flows, func(g flow.Flow) bool { return g.Equal(f) })
		// A workload that turns out to be a server is isolated for ingress, which may deny callers of other runs.
		wasAllowed := v.Direction == policy.Egress && denied(f).Outcome == policy.Allowed
		if v.Outcome == policy.Denied && (isNew || wasAllowed) {
			c.errorf(append(committed, extended...), "extended, %s %v is denied: %s", arrow(f), f.Requests, v.Reason)
		}
	}
}
