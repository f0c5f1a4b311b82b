package golden

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/netzero-dev/netzero/internal/cilium"
)

const ciliumYAML = `apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata:
  name: checkout
spec:
  egress:
  - toEndpoints:
    - matchLabels:
        k8s:io.kubernetes.pod.namespace: kube-system
        k8s:k8s-app: kube-dns
    toPorts:
    - ports:
      - port: "53"
        protocol: ANY
      rules:
        dns:
        - matchPattern: '*'
  - toFQDNs:
    - matchName: api.stripe.com
    toPorts:
    - ports:
      - port: "443"
        protocol: TCP
  endpointSelector:
    matchLabels:
      k8s:app: checkout
`

// writtenCilium is the same policy as it is written.
const writtenCilium = `apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata:
  name: checkout
spec:
  endpointSelector:
    matchLabels:
      k8s:app: checkout
  egress:
  - toEndpoints:
    - matchLabels:
        k8s:io.kubernetes.pod.namespace: kube-system
        k8s:k8s-app: kube-dns
    toPorts:
    - ports:
      - port: "53"
        protocol: ANY
      rules:
        dns:
        - matchPattern: '*'
  - toFQDNs:
    - matchName: api.stripe.com
    toPorts:
    - ports:
      - port: "443"
        protocol: TCP
`

func TestRead_Cilium(t *testing.T) {
	read, err := Parse("x.yaml", []byte(ciliumYAML))
	if err != nil {
		t.Fatal(err)
	}
	if len(read.Policies) != 1 || read.Dialect != Cilium {
		t.Fatalf("%d policies, dialect %q", len(read.Policies), read.Dialect)
	}
	text, err := Format(Header{}, read.Policies)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Header{}.String()+writtenCilium, string(text)); diff != "" {
		t.Errorf("text (-want +got):\n%s", diff)
	}
}

func TestRead_InvalidCilium(t *testing.T) {
	for _, c := range []struct{ reason, old, new, want string }{
		{"several rules in one policy would be left out of the verdict", "spec:\n", "specs: []\nspec:\n", "specs"},
		{"a protocol is missing or has a name", "protocol: TCP", "protocol: \"\"", "protocol: is empty"},
		{"a policy is for pods, and says for which", "  endpointSelector:\n    matchLabels:\n      k8s:app: checkout\n", "",
			"spec.endpointSelector: missing"},
		{"a policy is for pods, and nothing is none of them",
			"  endpointSelector:\n    matchLabels:\n      k8s:app: checkout\n", "  endpointSelector:\n",
			"spec.endpointSelector: missing"},
		{"a policy for nodes is not for pods", "spec:\n", "spec:\n  nodeSelector: {}\n", "spec.nodeSelector"},
		{"which pods a Service has, a recording does not know", "  - toFQDNs:",
			"  - toServices: [{k8sService: {serviceName: x}}]\n    toFQDNs:", "spec.egress[1].toServices"},
		{"nodes have labels that no recording knows", "  - toFQDNs:", "  - toNodes: [{}]\n    toFQDNs:",
			"spec.egress[1].toNodes"},
		{"groups are those of a cloud", "  - toFQDNs:", "  - toGroups: [{aws: {}}]\n    toFQDNs:", "spec.egress[1].toGroups"},
		{"what must be required of peers is no longer in Cilium", "  - toFQDNs:", "  - toRequires: [{}]\n    toFQDNs:",
			"spec.egress[1].toRequires"},
		{"whether a peer authenticates, no recording knows", "  - toFQDNs:",
			"  - authentication: {mode: required}\n    toFQDNs:", "spec.egress[1].authentication"},
		{"a group of ranges is in another object", "toFQDNs:\n    - matchName: api.stripe.com",
			"toCIDRSet:\n    - cidrGroupRef: partners", "spec.egress[1].toCIDRSet[0].cidrGroupRef"},
		{"TLS server names are not compared", "    toPorts:\n    - ports:",
			"    toPorts:\n    - serverNames: [a]\n      ports:", "spec.egress[0].toPorts[0].serverNames"},
		{"an entity has a field of its own", "toFQDNs:\n    - matchName: api.stripe.com",
			"toEndpoints:\n    - matchLabels: {\"reserved:host\": \"\"}", "write the entity"},
		{"nobody knows the service accounts of pods", "toFQDNs:\n    - matchName: api.stripe.com",
			"toEndpoints:\n    - matchExpressions: [{key: \"k8s:io.cilium.k8s.policy.serviceaccount\", operator: Exists}]",
			"service account"},
		{"a rule that denies has no names", "spec:\n", "spec:\n  egressDeny:\n  - toFQDNs: [{matchName: a.example}]\n",
			"a deny rule cannot have names"},
		{"a rule that denies reads no lookups", "spec:\n",
			"spec:\n  egressDeny:\n  - toPorts: [{ports: [{port: \"53\"}], rules: {dns: [{matchPattern: \"*\"}]}}]\n",
			"a deny rule cannot have DNS rules"},
		{"two ways to write ranges are two kinds of peer", "toFQDNs:\n    - matchName: api.stripe.com",
			"toCIDR: [203.0.113.0/24]\n    toCIDRSet: [{cidr: 203.0.113.0/24}]", "toCIDR and toCIDRSet"},
		{"a range has a length", "toFQDNs:\n    - matchName: api.stripe.com", "toCIDR: [203.0.113.7]", "not a CIDR"},
		{"headers could hold a token, and are not recorded", "rules:\n        dns:\n        - matchPattern: '*'",
			"rules:\n        http:\n        - headers: [\"Authorization: x\"]", "spec.egress[0].toPorts[0]"},
		{"an empty list selects nothing here and everything there", "  endpointSelector:",
			"  - toEndpoints: []\n  endpointSelector:", "is an empty list"},
		{"a port is a string", "\"443\"", "443", "is a number, want a string"},
		{"a protocol is upper case", "protocol: TCP", "protocol: tcp", "protocol"},
		{"a range that ends before it begins", "\"443\"", "\"443\"\n        endPort: 80", "is below port 443"},
		{"two kinds of peer in one rule", "  - toFQDNs:", "  - toCIDRSet:\n    - cidr: 203.0.113.0/24\n    toFQDNs:",
			"toCIDRSet and toFQDNs"},
		{"an IPv4 range as IPv6", "toFQDNs:\n    - matchName: api.stripe.com", "toCIDRSet:\n    - cidr: ::ffff:192.0.2.0/120",
			"written as IPv6"},
		{"host bits", "toFQDNs:\n    - matchName: api.stripe.com", "toCIDRSet:\n    - cidr: 2001:db8::7/32", "host bits"},
		{"an entity that does not exist", "toFQDNs:\n    - matchName: api.stripe.com", "toEntities: [internet]",
			"Unsupported value"},
	} {
		text := strings.Replace(ciliumYAML, c.old, c.new, 1)
		if text == ciliumYAML {
			t.Errorf("%s: nothing was replaced", c.reason)
		}
		if _, err := Parse("x.yaml", []byte(text)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", c.reason, err, c.want)
		}
	}
}

