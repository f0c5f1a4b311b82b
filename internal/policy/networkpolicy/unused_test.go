package networkpolicy

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netzero-dev/netzero/netzerotest/flow"
)

func TestUnused_ListsRulesAndNames(t *testing.T) {
	const dns = "  - {to: [{podSelector: {matchLabels: {k8s-app: kube-dns}}, namespaceSelector: {}}], " +
		"ports: [{port: 53, protocol: UDP}, {port: 53}]}\n"
	const cache = "  - {to: [{podSelector: {matchLabels: {app: cache}}}], ports: [{port: 6379}, {port: 6380}]}\n"
	stripe := tcp(external("api.stripe.com", "203.0.113.9"), 443)
	for _, row := range []struct {
		reason, policies string
		flows            []flow.Flow
		want             []string
	}{
		{"without flows nothing is needed", header + dns + cache, nil,
			[]string{
				"policy checkout: rule 0 (pods k8s-app=kube-dns in all namespaces)",
				"policy checkout: rule 1 (pods app=cache)",
			}},
		{"who talks to a pod needs DNS", header + dns + cache, []flow.Flow{tcp(workload("cache"), 6379)},
			[]string{"policy checkout: rule 1: port 6380/TCP"}},
		{
			"who talks to an address does not",
			header + dns + "  - {to: [{ipBlock: {cidr: 10.0.0.0/8}}, {ipBlock: {cidr: 192.0.2.1/32}}]}\n",
			[]flow.Flow{tcp(at("10.0.0.1"), 1)},
			[]string{
				"policy checkout: rule 0 (pods k8s-app=kube-dns in all namespaces)",
				"policy checkout: rule 1: peer 192.0.2.1/32",
			},
		},
		{
			"one half of the internet stands for both; a name that no flow went to does not",
			annotated + theInternet, []flow.Flow{stripe},
			[]string{"policy checkout: name *.blob.example:443/TCP", "policy checkout: name ldap.corp.example:636/TCP"},
		},
		{
			"the halves are one line",
			annotated + "  - {to: [{ipBlock: {cidr: 0.0.0.0/0}}, {ipBlock: {cidr: '::/0'}}, {podSelector: {}}]}\n",
			[]flow.Flow{tcp(workload("cache"), 1)},
			[]string{
				"policy checkout: rule 0: peer the internet",
				"policy checkout: name api.stripe.com:443/TCP",
				"policy checkout: name *.blob.example:443/TCP", "policy checkout: name ldap.corp.example:636/TCP",
			},
		},
		{
			"the internet is not used by who has no listed name",
			annotated + theInternet, []flow.Flow{tcp(at("203.0.113.9"), 443)},
			[]string{
				"policy checkout: rule 0 (the internet)",
				"policy checkout: name api.stripe.com:443/TCP",
				"policy checkout: name *.blob.example:443/TCP", "policy checkout: name ldap.corp.example:636/TCP",
			},
		},
		{"an open rule is used by any flow", header + "  - {}\n", []flow.Flow{tcp(at("203.0.113.9"), 443)}, nil},
		{"but not by none", header + "  - {}\n", nil, []string{"policy checkout: rule 0 (everywhere)"}},
		{
			"two rules for one flow are both used",
			header + "  - {to: [{podSelector: {}}]}\n  - {to: [{podSelector: {matchLabels: {app: cache}}}]}\n",
			[]flow.Flow{tcp(workload("cache"), 1)}, nil,
		},
		{
			"a redirect of DNS is used as DNS is",
			header + "  - {to: [{ipBlock: {cidr: 169.254.20.10/32}}], " +
				"ports: [{port: 53}, {port: 53, protocol: UDP}, {port: 853}]}\n  - {to: [{podSelector: {}}]}\n",
			[]flow.Flow{tcp(workload("cache"), 1)},
			[]string{"policy checkout: rule 0: port 853/TCP"},
		},
		{
			"a policy for others is theirs",
			"metadata: {name: cart}\nspec: {podSelector: {matchLabels: {app: cart}}, egress: [{}]}",
			nil, nil,
		},
	} {
		if diff := cmp.Diff(row.want, (Dialect{alone(checkout)}).Unused(parse(t, row.policies), row.flows)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", row.reason, diff)
		}
	}
}

func TestDescribe_Peers(t *testing.T) {
	for rule, want := range map[string]string{
		"{ports: [{port: 1}]}":                "everywhere",
		"{to: [{}]}":                          "no peer",
		"{to: [{namespaceSelector: {}}]}":     "all pods in all namespaces",
		"{to: [{ipBlock: {cidr: nonsense}}]}": "nonsense",
		"{to: [{ipBlock: {cidr: 10.0.0.0/300}}, {podSelector: {}}, {podSelector: {}}, " +
			"{podSelector: {matchLabels: {a: b}}}, " +
			"{namespaceSelector: {matchLabels: {team: x}}}]}": "10.0.0.0/300, all pods, pods a=b and 1 more",
	} {
		got := Dialect{alone(checkout)}.Unused(parse(t, header+"  - "+rule+"\n"), nil)
		if diff := cmp.Diff([]string{"policy checkout: rule 0 (" + want + ")"}, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", rule, diff)
		}
	}
}
