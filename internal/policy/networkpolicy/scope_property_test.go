package networkpolicy

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	networkingv1 "k8s.io/api/networking/v1"

	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/internal/policy/policytest"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// TestGenerate_RandomScopesAreTrue evaluates random flows among several workloads against the policies that are
// generated from them. NETZERO_TEST_SEED repeats a failure with the printed seed.
func TestGenerate_RandomScopesAreTrue(t *testing.T) {
	seed := policytest.Seed(t)
	for i := range uint64(60) {
		r := policytest.New(seed, i)
		scope := r.Scope()
		flows := r.FlowsIn(scope)
		c := scopeClaims{t, scope, flows, Dialect{scope}.Generate(flows), fmt.Sprintf("case %d of seed %d", i, seed)}
		c.allowFlows()
		c.denyNeighbours()
		c.isolateAll()
		c.needBothEnds()
		c.ignoreOrder(r)
		if t.Failed() {
			return
		}
	}
}

// scopeClaims are the properties of a scope's policies.
type scopeClaims struct {
	t        *testing.T
	scope    policy.Scope
	flows    []flow.Flow
	policies []*networkingv1.NetworkPolicy
	origin   string
}

func (c scopeClaims) errorf(format string, args ...any) {
	c.t.Helper()
	c.t.Errorf("%s: %s\nin %+v", c.origin, fmt.Sprintf(format, args...), c.scope)
	for _, p := range c.policies {
		c.t.Logf("%s", toYAML(c.t, p))
	}
}

func (c scopeClaims) allowFlows() {
	for _, f := range (Dialect{}).Required(c.flows) {
		v := Dialect{c.scope}.Evaluate(c.policies, f)
		if c.expect(f) && v.Outcome != policy.Allowed || v.Notices != nil {
			c.errorf("%s is %s: %s %s", arrow(f), v.Outcome, v.Reason, v.Notices)
		}
	}
	for _, p := range c.policies {
		if err := Validate(p); err != nil {
			c.errorf("%v", err)
		}
	}
	if unused := (Dialect{c.scope}).Unused(c.policies, c.flows); len(unused) > 0 {
		c.errorf("unused: %q", unused)
	}
}

// expect reports whether a policy decides about a flow: its source is a subject, or its destination is one with
// callers.
func (c scopeClaims) expect(f flow.Flow) bool {
	s := c.scope.Normalized()
	_, isSource := s.SubjectOf(f.Source)
	return isSource || c.isServer(f.Destination)
}

// isServer reports whether an endpoint is a subject with AllTraffic that the flows show as a server.
func (c scopeClaims) isServer(e flow.Endpoint) bool {
	s := c.scope.Normalized()
	w, _ := s.SubjectOf(e)
	return slices.ContainsFunc(s.Subjects, func(subject policy.Subject) bool {
		return subject.AllTraffic && subject.Name == w.Name && subject.Namespace == w.Namespace &&
			Dialect{s}.serves(s.BySubject(c.flows).Of(w, policy.Ingress))
	})
}

// opened reports whether the recorded flows open a direction for another flow.
func (c scopeClaims) opened(d policy.Direction, n flow.Flow) bool {
	s := c.scope.Normalized()
	subject, ok := s.SubjectOf(d.SubjectEnd(n))
	if !ok || d == policy.Ingress && !c.isServer(n.Destination) {
		return true // no policy is evaluated
	}
	own := s.BySubject((Dialect{}).Required(c.flows)).Of(subject, d)
	isNamed := d == policy.Ingress || n.Destination.Kind != flow.External ||
		slices.ContainsFunc(own, func(f flow.Flow) bool { return Dialect{s}.EntryOf(f) == Dialect{s}.EntryOf(n) })
	permissions, needed := Dialect{s}.permissions(subject, d, own), Dialect{s}.permissionOf(subject, d, n)
	byAnyone := permission{peer: peerKey{kind: flow.Anyone}, port: n.Port, protocol: n.Protocol}
	fromAnywhere := needed
	fromAnywhere.peer.namespace = policy.AnyNamespace
	return isNamed && slices.Contains(permissions, needed) || slices.Contains(permissions, byAnyone) ||
		slices.Contains(permissions, fromAnywhere)
}

