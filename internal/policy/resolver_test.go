package policy

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/netzero-dev/netzero/internal/cilium"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

var (
	nodeLocal = Resolver{Addresses: netip.MustParsePrefix("169.254.20.10/32")}
	openShift = Resolver{Namespace: "openshift-dns", Labels: map[string]string{"dns.operator.openshift.io/daemonset-dns": "default"}, Ports: []uint16{5353}}
)

func egressPolicy(t *testing.T, annotation, rules string) []*networkingv1.NetworkPolicy {
	t.Helper()
	p := new(networkingv1.NetworkPolicy)
	text := "metadata: {name: checkout, annotations: {" + annotation + "}}\n" +
		"spec: {podSelector: {matchLabels: {app: checkout}}, policyTypes: [Egress], egress: [" + rules + "]}"
	if err := yaml.UnmarshalStrict([]byte(text), p); err != nil {
		t.Fatalf("%s: %v", rules, err)
	}
	return []*networkingv1.NetworkPolicy{p}
}

func ciliumEgressOnly(t *testing.T, rules string) ciliumPolicies {
	t.Helper()
	p := new(cilium.NetworkPolicy)
	text := "apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata: {name: checkout}\n" +
		"spec: {endpointSelector: {matchLabels: {app: checkout}}, egress: [" + rules + "]}"
	if err := yaml.UnmarshalStrict([]byte(text), p); err != nil {
		t.Fatalf("%s: %v", rules, err)
	}
	return ciliumPolicies{p}
}

