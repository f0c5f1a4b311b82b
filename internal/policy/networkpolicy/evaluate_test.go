package networkpolicy

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// verdictRow is a flow of checkout with its expected verdict, reason included, so that its text is tested too.
type verdictRow struct {
	flow    flow.Flow
	outcome policy.Outcome
	rule    int
	reason  string
}

func checkVerdicts(t *testing.T, policies string, rows []verdictRow) {
	t.Helper()
	for _, row := range rows {
		got := Dialect{alone(checkout)}.Evaluate(parse(t, policies), row.flow)
		want := policy.Verdict{
			Outcome: row.outcome, Rule: row.rule, Reason: row.reason, Policy: "checkout", Notices: got.Notices,
		}
		if row.outcome == policy.Unprotected || row.outcome == policy.Inexpressible {
			want.Policy = ""
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s\nin %s", row.flow.Target(), diff, policies)
		}
	}
}

func TestEvaluate_PodPeers(t *testing.T) {
	checkVerdicts(t, header+"  - {to: [{podSelector: {matchLabels: {app: orders-db}}}], ports: [{port: 5432}]}\n",
		[]verdictRow{
			{tcp(workload("orders-db"), 5432), policy.Allowed, 0, "rule 0 (pods app=orders-db)"},
			{tcp(workload("orders-db"), 5433), policy.Denied, -1, "port 5433/TCP, rule 0 (pods app=orders-db) allows 5432/TCP"},
			{udp(workload("orders-db"), 5432), policy.Denied, -1, "port 5432/UDP, rule 0 (pods app=orders-db) allows 5432/TCP"},
			{
				tcp(workload("cache"), 5432), policy.Denied, -1,
				"no rule is for cache; rule 0 (pods app=orders-db) allows 5432/TCP",
			},
			{tcp(workload("cache"), 6379), policy.Denied, -1, "no rule is for cache"},
			{
				tcp(workloadIn("data", "orders-db"), 5432), policy.Denied, -1,
				"orders-db.data is in another namespace than rule 0 (pods app=orders-db)",
			},
			{tcp(workloadIn("default", "orders-db"), 5432), policy.Allowed, 0, "rule 0 (pods app=orders-db)"},
			{tcp(at("10.0.0.5"), 5432), policy.Denied, -1, "no rule is for 10.0.0.5"},
			{
				ping(workload("orders-db")), policy.Denied, -1,
				"icmp-echo orders-db is not in the annotation netzero.dev/egress-other, " +
					"which lists flows that no rule can express: a NetworkPolicy allows TCP, UDP and SCTP, " +
					"not ICMP; -update adds it, Ignore(\"orders-db\") leaves it out",
			},
		})
	checkVerdicts(t,
		header+"  - {to: [{podSelector: {}, "+
			"namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: data}}}]}\n", []verdictRow{
			{tcp(workloadIn("data", "orders-db"), 5432), policy.Allowed, 0, "rule 0 (all pods in namespace data)"},
			{
				tcp(workload("orders-db"), 5432), policy.Denied, -1,
				"orders-db is in another namespace than rule 0 (all pods in namespace data)",
			},
		})
	checkVerdicts(t,
		header+"  - {to: [{namespaceSelector: {matchExpressions: [{key: kubernetes.io/metadata.name, operator: In, "+
			"values: [data, infra]}]}}]}\n", []verdictRow{
			{
				tcp(workloadIn("infra", "orders-db"), 5432), policy.Allowed, 0,
				"rule 0 (all pods in namespaces kubernetes.io/metadata.name in (data,infra))",
			},
			{
				tcp(workload("orders-db"), 5432), policy.Denied, -1,
				"orders-db is in another namespace than rule 0 (all pods in namespaces kubernetes.io/metadata.name in " +
					"(data,infra))",
			},
		})
	// Peers that Validate rejects match nothing here.
	checkVerdicts(t, header+"  - {to: [{}, {ipBlock: {cidr: nonsense}}, {podSelector: {matchLabels: {app: '?'}}}]}\n",
		[]verdictRow{
			{tcp(workload("cache"), 1), policy.Denied, -1, "no rule is for cache; rule 0 (no peer) allows 1/TCP"},
			{tcp(at("10.0.0.5"), 1), policy.Denied, -1, "no rule is for 10.0.0.5; rule 0 (nonsense) allows 1/TCP"},
		})
	// Two selectors in one item are AND, two items are OR.
	checkVerdicts(t,
		header+"  - {to: [{namespaceSelector: {}}, "+
			"{podSelector: {matchExpressions: [{key: app, operator: NotIn, values: [cache]}]}}]}\n", []verdictRow{
			{tcp(workloadIn("data", "cache"), 1), policy.Allowed, 0, "rule 0 (all pods in all namespaces)"},
			{tcp(at("10.0.0.5"), 1), policy.Denied, -1, "no rule is for 10.0.0.5"},
		})
	checkVerdicts(t,
		header+"  - {to: [{namespaceSelector: {}, "+
			"podSelector: {matchExpressions: [{key: app, operator: NotIn, values: [cache]}]}}]}\n", []verdictRow{
			{
				tcp(workloadIn("data", "cache"), 1), policy.Denied, -1,
				"no rule is for cache.data; rule 0 (pods app notin (cache) in all namespaces) allows 1/TCP",
			},
			{tcp(workloadIn("data", "other"), 1), policy.Allowed, 0, "rule 0 (pods app notin (cache) in all namespaces)"},
		})
}

