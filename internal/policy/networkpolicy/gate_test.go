package networkpolicy

import (
	"strings"
	"testing"

	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

const annotated = `
metadata:
  name: checkout
  annotations:
    netzero.dev/egress-names: "api.stripe.com:443/TCP,*.blob.example:443/TCP,ldap.corp.example:636/TCP"
spec:
  podSelector: {matchLabels: {app: checkout}}
  policyTypes: [Egress]
  egress:
`

func TestNames_LimitTheInternet(t *testing.T) {
	const gate = "the annotation netzero.dev/egress-names"
	checkVerdicts(t, annotated+theInternet+theDirectory, []verdictRow{
		{tcp(external("api.stripe.com", "203.0.113.9"), 443), policy.Allowed, 0, "rule 0 (the internet)"},
		{tcp(external("api.stripe.com", "2001:db8::9"), 443), policy.Allowed, 0, "rule 0 (the internet)"},
		{tcp(flow.Endpoint{Kind: flow.External, Name: "api.stripe.com"}, 443), policy.Allowed, 0, "rule 0 (the internet)"},
		{tcp(external("a.b.blob.example", "203.0.113.9"), 443), policy.Allowed, 0, "rule 0 (the internet)"},
		{
			tcp(external("blob.example", "203.0.113.9"), 443),
			policy.Denied, -1,
			"blob.example:443/TCP is not in " + gate + ", which limits rule 0 (the internet)",
		},
		{
			tcp(external("api.evil.example", "203.0.113.9"), 443),
			policy.Denied, -1,
			"api.evil.example:443/TCP is not in " + gate + ", which limits rule 0 (the internet)",
		},
		{
			tcp(external("api.stripe.com", "203.0.113.9"), 8443),
			policy.Denied, -1,
			"port 8443/TCP, " + gate + " of rule 0 (the internet) allows api.stripe.com:443/TCP",
		},
		{
			tcp(external("ldap.corp.example", "203.0.113.9"), 636),
			policy.Denied, -1,
			"port 636/TCP, rule 0 (the internet) allows 443/TCP",
		},
		{
			tcp(external("api.stripe.com", "10.9.0.2"), 443),
			policy.Denied, -1,
			"10.9.0.2 is in the range 10.0.0.0/8 that rule 0 (the internet) excepts",
		},
		{
			tcp(at("203.0.113.9"), 443), policy.Denied, -1,
			"203.0.113.9 has no name, and rule 0 (the internet) is only for the names in " + gate,
		},
		{tcp(external("ldap.corp.example", "10.9.0.1"), 636), policy.Allowed, 1, "rule 1 (10.9.0.1/32)"},
		{
			tcp(external("git.corp.example", "10.9.0.1"), 636),
			policy.Denied, -1,
			"git.corp.example:636/TCP is not in " + gate + ", which limits rule 1 (10.9.0.1/32)",
		},
		{tcp(at("10.9.0.1"), 636), policy.Allowed, 1, "rule 1 (10.9.0.1/32)"},
		{
			tcp(external("a,b.example", "203.0.113.9"), 443),
			policy.Denied, -1,
			`no policy can hold the name "a,b.example", so its address is used: ` +
				"203.0.113.9 has no name, and rule 0 (the internet) is only for the names in " + gate,
		},
		{tcp(external("a,b.example", "10.9.0.1"), 636), policy.Allowed, 1, "rule 1 (10.9.0.1/32)"},
		{
			tcp(flow.Endpoint{Kind: flow.External, Name: "a,b.example"}, 443),
			policy.Inexpressible, -1, `"a,b.example" is no host name`,
		},
	})
	// A range narrower than the internet and wider than an address, and a rule without peers, are a person's explicit
	// choice.
	checkVerdicts(t, annotated+"  - {to: [{ipBlock: {cidr: 203.0.113.0/24}}]}\n  - {ports: [{port: 80}]}\n", []verdictRow{
		{tcp(external("api.evil.example", "203.0.113.9"), 443), policy.Allowed, 0, "rule 0 (203.0.113.0/24)"},
		{tcp(external("api.evil.example", "198.51.100.1"), 80), policy.Allowed, 1, "rule 1 (everywhere)"},
		{
			tcp(external("api.evil.example", "198.51.100.1"), 81),
			policy.Denied, -1,
			"port 81/TCP, rule 1 (everywhere) allows 80/TCP",
		},
	})
}

func TestNames_EmptyAnnotationAllowsNone(t *testing.T) {
	checkVerdicts(t, `
metadata: {name: checkout, annotations: {netzero.dev/egress-names: ""}}
spec:
  podSelector: {}
  egress:
`+theInternet, []verdictRow{
		{
			tcp(external("api.stripe.com", "203.0.113.9"), 443),
			policy.Denied, -1,
			"api.stripe.com:443/TCP is not in the annotation netzero.dev/egress-names, which limits rule 0 (the internet)",
		},
	})
}

func TestNotices_WideRules(t *testing.T) {
	for _, row := range []struct {
		reason, policies string
		flow             flow.Flow
		want             string
	}{
		{"an empty rule is kept: a person chose it", header + "  - {}\n", tcp(workload("cache"), 1),
			"policy checkout: rule 0 is {}, which allows everything"},
		{
			"without an annotation no name is checked", header + theInternet,
			tcp(external("api.stripe.com", "203.0.113.9"), 443),
			"policy checkout: rule 0 opens the internet, and without the annotation netzero.dev/egress-names no name is checked",
		},
		{
			"a name that was checked deserves no notice", annotated + theInternet,
			tcp(external("api.stripe.com", "203.0.113.9"), 443),
			"",
		},
		{"nor does a rule with ports", header + "  - {ports: [{port: 443}]}\n", tcp(workload("cache"), 443), ""},
	} {
		v := (Dialect{alone(checkout)}).Evaluate(parse(t, row.policies), row.flow)
		if v.Outcome != policy.Allowed || strings.Join(v.Notices, "|") != row.want {
			t.Errorf("%s: got %s with notice %q, want %q", row.reason, v.Outcome, v.Notices, row.want)
		}
	}
}
