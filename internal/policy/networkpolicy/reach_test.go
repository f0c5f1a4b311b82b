package networkpolicy

import (
	"errors"
	"fmt"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/netzero-dev/netzero/internal/enforce"
	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/internal/policy/policytest"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// TestReach_SameAsEvaluate compares what random policies let workloads reach with verdicts.
func TestReach_SameAsEvaluate(t *testing.T) {
	seed := policytest.Seed(t)
	covered := make(policytest.ReachCoverage)
	refused := 0
	for i := range uint64(30) {
		r := policytest.New(seed, i)
		scope := r.DeployedScope()
		for j := range scope.Subjects {
			scope.Subjects[j].Ports = []policy.Port{{Name: "pgsql", Number: 5432, Protocol: flow.TCP}}
		}
		d := Dialect{scope}
		edited, _ := r.Edit(d.Generate(r.DeployedFlows(scope)))
		policies := addBlocks(r, policytest.EditAnnotations(r, edited))
		for _, subject := range scope.Normalized().Subjects {
			reach, err := d.Reach(policies, subject.Workload)
			if err != nil {
				var limit *policy.NotEnforceableError
				if !errors.As(err, &limit) {
					t.Fatal(err)
				}
				refused++
				continue
			}
			evaluated := Dialect{scope.Normalized().Indexed()}
			verdict := evaluated.compile(policies, subject.Workload, policy.Egress).verdict
			policytest.Reach{
				Reach: reach, Subject: subject.Workload, Scope: scope,
				Verdict: func(f flow.Flow) policy.Verdict { return verdict(evaluated.ByAddress(f)) },
			}.Check(t, r, covered)
			if t.Failed() {
				t.Fatalf("case %d, subject %s:\n%s", i, subject.Name, policytest.ToYAMLs(t, policies))
			}
		}
	}
	covered.Check(t)
	t.Logf("%d not enforceable, %v", refused, covered)
}

// addBlocks returns the policies with ranges and ports that only people write.
func addBlocks(r policytest.Draw, policies []*networkingv1.NetworkPolicy) []*networkingv1.NetworkPolicy {
	for _, p := range policies {
		if r.IntN(2) == 0 {
			continue
		}
		for range r.IntN(4) {
			var rule networkingv1.NetworkPolicyEgressRule
			for range r.IntN(3) {
				rule.To = append(rule.To, drawPeer(r))
			}
			for range r.IntN(3) {
				rule.Ports = append(rule.Ports, drawPort(r))
			}
			p.Spec.Egress = append(p.Spec.Egress, rule)
		}
	}
	return policies
}

func drawPeer(r policytest.Draw) networkingv1.NetworkPolicyPeer {
	block := func(cidr string, except ...string) networkingv1.NetworkPolicyPeer {
		return networkingv1.NetworkPolicyPeer{IPBlock: &networkingv1.IPBlock{CIDR: cidr, Except: except}}
	}
	return policytest.Pick(r,
		block("10.0.0.0/8", "10.9.0.0/16"), block("10.9.0.0/31"), block("203.0.113.9/32"), block("0.0.0.0/0", "10.0.0.0/8"),
		block("2001:db8::/32", "2001:db8:1::/48"),
		networkingv1.NetworkPolicyPeer{PodSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "cache"}}},
	)
}

func drawPort(r policytest.Draw) networkingv1.NetworkPolicyPort {
	number := func(n int) *intstr.IntOrString { v := intstr.FromInt(n); return &v }
	name, end := intstr.FromString("pgsql"), int32(5432)
	return policytest.Pick(r,
		networkingv1.NetworkPolicyPort{},
		networkingv1.NetworkPolicyPort{Port: number(443)},
		networkingv1.NetworkPolicyPort{Port: number(80), EndPort: &end},
		networkingv1.NetworkPolicyPort{Port: &name},
	)
}

