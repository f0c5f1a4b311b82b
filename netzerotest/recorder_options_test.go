package netzerotest

import (
	"testing"

	"github.com/netzero-dev/netzero/netzerotest/flow"
)

func TestClusterName(t *testing.T) {
	shop := readManifests(t, shopManifests)
	for _, tt := range []struct {
		reason, name string
		config       config
		want         string // the workload's namespace; "" for a host
	}{
		{"a Service's full name", "orders-db.shop.svc.cluster.local", config{}, "shop"},
		{"a cluster's domain that is given", "orders-db.shop.svc.k8s.acme.io", config{clusterDomains: []string{"k8s.acme.io"}}, "shop"},
		{"a pod's name", "orders-db-0.orders-db.shop.svc", config{}, "shop"},
		{"what the manifests know", "orders-db.shop", config{manifests: shop}, "shop"},
		{"a pod that they know", "orders-db-0.orders-db.shop", config{manifests: shop}, "shop"},
		{"a pod of the test's namespace", "orders-db-0.orders-db", config{manifests: shop, namespace: "shop"}, "shop"},
		{"a third party", "api.stripe.com", config{manifests: shop}, ""},
	} {
		got, known := tt.config.clusterName(tt.name)
		if !known && tt.want == "" {
			continue
		}
		if want := (flow.Endpoint{Kind: flow.Workload, Name: "orders-db", Namespace: tt.want}); !known || got != want {
			t.Errorf("%s: %q is %+v, %t, want %+v", tt.reason, tt.name, got, known, want)
		}
	}
}
