package policy_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/internal/policy/ciliumpolicy"
	"github.com/netzero-dev/netzero/internal/policy/networkpolicy"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

var (
	nodeLocal = policy.Resolver{Addresses: netip.MustParsePrefix("169.254.20.10/32")}
	openShift = policy.Resolver{
		Namespace: "openshift-dns",
		Labels:    map[string]string{"dns.operator.openshift.io/daemonset-dns": "default"},
		Ports:     []uint16{5353},
	}
)

// TestResolver_UserConfigured covers the generated rules if the cluster's DNS is elsewhere.
func TestResolver_UserConfigured(t *testing.T) {
	flows := []flow.Flow{tcp(external("api.stripe.com", "203.0.113.9"), 443)}
	for _, tt := range []struct {
		reason            string
		places            []policy.Resolver
		kubernetes, cnp   []string // further texts in the policies
		others            []string // rules that do not allow DNS in such a cluster
		hand, ciliumsHand string   // rules that do
	}{
		{"OpenShift", []policy.Resolver{openShift},
			[]string{
				"port: 5353\n      protocol: UDP",
				"dns.operator.openshift.io/daemonset-dns: default",
				"kubernetes.io/metadata.name: openshift-dns",
			},
			[]string{
				"port: \"5353\"\n        protocol: ANY\n      rules:\n        dns:",
				"k8s:dns.operator.openshift.io/daemonset-dns: default",
			},
			[]string{"kube-dns", "port: 53\n", "port: \"53\""},
			"{to: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: openshift-dns}}}]}",
			"{toEndpoints: [{matchLabels: {k8s:io.kubernetes.pod.namespace: openshift-dns}}]}"},
		{"GKE Autopilot", []policy.Resolver{policy.DefaultResolver, nodeLocal},
			[]string{"port: 53\n      protocol: UDP", "k8s-app: kube-dns", "cidr: 169.254.20.10/32"},
			[]string{
				"port: \"53\"\n        protocol: ANY\n      rules:\n        dns:",
				"k8s:k8s-app: kube-dns", "cidr: 169.254.20.10/32",
			},
			nil, "{ports: [{port: 53, protocol: UDP}, {port: 53, protocol: TCP}]}", "{toPorts: [{ports: [{port: \"53\"}]}]}"},
		{"addresses only", []policy.Resolver{nodeLocal},
			[]string{"cidr: 169.254.20.10/32"}, []string{"cidr: 169.254.20.10/32"}, []string{"kube-dns"},
			"{to: [{ipBlock: {cidr: 169.254.0.0/16}}]}", "{toEntities: [host]}"},
	} {
		scope := alone(checkout)
		scope.Resolvers = tt.places
		resolversOf(t, tt.reason, kubernetesOf(scope), kubernetesOf(alone(checkout)), flows, tt.kubernetes, tt.others)
		resolversOf(
			t, tt.reason, ciliumOf(ciliumpolicy.Dialect{Scope: scope}),
			ciliumOf(ciliumpolicy.Dialect{Scope: alone(checkout)}),
			flows, tt.cnp, tt.others,
		)
		lookup := udp(resolver(), 53)
		if v := (networkpolicy.Dialect{Scope: scope}).Evaluate(
			egressPolicy(t, "", tt.hand), lookup,
		); v.Outcome != policy.Allowed {
			t.Errorf("%s: %s is %s: %s", tt.reason, tt.hand, v.Outcome, v.Reason)
		}
		if v := (ciliumpolicy.Dialect{Scope: scope}).Evaluate(
			ciliumEgressOnly(t, tt.ciliumsHand), lookup,
		); v.Outcome != policy.Allowed {
			t.Errorf("%s: %s is %s: %s", tt.reason, tt.ciliumsHand, v.Outcome, v.Reason)
		}
	}
}

func resolversOf[P metav1.Object](
	t *testing.T, reason string, in, usual inBoth[P], flows []flow.Flow, want, others []string,
) {
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
		if v := in.evaluate(generated, f); v.Outcome != policy.Allowed {
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
	if v := in.evaluate(before, udp(resolver(), 53)); v.Outcome != policy.Denied {
		t.Errorf("%s: the usual rule is %s, and so an update would never write the other: %s", reason, v.Outcome, v.Reason)
	}
	if diff := cmp.Diff(generated, in.merge(before, flows...)); diff != "" {
		t.Errorf("%s: an update of the usual rule (-generated +merged):\n%s", reason, diff)
	}
}

// TestResolver_AllPodsOfNamespace covers a peer without labels: it means the policy's own namespace, where the resolver
// rarely runs.
func TestResolver_AllPodsOfNamespace(t *testing.T) {
	for _, tt := range []struct {
		namespace string
		resolver  policy.Resolver
		want      policy.Outcome
	}{
		{"", policy.Resolver{}, policy.Denied},
		{"shop", policy.Resolver{}, policy.Denied},
		{"kube-system", policy.Resolver{}, policy.Allowed},
		{"shop", policy.Resolver{Namespace: "shop", Labels: map[string]string{"app": "dnsmasq"}}, policy.Allowed},
		{"shop", policy.Resolver{Namespace: "infra", Labels: map[string]string{"app": "dnsmasq"}}, policy.Denied},
		{"shop", policy.Resolver{Addresses: netip.MustParsePrefix("169.254.20.10/32")}, policy.Denied},
	} {
		subject := policy.Workload{Name: "checkout", Namespace: tt.namespace}
		scope := alone(subject)
		if len(tt.resolver.Labels) > 0 || tt.resolver.Addresses.IsValid() {
			scope.Resolvers = []policy.Resolver{tt.resolver}
		}
		f := from(subject, toPort(resolver(), flow.UDP, 53))[0]
		policies := egressPolicy(t, "", "{to: [{podSelector: {}}], ports: [{port: 53, protocol: UDP}]}")
		ciliums := ciliumEgressOnly(t, "{toEndpoints: [{}], toPorts: [{ports: [{port: \"53\", protocol: UDP}]}]}")
		policies[0].Namespace, ciliums[0].Namespace = tt.namespace, tt.namespace
		if v := (networkpolicy.Dialect{Scope: scope}).Evaluate(policies, f); v.Outcome != tt.want {
			t.Errorf("in namespace %q with %s: %s: %s, want %s", tt.namespace, tt.resolver, v.Outcome, v.Reason, tt.want)
		}
		if v := (ciliumpolicy.Dialect{Scope: scope}).Evaluate(ciliums, f); v.Outcome != tt.want {
			t.Errorf("Cilium, in namespace %q with %s: %s: %s, want %s", tt.namespace, tt.resolver, v.Outcome, v.Reason, tt.want)
		}
	}
}