// TestFormsThatLetDNSThrough holds what people write where DNS is not, or not only, in pods labelled kube-dns.
func TestFormsThatLetDNSThrough(t *testing.T) {
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
		want          Outcome
	}{
		{"the usual rule", "{to: [{" + inSystem + ", " + kubeDNS + "}], " + both + "}", Allowed},
		{"no ports", "{to: [{" + inSystem + ", " + kubeDNS + "}]}", Allowed},
		{"named ports", "{to: [{" + inSystem + ", " + kubeDNS + "}], " + named + "}", Allowed},
		{"a range of ports", "{to: [{" + inSystem + ", " + kubeDNS + "}], " + ranges + "}", Allowed},
		{"a namespace by the label that people gave it", "{to: [{" + byName + "}], " + both + "}", Allowed},
		{"narrower: its pods", "{to: [{" + byName + ", " + kubeDNS + "}], " + both + "}", Allowed},
		{"a distribution's own labels", "{to: [{" + inSystem + ", podSelector: {matchLabels: {app.kubernetes.io/name: rke2-coredns}}}]}", Allowed},
		{"pods of NodeLocal DNSCache, without ports", "{to: [{" + inSystem + ", podSelector: {matchLabels: {k8s-app: node-local-dns}}}]}", Allowed},
		{"two of them, by an expression",
			"{to: [{" + inSystem + ", podSelector: {matchExpressions: [{key: k8s-app, operator: In, values: [coredns, node-local-dns]}]}}]}", Allowed},
		{"NodeLocal's address", "{to: [{ipBlock: {cidr: 169.254.20.10/32}}], " + both + "}", Allowed},
		{"without ports", "{to: [{ipBlock: {cidr: 169.254.20.10/32}}]}", Allowed},
		{"with a range of ports", "{to: [{ipBlock: {cidr: 169.254.20.10/32}}], " + ranges + "}", Allowed},
		{"link-local addresses", "{to: [{ipBlock: {cidr: 169.254.0.0/16}}]}", Allowed},
		{"Kubespray's address", "{to: [{ipBlock: {cidr: 169.254.25.10/32}}]}", Allowed},
		{"the metadata server of GKE with Cloud DNS", "{to: [{ipBlock: {cidr: 169.254.169.254/32}}], " + both + "}", Allowed},
		{"the resolver's Service", "{to: [{ipBlock: {cidr: 10.96.0.10/32}}], " + both + "}", Allowed},
		{"OpenShift's pods", "{to: [{" + openshift + ", podSelector: {matchLabels: {dns.operator.openshift.io/daemonset-dns: default}}}], " +
			"ports: [{port: 5353, protocol: UDP}, {port: 5353, protocol: TCP}]}", Allowed},
		{"without ports", "{to: [{" + openshift + "}]}", Allowed},
		{"by the names of their ports", "{to: [{" + openshift + "}], " + named + "}", Allowed},
		{"by a range", "{to: [{" + openshift + "}], " + high + "}", Allowed},
		{"anywhere", "{" + both + "}", Allowed},

		{"pods as the resolver's in the policy's own namespace", "{to: [{" + kubeDNS + "}], " + both + "}", Denied},
		{"all pods of the policy's own namespace", "{to: [{podSelector: {}}], " + both + "}", Denied},
		{"some pods of it, as a person who runs a resolver there says", "{to: [{podSelector: {matchLabels: {app: dnsmasq}}}], " + both + "}", Allowed},
		{"all pods of all namespaces", "{to: [{namespaceSelector: {}}], " + both + "}", Allowed},
		{"Docker's resolver, which no pod has", "{to: [{ipBlock: {cidr: 127.0.0.11/32}}], " + both + "}", Denied},
		{"the same without ports", "{to: [{" + kubeDNS + "}]}", Denied},
		{"in a namespace that is another", "{to: [{" + ns + "shop}}, " + kubeDNS + "}], " + both + "}", Denied},
		{"other pods of kube-system", "{to: [{" + inSystem + ", podSelector: {matchLabels: {app: metrics-server}}}]}", Denied},
		{"other ports of the resolver", "{to: [{" + inSystem + ", " + kubeDNS + "}], ports: [{port: 9153, protocol: TCP}]}", Denied},
		{"a range below", "{to: [{" + inSystem + ", " + kubeDNS + "}], ports: [{port: 1, endPort: 52, protocol: UDP}, {port: 1, endPort: 52}]}", Denied},
		{"addresses without NodeLocal's", "{to: [{ipBlock: {cidr: 10.0.0.0/8}}]}", Denied},
		{"addresses that except it", "{to: [{ipBlock: {cidr: 169.254.0.0/16, except: [169.254.16.0/20]}}]}", Denied},
		{"a namespace of its own name", "{to: [{" + ns + "shop}}}]}", Denied},
		{"UDP alone", "{to: [{" + inSystem + ", " + kubeDNS + "}], ports: [{port: 53, protocol: UDP}]}", Denied},
	} {
		policies := egressPolicy(t, "", tt.rules)
		got := Allowed
		for _, f := range []flow.Flow{udp(resolver(), 53), tcp(resolver(), 53)} {
			if v := alone(checkout).Evaluate(policies, f); v.Outcome != Allowed {
				got = v.Outcome
			}
		}
		if got != tt.want {
			t.Errorf("%s: %s is %s, want %s", tt.reason, tt.rules, got, tt.want)
		}
		if tt.want != Allowed {
			continue
		}
		merged := alone(checkout).Merge(policies, []flow.Flow{udp(resolver(), 53)})
		if diff := cmp.Diff(policies, merged); diff != "" {
			t.Errorf("%s: an update changes what works (-committed +merged):\n%s", tt.reason, diff)
		}
	}
	opened := "{to: [{ipBlock: {cidr: 0.0.0.0/0}}]}"
	if v := alone(checkout).Evaluate(egressPolicy(t, "netzero.dev/egress-names: \"api.stripe.com:443/TCP\"", opened), udp(resolver(), 53)); v.Outcome != Denied {
		t.Errorf("the internet for names is %s: %s", v.Outcome, v.Reason)
	}
}

