package networkpolicy

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// The options of one test for names, namespaces and programs apply to the policy that tests share.
func TestScope_UniteOptions(t *testing.T) {
	subjects := []policy.Subject{{Workload: policy.Workload{Name: "shop"}}}
	data := map[string]map[string]string{"data": {"team": "storage"}}
	plain := policy.Scope{Subjects: subjects, Fold: []string{"cdn-*.test"}}
	more := policy.Scope{Subjects: subjects, Fold: []string{"*.s3.test", "cdn-*.test"}, Binaries: true, Namespaces: data}
	united, err := policy.UniteScopes(plain, policy.Scope{Subjects: subjects}, more, more)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"cdn-*.test", "*.s3.test"}, united.Fold); diff != "" {
		t.Errorf("patterns of names (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(data, united.Namespaces); diff != "" {
		t.Errorf("namespaces (-want +got):\n%s", diff)
	}
	if !united.Binaries {
		t.Error("no scope lists programs")
	}
	to := func(e flow.Endpoint) flow.Flow {
		return flow.Flow{
			Source:      flow.Endpoint{Kind: flow.Workload, Name: "shop"},
			Destination: e, Protocol: flow.TCP, Port: 443,
		}
	}
	flows := []flow.Flow{
		to(flow.Endpoint{Kind: flow.External, Name: "cdn-7.test", Addr: netip.MustParseAddr("198.51.100.7")}),
		to(flow.Endpoint{Kind: flow.Workload, Name: "db", Namespace: "data"}),
	}
	byHand := Dialect{plain}.Generate(flows[:1])
	team := metav1.LabelSelector{MatchLabels: map[string]string{"team": "storage"}}
	byHand[0].Spec.Egress = append(byHand[0].Spec.Egress, networkingv1.NetworkPolicyEgressRule{
		To: []networkingv1.NetworkPolicyPeer{{NamespaceSelector: &team}},
	})
	before := toYAML(t, byHand[0])
	united.Binaries = false
	if diff := cmp.Diff(before, toYAML(t, (Dialect{united}).Merge(byHand, flows)[0])); diff != "" {
		t.Errorf("what a person wrote, and what is folded, does not stay (-want +got):\n%s", diff)
	}
	other := policy.Scope{Namespaces: map[string]map[string]string{"data": {"team": "shop"}}}
	if _, err := policy.UniteScopes(more, other); err == nil ||
		err.Error() != "namespace data has the labels team=storage and team=shop: use the same labels in all manifests" {
		t.Errorf("one namespace with other labels: %v", err)
	}
}

// A rule for a recorded address is not for the API server, whichever test recorded the address.
func TestScope_UniteAddresses(t *testing.T) {
	shop := policy.Scope{Subjects: []policy.Subject{{Workload: policy.Workload{Name: "shop"}}}}
	to := func(e flow.Endpoint, port uint16) flow.Flow {
		return flow.Flow{Source: flow.WorkloadEndpoint("shop"), Destination: e, Protocol: flow.TCP, Port: port}
	}
	address := flow.Endpoint{Kind: flow.Address, Addr: netip.MustParseAddr("203.0.113.7")}
	flows := []flow.Flow{to(flow.ClusterAPIServer, 443), to(address, 5432)}
	committed := Dialect{shop}.Generate(append(flows, to(address, 443)))
	one, other := shop, shop
	one.Addresses, other.Addresses = policy.AddressesOf(flows[:1]), policy.AddressesOf(flows[1:])
	united, err := policy.UniteScopes(one, other, other)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"policy shop: rule 1: port 443/TCP"}
	if diff := cmp.Diff(want, (Dialect{united}).Unused(committed, flows)); diff != "" {
		t.Errorf("unused (-want +got):\n%s", diff)
	}
}
