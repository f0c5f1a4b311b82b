package networkpolicy

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

const (
	toCache = "  - {to: [{podSelector: {matchLabels: {app: cache}}}], ports: [{port: 6379, protocol: TCP}]}\n"
	toDNS   = "  - {to: [{podSelector: {matchLabels: {k8s-app: kube-dns}}, " +
		"namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: kube-system}}}], " +
		"ports: [{port: 53, protocol: TCP}, {port: 53, protocol: UDP}]}\n"
	toServer = "  - {to: [{ipBlock: {cidr: 203.0.113.9/32}}], ports: [{port: 443, protocol: TCP}]}\n"
	public   = "{to: [{ipBlock: {cidr: 0.0.0.0/0, " +
		"except: [10.0.0.0/8, 127.0.0.0/8, 169.254.0.0/16, 172.16.0.0/12, 192.168.0.0/16]}}, " +
		"{ipBlock: {cidr: '::/0', except: ['::1/128', 'fc00::/7', 'fe80::/10']}}]"
	by443   = "  - " + public + ", ports: [{port: 443, protocol: TCP}]}\n"
	byMore  = "  - " + public + ", ports: [{port: 443, protocol: TCP}, {port: 8443, protocol: TCP}]}\n"
	by8443  = "  - " + public + ", ports: [{port: 8443, protocol: TCP}]}\n"
	anybody = "{to: [{ipBlock: {cidr: 0.0.0.0/0}}, {ipBlock: {cidr: '::/0'}}]"
)

// withNames returns the head of the subject's policy with an annotation.
func withNames(names string) string {
	return "metadata: {name: checkout, annotations: {netzero.dev/egress-names: " + names + `}}
spec:
  podSelector: {matchLabels: {app: checkout}}
  policyTypes: [Egress]
  egress:
`
}

type mergeRow struct {
	reason    string
	committed string
	flows     []flow.Flow
	want      string
}

func checkMerges(t *testing.T, rows []mergeRow) {
	t.Helper()
	for _, row := range rows {
		committed := parse(t, row.committed)
		got := Dialect{alone(checkout)}.Merge(committed, row.flows)
		if diff := cmp.Diff(parse(t, row.want), got, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", row.reason, diff)
		}
		for _, f := range (Dialect{}).Required(row.flows) {
			if v := (Dialect{alone(checkout)}).Evaluate(got, f); v.Outcome != policy.Allowed {
				t.Errorf("%s: %s is %s: %s", row.reason, f.Target(), v.Outcome, v.Reason)
			}
		}
		if diff := cmp.Diff(parse(t, row.committed), committed); diff != "" {
			t.Errorf("%s: the committed policies changed (-want +got):\n%s", row.reason, diff)
		}
	}
}

