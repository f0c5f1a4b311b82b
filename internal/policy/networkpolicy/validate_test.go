package networkpolicy

import (
	"strings"
	"testing"
)

func TestValidate_NamesPolicyAndField(t *testing.T) {
	egress := func(rule string) string {
		return "metadata: {name: p}\nspec: {podSelector: {}, policyTypes: [Egress], egress: [" + rule + "]}"
	}
	annotation := func(list string) string {
		return "metadata: {name: p, annotations: {netzero.dev/egress-names: '" + list + "'}}\nspec: {podSelector: {}}"
	}
	for _, row := range []struct {
		reason, policy string
		field, message string // both "" if the policy is valid
	}{
		{
			"a policy with everything",
			egress(
				"{to: [{ipBlock: {cidr: 10.0.0.0/8, except: [10.1.0.0/16]}}, {podSelector: {}, namespaceSelector: {}}], " +
					"ports: [{port: http}, {port: 1, endPort: 65535, protocol: SCTP}, {port: 80, endPort: 80}, {protocol: UDP}]}",
			),
			"", "",
		},
		{"nothing but a name", "metadata: {name: p}\nspec: {podSelector: {}}", "", ""},
		{"an address of one's own is a range of one", egress("{to: [{ipBlock: {cidr: '2001:db8::1/128'}}]}"), "", ""},

		{
			"a CIDR that is none", egress("{to: [{ipBlock: {cidr: 10.0.0.0}}]}"), "spec.egress[0].to[0].ipBlock.cidr",
			"not a CIDR",
		},
		{
			"a range too long",
			egress("{to: [{ipBlock: {cidr: 10.0.0.0/33}}]}"),
			"spec.egress[0].to[0].ipBlock.cidr", "not a CIDR",
		},
		{"no CIDR", egress("{to: [{ipBlock: {cidr: ''}}]}"), "spec.egress[0].to[0].ipBlock.cidr", "not a CIDR"},
		{
			"an IPv6 address with the length of IPv4",
			egress("{to: [{ipBlock: {cidr: '2001:db8::1/32'}}]}"),
			"spec.egress[0].to[0].ipBlock.cidr",
			"host bits set: 2001:db8::/32 is the range, 2001:db8::1/128 the address",
		},
		{"host bits", egress("{to: [{ipBlock: {cidr: 10.0.0.1/8}}]}"), "spec.egress[0].to[0].ipBlock.cidr", "host bits set"},
		{
			"an IPv4 range in IPv6",
			egress("{to: [{ipBlock: {cidr: '::ffff:10.0.0.0/104'}}]}"),
			"spec.egress[0].to[0].ipBlock.cidr", "IPv4 range written as IPv6",
		},
		{
			"an except that is no CIDR",
			egress("{to: [{ipBlock: {cidr: 10.0.0.0/8, except: [x]}}]}"),
			"spec.egress[0].to[0].ipBlock.except[0]", "not a CIDR",
		},
		{
			"an except elsewhere",
			egress("{to: [{ipBlock: {cidr: 10.0.0.0/8, except: [10.1.0.0/16, 11.0.0.0/16]}}]}"),
			"spec.egress[0].to[0].ipBlock.except[1]", "not a part of 10.0.0.0/8",
		},
		{
			"an except around the range",
			egress("{to: [{ipBlock: {cidr: 10.0.0.0/8, except: [0.0.0.0/0]}}]}"),
			"spec.egress[0].to[0].ipBlock.except[0]", "not a part of",
		},
		{
			"an except that leaves nothing",
			egress("{to: [{ipBlock: {cidr: 10.0.0.0/8, except: [10.0.0.0/8]}}]}"),
			"spec.egress[0].to[0].ipBlock.except[0]", "not a part of",
		},
		{
			"an except of the other family",
			egress("{to: [{ipBlock: {cidr: 0.0.0.0/0, except: ['fc00::/7']}}]}"),
			"spec.egress[0].to[0].ipBlock.except[0]", "not a part of",
		},

		{
			"a range that ends before it starts", egress("{ports: [{port: 80, endPort: 79}]}"),
			"spec.egress[0].ports[0].endPort", "below port 80",
		},
		{
			"a range from a name",
			egress("{ports: [{port: http, endPort: 90}]}"),
			"spec.egress[0].ports[0].endPort", "a range cannot start with a named port",
		},
		{"a range from nowhere", egress("{ports: [{endPort: 90}]}"), "spec.egress[0].ports[0].endPort", "without a port"},
		{"a range to nowhere", egress("{ports: [{port: 1, endPort: 65536}]}"), "spec.egress[0].ports[0].endPort", "65535"},
		{"port 0", egress("{ports: [{port: 1}, {port: 0}]}"), "spec.egress[0].ports[1].port", "between 1 and 65535"},
		{"a port's name in upper case", egress("{ports: [{port: HTTP}]}"), "spec.egress[0].ports[0].port", "HTTP"},
		{"a number that YAML read as a string", egress("{ports: [{port: '80'}]}"), "spec.egress[0].ports[0].port", "80"},
		{
			"a protocol without ports", egress("{ports: [{protocol: ICMP}]}"), "spec.egress[0].ports[0].protocol",
			`supported values: "SCTP", "TCP", "UDP"`,
		},
		{
			"a protocol in lower case", egress("{ports: [{protocol: tcp, port: 1}]}"), "spec.egress[0].ports[0].protocol",
			"tcp",
		},

		{
			"a peer of two kinds",
			egress("{to: [{ipBlock: {cidr: 10.0.0.0/8}, podSelector: {}}]}"),
			"spec.egress[0].to[0]", "cannot be one peer",
		},
		{"a peer of none", egress("{to: [{}]}"), "spec.egress[0].to[0]", "a peer has"},
		{
			"a label that is none",
			egress("{to: [{podSelector: {matchLabels: {app: 'not a label'}}}]}"),
			"spec.egress[0].to[0].podSelector.matchLabels",
			"not a label",
		},
		{
			"an operator that is none",
			egress("{to: [{namespaceSelector: {matchExpressions: [{key: a, operator: Is}]}}]}"),
			"spec.egress[0].to[0].namespaceSelector.matchExpressions[0].operator",
			"Is",
		},
		{
			"an operator without values",
			"metadata: {name: p}\nspec: {podSelector: {matchExpressions: [{key: a, operator: In}]}}",
			"spec.podSelector.matchExpressions[0].values", "must be specified",
		},
		{
			"ingress is read as well",
			"metadata: {name: p}\nspec: {podSelector: {}, ingress: [{from: [{ipBlock: {cidr: x}}], ports: [{port: 1}]}]}",
			"spec.ingress[0].from[0].ipBlock.cidr", "not a CIDR",
		},
		{
			"and its ports",
			"metadata: {name: p}\nspec: {podSelector: {}, ingress: [{ports: [{port: 0}]}]}",
			"spec.ingress[0].ports[0].port", "65535",
		},

		{
			"a type that is none",
			"metadata: {name: p}\nspec: {podSelector: {}, policyTypes: [Egress, egress]}",
			"spec.policyTypes[1]", `supported values: "Egress", "Ingress"`,
		},
		{
			"more types than there are",
			"metadata: {name: p}\nspec: {podSelector: {}, policyTypes: [Egress, Ingress, Egress]}",
			"spec.policyTypes", "must have at most 2",
		},
		{"a name in upper case", "metadata: {name: Checkout}\nspec: {podSelector: {}}", "metadata.name", "RFC 1123"},
		{"no name", "metadata: {name: ''}\nspec: {podSelector: {}}", "metadata.name", "RFC 1123"},
		{
			"a namespace with a dot",
			"metadata: {name: p, namespace: a.b}\nspec: {podSelector: {}}",
			"metadata.namespace", "must not contain dots",
		},
		{
			"labels",
			"metadata: {name: p, labels: {app: 'not a label'}}\nspec: {podSelector: {}}",
			"metadata.labels", "not a label",
		},
		{
			"annotations",
			"metadata: {name: p, annotations: {'a b': c}}\nspec: {podSelector: {}}",
			"metadata.annotations", "a b",
		},
		{"names that can be read", annotation("*.blob.example:443/TCP, api.example:443/TCP"), "", ""},
		{
			"names that cannot", annotation("api.example:443/TCP,api.example"),
			"metadata.annotations[netzero.dev/egress-names]",
			`read name "api.example"`,
		},
	} {
		err := Validate(parse(t, row.policy)[0])
		switch {
		case row.field == "" && err != nil:
			t.Errorf("%s: %v", row.reason, err)
		case row.field == "":
		case err == nil:
			t.Errorf("%s: no error in %s", row.reason, row.policy)
		case !strings.HasPrefix(
			err.Error(), "validate policy ",
		), !strings.Contains(err.Error(), row.field+": "), !strings.Contains(err.Error(), row.message):
			t.Errorf("%s: %v, want %s: %s", row.reason, err, row.field, row.message)
		}
	}
}

func TestValidate_ListsEveryErrorInOrder(t *testing.T) {
	policy := parse(t, `
metadata: {name: P}
spec:
  podSelector: {matchLabels: {c: "?", b: "?", a: "?"}}
  egress: [{to: [{}, {ipBlock: {cidr: x}}]}]
`)[0]
	first := Validate(policy).Error()
	for _, field := range []string{"metadata.name", "spec.podSelector", "to[0]", "to[1].ipBlock.cidr"} {
		if !strings.Contains(first, field) {
			t.Errorf("%s is missing in %s", field, first)
		}
	}
	for range 20 {
		if again := Validate(policy).Error(); again != first {
			t.Fatalf("one policy, two errors:\n%s\n%s", first, again)
		}
	}
}
