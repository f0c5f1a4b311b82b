package cluster

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/netzero-dev/netzero/internal/recording"
)

// shared is the cluster of all tests of this package, which run one after the other.
var shared = sync.OnceValues(func() (*Cluster, error) {
	programs, err := Build(".", os.Stderr)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "netzero-cluster-")
	if err != nil {
		return nil, err
	}
	files = dir
	return Start(context.Background(), dir, programs)
})

// files is the directory of the shared cluster; empty until it starts.
var files string

func TestMain(m *testing.M) {
	code := m.Run()
	if files != "" {
		if c, err := shared(); err == nil {
			if err := c.Close(); err != nil {
				fmt.Fprintln(os.Stderr, err)
				code = 1
			}
		}
		if err := os.RemoveAll(files); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

func theCluster(t *testing.T) *Cluster {
	t.Helper()
	c, err := shared()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// replay replays a scenario, and fails the test if a connection does not have the expected verdict.
func replay(t *testing.T, s Scenario) {
	t.Helper()
	began := time.Now()
	report, err := theCluster(t).Replay(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d connections passed, %d were denied, in %s", report.Passed, report.Denied,
		time.Since(began).Round(time.Millisecond))
	for _, flow := range report.NotMade {
		t.Logf("not made: %s", flow)
	}
	for _, wrong := range report.Wrong {
		t.Error(wrong)
	}
	if report.Passed == 0 && len(s.Flows) > len(report.NotMade) {
		t.Error("no connection passed")
	}
}

// shop is a scenario with three workloads. Another team operates one of them.
var shop = Scenario{
	Policies: `
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: cart, namespace: shop}
spec:
  podSelector: {matchLabels: {app: cart}}
  policyTypes: [Egress, Ingress]
  ingress:
  - from: [{podSelector: {matchLabels: {app: web}}}]
    ports: [{port: 8080, protocol: TCP}]
  egress:
  - to:
    - namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: data}}
      podSelector: {matchLabels: {app: redis}}
    ports: [{port: 6379, protocol: TCP}]
  - to:
    - ipBlock:
        cidr: 0.0.0.0/0
        except: [10.0.0.0/8, 100.64.0.0/10, 127.0.0.0/8, 169.254.0.0/16, 172.16.0.0/12, 192.168.0.0/16]
    - ipBlock: {cidr: '::/0', except: ['::1/128', 'fc00::/7', 'fe80::/10']}
    ports: [{port: 443, protocol: TCP}]
  - ports: [{port: 6443, protocol: TCP}]
  - to:
    - namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: kube-system}}
      podSelector: {matchLabels: {k8s-app: kube-dns}}
    ports: [{port: 53, protocol: TCP}, {port: 53, protocol: UDP}]
`,
	Manifests: `
apiVersion: v1
kind: Service
metadata: {name: cart, namespace: shop}
spec: {selector: {app: cart}, ports: [{port: 80, targetPort: http}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: cart, namespace: shop}
spec:
  template:
    metadata: {labels: {app: cart}}
    spec: {containers: [{name: cart, ports: [{name: http, containerPort: 8080}]}]}
`,
	Workloads: []recording.Workload{{Namespace: "shop", Name: "cart", AllTraffic: true}},
	Flows: []recording.Flow{
		{Source: pods("shop", "web"), Destination: pods("shop", "cart"), Port: 8080, Protocol: "TCP"},
		{Source: pods("shop", "cart"), Destination: pods("data", "redis"), Port: 6379, Protocol: "TCP"},
		{
			Source:      pods("shop", "cart"),
			Destination: recording.Endpoint{Kind: recording.KindExternal, Name: "api.stripe.com"}, Port: 443, Protocol: "TCP",
		},
		{Source: pods("shop", "cart"), Destination: recording.Endpoint{Kind: recording.KindAPIServer}, Port: 443,
			Protocol: "TCP"},
	},
}

func pods(namespace, name string) recording.Endpoint {
	return recording.Endpoint{Kind: recording.KindWorkload, Namespace: namespace, Name: name}
}

func TestReplay_Shop(t *testing.T) { replay(t, shop) }

// TestReplay_BrokenPolicies breaks the shop's policies in one place each. The replay has to detect each of them.
func TestReplay_BrokenPolicies(t *testing.T) {
	c := theCluster(t)
	c.patience = time.Second // most of the expected connections fail
	defer func() { c.patience = patience }()
	for _, broken := range []struct{ name, right, wrong string }{
		{"label of a destination", "app: redis", "app: redys"},
		{"label of a destination, left out", "podSelector: {matchLabels: {app: redis}}", "podSelector: {}"},
		{"label of a release", "matchLabels: {app: redis}", "matchLabels: {app: redis, pod-template-hash: 5d4f8c1}"},
		{"label of a caller", "app: web", "app: wed"},
		{"namespace", "kubernetes.io/metadata.name: data", "kubernetes.io/metadata.name: date"},
		{"port", "port: 6379", "port: 6380"},
		{"port of a Service in place of its pods'", "port: 8080", "port: 80"},
		{"ports, left out", "    ports: [{port: 6379, protocol: TCP}]\n", ""},
		{"range of ports", "{port: 6379, protocol: TCP}",
			"{port: 6379, endPort: 65535, protocol: TCP}, {port: 6380, protocol: UDP}"},
		{"protocol", "{port: 6379, protocol: TCP}", "{port: 6379, protocol: UDP}"},
		{"DNS", "k8s-app: kube-dns", "k8s-app: coredns"},
		{"DNS over UDP", "{port: 53, protocol: TCP}, {port: 53, protocol: UDP}", "{port: 53, protocol: TCP}"},
		{"DNS over TCP", "{port: 53, protocol: TCP}, {port: 53, protocol: UDP}", "{port: 53, protocol: UDP}"},
		{"API server", "  - ports: [{port: 6443, protocol: TCP}]\n", ""},
		{"API server, as pods", "  - ports: [{port: 6443", "  - to: [{namespaceSelector: {}}]\n    ports: [{port: 6443"},
		{"internet with private addresses", "10.0.0.0/8, ", ""},
		{"internet of one family", "    - ipBlock: {cidr: '::/0', except: ['::1/128', 'fc00::/7', 'fe80::/10']}\n", ""},
		{"ingress for all", "  - from: [{podSelector: {matchLabels: {app: web}}}]\n    ports", "  - ports"},
		{"egress for all", "  egress:\n", "  egress:\n  - {}\n"},
		{"no pods selected", "podSelector: {matchLabels: {app: cart}}", "podSelector: {matchLabels: {app: card}}"},
	} {
		t.Run(broken.name, func(t *testing.T) {
			s := shop
			s.Policies = strings.Replace(s.Policies, broken.right, broken.wrong, 1)
			if s.Policies == shop.Policies {
				t.Fatalf("the shop's policies have no %q", broken.right)
			}
			report, err := c.Replay(t.Context(), s)
			if err != nil {
				t.Fatal(err)
			}
			if len(report.Wrong) == 0 {
				t.Errorf("nothing was wrong with\n%s", s.Policies)
			}
			t.Log(strings.Join(report.Wrong, "\n"))
		})
	}
}