func TestMerge_AddsMissingRules(t *testing.T) {
	stripe := external("api.stripe.com", "198.51.100.1")
	cache, dns := tcp(workload("cache"), 6379), []flow.Flow{udp(resolver(), 53), tcp(resolver(), 53)}
	checkMerges(t, []mergeRow{
		{
			"a port goes to the rule of its peer, among its ports",
			header + "  - {to: [{podSelector: {matchLabels: {app: cache}}}], ports: [{port: 9121}, {port: 80}]}\n" + toDNS,
			[]flow.Flow{tcp(workload("cache"), 9121), tcp(workload("cache"), 80), cache},
			header + "  - {to: [{podSelector: {matchLabels: {app: cache}}}], " +
				"ports: [{port: 6379, protocol: TCP}, {port: 9121}, {port: 80}]}\n" + toDNS,
		},
		{
			"but not where a port would open another peer too",
			header + "  - {to: [{podSelector: {matchLabels: {app: cache}}}, {podSelector: {matchLabels: {app: db}}}], " +
				"ports: [{port: 80}]}\n" + toDNS,
			[]flow.Flow{tcp(workload("cache"), 80), tcp(workload("db"), 80), cache},
			header + "  - {to: [{podSelector: {matchLabels: {app: cache}}}, {podSelector: {matchLabels: {app: db}}}], " +
				"ports: [{port: 80}]}\n" + toCache + toDNS,
		},
		{
			"nor if two rules would do",
			header + "  - {to: [{podSelector: {matchLabels: {app: cache}}}], ports: [{port: 80}]}\n" +
				"  - {to: [{podSelector: {matchLabels: {app: cache}}}], ports: [{port: 81}]}\n" + toDNS,
			[]flow.Flow{tcp(workload("cache"), 80), tcp(workload("cache"), 81), cache},
			header + "  - {to: [{podSelector: {matchLabels: {app: cache}}}], ports: [{port: 80}]}\n" +
				"  - {to: [{podSelector: {matchLabels: {app: cache}}}], ports: [{port: 81}]}\n" + toCache + toDNS,
		},
		{
			"a new rule stands where Generate would have it",
			header + toDNS + toServer,
			[]flow.Flow{cache, tcp(at("203.0.113.9"), 443)},
			header + toCache + toDNS + toServer,
		},
		{
			"at the end, where it knows no later rule",
			header + "  - {to: [{ipBlock: {cidr: 10.0.0.0/8}}]}\n" + toDNS,
			append(dns, tcp(at("10.0.0.1"), 1), tcp(at("203.0.113.9"), 443)),
			header + "  - {to: [{ipBlock: {cidr: 10.0.0.0/8}}]}\n" + toDNS + toServer,
		},
		{
			"a wider range does, for a flow inside",
			header + "  - {to: [{ipBlock: {cidr: 203.0.113.0/24}}]}\n",
			[]flow.Flow{tcp(at("203.0.113.9"), 443)},
			header + "  - {to: [{ipBlock: {cidr: 203.0.113.0/24}}]}\n",
		},
		{
			"and not for one outside",
			header + "  - {to: [{ipBlock: {cidr: 203.0.112.0/24}}]}\n",
			[]flow.Flow{tcp(at("203.0.112.9"), 443), tcp(at("203.0.113.9"), 443)},
			header + "  - {to: [{ipBlock: {cidr: 203.0.112.0/24}}]}\n" + toServer,
		},
		{"a name is listed in its place", withNames(`"a.example:443/TCP, z.example:443/TCP"`) + toDNS + by443,
			[]flow.Flow{
				tcp(external("a.example", "198.51.100.2"), 443),
				tcp(external("z.example", "198.51.100.3"), 443),
				tcp(stripe, 443),
			},
			withNames(`"a.example:443/TCP,api.stripe.com:443/TCP,z.example:443/TCP"`) + toDNS + by443},
		{
			"a pattern that holds it does",
			withNames(`"*.stripe.com:443/TCP"`) + toDNS + by443,
			[]flow.Flow{tcp(stripe, 443)},
			withNames(`"*.stripe.com:443/TCP"`) + toDNS + by443,
		},
		{
			"for its port",
			withNames(`"*.stripe.com:443/TCP"`) + toDNS + by443,
			[]flow.Flow{tcp(stripe, 443), tcp(stripe, 8443)},
			withNames(`"*.stripe.com:443/TCP,api.stripe.com:8443/TCP"`) + toDNS + byMore,
		},
		{"a name needs the internet, though the address that it has today is allowed", withNames(`""`) + toDNS + toServer,
			[]flow.Flow{tcp(at("203.0.113.9"), 443), tcp(external("api.stripe.com", "203.0.113.9"), 443)},
			withNames(`"api.stripe.com:443/TCP"`) + toDNS + by443 + toServer},
		{
			"an internet with private addresses stays, but gets no port",
			withNames(`"api.stripe.com:443/TCP"`) + toDNS + "  - " + anybody + ", ports: [{port: 443}]}\n",
			[]flow.Flow{tcp(stripe, 443), tcp(stripe, 8443)},
			withNames(`"api.stripe.com:443/TCP,api.stripe.com:8443/TCP"`) + toDNS + "  - " + anybody +
				", ports: [{port: 443}]}\n" + by8443,
		},
		{
			"an internet that checks no name goes on so", header + toDNS + by443,
			[]flow.Flow{tcp(stripe, 443), tcp(external("a.example", "198.51.100.2"), 8443)},
			header + toDNS + byMore,
		},
		{
			"unless no flow needs it", header + toDNS + by443, []flow.Flow{tcp(stripe, 8443)},
			withNames(`"api.stripe.com:8443/TCP"`) + toDNS + by8443,
		},
		{
			"the first name makes all others count",
			header + toDNS + "  - {to: [{ipBlock: {cidr: 10.9.0.1/32}}], ports: [{port: 636}]}\n",
			[]flow.Flow{tcp(external("ldap.corp.example", "10.9.0.1"), 636), tcp(stripe, 443)},
			withNames(`"api.stripe.com:443/TCP,ldap.corp.example:636/TCP"`) + toDNS + by443 +
				"  - {to: [{ipBlock: {cidr: 10.9.0.1/32}}], ports: [{port: 636}]}\n",
		},
		{"the metadata service is labelled", header, []flow.Flow{tcp(at("169.254.169.254"), 80)},
			"metadata: {name: checkout, annotations: {netzero.dev/egress-metadata-service: 169.254.169.254:80/TCP}}" +
				header[len("\nmetadata: {name: checkout}"):] +
				"  - {to: [{ipBlock: {cidr: 169.254.169.254/32}}], ports: [{port: 80, protocol: TCP}]}\n"},
		{
			"on each of its ports",
			header + "  - {to: [{ipBlock: {cidr: 169.254.169.254/32}}], ports: [{port: 81}]}\n",
			[]flow.Flow{tcp(at("169.254.169.254"), 80), tcp(at("169.254.169.254"), 81)},
			"metadata: {name: checkout, annotations: {netzero.dev/egress-metadata-service: 169.254.169.254:80/TCP}}" +
				header[len("\nmetadata: {name: checkout}"):] +
				"  - {to: [{ipBlock: {cidr: 169.254.169.254/32}}], ports: [{port: 80, protocol: TCP}, {port: 81}]}\n",
		},
	})
}