func TestCiliumFormsThatLetDNSThrough(t *testing.T) {
	const (
		inSystem = "k8s:io.kubernetes.pod.namespace: kube-system"
		byName   = "k8s:io.cilium.k8s.namespace.labels.name: kube-system"
		both     = "toPorts: [{ports: [{port: \"53\", protocol: ANY}]}]"
		ranges   = "toPorts: [{ports: [{port: \"1\", endPort: 1024, protocol: ANY}]}]"
	)
	for _, tt := range []struct {
		reason, rules string
		want          Outcome
	}{
		{"the usual rule", "{toEndpoints: [{matchLabels: {" + inSystem + ", k8s:k8s-app: kube-dns}}], " + both + "}", Allowed},
		{"no ports", "{toEndpoints: [{matchLabels: {" + inSystem + ", k8s:k8s-app: kube-dns}}]}", Allowed},
		{"a range", "{toEndpoints: [{matchLabels: {" + inSystem + ", k8s:k8s-app: kube-dns}}], " + ranges + "}", Allowed},
		{"a namespace by the label that people gave it", "{toEndpoints: [{matchLabels: {" + byName + ", k8s-app: kube-dns}}], " + both + "}", Allowed},
		{"pods of NodeLocal DNSCache", "{toEndpoints: [{matchLabels: {" + inSystem + ", k8s-app: node-local-dns}}]}", Allowed},
		{"the host, where it runs otherwise", "{toEntities: [host]}", Allowed},
		{"its address", "{toCIDR: [169.254.20.10/32]}", Allowed},
		{"OpenShift's pods, by their ports' names", "{toEndpoints: [{matchLabels: {k8s:io.kubernetes.pod.namespace: openshift-dns}}], " +
			"toPorts: [{ports: [{port: dns, protocol: UDP}, {port: dns-tcp, protocol: TCP}]}]}", Allowed},
		{"the cluster", "{toEntities: [cluster]}", Allowed},

		{"pods as the resolver's in the policy's own namespace", "{toEndpoints: [{matchLabels: {k8s-app: kube-dns}}], " + both + "}", Denied},
		{"all pods of the policy's own namespace", "{toEndpoints: [{}], " + both + "}", Denied},
		{"some pods of it", "{toEndpoints: [{matchLabels: {app: dnsmasq}}], " + both + "}", Allowed},
		{"all pods of all namespaces", "{toEndpoints: [{matchExpressions: [{key: k8s:io.kubernetes.pod.namespace, operator: Exists}]}], " + both + "}", Allowed},
		{"Docker's resolver, which no pod has", "{toCIDR: [127.0.0.11/32], " + both + "}", Denied},
		{"in a namespace that is another", "{toEndpoints: [{matchLabels: {k8s:io.kubernetes.pod.namespace: shop, k8s-app: kube-dns}}], " + both + "}", Denied},
		{"other pods of kube-system", "{toEndpoints: [{matchLabels: {" + inSystem + ", app: metrics-server}}]}", Denied},
		{"other addresses", "{toCIDR: [10.0.0.0/8]}", Denied},
		{"a name", "{toFQDNs: [{matchName: dns.example}]}", Denied},
	} {
		policies := ciliumEgressOnly(t, tt.rules)
		c := Cilium{alone(checkout)}
		got := Allowed
		for _, f := range []flow.Flow{udp(resolver(), 53), tcp(resolver(), 53)} {
			if v := c.Evaluate(policies, f); v.Outcome != Allowed {
				got = v.Outcome
			}
		}
		if got != tt.want {
			t.Errorf("%s: %s is %s, want %s", tt.reason, tt.rules, got, tt.want)
		}
		if tt.want != Allowed {
			continue
		}
		if diff := cmp.Diff(policies, c.Merge(policies, []flow.Flow{udp(resolver(), 53)})); diff != "" {
			t.Errorf("%s: an update changes what works (-committed +merged):\n%s", tt.reason, diff)
		}
	}
}

// TestResolversThatTheUserNames is about what is written where the cluster's DNS is elsewhere.
func TestResolversThatTheUserNames(t *testing.T) {
	flows := []flow.Flow{tcp(external("api.stripe.com", "203.0.113.9"), 443)}
	for _, tt := range []struct {
		reason            string
		places            []Resolver
		kubernetes, cnp   []string // texts that the policies hold, besides
		others            []string // rules that do not do in such a cluster
		hand, ciliumsHand string   // rules that do
	}{
		{"OpenShift", []Resolver{openShift},
			[]string{"port: 5353\n      protocol: UDP", "dns.operator.openshift.io/daemonset-dns: default", "kubernetes.io/metadata.name: openshift-dns"},
			[]string{"port: \"5353\"\n        protocol: ANY\n      rules:\n        dns:", "k8s:dns.operator.openshift.io/daemonset-dns: default"},
			[]string{"kube-dns", "port: 53\n", "port: \"53\""},
			"{to: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: openshift-dns}}}]}",
			"{toEndpoints: [{matchLabels: {k8s:io.kubernetes.pod.namespace: openshift-dns}}]}"},
		{"GKE Autopilot", []Resolver{clustersResolver, nodeLocal},
			[]string{"port: 53\n      protocol: UDP", "k8s-app: kube-dns", "cidr: 169.254.20.10/32"},
			[]string{"port: \"53\"\n        protocol: ANY\n      rules:\n        dns:", "k8s:k8s-app: kube-dns", "cidr: 169.254.20.10/32"},
			nil, "{ports: [{port: 53, protocol: UDP}, {port: 53, protocol: TCP}]}", "{toPorts: [{ports: [{port: \"53\"}]}]}"},
		{"addresses only", []Resolver{nodeLocal},
			[]string{"cidr: 169.254.20.10/32"}, []string{"cidr: 169.254.20.10/32"}, []string{"kube-dns"},
			"{to: [{ipBlock: {cidr: 169.254.0.0/16}}]}", "{toEntities: [host]}"},
	} {
		scope := alone(checkout)
		scope.Resolvers = tt.places
		resolversOf(t, tt.reason, kubernetesOf(scope), kubernetesOf(alone(checkout)), flows, tt.kubernetes, tt.others)
		resolversOf(t, tt.reason, ciliumOf(Cilium{scope}), ciliumOf(Cilium{alone(checkout)}), flows, tt.cnp, tt.others)
		asked := udp(resolver(), 53)
		if v := scope.Evaluate(egressPolicy(t, "", tt.hand), asked); v.Outcome != Allowed {
			t.Errorf("%s: %s is %s: %s", tt.reason, tt.hand, v.Outcome, v.Reason)
		}
		if v := (Cilium{scope}).Evaluate(ciliumEgressOnly(t, tt.ciliumsHand), asked); v.Outcome != Allowed {
			t.Errorf("%s: %s is %s: %s", tt.reason, tt.ciliumsHand, v.Outcome, v.Reason)
		}
	}
}

