package networkpolicy

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	networkingv1 "k8s.io/api/networking/v1"
)

// The union is minimal: no part of it is redundant.
func TestUnite_HasNoDuplicates(t *testing.T) {
	for _, c := range []struct{ reason, a, b, want string }{
		{
			"one rule to a peer", toCache, strings.Replace(toCache, "6379", "9121", 1),
			strings.Replace(
				toCache, "[{port: 6379, protocol: TCP}", "[{port: 6379, protocol: TCP}, {port: 9121, protocol: TCP}", 1,
			),
		},
		{
			"a port in a range", toCache,
			strings.Replace(toCache, "port: 6379", "port: 6000, endPort: 7000", 1),
			strings.Replace(toCache, "port: 6379", "port: 6000, endPort: 7000", 1),
		},
		{
			"a port among all", toCache,
			"  - {to: [{podSelector: {matchLabels: {app: cache}}}]}\n",
			"  - {to: [{podSelector: {matchLabels: {app: cache}}}]}\n",
		},
		{
			"some pods among all", toCache,
			strings.Replace(toCache, "{app: cache}", "{}", 1),
			strings.Replace(toCache, "{matchLabels: {app: cache}}", "{}", 1),
		},
		{"fewer labels are more pods", strings.Replace(toCache, "app: cache", "app: cache, tier: a", 1), toCache, toCache},
		{
			"an address in a range", toServer,
			strings.Replace(toServer, "203.0.113.9/32", "203.0.113.0/24", 1),
			strings.Replace(toServer, "203.0.113.9/32", "203.0.113.0/24", 1),
		},
		{
			"but not one that it excepts", toServer,
			strings.Replace(toServer, "203.0.113.9/32", "203.0.113.0/24, except: [203.0.113.8/30]", 1),
			toServer + strings.Replace(toServer, "203.0.113.9/32", "203.0.113.0/24, except: [203.0.113.8/30]", 1),
		},
		{
			"a peer of two",
			strings.Replace(toCache, "to: [", "to: [{ipBlock: {cidr: 10.0.0.0/8}}, ", 1),
			toCache,
			toCache + strings.Replace(
				toCache, "to: [{podSelector: {matchLabels: {app: cache}}}]", "to: [{ipBlock: {cidr: 10.0.0.0/8}}]", 1,
			),
		},
		{"everything", toCache + toDNS, "  - {}\n", toDNS + "  - {}\n"},
		{"the same twice", toCache + toCache, toCache, toCache},
	} {
		got, err := Unite(parse(t, header+c.a), parse(t, header+c.b))
		if err != nil {
			t.Fatal(err)
		}
		want, err := Unite(parse(t, header+c.want))
		if err != nil {
			t.Fatal(err)
		}
		count := func(p []*networkingv1.NetworkPolicy) int { return len(p[0].Spec.Egress) }
		diff := cmp.Diff(toYAML(t, want[0]), toYAML(t, got[0]))
		if diff != "" || count(want) != count(parse(t, header+c.want)) {
			t.Errorf("%s (-want +got):\n%s", c.reason, diff)
		}
	}
}

func TestUnite_Conflicts(t *testing.T) {
	named := func(metadata, selector string) []*networkingv1.NetworkPolicy {
		return parse(t, "metadata: {"+metadata+"}\nspec: {podSelector: {"+selector+"}, policyTypes: [Egress]}\n")
	}
	shop := named("name: shop", "matchLabels: {app: shop}")
	for _, c := range []struct {
		reason string
		other  []*networkingv1.NetworkPolicy
		want   string
	}{
		{
			"other pods",
			named("name: shop", "matchLabels: {app: web}"),
			"policy shop selects app=shop and app=web: give one of the two workloads another name",
		},
		{
			"another namespace",
			named("name: shop, namespace: prod", "matchLabels: {app: shop}"),
			"policy shop is in no namespace and in namespace prod: give them one namespace, or two names",
		},
		{
			"another annotation",
			named("name: shop, annotations: {team: b}", "matchLabels: {app: shop}"),
			`policy shop has the annotation team with "a" and with "b": keep one`,
		},
		{
			"the same pods in other words, and other names",
			append(named("name: shop", "matchLabels: {app: shop}"), named("name: web", "matchLabels: {app: web}")...),
			"",
		},
	} {
		shop[0].Annotations = map[string]string{"team": "a"}
		_, err := Unite(shop, c.other)
		if got := fmt.Sprint(err); c.want == "" && err != nil || c.want != "" && got != c.want {
			t.Errorf("%s: %v, want %s", c.reason, err, c.want)
		}
	}
}

// Rules of a direction that is not among their policy's types have no effect. A union drops them.
func TestUnite_RemovesRulesWithoutPolicyType(t *testing.T) {
	idle := parse(t, strings.Replace(header, "policyTypes: [Egress]", "policyTypes: [Ingress]", 1)+"  - {}\n")
	if idle[0].Spec.PolicyTypes[0] != networkingv1.PolicyTypeIngress {
		t.Fatal("the header has changed")
	}
	for _, sets := range [][][]*networkingv1.NetworkPolicy{
		{idle, parse(t, header+toCache)}, {parse(t, header+toCache), idle},
	} {
		got, err := Unite(sets...)
		if err != nil {
			t.Fatal(err)
		}
		if n := len(got[0].Spec.Egress); n != 1 || len(got[0].Spec.Egress[0].To) == 0 {
			t.Errorf("the union has %d rules:\n%s", n, toYAML(t, got[0]))
		}
	}
}