func TestMerge_RemovesUnusedRules(t *testing.T) {
	cache, server := tcp(workload("cache"), 6379), tcp(at("203.0.113.9"), 443)
	stripe := tcp(external("api.stripe.com", "198.51.100.1"), 443)
	const two = "  - {to: [{ipBlock: {cidr: 10.0.0.0/8}}, {ipBlock: {cidr: 203.0.113.9/32}}], " +
		"ports: [{port: 80}, {port: 443}]}\n"
	checkMerges(t, []mergeRow{
		{"a rule, and what it implied", header + toServer + toCache + toDNS, []flow.Flow{server}, header + toServer},
		{
			"not one that is needed", header + toServer + toDNS + toCache, []flow.Flow{cache, server},
			header + toServer + toDNS + toCache,
		},
		{
			"a peer and a port", header + two, []flow.Flow{server},
			header + "  - {to: [{ipBlock: {cidr: 203.0.113.9/32}}], ports: [{port: 443}]}\n",
		},
		{"not a range that holds one", header + two, []flow.Flow{server, tcp(at("10.0.0.1"), 80)}, header + two},
		{
			"a port makes way for another, in place",
			header + toServer + "  - {to: [{podSelector: {matchLabels: {app: cache}}}], ports: [{port: redis}, {port: 80}]}\n" +
				toDNS,
			[]flow.Flow{cache, server}, header + toServer + toCache + toDNS,
		},
		{"all", header + toServer, nil, header},
		{
			"the annotation of the metadata service, if no flow goes there",
			"metadata: {name: checkout, annotations: {netzero.dev/egress-metadata-service: '169.254.169.254:80/TCP'}}" +
				header[len("\nmetadata: {name: checkout}"):] + toServer,
			[]flow.Flow{server}, header + toServer,
		},
		{
			"all, and yet it isolates as it did", untyped + toServer, nil,
			"metadata: {name: checkout}\nspec: {podSelector: {}, policyTypes: [Ingress, Egress]}",
		},
		{
			"a name, but no pattern that is needed",
			withNames(`"*.stripe.com:443/TCP,a.example:443/TCP"`) + toDNS + by443,
			[]flow.Flow{stripe},
			withNames(`"*.stripe.com:443/TCP"`) + toDNS + by443,
		},
		{
			"a pattern too",
			withNames(`"*.example:443/TCP,api.stripe.com:443/TCP"`) + toDNS + by443,
			[]flow.Flow{stripe},
			withNames(`"api.stripe.com:443/TCP"`) + toDNS + by443,
		},
		{
			"the last name, with the internet and the annotation",
			withNames(`"api.stripe.com:443/TCP"`) + toDNS + by443 + toServer,
			[]flow.Flow{server}, header + toServer,
		},
		{
			"the last name of a policy that still needs an empty list",
			withNames(`"a.example:443/TCP"`) + toServer +
				"  - {ports: [{port: 53}, {port: 53, protocol: UDP}]}\n  - {to: [{ipBlock: {cidr: 198.51.100.0/24}}]}\n",
			[]flow.Flow{stripe, server},
			withNames(`""`) + toServer +
				"  - {ports: [{port: 53}, {port: 53, protocol: UDP}]}\n  - {to: [{ipBlock: {cidr: 198.51.100.0/24}}]}\n",
		},
	})
}

const untyped = "metadata: {name: checkout}\nspec:\n  podSelector: {}\n  egress:\n"

