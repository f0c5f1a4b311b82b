package netzerotest

import (
	"github.com/netzero-dev/netzero/internal/manifest/manifesttest"
	"testing"

	"github.com/netzero-dev/netzero/internal/docker"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// TestWhatContainersWithDotsInTheirNamesStandFor holds the rows of docs/identity.md that are about aliases.
func TestWhatContainersWithDotsInTheirNamesStandFor(t *testing.T) {
	shop := manifesttest.Read(t, manifesttest.Shop)
	for _, tt := range []struct {
		reason, alias   string
		config          config
		claimed         string
		name, namespace string
		host            string
	}{
		{"a Service's full name", "orders-db.shop.svc.cluster.local", config{}, "", "orders-db", "shop", ""},
		{"a cluster's domain that is given", "orders-db.shop.svc.k8s.acme.io", config{clusterDomains: []string{"k8s.acme.io"}}, "", "orders-db", "shop", ""},
		{"a pod's name", "orders-db-0.orders-db.shop.svc", config{}, "", "orders-db", "shop", ""},
		{"what the manifests know", "orders-db.shop", config{manifests: shop}, "", "orders-db", "shop", ""},
		{"a pod that they know", "orders-db-0.orders-db.shop", config{manifests: shop}, "", "orders-db", "shop", ""},
		{"a pod of the test's namespace", "orders-db-0.orders-db", config{manifests: shop, namespace: "shop"}, "", "orders-db", "shop", ""},
		{"a fake of a third party", "api.stripe.com", config{manifests: shop}, "", "api-stripe-com", "", "api.stripe.com"},
		{"one that As names", "api.stripe.com", config{}, "stripe", "stripe", "", ""},
		{"As with all of a Service's name", "db", config{}, "orders-db.shop.svc", "orders-db", "shop", ""},
		{"no dots", "orders-db", config{manifests: shop}, "", "orders-db", "", ""},
	} {
		m := &membership{config: tt.config, capture: &capture{containers: newContainers(func() {})}}
		c := docker.Container{ID: "4f66", NetworkMode: "net", Networks: []docker.Attachment{{Network: "net", Aliases: []string{tt.alias}}}}
		m.capture.containers.claims[c.ID] = &containerClaim{by: map[*membership]string{m: tt.claimed}}
		got := m.endpointOf(new(docker.Watcher), c)
		want := flow.Endpoint{Kind: flow.Workload, Name: tt.name, Namespace: tt.namespace, Evidence: flow.ByContainer}
		if host := m.hostOf(c); got != want || host != tt.host {
			t.Errorf("%s: %q is %+v and host %q, want %+v and %q", tt.reason, tt.alias, got, host, want, tt.host)
		}
	}
}