func TestEvaluate_PortsAndRanges(t *testing.T) {
	for _, row := range []struct {
		reason, ports string
		allowed       []flow.Flow
		denied        map[string]flow.Flow // by the port in the verdict
	}{
		{"missing ports are every port", "", []flow.Flow{tcp(workload("a"), 1), udp(workload("a"), 65535)}, nil},
		{"an empty list is a missing one", "[]", []flow.Flow{tcp(workload("a"), 1)}, nil},
		{"a missing protocol is TCP", "[{port: 80}]", []flow.Flow{tcp(workload("a"), 80)},
			map[string]flow.Flow{"80/TCP": udp(workload("a"), 80)}},
		{"a missing port is every port of the protocol", "[{protocol: UDP}]", []flow.Flow{udp(workload("a"), 1)},
			map[string]flow.Flow{"all UDP ports": tcp(workload("a"), 1)}},
		{
			"a range has both of its ends", "[{port: 80, endPort: 82}]",
			[]flow.Flow{tcp(workload("a"), 80), tcp(workload("a"), 82)},
			map[string]flow.Flow{"80-82/TCP": tcp(workload("a"), 83)},
		},
		{
			"a range starts where it says", "[{port: 80, endPort: 82, protocol: SCTP}]",
			[]flow.Flow{toPort(workload("a"), flow.SCTP, 81)},
			map[string]flow.Flow{"80-82/SCTP": toPort(workload("a"), flow.SCTP, 79)},
		},
		{"a name is not resolved", "[{port: http}, {port: 80}]", []flow.Flow{tcp(workload("a"), 80)},
			map[string]flow.Flow{
				"http/TCP, 80/TCP; only the pods define port name http: write the number, or use Manifests": tcp(
					workload("a"), 8080,
				),
			}},
		{"a long list is cut", "[{port: 1}, {port: 2}, {port: 3}, {port: 4}, {port: 5}]", nil,
			map[string]flow.Flow{"1/TCP, 2/TCP, 3/TCP and 2 more": tcp(workload("a"), 6)}},
	} {
		policies := parse(t, header+"  - {to: [{podSelector: {}}], ports: "+row.ports+"}\n")
		for _, f := range row.allowed {
			if v := (Dialect{alone(checkout)}).Evaluate(policies, f); v.Outcome != policy.Allowed {
				t.Errorf("%s: %s is %s: %s", row.reason, f.Target(), v.Outcome, v.Reason)
			}
		}
		for ports, f := range row.denied {
			v := Dialect{alone(checkout)}.Evaluate(policies, f)
			want := "port " + f.Target()[len("a:"):] + ", rule 0 (all pods) allows " + ports
			if v.Outcome != policy.Denied || v.Reason != want {
				t.Errorf("%s: %s is %s: %s, want %s", row.reason, f.Target(), v.Outcome, v.Reason, want)
			}
		}
	}
}