func TestMerge_KeepsUnrelatedPolicies(t *testing.T) {
	const (
		audit = "metadata: {name: audit}\nspec: {podSelector: {}, policyTypes: [Egress], " +
			"egress: [{to: [{ipBlock: {cidr: 203.0.113.0/24}}]}, {to: [{podSelector: {}}]}]}"
		created = "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy" + header
		next    = "\n---\n"
		denied  = "\nmetadata: {name: checkout}\nspec:\n  podSelector: {matchLabels: {app: checkout}}\n" +
			"  policyTypes: [Egress]\n"
		mine = "metadata: {name: checkout, namespace: shop}\n" +
			"spec: {podSelector: {}, policyTypes: [Egress], " +
			"egress: [{to: [{ipBlock: {cidr: 203.0.113.9/32}}], ports: [{port: 443, protocol: TCP}]}]}"
	)
	server, other := tcp(at("203.0.113.9"), 443), tcp(at("198.51.100.1"), 443)
	toOther := "  - {to: [{ipBlock: {cidr: 198.51.100.1/32}}], ports: [{port: 443, protocol: TCP}]}\n"
	checkMerges(t, []mergeRow{
		{
			"without any there is one",
			"metadata: {name: cart}\nspec: {podSelector: {matchLabels: {app: cart}}, egress: [{}]}",
			[]flow.Flow{server},
			"metadata: {name: cart}\nspec: {podSelector: {matchLabels: {app: cart}}, egress: [{}]}" + next + created + toServer,
		},
		{"what they allow is not added, what they do not need stays", audit, []flow.Flow{server}, audit},
		{
			"what they do not allow goes into the subject's own",
			audit, []flow.Flow{server, other}, audit + next + created + toOther,
		},
		{
			"two that allow the same are both used", audit + next + header + toServer, []flow.Flow{server},
			audit + next + header + toServer,
		},
		{
			"the subject's own is pruned", audit + next + header + toServer + toOther, []flow.Flow{server},
			audit + next + header + toServer,
		},
		{
			"one without effect stays",
			audit + next + "metadata: {name: checkout}\nspec: {podSelector: {matchLabels: {app: cart}}, egress: [{}]}",
			[]flow.Flow{server},
			audit + next + "metadata: {name: checkout}\nspec: {podSelector: {matchLabels: {app: cart}}, egress: [{}]}",
		},
		{
			"wrong labels are mended",
			"metadata: {name: checkout}\nspec:\n  podSelector: {matchLabels: {app: chekcout}}\n  policyTypes: [Egress]\n" +
				"  egress:\n" + toServer,
			[]flow.Flow{server}, header + toServer,
		},
		{
			"labels that select are not",
			"metadata: {name: checkout}\nspec:\n  podSelector: {}\n  policyTypes: [Egress]\n  egress:\n" + toServer,
			[]flow.Flow{server},
			"metadata: {name: checkout}\nspec:\n  podSelector: {}\n  policyTypes: [Egress]\n  egress:\n" + toServer,
		},
		{
			"the type is added, and the rules for ingress stay",
			"metadata: {name: checkout}\nspec: {podSelector: {}, policyTypes: [Ingress], ingress: [{}]}",
			nil,
			"metadata: {name: checkout}\nspec: {podSelector: {}, policyTypes: [Ingress, Egress], ingress: [{}]}",
		},
		{"so are the types that Kubernetes would have guessed", "metadata: {name: checkout}\nspec: {podSelector: {}}", nil,
			"metadata: {name: checkout}\nspec: {podSelector: {}, policyTypes: [Ingress, Egress]}"},
		{"types that are right are not written", untyped + toServer, []flow.Flow{server}, untyped + toServer},
		{"a namespace that the subject does not name is its", mine, []flow.Flow{server}, mine},
		{
			"the one without a namespace is nearer", mine + next + denied, []flow.Flow{server, other},
			mine + next + denied + "  egress:\n" + toOther,
		},
	})
}

func TestMerge_IntoNothingGenerates(t *testing.T) {
	flows := []flow.Flow{
		tcp(workload("cache"), 6379),
		tcp(external("api.stripe.com", "198.51.100.1"), 443),
		tcp(at("169.254.169.254"), 80), ping(at("203.0.113.9")),
	}
	for _, flows := range [][]flow.Flow{nil, flows} {
		diff := cmp.Diff(Dialect{alone(checkout)}.Generate(flows), (Dialect{alone(checkout)}).Merge(nil, flows))
		if diff != "" {
			t.Errorf("%d flows (-generated +merged):\n%s", len(flows), diff)
		}
	}
}
