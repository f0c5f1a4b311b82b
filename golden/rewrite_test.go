package golden

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	networkingv1 "k8s.io/api/networking/v1"
)

var testHeader = Header{Test: "TestCheckout", Command: "go test . -run '^TestCheckout$' -update"}

func TestRewrite_Kubernetes(t *testing.T) {
	header := testHeader.String()
	refund := strings.ReplaceAll(writtenYAML, "checkout", "refund")
	checkout6432 := strings.ReplaceAll(writtenYAML, "5432", "6432")
	mine := strings.ReplaceAll(lines("# keep: ask Ada", writtenYAML+"# until here"), "checkout", "mine")
	reordered := `kind: NetworkPolicy   # the human's own
apiVersion: networking.k8s.io/v1
metadata: {name: checkout}
spec:
  policyTypes: [Egress]
  podSelector: {matchLabels: {app: checkout}}
  egress:
  - to: [{podSelector: {matchLabels: {app: orders-db}}}]
    ports: [{port: 5432}, {port: 5432, protocol: TCP, endPort: 5432}]
`
	for _, c := range []struct {
		reason   string
		text     string
		policies []Policy
		want     string
	}{
		{"the same", header + writtenYAML, list(policy("checkout", 5432)), header + writtenYAML},
		{"the same in other words", reordered, list(policy("checkout", 5432)), reordered},
		{"the same with Windows line ends", strings.ReplaceAll(writtenYAML, "\n", "\r\n"), list(policy("checkout", 5432)),
			strings.ReplaceAll(writtenYAML, "\n", "\r\n")},
		{"the same with an older command", Header{Test: "TestCheckout", Command: "make"}.String() + writtenYAML,
			list(policy("checkout", 5432)), Header{Test: "TestCheckout", Command: "make"}.String() + writtenYAML},
		{"the same, recorded by another test", Header{Test: "TestOther", Command: "make"}.String() + writtenYAML,
			list(policy("checkout", 5432)), header + writtenYAML},
		{"another port", header + writtenYAML, list(policy("checkout", 6432)), header + checkout6432},
		{"another port, in the order of older files", header + checkoutYAML, list(policy("checkout", 6432)),
			header + strings.ReplaceAll(checkoutYAML, "5432", "6432")},
		{"another port, in other words", reordered, list(policy("checkout", 6432)),
			header + strings.Replace(reordered, "[{port: 5432}, {port: 5432, protocol: TCP, endPort: 5432}]",
				"[{port: 6432, protocol: TCP}]", 1)},
		{"without a header", writtenYAML, list(policy("checkout", 6432)), header + checkout6432},
		{"a comment before the policy stays",
			"# mine\n" + Header{Test: "TestOther", Command: "make"}.String() + "\n# mine too\n" + writtenYAML,
			list(policy("checkout", 6432)),
			header + "# mine\n\n# mine too\n" + checkout6432},
		{"comments around stay", header + writtenYAML + "# after\n\n# more\n--- # next\n# before\n" + refund,
			list(policy("checkout", 6432), policy("refund", 1)),
			header + checkout6432 + "# after\n\n# more\n--- # next\n# before\n" + strings.ReplaceAll(refund, "5432", "1")},
		{"somebody's own policy stays as it is", header + mine + "---\n" + writtenYAML, list(policy("checkout", 6432)),
			header + mine + "---\n" + checkout6432},
		{"a header line in somebody's comment later on", header + writtenYAML + "---\n# test: of mine\n" + mine,
			list(policy("checkout", 6432)),
			header + checkout6432 + "---\n# test: of mine\n" + mine},
		{"a new policy comes last", header + mine, list(policy("checkout", 5432)), header + mine + "---\n" + writtenYAML},
		{"new policies are sorted", header + mine, list(policy("refund", 5432), policy("checkout", 5432)),
			header + mine + "---\n" + writtenYAML + "---\n" + refund},
		{"no line end before a new policy", strings.TrimSuffix(mine, "\n"), list(policy("checkout", 5432)),
			header + mine + "---\n" + writtenYAML},
		{"a separator before a new policy", mine + "---\n# empty\n", list(policy("checkout", 5432)),
			header + mine + "---\n# empty\n" + writtenYAML},
		{"an end marker before a new policy", mine + "...\n", list(policy("checkout", 5432)),
			header + mine + "...\n---\n" + writtenYAML},
		{"an empty file", "", list(policy("checkout", 5432)), header + writtenYAML},
		{"a file of comments", "# to be recorded", list(policy("checkout", 5432)),
			header + "# to be recorded\n" + writtenYAML},
		{"nothing recorded", mine, nil, mine},
		{"Windows line ends and a byte order mark", "\ufeff" + strings.ReplaceAll(mine+"---\n"+writtenYAML, "\n", "\r\n"),
			list(policy("checkout", 6432)),
			header + mine + "---\n" + checkout6432},
		{"one name in two namespaces",
			writtenYAML + "---\n" + strings.Replace(writtenYAML, "metadata:\n", "metadata:\n  namespace: shop\n", 1),
			list(inNamespace("shop", policy("checkout", 6432))),
			header + writtenYAML + "---\n" + strings.Replace(checkout6432, "metadata:\n", "metadata:\n  namespace: shop\n", 1)},
		{"an annotation whose text looks like comments", writtenYAML[:strings.Index(writtenYAML, "spec:")] +
			"  annotations:\n    a: |\n      x\n      # y\nspec: {podSelector: {}}\n", list(policy("checkout", 5432)),
			header + writtenYAML[:strings.Index(
				writtenYAML, "spec:",
			)] + "spec: {podSelector: {matchLabels: {app: checkout}}, policyTypes: [Egress], " +
				"egress: [{to: [{podSelector: {matchLabels: {app: orders-db}}}], ports: [{port: 5432, protocol: TCP}]}]}\n"},
	} {
		got, err := mustParse(t, c.text).Rewrite(testHeader, c.policies)
		if err != nil {
			t.Errorf("%s: %v", c.reason, err)
			continue
		}
		if diff := cmp.Diff(c.want, string(got)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.reason, diff)
		}
		again, err := mustParse(t, string(got)).Rewrite(testHeader, c.policies)
		if err != nil || string(again) != string(got) {
			t.Errorf("%s: the second time it is different (%v):\n%s", c.reason, err, cmp.Diff(string(got), string(again)))
		}
	}
}

