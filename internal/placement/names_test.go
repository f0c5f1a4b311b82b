package placement

import (
	"encoding/json"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/netzero-dev/netzero/internal/manifest/manifesttest"
	"github.com/netzero-dev/netzero/internal/policy/ciliumpolicy"
	"github.com/netzero-dev/netzero/internal/policy/networkpolicy"

	"github.com/netzero-dev/netzero/internal/endpoint"
	"github.com/netzero-dev/netzero/internal/manifest"
	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/internal/recording"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// peersOf returns the peers of each rule that both dialects write for the flows of checkout, and the notices.
func peersOf(t *testing.T, o Options, flows ...flow.Flow) (kubernetes, ciliums []string, notices []string) {
	t.Helper()
	o.Workload = "checkout"
	for i := range flows {
		flows[i].Source = flow.Endpoint{Kind: flow.Workload, Name: o.Workload, Namespace: o.Namespace}
		flows[i].Count = 1
	}
	workloads := []recording.Workload{{Name: o.Workload, Namespace: o.Namespace}}
	placed, err := Place(recording.Recording{Flows: flows, Workloads: workloads}, o)
	if err != nil {
		t.Fatal(err)
	}
	text := func(v any) string {
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return strings.ReplaceAll(string(b), `"`, "")
	}
	policies := networkpolicy.Dialect{Scope: placed.Scope}.Generate(placed.Flows)
	for _, r := range policies[0].Spec.Egress {
		if len(r.To) > 0 && r.To[0].IPBlock != nil && r.To[0].IPBlock.CIDR == "0.0.0.0/0" {
			kubernetes = append(kubernetes, "internet for "+policies[0].Annotations[policy.NamesAnnotation])
			continue
		}
		kubernetes = append(kubernetes, text(r.To)+" "+r.Ports[0].Port.String())
	}
	for _, r := range (ciliumpolicy.Dialect{Scope: placed.Scope}).Generate(placed.Flows)[0].Spec.Egress {
		peer := text(r.ToEndpoints)
		switch {
		case len(r.ToFQDNs) > 0:
			peer = text(r.ToFQDNs)
		case len(r.ToCIDR)+len(r.ToCIDRSet) > 0:
			peer = text(r.ToCIDRSet)
		case len(r.ToEntities) > 0:
			peer = text(r.ToEntities)
		}
		ciliums = append(ciliums, peer+" "+r.ToPorts[0].Ports[0].Port)
	}
	return kubernetes, ciliums, recording.Texts(placed.Notices)
}

const (
	kubernetesDNS = "[{podSelector:{matchLabels:{k8s-app:kube-dns}}," +
		"namespaceSelector:{matchLabels:{kubernetes.io/metadata.name:kube-system}}}] 53"
	ciliumDNS = "[{matchLabels:{k8s:io.kubernetes.pod.namespace:kube-system,k8s:k8s-app:kube-dns}}] 53"
)

// pods returns the peers of both dialects for pods with a label.
func pods(app, namespace, port string) [2]string {
	if namespace == "" {
		return [2]string{
			"[{podSelector:{matchLabels:{app:" + app + "}}}] " + port,
			"[{matchLabels:{k8s:app:" + app + "}}] " + port,
		}
	}
	return [2]string{
		"[{podSelector:{matchLabels:{app:" + app + "}},namespaceSelector:{matchLabels:{kubernetes.io/metadata.name:" +
			namespace + "}}}] " + port,
		"[{matchLabels:{k8s:app:" + app + ",k8s:io.kubernetes.pod.namespace:" + namespace + "}}] " + port,
	}
}

func external(name, port string) [2]string {
	return [2]string{"internet for " + name + ":" + port + "/TCP", "[{matchName:" + name + "}] " + port}
}

// The rows are the rows of docs/identity.md about names.
func TestNames_AsInCluster(t *testing.T) {
	shop := manifesttest.Read(t, manifesttest.Shop)
	own := func(pair [2]string) [2]string { // a NetworkPolicy omits the policy's own namespace
		return [2]string{
			strings.Replace(pair[0], ",namespaceSelector:{matchLabels:{kubernetes.io/metadata.name:web}}", "", 1),
			pair[1],
		}
	}
	for _, tt := range []struct {
		reason, dialled string
		port            uint16
		manifests       *manifest.Set
		namespace       string
		want            [2]string
		notice          string
	}{
		{"a Service in a namespace", "orders-db.shop", 5432, shop, "web", pods("db", "shop", "5432"), ""},
		{"a pod with its namespace", "orders-db-0.orders-db.shop", 5432, shop, "web", pods("db", "shop", "5432"), ""},
		{"a pod with .svc", "orders-db-0.orders-db.shop.svc", 5432, shop, "web", pods("db", "shop", "5432"), ""},
		{"the usual domain", "orders-db.shop.svc.cluster.local", 5432, shop, "web", pods("db", "shop", "5432"), ""},
		{
			"another domain, which the manifests tell", "orders-db.shop.svc.k8s.example.com", 5432, shop, "web",
			pods("db", "shop", "5432"), "",
		},
		{
			"another domain, which the option tells", "orders-db.shop.svc.k8s.acme.io", 5432, nil, "web",
			pods("orders-db", "shop", "5432"), "",
		},
		{
			"another domain, which nothing tells", "orders-db.shop.svc.k8s.example.com", 5432, nil, "web",
			external("orders-db.shop.svc.k8s.example.com", "5432"),
			"",
		},
		{"a domain of no host", "orders-db.shop.svc.k8s.internal", 5432, nil, "web", pods("orders-db", "shop", "5432"), ""},
		{
			"one label: the caller's namespace, of two that have it",
			"redis", 6379, shop, "web", own(pods("cache", "web", "6379")), "",
		},
		{"the same from another namespace", "redis", 6379, shop, "shop", [2]string{
			pods("redis", "", "6379")[0], pods("redis", "shop", "6379")[1]}, ""},
		{"one label that only another namespace has", "orders-db", 5432, shop, "web", pods("db", "shop", "5432"),
			"orders-db was looked up as a single label, which in a pod means namespace web, but Service orders-db in " +
				"namespace shop"},
		{"a pod of the caller's namespace", "orders-db-0.orders-db", 5432, shop, "shop", [2]string{
			pods("db", "", "5432")[0], pods("db", "shop", "5432")[1]}, ""},
		{"a namespace without that Service", "orders-db.web", 5432, shop, "web", external("orders-db.web", "5432"), ""},
		{"without manifests, a host", "orders-db.shop", 5432, nil, "web", external("orders-db.shop", "5432"), ""},
		{"a host that is called as a Service", "redis.io", 443, shop, "web", external("redis.io", "443"), ""},
		{"ExternalName to a Service", "basket", 6379, shop, "web", pods("redis", "shop", "6379"), ""},
		{"the same by all of its name", "basket.web.svc.cluster.local", 6379, shop, "web", pods("redis", "shop", "6379"), ""},
		{"ExternalName to a host", "payments.web", 443, shop, "web", external("api.stripe.com", "443"), ""},
		{"ExternalName to a Service elsewhere", "search", 9200, shop, "web", pods("search", "other", "9200"), ""},
		{
			"a Service without a selector", "legacy.web", 80, shop, "web",
			[2]string{"[{ipBlock:{cidr:10.20.0.7/32}}] 8080", "[{cidr:10.20.0.7/32}] 8080"},
			"",
		},
	} {
		o := Options{Manifests: tt.manifests, Namespace: tt.namespace, ClusterDomains: []string{"k8s.acme.io"}}
		identity := endpoint.New(endpoint.Config{ClusterDomains: o.ClusterDomains}).Named(tt.dialled)
		kubernetes, ciliums, notices := peersOf(t, o, flow.Flow{
			Destination: identity.Endpoint, Protocol: flow.TCP, Port: tt.port,
		})
		for i, got := range [][]string{kubernetes, ciliums} {
			dns := []string{kubernetesDNS, ciliumDNS}[i]
			if len(got) != 2 || !slices.Contains(got, tt.want[i]) || !slices.Contains(got, dns) {
				t.Errorf("%s: %s:%d from namespace %q is\n%s\nwant\n%s\n%s", tt.reason, tt.dialled, tt.port, tt.namespace,
					strings.Join(got, "\n"), tt.want[i], dns)
			}
		}
		noticed := slices.ContainsFunc(notices, func(n string) bool { return strings.Contains(n, tt.notice) })
		if tt.notice != "" && !noticed {
			t.Errorf("%s: the notices are %q, want %q", tt.reason, notices, tt.notice)
		}
	}
}

// A server of the test may stand for a host on the internet, or for pods.
func TestNames_PeersForThirdParties(t *testing.T) {
	shop := manifesttest.Read(t, manifesttest.Shop)
	for _, tt := range []struct {
		reason, name string
		manifests    *manifest.Set
		want         [2]string
		asks         bool
	}{
		{"a third party", "api.stripe.com:443", nil, external("api.stripe.com", "443"), false},
		{"one of whom manifests know nothing", "api.stripe.com:443", shop, external("api.stripe.com", "443"), false},
		{"pods of a namespace, which the manifests know", "redis.shop:6379", shop, pods("redis", "shop", "6379"), false},
		{"the same without manifests", "redis.shop.svc:6379", nil, pods("redis", "shop", "6379"), false},
		{
			"what has the form of a Service's name is a host all the same",
			"redis.shop:6379", nil, external("redis.shop", "6379"), true,
		},
		{"pods of the caller's namespace", "search:9200", nil, pods("search", "", "9200"), false},
		{"a Service's name for a host", "payments.web:443", shop, external("api.stripe.com", "443"), false},
	} {
		peer, err := endpoint.ParsePeer("127.0.0.1:43121", tt.name)
		if err != nil {
			t.Errorf("%s: %v", tt.reason, err)
			continue
		}
		peers, err := endpoint.NewPeers(peer)
		if err != nil {
			t.Fatal(err)
		}
		identity := endpoint.New(endpoint.Config{Self: os.Getpid(), Peers: peers}).Identify(endpoint.Query{
			PID: os.Getpid(), Protocol: flow.TCP, Addr: netip.MustParseAddr("127.0.0.1"), Port: 43121,
		})
		if identity.Ephemeral || identity.Relation != endpoint.Other {
			t.Errorf("%s: %+v", tt.reason, identity)
		}
		o := Options{Manifests: tt.manifests}
		kubernetes, ciliums, notices := peersOf(t, o, flow.Flow{
			Destination: identity.Endpoint, Protocol: flow.TCP, Port: identity.Port,
		})
		if want := "for pods write \"" + strings.Replace(tt.name, ":", ".svc:", 1); tt.asks != (len(notices) > 0 &&
			strings.Contains(notices[0], want)) {
			t.Errorf("%s: the notices are %q", tt.reason, notices)
		}
		for i, got := range [][]string{kubernetes, ciliums} {
			dns := []string{kubernetesDNS, ciliumDNS}[i]
			if len(got) != 2 || !slices.Contains(got, tt.want[i]) || !slices.Contains(got, dns) {
				t.Errorf("%s: Peer(…, %q) is\n%s\nwant\n%s\n%s", tt.reason, tt.name, strings.Join(got, "\n"), tt.want[i], dns)
			}
		}
	}
}

// If two objects have one name, the object in the caller's namespace counts. Its manifest may omit the namespace, as
// most rendered charts do.
func TestNames_CallersNamespaceFirst(t *testing.T) {
	set := manifesttest.Read(t,
		`{apiVersion: v1, kind: Service, metadata: {name: db}, spec: {selector: {app: own}, ports: [{port: 5432}]}}
---
{apiVersion: v1, kind: Service, metadata: {name: db, namespace: shop},
  spec: {selector: {app: shops}, ports: [{port: 5432}]}}
`)
	for dialled, want := range map[string][2]string{
		"db": {pods("own", "", "5432")[0], pods("own", "web", "5432")[1]}, "db.shop": pods("shops", "shop", "5432"),
	} {
		o := Options{Manifests: set, Namespace: "web"}
		identity := endpoint.New(endpoint.Config{}).Named(dialled)
		kubernetes, ciliums, _ := peersOf(t, o, flow.Flow{Destination: identity.Endpoint, Protocol: flow.TCP, Port: 5432})
		if !slices.Contains(kubernetes, want[0]) || !slices.Contains(ciliums, want[1]) {
			t.Errorf("%s is %q and %q, want %q", dialled, kubernetes, ciliums, want)
		}
	}
}

// The rule has the dialled port of a Service without a selector, and no other port.
func TestServices_DialledPort(t *testing.T) {
	set := manifesttest.Read(t, `{apiVersion: v1, kind: Service, metadata: {name: legacy, namespace: web},
  spec: {ports: [{name: http, port: 80}, {name: admin, port: 9000}]}}
---
{apiVersion: v1, kind: Endpoints, metadata: {name: legacy, namespace: web},
  subsets: [{addresses: [{ip: 10.2.0.1}], ports: [{name: http, port: 8080}, {name: admin, port: 8443}]}]}
`)
	o := Options{Manifests: set, Namespace: "web"}
	result, err := Place(recording.Recording{Flows: []flow.Flow{
		{Source: flow.Endpoint{Kind: flow.Workload, Name: "checkout", Namespace: "web"},
			Destination: flow.Endpoint{Kind: flow.Workload, Name: "legacy", Namespace: "web"}, Protocol: flow.TCP, Port: 80},
	}}, o)
	placed := result.Flows
	if err != nil || len(placed) != 1 || placed[0].Port != 8080 ||
		placed[0].Destination.Addr != netip.MustParseAddr("10.2.0.1") {
		t.Errorf("%v, %v", placed, err)
	}
}

func TestResolvers_Rules(t *testing.T) {
	addressOf := func(port string) [2]string {
		return [2]string{"[{ipBlock:{cidr:169.254.20.10/32}}] " + port, "[{cidr:169.254.20.10/32}] " + port}
	}
	usual := [2]string{kubernetesDNS, ciliumDNS}
	openshift := [2]string{
		"[{podSelector:{matchLabels:{dns.operator.openshift.io/daemonset-dns:default}}," +
			"namespaceSelector:{matchLabels:{kubernetes.io/metadata.name:openshift-dns}}}] 5353",
		"[{matchLabels:{k8s:dns.operator.openshift.io/daemonset-dns:default," +
			"k8s:io.kubernetes.pod.namespace:openshift-dns}}] 5353",
	}
	kube := policy.Resolver{Namespace: "kube-system", Labels: map[string]string{"k8s-app": "kube-dns"}}
	node := policy.Resolver{Addresses: netip.MustParsePrefix("169.254.20.10/32")}
	for _, tt := range []struct {
		reason    string
		resolvers []policy.Resolver
		want      [][2]string
	}{
		{"the usual one", nil, [][2]string{usual}},
		{"GKE Autopilot", []policy.Resolver{kube, node}, [][2]string{usual, addressOf("53")}},
		{"OpenShift", []policy.Resolver{{
			Namespace: "openshift-dns", Ports: []uint16{5353},
			Labels: map[string]string{"dns.operator.openshift.io/daemonset-dns": "default"},
		}}, [][2]string{openshift}},
	} {
		o := Options{Rules: policy.Scope{Resolvers: tt.resolvers}}
		search := flow.Flow{Destination: flow.Endpoint{Kind: flow.Workload, Name: "search"}, Protocol: flow.TCP, Port: 9200}
		kubernetes, ciliums, _ := peersOf(t, o, search)
		for i, got := range [][]string{kubernetes, ciliums} {
			if len(got) != len(tt.want)+1 {
				t.Errorf("%s: the rules are\n%s\nwant %d for DNS and one more", tt.reason, strings.Join(got, "\n"), len(tt.want))
			}
			for _, want := range tt.want {
				if !slices.Contains(got, want[i]) {
					t.Errorf("%s: the rules are\n%s\nwant one that is\n%s", tt.reason, strings.Join(got, "\n"), want[i])
				}
			}
		}
	}
}

func TestNames_ClusterName(t *testing.T) {
	shop := manifesttest.Read(t, manifesttest.Shop)
	for _, tt := range []struct {
		reason, name string
		options      Options
		want         string // the workload's namespace; "" for a host
	}{
		{"a Service's full name", "orders-db.shop.svc.cluster.local", Options{}, "shop"},
		{
			"a cluster's domain that is given", "orders-db.shop.svc.k8s.acme.io",
			Options{ClusterDomains: []string{"k8s.acme.io"}},
			"shop",
		},
		{"a pod's name", "orders-db-0.orders-db.shop.svc", Options{}, "shop"},
		{"what the manifests know", "orders-db.shop", Options{Manifests: shop}, "shop"},
		{"a pod that they know", "orders-db-0.orders-db.shop", Options{Manifests: shop}, "shop"},
		{"a pod of the test's namespace", "orders-db-0.orders-db", Options{Manifests: shop, Namespace: "shop"}, "shop"},
		{"a third party", "api.stripe.com", Options{Manifests: shop}, ""},
	} {
		got, known := tt.options.ClusterName(tt.name)
		if !known && tt.want == "" {
			continue
		}
		if want := (flow.Endpoint{Kind: flow.Workload, Name: "orders-db", Namespace: tt.want}); !known || got != want {
			t.Errorf("%s: %q is %+v, %t, want %+v", tt.reason, tt.name, got, known, want)
		}
	}
}