func TestEvaluate_CIDRNeverMatchesPods(t *testing.T) {
	rules := `
  - {to: [{ipBlock: {cidr: 10.0.0.0/8, except: [10.1.0.0/16]}}], ports: [{port: 443}]}
  - {to: [{ipBlock: {cidr: '2001:db8::/64'}}]}
`
	checkVerdicts(t, header+rules, []verdictRow{
		{tcp(at("10.0.0.5"), 443), policy.Allowed, 0, "rule 0 (10.0.0.0/8)"},
		{tcp(external("ldap.corp.example", "10.0.0.5"), 443), policy.Allowed, 0, "rule 0 (10.0.0.0/8)"},
		{
			tcp(at("10.1.0.5"), 443), policy.Denied, -1,
			"10.1.0.5 is in the range 10.1.0.0/16 that rule 0 (10.0.0.0/8) excepts",
		},
		{tcp(at("11.0.0.1"), 443), policy.Denied, -1, "no rule is for 11.0.0.1; rule 0 (10.0.0.0/8) allows 443/TCP"},
		{tcp(at("2001:db8::7"), 9), policy.Allowed, 1, "rule 1 (2001:db8::/64)"},
		{
			tcp(at("2001:db8:0:1::7"), 9), policy.Denied, -1,
			"no rule is for 2001:db8:0:1::7; rule 1 (2001:db8::/64) allows 9/TCP",
		},
		{tcp(workload("cache"), 9), policy.Denied, -1, "no rule is for cache"},
		{
			tcp(flow.Endpoint{Kind: flow.External, Name: "api.stripe.com"}, 443),
			policy.Denied, -1,
			"no rule is for api.stripe.com; rule 0 (10.0.0.0/8) allows 443/TCP",
		},
	})
}

func TestEvaluate_ResolverPeers(t *testing.T) {
	const redirected = " names a port of DNS, and so stands for the cluster's resolver"
	const kubeDNS = "the cluster's resolver (pods k8s-app=kube-dns in namespace kube-system)"
	generated := toYAML(t, Dialect{alone(checkout)}.Generate([]flow.Flow{udp(resolver(), 53)})[0])
	checkVerdicts(t, generated, []verdictRow{
		{udp(resolver(), 53), policy.Allowed, 0, "rule 0 (pods k8s-app=kube-dns in namespace kube-system)"},
		{tcp(resolver(), 53), policy.Allowed, 0, "rule 0 (pods k8s-app=kube-dns in namespace kube-system)"},
		{tcp(resolver(), 5353), policy.Allowed, 0, "rule 0 (pods k8s-app=kube-dns in namespace kube-system)"},
		{
			udp(resolver(), 54), policy.Denied, -1,
			"port 54/UDP, rule 0 (pods k8s-app=kube-dns in namespace kube-system) allows 53/TCP, 53/UDP",
		},
		{
			udp(workload("kube-dns"), 53), policy.Denied, -1,
			"no rule is for kube-dns; rule 0 (pods k8s-app=kube-dns in namespace kube-system) allows 53/UDP",
		},
	})
	rules := `
  - to: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: openshift-dns}}}]
    ports: [{port: 5353, protocol: UDP}]
  - {to: [{ipBlock: {cidr: 169.254.20.10/32}}], ports: [{port: 53}, {port: 1, endPort: 65535, protocol: SCTP}]}
`
	checkVerdicts(t, header+rules, []verdictRow{
		{udp(resolver(), 53), policy.Allowed, 0, "rule 0 (all pods in namespace openshift-dns)" + redirected},
		{tcp(resolver(), 53), policy.Allowed, 1, "rule 1 (169.254.20.10/32)" + redirected},
		{
			tcp(resolver(), 853), policy.Denied, -1,
			kubeDNS + " is in another namespace than rule 0 (all pods in namespace openshift-dns)",
		},
		{
			toPort(resolver(), flow.SCTP, 53), policy.Denied, -1,
			kubeDNS + " is in another namespace than rule 0 (all pods in namespace openshift-dns)",
		},
	})
	checkVerdicts(t, header+"  - {to: [{podSelector: {}}], ports: [{port: 443}]}\n", []verdictRow{
		{udp(resolver(), 53), policy.Denied, -1, kubeDNS + " is in another namespace than rule 0 (all pods)"},
	})
	checkVerdicts(t,
		header+"  - {to: [{podSelector: {}}], "+
			"ports: [{port: 53, endPort: 60, protocol: UDP}, {port: 53, protocol: SCTP}]}\n", []verdictRow{
			// A range does not name port 53.
			{udp(resolver(), 53), policy.Denied, -1, kubeDNS + " is in another namespace than rule 0 (all pods)"},
			{toPort(resolver(), flow.SCTP, 53), policy.Denied, -1, kubeDNS + " is in another namespace than rule 0 (all pods)"},
		})
	names := `
metadata: {name: checkout, annotations: {netzero.dev/egress-names: "dns.google:53/UDP"}}
spec:
  podSelector: {}
  egress: [{to: [{ipBlock: {cidr: 0.0.0.0/0}}], ports: [{port: 53, protocol: UDP}]}]
`
	// A name at port 53 is not the resolver. Otherwise a missing DNS rule would go unnoticed.
	checkVerdicts(t, names, []verdictRow{
		{udp(external("dns.google", "8.8.8.8"), 53), policy.Allowed, 0, "rule 0 (the internet)"},
		{udp(resolver(), 53), policy.Denied, -1, "no rule is for " + kubeDNS},
	})
}