func TestRewrite_FormattedFileUnchanged(t *testing.T) {
	policies := list(policy("b", 2, 1), inNamespace("a", policy("c", 3)), policy("a"))
	text, err := Format(testHeader, policies)
	if err != nil {
		t.Fatal(err)
	}
	got, err := mustParse(t, string(text)).Rewrite(testHeader, policies)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(text), string(got)); diff != "" {
		t.Errorf("(-formatted +rewritten):\n%s", diff)
	}
	// The human's file after an update is the file that a new recording would have written.
	fromOld, err := mustParse(t, string(text)).Rewrite(testHeader,
		list(policy("b", 1), inNamespace("a", policy("c", 4)), policy("a", 7)))
	if err != nil {
		t.Fatal(err)
	}
	fresh, err := Format(testHeader, list(policy("b", 1), inNamespace("a", policy("c", 4)), policy("a", 7)))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(fresh), string(fromOld)); diff != "" {
		t.Errorf("(-formatted +rewritten):\n%s", diff)
	}
}

func TestSame_Kubernetes(t *testing.T) {
	change := func(f func(*networkingv1.NetworkPolicy)) *networkingv1.NetworkPolicy {
		p := policy("a", 1, 2)
		f(p)
		return p
	}
	for _, c := range []struct {
		reason string
		other  *networkingv1.NetworkPolicy
		want   bool
	}{
		{"nothing changed", policy("a", 1, 2), true},
		{"order of rules", policy("a", 2, 1), true},
		{"a rule twice", policy("a", 1, 2, 1), true},
		{"default protocol", change(func(p *networkingv1.NetworkPolicy) { p.Spec.Egress[0].Ports[0].Protocol = nil }), true},
		{"range of one port", change(func(p *networkingv1.NetworkPolicy) {
			one := int32(1)
			p.Spec.Egress[0].Ports[0].EndPort = &one
		}), true},
		{"what the server fills in", change(func(p *networkingv1.NetworkPolicy) { p.UID = "x" }), true},
		{"an empty list",
			change(func(p *networkingv1.NetworkPolicy) { p.Spec.Ingress = []networkingv1.NetworkPolicyIngressRule{} }), true},
		{"another type", change(func(p *networkingv1.NetworkPolicy) {
			p.Spec.PolicyTypes = append(p.Spec.PolicyTypes, networkingv1.PolicyTypeIngress)
		}), false},
		{"the default types isolate for ingress too",
			change(func(p *networkingv1.NetworkPolicy) { p.Spec.PolicyTypes = nil }), false},
		{"a rule more", policy("a", 1, 2, 3), false},
		{"a rule for everything", change(func(p *networkingv1.NetworkPolicy) {
			p.Spec.Egress = append(p.Spec.Egress, networkingv1.NetworkPolicyEgressRule{})
		}), false},
		{"a range", change(func(p *networkingv1.NetworkPolicy) {
			two := int32(2)
			p.Spec.Egress[0].Ports[0].EndPort = &two
		}), false},
		{"no peers", change(func(p *networkingv1.NetworkPolicy) { p.Spec.Egress[0].To = nil }), false},
		{"another label", change(func(p *networkingv1.NetworkPolicy) { p.Spec.PodSelector.MatchLabels["x"] = "y" }), false},
		{"an annotation", withAnnotation(policy("a", 1, 2), "x", "y"), false},
		{"another namespace", inNamespace("x", policy("a", 1, 2)), false},
	} {
		if got := same(policy("a", 1, 2), c.other); got != c.want {
			t.Errorf("%s: same is %v", c.reason, got)
		}
		if got := Diff(list(policy("a", 1, 2)), list(c.other)) == ""; got != c.want {
			t.Errorf("%s: the diff is empty: %v", c.reason, got)
		}
	}
}