func resolversOf[P metav1.Object](t *testing.T, reason string, in, usual inBoth[P], flows []flow.Flow, want, others []string) {
	t.Helper()
	generated := in.generate(flows...)
	text, err := yaml.Marshal(generated[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range want {
		if !strings.Contains(string(text), w) {
			t.Errorf("%s: there is no %q in\n%s", reason, w, text)
		}
	}
	for _, w := range others {
		if strings.Contains(string(text), w) {
			t.Errorf("%s: there is %q in\n%s", reason, w, text)
		}
	}
	for _, f := range append(flows, udp(resolver(), 53), tcp(resolver(), 53)) {
		if v := in.evaluate(generated, f); v.Outcome != Allowed {
			t.Errorf("%s: %s is %s: %s", reason, f.Target(), v.Outcome, v.Reason)
		}
	}
	if unused := in.unused(generated, flows...); len(unused) > 0 {
		t.Errorf("%s: unused: %q", reason, unused)
	}
	if diff := cmp.Diff(generated, in.merge(generated, flows...)); diff != "" {
		t.Errorf("%s: an update changes what was generated (-generated +merged):\n%s", reason, diff)
	}
	before := usual.generate(flows...) // without the option
	if v := in.evaluate(before, udp(resolver(), 53)); v.Outcome != Denied {
		t.Errorf("%s: the usual rule is %s, and so an update would never write the other: %s", reason, v.Outcome, v.Reason)
	}
	if diff := cmp.Diff(generated, in.merge(before, flows...)); diff != "" {
		t.Errorf("%s: an update of the usual rule (-generated +merged):\n%s", reason, diff)
	}
}

// TestAllPodsOfANamespace: a peer without labels is for the policy's own namespace, and the resolver is seldom there.
func TestAllPodsOfANamespace(t *testing.T) {
	for _, tt := range []struct {
		namespace string
		resolver  Resolver
		want      Outcome
	}{
		{"", Resolver{}, Denied},
		{"shop", Resolver{}, Denied},
		{"kube-system", Resolver{}, Allowed},
		{"shop", Resolver{Namespace: "shop", Labels: map[string]string{"app": "dnsmasq"}}, Allowed},
		{"shop", Resolver{Namespace: "infra", Labels: map[string]string{"app": "dnsmasq"}}, Denied},
		{"shop", Resolver{Addresses: netip.MustParsePrefix("169.254.20.10/32")}, Denied},
	} {
		subject := Workload{Name: "checkout", Namespace: tt.namespace}
		scope := alone(subject)
		if len(tt.resolver.Labels) > 0 || tt.resolver.Addresses.IsValid() {
			scope.Resolvers = []Resolver{tt.resolver}
		}
		f := from(subject, toPort(resolver(), flow.UDP, 53))[0]
		policies := egressPolicy(t, "", "{to: [{podSelector: {}}], ports: [{port: 53, protocol: UDP}]}")
		ciliums := ciliumEgressOnly(t, "{toEndpoints: [{}], toPorts: [{ports: [{port: \"53\", protocol: UDP}]}]}")
		policies[0].Namespace, ciliums[0].Namespace = tt.namespace, tt.namespace
		if v := scope.Evaluate(policies, f); v.Outcome != tt.want {
			t.Errorf("in namespace %q with %s: %s: %s, want %s", tt.namespace, tt.resolver, v.Outcome, v.Reason, tt.want)
		}
		if v := (Cilium{scope}).Evaluate(ciliums, f); v.Outcome != tt.want {
			t.Errorf("Cilium, in namespace %q with %s: %s: %s, want %s", tt.namespace, tt.resolver, v.Outcome, v.Reason, tt.want)
		}
	}
}
