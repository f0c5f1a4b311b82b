package conformance

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/internal/policy/networkpolicy"
	"github.com/netzero-dev/netzero/internal/policy/policytest"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// recorded draws a scope and flows. Either all workloads have known namespaces, or none has one.
func (r draw) recorded() (policy.Scope, []flow.Flow) {
	in := func(namespace string) string { return namespace }
	if r.one(3) {
		in = func(string) string { return "" }
	}
	workload := func(name, namespace string) flow.Endpoint {
		return flow.Endpoint{Kind: flow.Workload, Name: name, Namespace: in(namespace)}
	}
	var scope policy.Scope
	subjects := []flow.Endpoint{workload("checkout", "shop"), workload("orders-db", "data"), workload("cache", "shop")}
	for i, s := range subjects {
		w := policy.Workload{Name: s.Name, Namespace: s.Namespace,
			Labels: pick(r, nil, map[string]string{"app.kubernetes.io/name": s.Name})}
		scope.Subjects = append(scope.Subjects, policy.Subject{Workload: w, AllTraffic: i > 0})
	}
	at := func(kind flow.Kind, name string, from ...string) flow.Endpoint {
		return flow.Endpoint{Kind: kind, Name: name, Addr: netip.MustParseAddr(pick(r, from...))}
	}
	var flows []flow.Flow
	for range 1 + r.IntN(15) {
		f := flow.Flow{Source: pick(r, subjects...), Destination: pick(r, subjects...), Count: 1,
			Port: pick[uint16](r, 80, 443, 5432, 6379, 65534)}
		f.Protocol = protocols[pick(r, transports...)]
		switch r.IntN(8) {
		case 0:
			f.Destination = workload("mail", pick(r, "shop", "mail"))
		case 1:
			f.Destination = at(flow.Address, "", "203.0.113.9", "203.0.113.12", "10.0.0.1", "2001:db8::7", "fe80::1%eth0",
				"169.254.169.254")
		case 2:
			f.Destination = at(flow.External, pick(r, "api.stripe.com", "hooks.slack.com"), "198.51.100.1", "2001:db8:1::9")
		case 3:
			// An address inside has only one name.
			f.Destination = at(flow.External, "ldap.corp.example", "10.9.0.1", "fd00::9")
		case 4:
			f.Source, f.Destination = at(flow.Address, "", "203.0.113.30", "2001:db8::30"), pick(r, subjects[1:]...)
		case 5:
			f.Source, f.Destination = workload("mail", "shop"), pick(r, subjects[1:]...)
		case 6:
			f.Destination, f.Port = flow.ClusterResolver, pick[uint16](r, 53, 853)
			if f.Port == 53 && f.Protocol == flow.SCTP {
				f.Protocol = flow.UDP
			}
		}
		flows = append(flows, f)
	}
	if r.one(4) {
		flows = append(flows, flow.Flow{Source: flow.Endpoint{Kind: flow.Anyone}, Destination: pick(r, subjects[1:]...),
			Protocol: flow.TCP, Port: 8080, Count: 1})
	}
	return scope, flows
}

// TestCyclonus_GeneratedPolicies compares both evaluators on generated policies. They have to allow the flows,
// and to deny all flows that differ from one of them in a single property.
func TestCyclonus_GeneratedPolicies(t *testing.T) {
	t.Parallel()
	seed := policytest.Seed(t)
	allowed, denied := 0, 0
	for i := range uint64(600) {
		r := draw{rand.New(rand.NewPCG(seed, i))}
		scope, flows := r.recorded()
		flows = networkpolicy.Dialect{Scope: scope}.Required(flows)
		policies, what := networkpolicy.Dialect{Scope: scope}.Generate(flows), newSeen(scope, flows, false)
		check := func(f flow.Flow, difference string) {
			ours, fault := what.evaluate(policies, f)
			if fault != "" {
				t.Errorf("case %d of seed %d: %s, %s", i, seed, fault, difference)
			}
			if ours {
				allowed++
			} else {
				denied++
			}
		}
		for _, f := range flows {
			if !what.permits(f, false) {
				t.Fatalf("what was seen is not open: %+v", f)
			}
			check(f, "as it was recorded")
			for difference, n := range neighbours(f) {
				if what.isSubject(n.Source) || what.isServer(n.Destination) {
					check(n, difference)
				}
			}
		}
		if t.Failed() {
			for _, p := range policies {
				t.Logf("%s", toYAML(t, p))
			}
			return
		}
	}
	t.Logf("%d flows allowed, %d denied", allowed, denied)
	if allowed < 1000 || denied < 1000 {
		t.Error("too few to mean anything")
	}
}