func TestEvaluate_PoliciesAreAdditive(t *testing.T) {
	const more = `
metadata: {name: more, namespace: shop}
spec:
  podSelector: {matchExpressions: [{key: app, operator: Exists}]}
  egress:
  - {to: [{podSelector: {matchLabels: {app: cache}}}], ports: [{port: 6379}]}
`
	denyAll := "metadata: {name: checkout}\nspec: {podSelector: {}, policyTypes: [Egress]}"
	checkVerdicts(t, denyAll, []verdictRow{
		{tcp(workload("cache"), 6379), policy.Denied, -1, "policy checkout has no egress rules: it denies everything"},
	})
	policies := denyAll + "\n---" + more
	for _, namespace := range []string{"", "shop"} { // an unknown namespace is the policy's
		subject := policy.Workload{Name: "checkout", Namespace: namespace}
		want := policy.Verdict{Outcome: policy.Allowed, Policy: "more", Rule: 0, Reason: "rule 0 (pods app=cache)"}
		if diff := cmp.Diff(
			want, (Dialect{alone(subject)}).Evaluate(parse(t, policies), tcp(workload("cache"), 6379)),
		); diff != "" {
			t.Errorf("in namespace %q (-want +got):\n%s", namespace, diff)
		}
		want = policy.Verdict{
			Outcome: policy.Denied, Policy: "checkout", Rule: -1,
			Reason: "port 6380/TCP, rule 0 (pods app=cache) of policy more allows 6379/TCP",
		}
		if diff := cmp.Diff(
			want, (Dialect{alone(subject)}).Evaluate(parse(t, policies), tcp(workloadIn("shop", "cache"), 6380)),
		); diff != "" {
			t.Errorf("in namespace %q (-want +got):\n%s", namespace, diff)
		}
	}
	own := parse(t, header+"  - {to: [{podSelector: {}}]}\n") // a policy without a namespace is in the subject's
	for namespace, want := range map[string]policy.Outcome{
		"": policy.Allowed, "shop": policy.Allowed, "default": policy.Denied,
	} {
		v := (Dialect{
			alone(policy.Workload{Name: "checkout", Namespace: "shop"}),
		}).Evaluate(own, tcp(workloadIn(namespace, "cache"), 6379))
		if v.Outcome != want {
			t.Errorf("from shop to namespace %q: %s: %s", namespace, v.Outcome, v.Reason)
		}
	}
	got := Dialect{
		alone(policy.Workload{Name: "checkout", Namespace: "prod"}),
	}.Evaluate(parse(t, policies), tcp(workload("cache"), 6379))
	if got.Outcome != policy.Denied || got.Policy != "checkout" {
		t.Errorf("a policy of another namespace took part: %+v", got)
	}
}
