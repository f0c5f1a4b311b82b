package conformance

import (
	"math/rand/v2"
	"net/netip"
	"testing"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/internal/policy/networkpolicy"
	"github.com/netzero-dev/netzero/internal/policy/policytest"
)

// question is one flow in one cluster under some policies.
type question struct {
	Policies []*networkingv1.NetworkPolicy `json:"policies"`
	Cluster  cluster                       `json:"cluster"`
	Traffic  traffic                       `json:"traffic"`
}

// disagrees reports whether cyclonus and package policy return different verdicts on a question. spoil may change the
// policies for package policy, to prove that a difference is detected.
func (q question) disagrees(spoil func(*networkingv1.NetworkPolicy)) bool {
	asked := q.Policies
	if spoil != nil {
		asked = nil
		for _, p := range q.Policies {
			p = p.DeepCopy()
			spoil(p)
			asked = append(asked, p)
		}
	}
	ours, _ := allows(q.Cluster.scope(), asked, q.Traffic.flow())
	return ours != newCyclonus(q.Policies).allows(q.Cluster, q.Traffic)
}

// isValid reports whether a question is still valid after shrinking: the cluster has its pods, and an API server would
// accept its policies, except for exceptions outside of their range and the address of a range.
func (q question) isValid() bool {
	return q.isValidIn(len(q.Policies) > 0 && q.Policies[0].Namespace != "")
}

func (q question) isValidIn(named bool) bool {
	pods := make(map[string]bool)
	for _, p := range q.Cluster.Pods {
		if p.Name == "" || p.Namespace != "" != named || p.Labels["pod"] != p.Name || pods[p.Name] {
			return false
		}
		pods[p.Name] = true
	}
	for _, e := range []end{q.Traffic.From, q.Traffic.To} {
		switch {
		case e.Pod == nil && !e.Address.IsValid(), e.Pod != nil && e.Address.IsValid():
			return false
		case e.Pod == nil, isAPIServer(e), isNode(e):
			continue
		}
		found := false
		for _, p := range q.Cluster.Pods {
			found = found || toText(p) == toText(*e.Pod)
		}
		if !found {
			return false
		}
	}
	for _, p := range q.Policies {
		p = p.DeepCopy()
		for _, peers := range peersOf(p) {
			for i := range peers {
				b := peers[i].IPBlock
				if b == nil {
					continue
				}
				for _, text := range append(b.Except, b.CIDR) {
					if _, err := netip.ParsePrefix(text); err != nil {
						return false
					}
				}
				b.CIDR, b.Except = "0.0.0.0/0", nil
			}
		}
		if p.Namespace != "" != named || networkpolicy.Validate(p) != nil {
			return false
		}
	}
	return q.Traffic.Port > 0 && protocols[q.Traffic.Protocol]+icmp[q.Traffic.Protocol] != 0
}

func peersOf(p *networkingv1.NetworkPolicy) [][]networkingv1.NetworkPolicyPeer {
	var all [][]networkingv1.NetworkPolicyPeer
	for _, r := range p.Spec.Ingress {
		all = append(all, r.From)
	}
	for _, r := range p.Spec.Egress {
		all = append(all, r.To)
	}
	return all
}

func (q question) report(t *testing.T, origin string) {
	t.Helper()
	q = shrunk(t, q, func(q question) bool { return q.isValid() && q.disagrees(nil) })
	ours, v := allows(q.Cluster.scope(), q.Policies, q.Traffic.flow())
	t.Errorf("%s: allowed here: %v (%s: %s), by cyclonus: %v\n%s", origin, ours, v.Outcome, v.Reason,
		newCyclonus(q.Policies).allows(q.Cluster, q.Traffic), toYAML(t, q))
}

