package recorder

import (
	"testing"

	"github.com/netzero-dev/netzero/internal/docker"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// The rows of docs/identity.md about aliases with dots.
func TestContainerName_AliasWithDots(t *testing.T) {
	inShop := flow.Endpoint{Kind: flow.Workload, Name: "orders-db", Namespace: "shop"}
	known := map[string]flow.Endpoint{
		"orders-db.shop.svc": inShop,
		"orders-db.cache":    {Kind: flow.Workload, Name: "orders-db"},
	}
	options := Options{Namespace: "web", ClusterName: func(name string) (flow.Endpoint, bool) {
		e, ok := known[name]
		return e, ok
	}}
	for _, tt := range []struct {
		reason, alias   string
		attachedAs      string
		name, namespace string
		host            string
	}{
		{"a workload of the cluster", "orders-db.shop.svc", "", "orders-db", "shop", ""},
		{"a workload of an unknown namespace", "orders-db.cache", "", "orders-db", "web", ""},
		{"a fake of a third party", "api.stripe.com", "", "api-stripe-com", "web", "api.stripe.com"},
		{"named by As", "api.stripe.com", "stripe", "stripe", "web", ""},
		{"As with the full name of a Service", "db", "orders-db.shop.svc", "orders-db", "shop", ""},
		{"no dots", "orders-db", "", "orders-db", "web", ""},
	} {
		c := docker.Container{
			ID: "4f66", NetworkMode: "net",
			Networks: []docker.Attachment{{Network: "net", Aliases: []string{tt.alias}}},
		}
		s := snapshot{options: options, attachments: map[string]attachment{c.ID: {own: true, name: tt.attachedAs}}}
		got := s.endpointOf(new(docker.Watcher), c)
		want := flow.Endpoint{Kind: flow.Workload, Name: tt.name, Namespace: tt.namespace, Evidence: flow.ByContainer}
		if host := s.hostOf(c); got != want || host != tt.host {
			t.Errorf("%s: %q is %+v and host %q, want %+v and %q", tt.reason, tt.alias, got, host, want, tt.host)
		}
	}
}
