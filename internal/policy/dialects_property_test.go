package policy_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/netzero-dev/netzero/internal/cilium"
	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/internal/policy/ciliumpolicy"
	"github.com/netzero-dev/netzero/internal/policy/networkpolicy"
	"github.com/netzero-dev/netzero/internal/policy/policytest"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// TestDialects_SameVerdicts writes random flows as policies of both dialects and compares their verdicts on the
// flows and on the neighbours of these. The verdicts differ only where one dialect cannot express something; differs
// lists the cases.
func TestDialects_SameVerdicts(t *testing.T) {
	seed := policytest.Seed(t)
	compared, allowed := 0, 0
	seen := make(map[string]bool) // the endpoints of flows that were compared and allowed
	sorts := []string{
		"from a workload", "from external", "from an address", "from anyone", "to a workload",
		"to the node", "to the API server", "to the resolver",
		"to a folded name", "to external", "to external inside", "to an address", "to the metadata service",
	}
	unseen := func(sort string) bool { return !seen[sort] }
	for i := uint64(0); i < 80 || i < 2000 && slices.ContainsFunc(sorts, unseen); i++ { // some are rare
		r := policytest.New(seed, i)
		scope := r.Scope()
		// A NetworkPolicy cannot express ICMP, or the flows that it implies.
		flows := slices.DeleteFunc(r.FlowsIn(scope), func(f flow.Flow) bool { return f.Protocol.IsICMP() })
		other := ciliumpolicy.Dialect{Scope: scope}
		kubernetes, ciliums := networkpolicy.Dialect{Scope: scope}.Generate(flows), other.Generate(flows)
		for _, p := range ciliums {
			if err := cilium.Validate(p); err != nil {
				t.Errorf("case %d: %v", i, err)
			}
		}
		evaluated := slices.Clone(other.Required(flows))
		for _, f := range other.Required(flows) {
			for _, n := range neighbours(f) {
				evaluated = append(evaluated, n)
			}
			for _, n := range neighbours(reversed(f)) {
				evaluated = append(evaluated, reversed(n))
			}
		}
		for _, f := range evaluated {
			want, got := networkpolicy.Dialect{Scope: scope}.Evaluate(kubernetes, f), other.Evaluate(ciliums, f)
			if differs(scope, flows, f, want, got) {
				continue
			}
			compared++
			if got.Outcome == policy.Allowed {
				allowed++
				seen["from "+sortOf(f.Source)], seen["to "+sortOf(f.Destination)] = true, true
			}
			if want.Outcome != got.Outcome {
				t.Errorf("case %d: %s is %s (%s), in Cilium %s (%s)",
					i, arrow(f), want.Outcome, want.Reason, got.Outcome, got.Reason)
				for _, p := range kubernetes {
					t.Logf("%s", toYAML(t, p))
				}
				for _, p := range ciliums {
					t.Logf("%s", toYAML(t, p))
				}
				return
			}
		}
	}
	if missed := slices.DeleteFunc(sorts, func(sort string) bool { return seen[sort] }); len(missed) > 0 {
		t.Errorf("no flow was compared and allowed %q", missed)
	}
	if compared < 1000 || allowed < 100 || allowed > compared/2 {
		t.Errorf("%d flows compared, of which %d are allowed: too few of a kind to mean anything", compared, allowed)
	}
}

// sortOf returns the sort of an endpoint that the dialects distinguish.
func sortOf(e flow.Endpoint) string {
	switch {
	case ciliumpolicy.IsNode(e):
		return "the node"
	case policy.IsAPIServer(e):
		return "the API server"
	case e.Kind == flow.Resolver:
		return "the resolver"
	case policy.EndpointAddress(e) == flow.MetadataService:
		return "the metadata service"
	case e.Kind == flow.External && !flow.Public(policy.EndpointAddress(e)):
		return "external inside"
	case e.Kind == flow.External && strings.HasPrefix(e.Name, "shard-"):
		return "a folded name" // in some of the scopes
	case e.Kind == flow.External, e.Kind == flow.Anyone:
		return e.Kind.String()
	case e.Kind == flow.Address:
		return "an address"
	}
	return "a workload"
}

// differs reports whether the dialects differ about a flow on purpose.
func differs(s policy.Scope, recorded []flow.Flow, f flow.Flow, want, got policy.Verdict) bool {
	isInside := func(g flow.Flow) bool {
		return g.Destination.Kind == flow.External && !flow.Public(policy.EndpointAddress(g.Destination))
	}
	inside := slices.ContainsFunc(recorded, func(g flow.Flow) bool {
		return (isInside(g) || isInside(f)) &&
			networkpolicy.Dialect{Scope: s}.EntryOf(g) == networkpolicy.Dialect{Scope: s}.EntryOf(f)
	})
	unnamed := f.Destination.Kind == flow.Address && slices.ContainsFunc(recorded, func(g flow.Flow) bool {
		return isInside(g) && policy.EndpointAddress(g.Destination) == policy.EndpointAddress(f.Destination) &&
			g.Port == f.Port && g.Protocol == f.Protocol
	})
	switch {
	case f.Destination.Kind == flow.Resolver && f.Port == policy.ResolverPort && f.Protocol == flow.SCTP:
		return true // Cilium's own DNS rules use the protocol ANY
	case inside && want.Outcome == policy.Denied && got.Outcome == policy.Allowed:
		return true // a NetworkPolicy requires each private address of a name; in Cilium the name covers all of them
	case policy.IsAPIServer(f.Destination) && f.Port == policy.APIServerPort && want.Outcome == policy.Denied &&
		got.Outcome == policy.Allowed:
		return true // recorded at 443 it is open at 6443 too: Cilium has no selector for the server behind the Service
	case ciliumpolicy.IsNode(f.Destination) && want.Outcome == policy.Denied && got.Outcome == policy.Allowed:
		return true // to Cilium all processes on the node are one host
	case unnamed && want.Outcome == policy.Allowed && got.Outcome == policy.Denied:
		return true // a NetworkPolicy rule for such an address allows flows without a name; Cilium has no such rule
	}
	return false
}