// TestCyclonus_RandomPolicies compares both evaluators on ten thousand clusters.
func TestCyclonus_RandomPolicies(t *testing.T) {
	t.Parallel()
	const cases, flows = 10_000, 6
	seed := policytest.Seed(t)
	outcomes := make(map[policy.Outcome]int)
	for i := range uint64(cases) {
		r := draw{rand.New(rand.NewPCG(seed, i))}
		in, policies, all := r.question(flows)
		scope, theirs := in.scope(), newCyclonus(policies)
		for _, asked := range all {
			ours, v := allows(scope, policies, asked.flow())
			outcomes[v.Outcome]++
			if ours != theirs.allows(in, asked) {
				question{policies, in, asked}.report(t, "drawn")
				t.Fatalf("case %d of seed %d", i, seed)
			}
		}
	}
	t.Logf("%d flows: %v", cases*flows, outcomes)
	for _, o := range []policy.Outcome{policy.Allowed, policy.Denied, policy.Unprotected} {
		if outcomes[o] < cases*flows/20 {
			t.Errorf("only %d flows are %s: too few to mean anything", outcomes[o], o)
		}
	}
}

// TestCyclonus_DetectsDefects changes the policies for package policy, to simulate defects of its evaluator.
func TestCyclonus_DetectsDefects(t *testing.T) {
	t.Parallel()
	seed := policytest.Seed(t)
	peers := func(change func(*networkingv1.NetworkPolicyPeer)) func(*networkingv1.NetworkPolicy) {
		return func(p *networkingv1.NetworkPolicy) {
			for _, peers := range peersOf(p) {
				for i := range peers {
					change(&peers[i])
				}
			}
		}
	}
	ports := func(change func(*networkingv1.NetworkPolicyPort)) func(*networkingv1.NetworkPolicy) {
		return func(p *networkingv1.NetworkPolicy) {
			for _, r := range p.Spec.Egress {
				for i := range r.Ports {
					change(&r.Ports[i])
				}
			}
		}
	}
	for reason, spoil := range map[string]func(*networkingv1.NetworkPolicy){
		"exceptions are forgotten": peers(func(peer *networkingv1.NetworkPolicyPeer) {
			if peer.IPBlock != nil {
				peer.IPBlock.Except = nil
			}
		}),
		"a peer without a namespace is in all of them": peers(func(peer *networkingv1.NetworkPolicyPeer) {
			if peer.PodSelector != nil && peer.NamespaceSelector == nil {
				peer.NamespaceSelector = &metav1.LabelSelector{}
			}
		}),
		"expressions are forgotten":    func(p *networkingv1.NetworkPolicy) { p.Spec.PodSelector.MatchExpressions = nil },
		"ranges of ports are one port": ports(func(port *networkingv1.NetworkPolicyPort) { port.EndPort = nil }),
		"names of ports are any port": ports(func(port *networkingv1.NetworkPolicyPort) {
			if port.Port != nil && port.Port.StrVal != "" {
				port.Port = nil
			}
		}),
		"a missing protocol is UDP": ports(func(port *networkingv1.NetworkPolicyPort) {
			if udp := transports[2]; port.Protocol == nil {
				port.Protocol = &udp
			}
		}),
		"missing types are none": func(p *networkingv1.NetworkPolicy) {
			if len(p.Spec.PolicyTypes) == 0 {
				p.Spec.PodSelector.MatchLabels = map[string]string{"no": "body"}
			}
		},
		"the last policy is forgotten": func(p *networkingv1.NetworkPolicy) {
			if p.Name == "policy-1" {
				p.Namespace = "elsewhere"
			}
		},
	} {
		found := question{}
		for i := uint64(0); i < 5_000 && found.Policies == nil; i++ {
			r := draw{rand.New(rand.NewPCG(seed, i))}
			in, policies, all := r.question(1)
			if q := (question{policies, in, all[0]}); q.disagrees(spoil) {
				found = shrunk(t, q, func(q question) bool { return q.isValid() && q.disagrees(spoil) })
			}
		}
		switch rules := 0; {
		case found.Policies == nil:
			t.Errorf("%s: not noticed", reason)
		default:
			for _, p := range found.Policies {
				rules += len(p.Spec.Egress) + len(p.Spec.Ingress)
			}
			if len(found.Policies) > 2 || rules > 2 || len(found.Cluster.Pods) > 2 {
				t.Errorf("%s: not shrunk:\n%s", reason, toYAML(t, found))
			}
		}
	}
}
