package policy

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/netzero-dev/netzero/internal/flow"
)

const (
	toCache  = "  - {to: [{podSelector: {matchLabels: {app: cache}}}], ports: [{port: 6379, protocol: TCP}]}\n"
	toDNS    = "  - {to: [{podSelector: {matchLabels: {k8s-app: kube-dns}}, namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: kube-system}}}], ports: [{port: 53, protocol: TCP}, {port: 53, protocol: UDP}]}\n"
	toServer = "  - {to: [{ipBlock: {cidr: 203.0.113.9/32}}], ports: [{port: 443, protocol: TCP}]}\n"
	public   = "{to: [{ipBlock: {cidr: 0.0.0.0/0, except: [10.0.0.0/8, 127.0.0.0/8, 169.254.0.0/16, 172.16.0.0/12, 192.168.0.0/16]}}, {ipBlock: {cidr: '::/0', except: ['::1/128', 'fc00::/7', 'fe80::/10']}}]"
	by443    = "  - " + public + ", ports: [{port: 443, protocol: TCP}]}\n"
	byMore   = "  - " + public + ", ports: [{port: 443, protocol: TCP}, {port: 8443, protocol: TCP}]}\n"
	by8443   = "  - " + public + ", ports: [{port: 8443, protocol: TCP}]}\n"
	anybody  = "{to: [{ipBlock: {cidr: 0.0.0.0/0}}, {ipBlock: {cidr: '::/0'}}]"
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
		got := Merge(committed, checkout, row.flows)
		for _, p := range got { // as YAML, which knows no difference between a list that is empty and one that is missing
			if text := toYAML(t, p); yaml.Unmarshal([]byte(text), p) != nil {
				t.Fatalf("%s: cannot be read:\n%s", row.reason, text)
			}
		}
		if diff := cmp.Diff(texts(t, row.want), texts(t, toYAMLs(t, got))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", row.reason, diff)
		}
		for _, f := range Required(row.flows) {
			if v := Evaluate(got, checkout, f); v.Outcome != Allowed {
				t.Errorf("%s: %s is %s: %s", row.reason, f.Target(), v.Outcome, v.Reason)
			}
		}
		if diff := cmp.Diff(parse(t, row.committed), committed); diff != "" {
			t.Errorf("%s: the committed policies changed (-want +got):\n%s", row.reason, diff)
		}
	}
}