func (c scopeClaims) denyNeighbours() {
	for _, f := range (Dialect{}).Required(c.flows) {
		all := neighbours(f)
		for difference, n := range neighbours(reversed(f)) { // neighbours of the source end
			all["at the source, "+difference] = reversed(n)
		}
		if f.Protocol.HasPorts() {
			all["the other direction"] = reversed(f)
		}
		for difference, n := range all {
			if n.Source.Kind == flow.Resolver || !c.expect(n) || c.opened(policy.Egress, n) && c.opened(policy.Ingress, n) {
				continue
			}
			v := Dialect{c.scope}.Evaluate(c.policies, n)
			impossible := v.Outcome == policy.Inexpressible &&
				(n.Destination.Kind == flow.Anyone || n.Source.Kind == flow.APIServer ||
					n.Source.Kind == flow.External && !n.Source.Addr.IsValid())
			if v.Outcome != policy.Denied && !impossible || v.Reason == "" {
				c.errorf("%s is needed, with %s it is %s, %s: %s", arrow(f), difference, arrow(n), v.Outcome, v.Reason)
			}
		}
	}
}

func (c scopeClaims) isolateAll() {
	if lines := (Dialect{c.scope}).NotIsolated(c.policies, c.flows); len(lines) > 0 {
		c.errorf("not isolated: %q", lines)
	}
	if foreign := (Dialect{c.scope}).Foreign(c.policies); len(foreign) > 0 {
		c.errorf("%d policies have no subject", len(foreign))
	}
	for i, p := range c.policies {
		subject := c.scope.Normalized().Subjects[i]
		isServer := c.isServer(workloadIn(subject.Namespace, subject.Name))
		if isServer != HasType(p, policy.Ingress) || !HasType(p, policy.Egress) {
			c.errorf("policy %s has types %v; seen as a server: %v", p.Name, p.Spec.PolicyTypes, isServer)
		}
	}
}

// needBothEnds removes one rule after the other. The flows that needed it are denied, and the other end's verdict
// does not change.
func (c scopeClaims) needBothEnds() {
	for i, p := range c.policies {
		for _, d := range policy.Directions {
			for j := range RulesOf(p, d) {
				mutant := policytest.Clone(c.policies)
				SetRules(mutant[i], d, slices.Delete(RulesOf(mutant[i], d), j, j+1))
				denied := 0
				for _, f := range (Dialect{}).Required(c.flows) {
					if v := (Dialect{c.scope}).Evaluate(mutant, f); v.Outcome == policy.Denied {
						denied++
						w, _ := c.scope.Normalized().SubjectOf(d.SubjectEnd(f))
						if w.Name != p.Name || w.Namespace != p.Namespace || v.Policy != p.Name {
							c.errorf("without %s rule %d of %s, %s is denied by %s: %s", d, j, p.Name, arrow(f), v.Policy, v.Reason)
						}
					}
				}
				if denied == 0 {
					c.errorf("no flow needs %s rule %d of %s", d, j, p.Name)
				}
			}
		}
	}
}

func (c scopeClaims) ignoreOrder(r policytest.Draw) {
	scope := policy.Scope{
		Subjects: slices.Clone(c.scope.Subjects), Peers: slices.Clone(c.scope.Peers), Fold: slices.Clone(c.scope.Fold),
	}
	flows := slices.Clone(c.flows)
	r.Shuffle(len(scope.Subjects), func(i, j int) {
		scope.Subjects[i], scope.Subjects[j] = scope.Subjects[j], scope.Subjects[i]
	})
	slices.Reverse(scope.Peers)
	slices.Reverse(scope.Fold)
	r.Shuffle(len(flows), func(i, j int) { flows[i], flows[j] = flows[j], flows[i] })
	if diff := cmp.Diff(c.policies, (Dialect{scope}).Generate(flows)); diff != "" {
		c.errorf("another order, another policy (-want +got):\n%s", diff)
	}
}
