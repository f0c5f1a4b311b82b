package endpoint

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/netzero-dev/netzero/internal/flow"
)

func TestNamesOfTheClusterAreWorkloads(t *testing.T) {
	addr := netip.MustParseAddr("203.0.113.7")
	workload := func(name, namespace string) flow.Endpoint {
		return flow.Endpoint{Kind: flow.Workload, Name: name, Namespace: namespace, Addr: addr, Evidence: flow.ByDNS}
	}
	external := func(name string) flow.Endpoint {
		return flow.Endpoint{Kind: flow.External, Name: name, Addr: addr, Evidence: flow.ByDNS}
	}
	for _, tt := range []struct {
		name   string
		want   flow.Endpoint
		reason string
	}{
		{"redis", workload("redis", ""), "a single label is a Service of the same namespace"},
		{"Redis.", workload("redis", ""), "case and trailing dot do not count"},
		{"my_db", workload("my-db", ""), "what Kubernetes cannot name is made a label"},
		{"db.shop.svc", workload("db", "shop"), "a Service of a namespace"},
		{"db.shop.svc.cluster.local.", workload("db", "shop"), "the same, complete"},
		{"db-0.db.shop.svc.cluster.local", workload("db", "shop"), "a pod of a StatefulSet is its Service"},
		{"db-0.db.shop.svc", workload("db", "shop"), "the same, short"},
		{"_pg._tcp.db.shop.svc", workload("db", "shop"), "SRV"},
		{"db.shop", external("db.shop"), "cannot be told from a public name"},
		{"api.stripe.com", external("api.stripe.com"), "a public name"},
		{"shop.svc", external("shop.svc"), "no Service before the namespace"},
		{"svc.cluster.local", external("svc.cluster.local"), "neither Service nor namespace"},
		{"10-0-0-1.shop.pod.cluster.local", external("10-0-0-1.shop.pod.cluster.local"), "a pod's address record names no workload"},
		{"a_b.shop.svc", external("a_b.shop.svc"), "no Service can have this name"},
		{"..svc", external("..svc"), "empty labels"},
		{"_", external("_"), "nothing to make a label of"},
	} {
		if diff := cmp.Diff(tt.want, byName(tt.name, addr), cmpopts.EquateComparable(netip.Addr{})); diff != "" {
			t.Errorf("%s: %q (-want +got):\n%s", tt.reason, tt.name, diff)
		}
	}
}