func TestRead_MixedDialects(t *testing.T) {
	for _, text := range []string{
		ciliumYAML + "---\n" + strings.ReplaceAll(checkoutYAML, "checkout", "refund"),
		strings.ReplaceAll(checkoutYAML, "checkout", "refund") + "---\n" + ciliumYAML,
	} {
		if _, err := Parse("x.yaml", []byte(text)); err == nil ||
			!strings.Contains(err.Error(), "after one of another kind") {
			t.Errorf("error %v", err)
		}
	}
}

func TestRewrite_OtherDialect(t *testing.T) {
	file := mustParse(t, ciliumYAML)
	for _, name := range []string{"checkout", "refund"} {
		_, err := file.Rewrite(Header{}, list(policy(name, 5432)))
		want := "rewrite golden x.yaml: policies of two dialects: CiliumNetworkPolicy checkout, NetworkPolicy " + name
		if err == nil || err.Error() != want {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}

func TestDiff_CiliumOrder(t *testing.T) {
	a, b := parsed(t, ciliumYAML), parsed(t, ciliumYAML)
	rules := b.Spec.Egress
	rules[0], rules[1] = rules[1], rules[0]
	rules[0].ToFQDNs[0].MatchName = "API.stripe.com."
	rules[1].ToPorts[0].Ports[0].Protocol = ""
	if diff := Diff(list(a), list(b)); diff != "" {
		t.Errorf("differs:\n%s", diff)
	}
	rules[0].ToFQDNs = append(rules[0].ToFQDNs, cilium.FQDN{MatchName: "hooks.slack.com"})
	diff := Diff(list(a), list(b))
	if !strings.Contains(diff, "+    - matchName: hooks.slack.com") {
		t.Errorf("another name is no difference:\n%s", diff)
	}
}

func parsed(t *testing.T, text string) *CiliumNetworkPolicy {
	t.Helper()
	read, err := Parse("x.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return read.Policies[0].(*CiliumNetworkPolicy)
}

func TestRewrite_CiliumKeepsOtherText(t *testing.T) {
	text := "# mine\n" + ciliumYAML + "---\n# the other team's\n" + strings.ReplaceAll(ciliumYAML, "checkout", "refund")
	read, err := Parse("x.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	p := read.Policies[0].(*CiliumNetworkPolicy).DeepCopy()
	p.Spec.Egress = append(p.Spec.Egress,
		cilium.EgressRule{ToEndpoints: []metav1.LabelSelector{{MatchLabels: map[string]string{"k8s:app": "db"}}}})
	got, err := read.Rewrite(Header{}, list(p))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"# mine", "# the other team's", "k8s:app: db", "k8s:app: refund"} {
		if !strings.Contains(string(got), want) {
			t.Errorf("%q is gone:\n%s", want, got)
		}
	}
}
