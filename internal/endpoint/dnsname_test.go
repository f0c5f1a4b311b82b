package endpoint

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/netzero-dev/netzero/netzerotest/flow"
)

func TestByName_ClusterNames(t *testing.T) {
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
		{"db.shop.svc.k8s.internal", workload("db", "shop"), "a cluster's domain that no public host can have"},
		{"db-0.db.shop.svc.acme", workload("db", "shop"), "the same, of one label"},
		{"db.shop.svc.k8s.example.com", external("db.shop.svc.k8s.example.com"),
			"a public name, without other information"},
		{"db.shop.svc.k8s.acme.io", workload("db", "shop"), "a domain that is named as a cluster's"},
		{"db-0.db.shop.svc.K8s.Acme.io.", workload("db", "shop"), "the same, a pod"},
		{"k8s.acme.io", external("k8s.acme.io"), "the domain itself"},
		{"db.shop", external("db.shop"), "same form as a public name"},
		{"api.stripe.com", external("api.stripe.com"), "a public name"},
		{"shop.svc", external("shop.svc"), "no Service before the namespace"},
		{"svc.cluster.local", external("svc.cluster.local"), "neither Service nor namespace"},
		{"10-0-0-1.shop.pod.cluster.local", external("10-0-0-1.shop.pod.cluster.local"),
			"a pod's address record names no workload"},
		{"a_b.shop.svc", external("a_b.shop.svc"), "no Service can have this name"},
		{"..svc", external("..svc"), "empty labels"},
		{"_", external("_"), "nothing to make a label of"},
	} {
		if diff := cmp.Diff(tt.want, byName(tt.name, addr, "k8s.acme.io"),
			cmpopts.EquateComparable(netip.Addr{})); diff != "" {
			t.Errorf("%s: %q (-want +got):\n%s", tt.reason, tt.name, diff)
		}
	}
}

func TestByName_SearchListDomain(t *testing.T) {
	for _, tt := range []struct {
		reason, resolvConf string
		want               []string
	}{
		{"a pod's", "search shop.svc.k8s.acme.io svc.k8s.acme.io k8s.acme.io corp.example\n", []string{"k8s.acme.io"}},
		{"with a dot at the end", "search svc.k8s.acme.io. k8s.acme.io.\n", []string{"k8s.acme.io"}},
		{"a domain that begins as Services do", "search svc.acme.io\n", nil},
		{"a machine's", "search acme.io\n", nil},
	} {
		if diff := cmp.Diff(tt.want, parseSearch(tt.resolvConf).ClusterDomains()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.reason, diff)
		}
	}
}

func TestOfPeer_PodsOrHosts(t *testing.T) {
	at := netip.MustParseAddr("127.0.0.1")
	id := New(Config{ClusterDomains: []string{"k8s.acme.io"}})
	for _, tt := range []struct {
		name   string
		want   flow.Endpoint
		port   uint16
		reason string
	}{
		{"redis:6379", flow.Endpoint{Kind: flow.Workload, Name: "redis", Addr: at}, 6379, "a label is pods"},
		{"redis.shop.svc:6379", flow.Endpoint{Kind: flow.Workload, Name: "redis", Namespace: "shop", Addr: at}, 6379,
			"and so is a name of the cluster"},
		{"redis.shop.svc.cluster.local.", flow.Endpoint{Kind: flow.Workload, Name: "redis", Namespace: "shop",
			Addr: at}, 0, "complete"},
		{"redis-0.redis.shop.svc.k8s.acme.io",
			flow.Endpoint{Kind: flow.Workload, Name: "redis", Namespace: "shop", Addr: at}, 0,
			"of a cluster of another domain"},
		{"api.stripe.com:443", flow.Endpoint{Kind: flow.External, Name: "api.stripe.com"}, 443,
			"a host, which is not where its fake is"},
		{"API.Stripe.com.:443", flow.Endpoint{Kind: flow.External, Name: "api.stripe.com"}, 443,
			"as DNS compares names"},
		{"redis.shop:6379", flow.Endpoint{Kind: flow.External, Name: "redis.shop"}, 6379,
			"a host until the manifests know it"},
	} {
		peer, err := ParsePeer("127.0.0.1:43121", tt.name)
		if err != nil {
			t.Errorf("%s: %v", tt.reason, err)
			continue
		}
		tt.want.Evidence = flow.ByOption
		if diff := cmp.Diff(tt.want, id.OfPeer(peer, at), cmpopts.EquateComparable(netip.Addr{})); diff != "" ||
			peer.PodPort != tt.port {
			t.Errorf("%s: %q at port %d (-want +got):\n%s", tt.reason, tt.name, peer.PodPort, diff)
		}
	}
}

func TestDNSName_ServiceNames(t *testing.T) {
	for _, row := range []struct {
		reason, service, namespace string
		domains                    []string
		want                       []string
	}{
		{"without a namespace", "db", "", []string{"k8s.test"}, []string{"db"}},
		{
			"in a namespace", "db", "shop", nil,
			[]string{"db", "db.shop", "db.shop.svc", "db.shop.svc.cluster.local"},
		},
		{
			"with another cluster domain, and the default one again", "db", "shop", []string{"k8s.test", "cluster.local"},
			[]string{"db", "db.shop", "db.shop.svc", "db.shop.svc.cluster.local", "db.shop.svc.k8s.test"},
		},
	} {
		if diff := cmp.Diff(row.want, ServiceNames(row.service, row.namespace, row.domains...)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", row.reason, diff)
		}
	}
}
