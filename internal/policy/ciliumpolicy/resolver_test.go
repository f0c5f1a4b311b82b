package ciliumpolicy

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

func TestResolver_HandWrittenCiliumRules(t *testing.T) {
	const (
		inSystem = "k8s:io.kubernetes.pod.namespace: kube-system"
		byName   = "k8s:io.cilium.k8s.namespace.labels.name: kube-system"
		both     = "toPorts: [{ports: [{port: \"53\", protocol: ANY}]}]"
		ranges   = "toPorts: [{ports: [{port: \"1\", endPort: 1024, protocol: ANY}]}]"
	)
	for _, tt := range []struct {
		reason, rules string
		want          policy.Outcome
	}{
		{
			"the usual rule",
			"{toEndpoints: [{matchLabels: {" + inSystem + ", k8s:k8s-app: kube-dns}}], " + both + "}",
			policy.Allowed,
		},
		{"no ports", "{toEndpoints: [{matchLabels: {" + inSystem + ", k8s:k8s-app: kube-dns}}]}", policy.Allowed},
		{
			"a range",
			"{toEndpoints: [{matchLabels: {" + inSystem + ", k8s:k8s-app: kube-dns}}], " + ranges + "}",
			policy.Allowed,
		},
		{
			"a namespace by the label that people gave it",
			"{toEndpoints: [{matchLabels: {" + byName + ", k8s-app: kube-dns}}], " + both + "}",
			policy.Allowed,
		},
		{
			"pods of NodeLocal DNSCache",
			"{toEndpoints: [{matchLabels: {" + inSystem + ", k8s-app: node-local-dns}}]}",
			policy.Allowed,
		},
		{"the host, where it runs otherwise", "{toEntities: [host]}", policy.Allowed},
		{"its address", "{toCIDR: [169.254.20.10/32]}", policy.Allowed},
		{
			"OpenShift's pods, by their ports' names",
			"{toEndpoints: [{matchLabels: {k8s:io.kubernetes.pod.namespace: openshift-dns}}], " +
				"toPorts: [{ports: [{port: dns, protocol: UDP}, {port: dns-tcp, protocol: TCP}]}]}",
			policy.Allowed,
		},
		{"the cluster", "{toEntities: [cluster]}", policy.Allowed},

		{
			"pods as the resolver's in the policy's own namespace",
			"{toEndpoints: [{matchLabels: {k8s-app: kube-dns}}], " + both + "}",
			policy.Denied,
		},
		{"all pods of the policy's own namespace", "{toEndpoints: [{}], " + both + "}", policy.Denied},
		{"some pods of it", "{toEndpoints: [{matchLabels: {app: dnsmasq}}], " + both + "}", policy.Allowed},
		{
			"all pods of all namespaces",
			"{toEndpoints: [{matchExpressions: [{key: k8s:io.kubernetes.pod.namespace, operator: Exists}]}], " + both + "}",
			policy.Allowed,
		},
		{"Docker's resolver, which no pod has", "{toCIDR: [127.0.0.11/32], " + both + "}", policy.Denied},
		{
			"in a namespace that is another",
			"{toEndpoints: [{matchLabels: {k8s:io.kubernetes.pod.namespace: shop, k8s-app: kube-dns}}], " + both + "}",
			policy.Denied,
		},
		{
			"other pods of kube-system",
			"{toEndpoints: [{matchLabels: {" + inSystem + ", app: metrics-server}}]}",
			policy.Denied,
		},
		{"other addresses", "{toCIDR: [10.0.0.0/8]}", policy.Denied},
		{"a name", "{toFQDNs: [{matchName: dns.example}]}", policy.Denied},
	} {
		policies := ciliumEgressOnly(t, tt.rules)
		c := Dialect{alone(checkout)}
		got := policy.Allowed
		for _, f := range []flow.Flow{udp(resolver(), 53), tcp(resolver(), 53)} {
			if v := c.Evaluate(policies, f); v.Outcome != policy.Allowed {
				got = v.Outcome
			}
		}
		if got != tt.want {
			t.Errorf("%s: %s is %s, want %s", tt.reason, tt.rules, got, tt.want)
		}
		if tt.want != policy.Allowed {
			continue
		}
		if diff := cmp.Diff(policies, c.Merge(policies, []flow.Flow{udp(resolver(), 53)})); diff != "" {
			t.Errorf("%s: an update changes what works (-committed +merged):\n%s", tt.reason, diff)
		}
	}
}