// TestReach_NotEnforceable checks the errors for rules that the kernel could only widen.
func TestReach_NotEnforceable(t *testing.T) {
	const names = "metadata.annotations[" + policy.NamesAnnotation + "]"
	const other = "metadata.annotations[" + policy.OtherAnnotation + "]"
	for _, c := range []struct {
		reason, names, other, except string
		want                         string // the field; none if there is no error
	}{
		{"an asterisk inside of a label", "shard-*.db.example:443/TCP", "", "10.0.0.0/8", names},
		{"one behind a leading one", "*.a*.example:443/TCP", "", "10.0.0.0/8", names},
		{"one in a name that is only looked up", "shard-*.db.example:*", "", "10.0.0.0/8", names},
		{"one in another list", "", "ip-47 a*.example", "10.0.0.0/8", other},
		{
			"an exception of the internet", "a.example:443/TCP", "", "203.0.113.0/24",
			"spec.egress[0].to[0].ipBlock.except[0]",
		},
		{"the same without names at the port", "a.example:80/TCP", "", "203.0.113.0/24", ""},
		{"a leading asterisk", "*.example:443/TCP", "ip-47 *.example", "10.0.0.0/8", ""},
	} {
		p := manyBlocks(0)[0]
		p.Spec.Egress[0].To[0].IPBlock.Except = []string{c.except}
		policy.SetEntries(p, policy.NamesAnnotation, []string{c.names})
		policy.SetEntries(p, policy.OtherAnnotation, []string{c.other})
		_, err := Dialect{policytest.Alone(policytest.Checkout)}.Reach([]*networkingv1.NetworkPolicy{p}, policytest.Checkout)
		var refused *policy.NotEnforceableError
		if errors.As(err, &refused) != (c.want != "") || refused != nil && refused.Field != c.want {
			t.Errorf("%s: error %v, want one at %q", c.reason, err, c.want)
		}
	}
}

// TestReach_ListedProtocols checks entries of the list of flows that no rule can express.
func TestReach_ListedProtocols(t *testing.T) {
	p := manyBlocks(0)[0]
	p.Spec.Egress = nil
	policy.SetEntries(p, policy.OtherAnnotation, []string{
		"ip-0 203.0.113.9", "ip-47 203.0.113.9", "udplite:9 203.0.113.9", "icmp-type-13 203.0.113.9", "tcp:0 203.0.113.9",
	})
	d := Dialect{policytest.Alone(policytest.Checkout)}
	reach, err := d.Reach([]*networkingv1.NetworkPolicy{p}, policytest.Checkout)
	if err != nil {
		t.Fatal(err)
	}
	want := []enforce.PortRange{
		{Protocol: flow.ICMP, First: 13, Last: 13}, {Protocol: flow.TCP}, {Protocol: 47, First: 0, Last: 65535},
		{Protocol: flow.UDPLite, First: 9, Last: 9},
	}
	if diff := cmp.Diff(want, reach.PortsOfAddress(netip.MustParseAddr("203.0.113.9"))); diff != "" {
		t.Errorf("ports (-want +got):\n%s", diff)
	}
}

// manyBlocks returns a policy with n addresses of hosts and n names.
func manyBlocks(n int) []*networkingv1.NetworkPolicy {
	p := &networkingv1.NetworkPolicy{}
	p.Name, p.Annotations = "checkout", make(map[string]string)
	p.Spec.PolicyTypes = []networkingv1.PolicyType{networkingv1.PolicyTypeEgress}
	port := intstr.FromInt32(443)
	ports := []networkingv1.NetworkPolicyPort{{Port: &port}}
	internet := networkingv1.NetworkPolicyPeer{IPBlock: &networkingv1.IPBlock{CIDR: "0.0.0.0/0"}}
	p.Spec.Egress = append(p.Spec.Egress, networkingv1.NetworkPolicyEgressRule{
		To: []networkingv1.NetworkPolicyPeer{internet}, Ports: ports,
	})
	var names []string
	addr := netip.MustParseAddr("10.0.0.0")
	for i := range n {
		block := &networkingv1.IPBlock{CIDR: netip.PrefixFrom(addr, 32).String()}
		p.Spec.Egress = append(p.Spec.Egress, networkingv1.NetworkPolicyEgressRule{
			To: []networkingv1.NetworkPolicyPeer{{IPBlock: block}}, Ports: ports,
		})
		names = append(names, fmt.Sprintf("h%d.example.com:443/TCP", i))
		addr = addr.Next()
	}
	policy.SetEntries(p, policy.NamesAnnotation, names)
	return []*networkingv1.NetworkPolicy{p}
}

// TestReach_ManyBlocks checks that the work grows with the number of rules and names and not with its square.
func TestReach_ManyBlocks(t *testing.T) {
	d := Dialect{policytest.Alone(policytest.Checkout)}
	allocations := func(n int) float64 {
		policies := manyBlocks(n)
		return testing.AllocsPerRun(1, func() {
			reach, err := d.Reach(policies, policytest.Checkout)
			if err != nil || len(reach.Addresses) != n || len(reach.Names) != n {
				t.Fatalf("%d addresses, %d names, error %v", len(reach.Addresses), len(reach.Names), err)
			}
		})
	}
	if few, many := allocations(1000), allocations(10000); many > 12*few {
		t.Errorf("1,000 rules need %.0f allocations, 10,000 need %.0f", few, many)
	}
}

func BenchmarkReach_10000(b *testing.B) {
	d, policies := Dialect{policytest.Alone(policytest.Checkout)}, manyBlocks(10000)
	for b.Loop() {
		if _, err := d.Reach(policies, policytest.Checkout); err != nil {
			b.Fatal(err)
		}
	}
}
