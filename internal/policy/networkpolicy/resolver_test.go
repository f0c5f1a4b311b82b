package networkpolicy

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// TestResolver_HandWrittenRules covers hand-written rules for clusters with DNS outside of pods labelled kube-dns, or
// not only there.
func TestResolver_HandWrittenRules(t *testing.T) {
	const (
		ns        = "namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: "
		kubeDNS   = "podSelector: {matchLabels: {k8s-app: kube-dns}}"
		openshift = ns + "openshift-dns}}"
		inSystem  = ns + "kube-system}}"
		byName    = "namespaceSelector: {matchLabels: {name: kube-system}}"
		both      = "ports: [{port: 53, protocol: UDP}, {port: 53, protocol: TCP}]"
		named     = "ports: [{port: dns, protocol: UDP}, {port: dns-tcp, protocol: TCP}]"
		ranges    = "ports: [{port: 1, endPort: 1024, protocol: UDP}, {port: 1, endPort: 1024, protocol: TCP}]"
		high      = "ports: [{port: 5000, endPort: 6000, protocol: UDP}, {port: 5000, endPort: 6000, protocol: TCP}]"
	)
	for _, tt := range []struct {
		reason, rules string
		want          policy.Outcome
	}{
		{"the usual rule", "{to: [{" + inSystem + ", " + kubeDNS + "}], " + both + "}", policy.Allowed},
		{"no ports", "{to: [{" + inSystem + ", " + kubeDNS + "}]}", policy.Allowed},
		{"named ports", "{to: [{" + inSystem + ", " + kubeDNS + "}], " + named + "}", policy.Allowed},
		{"a range of ports", "{to: [{" + inSystem + ", " + kubeDNS + "}], " + ranges + "}", policy.Allowed},
		{"a namespace by the label that people gave it", "{to: [{" + byName + "}], " + both + "}", policy.Allowed},
		{"narrower: its pods", "{to: [{" + byName + ", " + kubeDNS + "}], " + both + "}", policy.Allowed},
		{
			"a distribution's own labels",
			"{to: [{" + inSystem + ", podSelector: {matchLabels: {app.kubernetes.io/name: rke2-coredns}}}]}",
			policy.Allowed,
		},
		{
			"pods of NodeLocal DNSCache, without ports",
			"{to: [{" + inSystem + ", podSelector: {matchLabels: {k8s-app: node-local-dns}}}]}",
			policy.Allowed,
		},
		{"two of them, by an expression",
			"{to: [{" + inSystem + ", podSelector: {matchExpressions: [{key: k8s-app, operator: In, " +
				"values: [coredns, node-local-dns]}]}}]}", policy.Allowed},
		{"NodeLocal's address", "{to: [{ipBlock: {cidr: 169.254.20.10/32}}], " + both + "}", policy.Allowed},
		{"without ports", "{to: [{ipBlock: {cidr: 169.254.20.10/32}}]}", policy.Allowed},
		{"with a range of ports", "{to: [{ipBlock: {cidr: 169.254.20.10/32}}], " + ranges + "}", policy.Allowed},
		{"link-local addresses", "{to: [{ipBlock: {cidr: 169.254.0.0/16}}]}", policy.Allowed},
		{"Kubespray's address", "{to: [{ipBlock: {cidr: 169.254.25.10/32}}]}", policy.Allowed},
		{
			"the metadata server of GKE with Cloud DNS",
			"{to: [{ipBlock: {cidr: 169.254.169.254/32}}], " + both + "}",
			policy.Allowed,
		},
		{"the resolver's Service", "{to: [{ipBlock: {cidr: 10.96.0.10/32}}], " + both + "}", policy.Allowed},
		{
			"OpenShift's pods",
			"{to: [{" + openshift + ", podSelector: {matchLabels: {dns.operator.openshift.io/daemonset-dns: default}}}], " +
				"ports: [{port: 5353, protocol: UDP}, {port: 5353, protocol: TCP}]}",
			policy.Allowed,
		},
		{"without ports", "{to: [{" + openshift + "}]}", policy.Allowed},
		{"by the names of their ports", "{to: [{" + openshift + "}], " + named + "}", policy.Allowed},
		{"by a range", "{to: [{" + openshift + "}], " + high + "}", policy.Allowed},
		{"anywhere", "{" + both + "}", policy.Allowed},

		{"pods as the resolver's in the policy's own namespace", "{to: [{" + kubeDNS + "}], " + both + "}", policy.Denied},
		{"all pods of the policy's own namespace", "{to: [{podSelector: {}}], " + both + "}", policy.Denied},
		{
			"some pods of it, as a person who runs a resolver there says",
			"{to: [{podSelector: {matchLabels: {app: dnsmasq}}}], " + both + "}",
			policy.Allowed,
		},
		{"all pods of all namespaces", "{to: [{namespaceSelector: {}}], " + both + "}", policy.Allowed},
		{"Docker's resolver, which no pod has", "{to: [{ipBlock: {cidr: 127.0.0.11/32}}], " + both + "}", policy.Denied},
		{"the same without ports", "{to: [{" + kubeDNS + "}]}", policy.Denied},
		{"in a namespace that is another", "{to: [{" + ns + "shop}}, " + kubeDNS + "}], " + both + "}", policy.Denied},
		{
			"other pods of kube-system",
			"{to: [{" + inSystem + ", podSelector: {matchLabels: {app: metrics-server}}}]}",
			policy.Denied,
		},
		{
			"other ports of the resolver",
			"{to: [{" + inSystem + ", " + kubeDNS + "}], ports: [{port: 9153, protocol: TCP}]}",
			policy.Denied,
		},
		{
			"a range below",
			"{to: [{" + inSystem + ", " + kubeDNS +
				"}], ports: [{port: 1, endPort: 52, protocol: UDP}, {port: 1, endPort: 52}]}",
			policy.Denied,
		},
		{"addresses without NodeLocal's", "{to: [{ipBlock: {cidr: 10.0.0.0/8}}]}", policy.Denied},
		{"addresses that except it", "{to: [{ipBlock: {cidr: 169.254.0.0/16, except: [169.254.16.0/20]}}]}", policy.Denied},
		{"a namespace of its own name", "{to: [{" + ns + "shop}}}]}", policy.Denied},
		{"UDP alone", "{to: [{" + inSystem + ", " + kubeDNS + "}], ports: [{port: 53, protocol: UDP}]}", policy.Denied},
	} {
		policies := egressPolicy(t, "", tt.rules)
		got := policy.Allowed
		for _, f := range []flow.Flow{udp(resolver(), 53), tcp(resolver(), 53)} {
			if v := (Dialect{alone(checkout)}).Evaluate(policies, f); v.Outcome != policy.Allowed {
				got = v.Outcome
			}
		}
		if got != tt.want {
			t.Errorf("%s: %s is %s, want %s", tt.reason, tt.rules, got, tt.want)
		}
		if tt.want != policy.Allowed {
			continue
		}
		merged := Dialect{alone(checkout)}.Merge(policies, []flow.Flow{udp(resolver(), 53)})
		if diff := cmp.Diff(policies, merged); diff != "" {
			t.Errorf("%s: an update changes what works (-committed +merged):\n%s", tt.reason, diff)
		}
	}
	opened := "{to: [{ipBlock: {cidr: 0.0.0.0/0}}]}"
	if v := (Dialect{alone(checkout)}).Evaluate(
		egressPolicy(t, "netzero.dev/egress-names: \"api.stripe.com:443/TCP\"", opened), udp(resolver(), 53),
	); v.Outcome != policy.Denied {
		t.Errorf("the internet for names is %s: %s", v.Outcome, v.Reason)
	}
}
