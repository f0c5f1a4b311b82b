package policy_test

import (
	"regexp"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	networkingv1 "k8s.io/api/networking/v1"
	"sigs.k8s.io/yaml"

	"github.com/netzero-dev/netzero/internal/cilium"
	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/internal/policy/ciliumpolicy"
	"github.com/netzero-dev/netzero/internal/policy/networkpolicy"
	"github.com/netzero-dev/netzero/internal/policy/policytest"
)

const drawn = 1000

func kubernetes(s policy.Scope) networkpolicy.Dialect { return networkpolicy.Dialect{Scope: s} }

// featuresOfBoth holds features that policies of both dialects have, as they appear in YAML.
var featuresOfBoth = map[string]string{
	"a name of 253 bytes":                 `(?m)^  name: \S{253}$`,
	"a namespace of 63 bytes":             `(?m)^  namespace: \S{63}$`,
	"no namespace":                        `(?m)^metadata:\n(  annotations:\n(    .*\n)+)?  name: .*\nspec:`,
	"a label's key of 317 bytes":          `\S{253}/N{30}_\.-n{30}\s+: V`,
	"an empty label":                      `example\.com/empty: ""`,
	"a label that YAML would not keep":    `yes"?: "true"`,
	"an app label":                        `app: orders-db`,
	"a subject by some of its labels":     `app\.kubernetes\.io/name: worker`,
	"the annotation of lookups":           `netzero\.dev/egress-names: .*telemetry\.vendor\.test:\*`,
	"the annotation of metadata services": `netzero\.dev/egress-metadata-service: 169\.254\.169\.254:`,
	"the annotation of other egress":      `netzero\.dev/egress-other: .*(udplite|ip-47)`,
	"the annotation of other ingress":     `netzero\.dev/ingress-other: `,
	"the annotation of binaries":          `netzero\.dev/binaries: curl,my%20tool`,
	"ingress":                             `(?m)^  ingress:`,
	"egress":                              `(?m)^  egress:`,
	"default deny":                        `name: default-deny-all`,
	"a range of ports":                    `endPort: 443`,
	"all ports as a range":                `endPort: 65535`,
	"SCTP":                                `protocol: SCTP`,
	"an IPv4 address":                     `203\.0\.113\.9/32`,
	"an IPv6 address":                     `2001:db8::7/128`,
	"a link-local IPv6 address":           `fe80::1/128`,
	"the resolver":                        `k8s-app: kube-dns`,
	"the resolver of OpenShift":           `daemonset-dns: default`,
	"NodeLocal DNSCache":                  `169\.254\.20\.10/32`,
	"a resolver at a range of addresses":  `fd00:10:96::/112`,
}

var inKubernetes = map[string]string{
	"hosts":                               `netzero\.dev/egress-names: .*(stripe|slack|corp)\.\w+:\d+/`,
	"a host of 253 bytes":                 `\.z?\S*-1-z{28}:\d+/TCP`,
	"an internationalized host":           `xn--bcher-kva\.example:`,
	"a host with underscores":             `_srv\._tcp\.example:`,
	"a folded name":                       `shard-\*\.db\.example:`,
	"the internet but private ranges":     `cidr: 0\.0\.0\.0/0\n +except:`,
	"the IPv6 internet":                   `cidr: ::/0\n +except:`,
	"a namespace selector":                `namespaceSelector:\n +matchLabels:\n +kubernetes\.io/metadata\.name: data`,
	"the annotation of the API server":    `netzero\.dev/egress-api-server: `,
	"the API server at its address":       `cidr: 10\.0\.0\.1/32`,
	"the API server at its IPv6 address":  `cidr: fd00::a/128`,
	"the annotation of the node's egress": `netzero\.dev/egress-host-network: `,
	"the annotation of other messages":    `netzero\.dev/egress-other: .*icmp-type-13`,
	"a workload closed for ingress":       `(?m)^  - Egress\n  - Ingress$`,
}

var inCilium = map[string]string{
	"hosts":                     `toFQDNs:\n +- matchName: (api\.stripe|hooks\.slack)\.com`,
	"a host of 253 bytes":       `matchName: \S{253}\n`,
	"an internationalized host": `matchName: xn--bcher-kva\.example`,
	"a folded name":             `matchPattern: shard-\*\.db\.example`,
	"queries for Cilium's DNS":  `rules:\n +dns:\n +- matchPattern: '\*'`,
	"the API server":            `- kube-apiserver`,
	"the node":                  `- host`,
	"ICMP":                      `icmps:`,
}

// TestDrawnPolicies_HaveEveryFeature guards the tests that compare the drawn policies with other programs. Those tests
// would not notice a feature that is no longer drawn.
func TestDrawnPolicies_HaveEveryFeature(t *testing.T) {
	seed := policytest.Seed(t)
	var texts []string
	for _, p := range policytest.Policies(seed, drawn, kubernetes) {
		text, err := yaml.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, string(text))
		if err := networkpolicy.Validate(p); err != nil {
			t.Errorf("%v\n%s", err, text)
		}
	}
	var ciliums []string
	for _, p := range policytest.Policies(seed, drawn, func(s policy.Scope) ciliumpolicy.Dialect {
		return ciliumpolicy.Dialect{Scope: s}
	}) {
		text, err := yaml.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		ciliums = append(ciliums, string(text))
	}
	for _, text := range ciliums {
		p := new(cilium.NetworkPolicy)
		if err := yaml.UnmarshalStrict([]byte(text), p); err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		if err := cilium.Validate(p); err != nil {
			t.Errorf("%v\n%s", err, text)
		}
	}
	for _, dialect := range []struct {
		name     string
		texts    []string
		features map[string]string
	}{{"NetworkPolicy", texts, inKubernetes}, {"CiliumNetworkPolicy", ciliums, inCilium}} {
		for _, features := range []map[string]string{featuresOfBoth, dialect.features} {
			if len(dialect.texts) != drawn {
				t.Errorf("%d of kind %s, want %d", len(dialect.texts), dialect.name, drawn)
			}
			if lost := missing(features, dialect.texts); len(lost) > 0 {
				t.Errorf("no %s has %q", dialect.name, lost)
			}
			if lost := missing(features, []string{"metadata: {name: p}"}); len(lost) != len(features) {
				t.Errorf("%d of %d features are in a policy without any", len(features)-len(lost), len(features))
			}
		}
	}
}

// missing returns the features that no text has, sorted.
func missing(features map[string]string, texts []string) []string {
	var lost []string
	for feature, pattern := range features {
		if !slices.ContainsFunc(texts, regexp.MustCompile(pattern).MatchString) {
			lost = append(lost, feature)
		}
	}
	slices.Sort(lost)
	return lost
}

func TestDrawnPolicies_DependOnSeed(t *testing.T) {
	policies := func(seed uint64) []*networkingv1.NetworkPolicy { return policytest.Policies(seed, 50, kubernetes) }
	if diff := cmp.Diff(policies(1), policies(1)); diff != "" {
		t.Errorf("one seed, two sets (-first +second):\n%s", diff)
	}
	if cmp.Equal(policies(1), policies(2)) {
		t.Error("two seeds, one set")
	}
}