// evaluate returns our verdict on a flow, and describes a difference from the recorded flows or from cyclonus.
func (s seen) evaluate(policies []*networkingv1.NetworkPolicy, f flow.Flow) (ours bool, fault string) {
	want, wantNameless := s.permits(f, false), s.permits(f, true)
	ours, theirs, v, same := agree(s.scope, policies, f)
	if want == wantNameless {
		same = same && ours == theirs
	}
	if ours != want || !same || theirs != ours && theirs != wantNameless {
		fault = fmt.Sprintf("%s -> %s: allowed by us: %v (%s), by cyclonus: %v; want %v and %v", f.Source, f.Target(), ours,
			v.Reason, theirs, want, wantNameless)
	}
	return ours, fault
}

// TestNeighbours_DetectWrongPolicies proves that the neighbours detect wrong policies.
func TestNeighbours_DetectWrongPolicies(t *testing.T) {
	t.Parallel()
	end := int32(65535)
	for reason, edit := range map[string]func(*networkingv1.NetworkPolicyEgressRule){
		"every port":  func(r *networkingv1.NetworkPolicyEgressRule) { r.Ports = nil },
		"every peer":  func(r *networkingv1.NetworkPolicyEgressRule) { r.To = nil },
		"a range":     func(r *networkingv1.NetworkPolicyEgressRule) { r.Ports[0].EndPort = &end },
		"no protocol": func(r *networkingv1.NetworkPolicyEgressRule) { r.Ports[0].Protocol = nil },
		"other pods":  func(r *networkingv1.NetworkPolicyEgressRule) { r.To[0].PodSelector = &metav1.LabelSelector{} },
		"other addresses": func(r *networkingv1.NetworkPolicyEgressRule) {
			r.To[0].IPBlock = &networkingv1.IPBlock{CIDR: "0.0.0.0/0"}
		},
	} {
		found := 0
		for i := uint64(0); i < 30; i++ {
			r := draw{rand.New(rand.NewPCG(1, i))}
			scope, flows := r.recorded()
			flows = networkpolicy.Dialect{Scope: scope}.Required(flows)
			policies, what := networkpolicy.Dialect{Scope: scope}.Generate(flows), newSeen(scope, flows, false)
			if len(policies[0].Spec.Egress) == 0 {
				continue
			}
			rule := &policies[0].Spec.Egress[0]
			if isPods := rule.To[0].IPBlock == nil; isPods == (reason == "other addresses") || reason == "no protocol" &&
				*rule.Ports[0].Protocol == "TCP" {
				continue
			}
			edit(rule)
			for _, f := range flows {
				for _, n := range neighbours(f) {
					if _, fault := what.evaluate(policies, n); fault != "" && what.isSubject(n.Source) {
						found++
					}
				}
			}
		}
		if found == 0 {
			t.Errorf("%s: not noticed", reason)
		}
	}
}

// TestCyclonus_GoldenFiles compares both evaluators on the committed policies. They have to allow one flow
// for each peer and port, and agree on its neighbours.
func TestCyclonus_GoldenFiles(t *testing.T) {
	t.Parallel()
	files, allowed, denied := 0, 0, 0
	eachGolden(t, func(origin string, policies []*networkingv1.NetworkPolicy) {
		unnamed := slices.ContainsFunc(policies, func(p *networkingv1.NetworkPolicy) bool { return p.Namespace == "" })
		if unnamed && slices.ContainsFunc(policies, func(p *networkingv1.NetworkPolicy) bool { return p.Namespace != "" }) {
			return // a policy without a namespace may be in any of the others', but cyclonus puts it in default
		}
		scope, flows := intended(policies)
		files++
		what := newSeen(scope, nil, false)
		for _, f := range flows {
			// If the other end is also in the file, its policy may not intend the flow.
			between := what.isSubject(f.Source) && what.isSubject(f.Destination)
			ours, theirs, v, same := agree(scope, policies, f)
			if !same || !between && !(ours && theirs) {
				t.Errorf("%s: %s -> %s is meant: allowed by us: %v (%s), by cyclonus: %v", origin, f.Source, f.Target(), ours,
					v.Reason, theirs)
			}
			if ours && theirs {
				allowed++
			}
			for difference, n := range neighbours(f) {
				if !what.isSubject(n.Source) && !what.recordsAllTraffic(n.Destination) {
					continue
				}
				ours, theirs, v, same := agree(scope, policies, n)
				if !same {
					t.Errorf("%s: %s -> %s, %s: allowed by us: %v (%s), by cyclonus: %v", origin, n.Source, n.Target(), difference,
						ours, v.Reason, theirs)
				}
				if !ours && !theirs {
					denied++
				}
			}
		}
	})
	t.Logf("%d files, %d flows, %d neighbours denied", files, allowed, denied)
	if files < 10 || allowed < 30 || denied < 60 {
		t.Error("too few to mean anything")
	}
}