func TestMergeAddsWhatIsMissing(t *testing.T) {
	stripe := external("api.stripe.com", "198.51.100.1")
	cache, dns := tcp(workload("cache"), 6379), []flow.Flow{udp(resolver(), 53), tcp(resolver(), 53)}
	checkMerges(t, []mergeRow{
		{"a port goes to the rule of its peer, among its ports", header + "  - {to: [{podSelector: {matchLabels: {app: cache}}}], ports: [{port: 9121}, {port: 80}]}\n" + toDNS,
			[]flow.Flow{tcp(workload("cache"), 9121), tcp(workload("cache"), 80), cache},
			header + "  - {to: [{podSelector: {matchLabels: {app: cache}}}], ports: [{port: 6379, protocol: TCP}, {port: 9121}, {port: 80}]}\n" + toDNS},
		{"but not where a port would open another peer too", header + "  - {to: [{podSelector: {matchLabels: {app: cache}}}, {podSelector: {matchLabels: {app: db}}}], ports: [{port: 80}]}\n" + toDNS,
			[]flow.Flow{tcp(workload("cache"), 80), tcp(workload("db"), 80), cache},
			header + "  - {to: [{podSelector: {matchLabels: {app: cache}}}, {podSelector: {matchLabels: {app: db}}}], ports: [{port: 80}]}\n" + toCache + toDNS},
		{"nor where nobody knows to which of two", header + "  - {to: [{podSelector: {matchLabels: {app: cache}}}], ports: [{port: 80}]}\n  - {to: [{podSelector: {matchLabels: {app: cache}}}], ports: [{port: 81}]}\n" + toDNS,
			[]flow.Flow{tcp(workload("cache"), 80), tcp(workload("cache"), 81), cache},
			header + "  - {to: [{podSelector: {matchLabels: {app: cache}}}], ports: [{port: 80}]}\n  - {to: [{podSelector: {matchLabels: {app: cache}}}], ports: [{port: 81}]}\n" + toCache + toDNS},
		{"a new rule stands where Generate would have it", header + toDNS + toServer, []flow.Flow{cache, tcp(at("203.0.113.9"), 443)}, header + toCache + toDNS + toServer},
		{"at the end, where it knows no later rule", header + "  - {to: [{ipBlock: {cidr: 10.0.0.0/8}}]}\n" + toDNS, append(dns, tcp(at("10.0.0.1"), 1), tcp(at("203.0.113.9"), 443)),
			header + "  - {to: [{ipBlock: {cidr: 10.0.0.0/8}}]}\n" + toDNS + toServer},
		{"a wider range does, for a flow inside", header + "  - {to: [{ipBlock: {cidr: 203.0.113.0/24}}]}\n", []flow.Flow{tcp(at("203.0.113.9"), 443)}, header + "  - {to: [{ipBlock: {cidr: 203.0.113.0/24}}]}\n"},
		{"and not for one outside", header + "  - {to: [{ipBlock: {cidr: 203.0.112.0/24}}]}\n", []flow.Flow{tcp(at("203.0.112.9"), 443), tcp(at("203.0.113.9"), 443)},
			header + "  - {to: [{ipBlock: {cidr: 203.0.112.0/24}}]}\n" + toServer},
		{"a name is listed in its place", withNames(`"a.example:443/TCP, z.example:443/TCP"`) + toDNS + by443,
			[]flow.Flow{tcp(external("a.example", "198.51.100.2"), 443), tcp(external("z.example", "198.51.100.3"), 443), tcp(stripe, 443)},
			withNames(`"a.example:443/TCP,api.stripe.com:443/TCP,z.example:443/TCP"`) + toDNS + by443},
		{"a pattern that holds it does", withNames(`"*.stripe.com:443/TCP"`) + toDNS + by443, []flow.Flow{tcp(stripe, 443)}, withNames(`"*.stripe.com:443/TCP"`) + toDNS + by443},
		{"for its port", withNames(`"*.stripe.com:443/TCP"`) + toDNS + by443, []flow.Flow{tcp(stripe, 443), tcp(stripe, 8443)},
			withNames(`"*.stripe.com:443/TCP,api.stripe.com:8443/TCP"`) + toDNS + byMore},
		{"a name needs the internet, though the address that it has today is allowed", withNames(`""`) + toDNS + toServer,
			[]flow.Flow{tcp(at("203.0.113.9"), 443), tcp(external("api.stripe.com", "203.0.113.9"), 443)},
			withNames(`"api.stripe.com:443/TCP"`) + toDNS + by443 + toServer},
		{"an internet with private addresses stays, but gets no port", withNames(`"api.stripe.com:443/TCP"`) + toDNS + "  - " + anybody + ", ports: [{port: 443}]}\n", []flow.Flow{tcp(stripe, 443), tcp(stripe, 8443)},
			withNames(`"api.stripe.com:443/TCP,api.stripe.com:8443/TCP"`) + toDNS + by8443 + "  - " + anybody + ", ports: [{port: 443}]}\n"},
		{"an internet that checks no name goes on so", header + toDNS + by443, []flow.Flow{tcp(stripe, 443), tcp(external("a.example", "198.51.100.2"), 8443)}, header + toDNS + byMore},
		{"unless nobody needs it", header + toDNS + by443, []flow.Flow{tcp(stripe, 8443)}, withNames(`"api.stripe.com:8443/TCP"`) + toDNS + by8443},
		{"the first name makes all others count", header + toDNS + "  - {to: [{ipBlock: {cidr: 10.9.0.1/32}}], ports: [{port: 636}]}\n", []flow.Flow{tcp(external("ldap.corp.example", "10.9.0.1"), 636), tcp(stripe, 443)},
			withNames(`"api.stripe.com:443/TCP,ldap.corp.example:636/TCP"`) + toDNS + by443 + "  - {to: [{ipBlock: {cidr: 10.9.0.1/32}}], ports: [{port: 636}]}\n"},
		{"the metadata service is labelled", header, []flow.Flow{tcp(at("169.254.169.254"), 80)},
			"metadata: {name: checkout, annotations: {netzero.dev/egress-metadata-service: 169.254.169.254:80/TCP}}" + header[len("\nmetadata: {name: checkout}"):] + "  - {to: [{ipBlock: {cidr: 169.254.169.254/32}}], ports: [{port: 80, protocol: TCP}]}\n"},
	})
}
