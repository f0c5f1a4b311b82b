package golden

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestFormat_Kubernetes(t *testing.T) {
	header := Header{Test: "TestCheckout/refund",
		Command: `go test example.com/shop/payments -run '^TestCheckout$/^refund$' -update`}
	denyAll := inNamespace("shop", policy("deny", []int{}...))
	denyAll.CreationTimestamp = metav1.Now()
	denyAll.UID, denyAll.ResourceVersion = "1-2-3", "7"
	allowAll := policy("allow")
	allowAll.Spec.PodSelector = metav1.LabelSelector{}
	allowAll.Spec.Egress = []networkingv1.NetworkPolicyEgressRule{{}}
	want := lines(
		"# Recorded by netzerotest; edit it as you like: what counts is what the policy allows, not its text.",
		"# test: TestCheckout/refund",
		"# accept: go test example.com/shop/payments -run '^TestCheckout$/^refund$' -update",
		"apiVersion: networking.k8s.io/v1", "kind: NetworkPolicy", "metadata:", "  name: allow", "spec:",
		"  podSelector: {}", "  policyTypes:", "  - Egress", "  egress:", "  - {}",
		"---",
	) + writtenYAML + lines(
		"---",
		"apiVersion: networking.k8s.io/v1", "kind: NetworkPolicy", "metadata:", "  name: deny", "  namespace: shop", "spec:",
		"  podSelector:", "    matchLabels:", "      app: deny", "  policyTypes:", "  - Egress",
	)
	for range 3 { // the order of the arguments does not matter
		got, err := Format(header, list(denyAll, allowAll, policy("checkout", 5432)))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, string(got)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
	if denyAll.UID == "" {
		t.Error("Format changed the policy that it was given")
	}
}

func TestFormat_StringsStayStrings(t *testing.T) {
	p := policy("n", 1)
	p.Annotations, p.Labels = map[string]string{}, map[string]string{}
	for i, s := range []string{"n", "y", "yes", "on", "off", "1", "012", "0x10", "1e3", "1_000", "1:30", "null", "~", "",
		"=", "<<", "true", ".inf", "2001-01-01", "#x", "x: y", "- x", "*x", "&x", "!x", "|", "%x", "é", " x ", "x\n", "---",
		"--- x\n---\n", "...\n<<<<<<< x\n"} {
		p.Annotations[fmt.Sprint("example.com/", i)] = s
	}
	for _, s := range []string{"n", "y", "yes", "on", "off", "1", "012", "0x10", "1e3", "1_000", "null", "true",
		"2001-01-01"} {
		p.Labels[s] = s
	}
	text, err := Format(Header{}, list(p))
	if err != nil {
		t.Fatal(err)
	}
	got := mustParse(t, string(text)).Policies[0].(*networkingv1.NetworkPolicy).ObjectMeta
	if diff := cmp.Diff(p.ObjectMeta, got); diff != "" {
		t.Errorf("metadata (-written +read):\n%s\n%s", diff, text)
	}
}

func TestFormat_Errors(t *testing.T) {
	service := policy("x")
	service.Kind = "Service"
	for _, c := range []struct {
		reason   string
		policies []Policy
		want     string
	}{
		{"no policy", []Policy{nil}, "a policy is nil"},
		{"no policy behind the pointer", list[*networkingv1.NetworkPolicy](nil), "a policy is nil"},
		{"another type", list(&corev1.Pod{}), "a *v1.Pod is no policy: want a NetworkPolicy or a CiliumNetworkPolicy"},
		{"two dialects", append(list(policy("a")), &CiliumNetworkPolicy{ObjectMeta: metav1.ObjectMeta{Name: "b"}}),
			"policies of two dialects: NetworkPolicy a, CiliumNetworkPolicy b"},
		{"no name", list(policy("")), "a policy has no name"},
		{"one name twice", list(policy("a", 1), policy("b"), policy("a", 2)), "two policies are called a"},
		{"another kind", list(service), "policy x is  Service, not networking.k8s.io/v1 NetworkPolicy"},
		{"text that YAML cannot hold", list(withAnnotation(policy("x"), "a", "\xff")),
			"policy x would change when it is read back"},
		{"more than Read takes", list(withAnnotation(policy("x"), "a", strings.Repeat("x", MaxSize))), "more than 16 MiB"},
	} {
		text, err := Format(Header{}, c.policies)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q; text:\n%.200s", c.reason, err, c.want, text)
		}
		_, err = mustParse(t, "").Rewrite(Header{}, c.policies)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: Rewrite: error %v, want %q", c.reason, err, c.want)
		}
	}
}

func TestFormat_NoPolicies(t *testing.T) {
	text, err := Format(Header{Test: "TestA"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if f := mustParse(t, string(text)); len(f.Policies) != 0 || f.Header.Test != "TestA" {
		t.Errorf("read back as %+v", f)
	}
}
