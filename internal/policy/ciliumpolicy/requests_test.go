package ciliumpolicy

import (
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/netzero-dev/netzero/internal/cilium"
	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/internal/policy/policytest"
	"github.com/netzero-dev/netzero/internal/urlpath"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// withRequests returns the dialect of checkout with Requests.
func withRequests(folds ...string) Dialect {
	s := policytest.Alone(policytest.Checkout)
	s.Requests, s.FoldPaths = true, folds
	return Dialect{s}
}

// billing returns a flow from checkout to billing with requests.
func billing(port uint16, requests ...flow.Request) flow.Flow {
	return policytest.Sends(policytest.TCP(policytest.Workload("billing"), port), requests...)
}

var (
	charge  = policytest.HTTP("POST", "/api/v1/charge")
	invoice = policytest.HTTP("GET", "/api/v1/invoices/123")
	grpc    = flow.Request{Protocol: flow.GRPC, Method: "POST", Path: "/shop.Cart/Add"}
	produce = policytest.Kafka("produce", "orders")
)

// entriesOf describes the entries of the rule for billing: "80/TCP", "81/TCP POST /a, GET /b".
func entriesOf(t *testing.T, policies Policies) []string {
	t.Helper()
	var all []string
	for _, r := range RulesOf(policies[0], policy.Egress) {
		if len(r.Endpoints) != 1 || r.Endpoints[0].MatchLabels["k8s:app"] != "billing" {
			continue
		}
		for _, e := range r.Ports {
			text := describePorts(e)
			if e.HasHTTP() {
				text += " " + describeRequests(e.Rules.HTTP)
			}
			all = append(all, text)
		}
	}
	if err := cilium.Validate(policies[0]); err != nil {
		t.Error(err)
	}
	return all
}

func TestRequests_Generate(t *testing.T) {
	for _, c := range []struct {
		reason string
		flows  []flow.Flow
		want   []string
	}{
		{"by path and method", []flow.Flow{billing(80, invoice, charge)},
			[]string{"80/TCP POST /api/v1/charge, GET /api/v1/invoices/{digits}"}},
		{"two ids are one rule", []flow.Flow{billing(80, invoice, policytest.HTTP("GET", "/api/v1/invoices/4"))},
			[]string{"80/TCP GET /api/v1/invoices/{digits}"}},
		{"ports with the same requests", []flow.Flow{billing(80, charge), billing(81, charge), billing(82, invoice)},
			[]string{"80/TCP, 81/TCP POST /api/v1/charge", "82/TCP GET /api/v1/invoices/{digits}"}},
		{"ports without requests come first", []flow.Flow{billing(80, charge), billing(90)},
			[]string{"90/TCP", "80/TCP POST /api/v1/charge"}},
		{"gRPC", []flow.Flow{billing(80, grpc)}, []string{"80/TCP POST /shop.Cart/Add"}},
		{"opaque", []flow.Flow{policytest.Opaque(billing(80, charge), "TLS")}, []string{"80/TCP"}},
		{"Kafka", []flow.Flow{billing(80, produce)}, []string{"80/TCP"}},
		{"a replica only dialled", []flow.Flow{billing(80), billing(80, charge)}, []string{"80/TCP POST /api/v1/charge"}},
		{"one flow is opaque", []flow.Flow{billing(80, charge), policytest.Opaque(billing(80), "TLS")}, []string{"80/TCP"}},
		{"bytes that no expression matches", []flow.Flow{billing(80, policytest.HTTP("GET", "/\xff"))}, []string{"80/TCP"}},
	} {
		if diff := gocmp.Diff(c.want, entriesOf(t, withRequests().Generate(c.flows))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.reason, diff)
		}
	}
	off := Dialect{policytest.Alone(policytest.Checkout)}
	if got := entriesOf(t, off.Generate([]flow.Flow{billing(80, charge)})); !slices.Equal(got, []string{"80/TCP"}) {
		t.Errorf("without Requests: %q", got)
	}
}

func TestRequests_WrittenExpressions(t *testing.T) {
	p := withRequests().Generate([]flow.Flow{billing(80, charge, grpc)})[0]
	want := []cilium.HTTPRule{
		{Path: `/api/v1/charge(\?.*)?`, Method: "POST"},
		{Path: `/shop\.Cart/Add`, Method: "POST"},
	}
	for _, r := range p.Spec.Egress {
		if e := r.ToPorts[0]; e.HasHTTP() {
			if diff := gocmp.Diff(want, e.Rules.HTTP); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		}
	}
}

func TestRequests_Verdicts(t *testing.T) {
	on, off := withRequests(), Dialect{policytest.Alone(policytest.Checkout)}
	limited, open := on.Generate([]flow.Flow{billing(80, charge)}), off.Generate([]flow.Flow{billing(80)})
	const toBilling = "{toEndpoints: [{matchLabels: {app: billing}}], " +
		"toPorts: [{ports: [{port: '80', protocol: TCP}], rules: {http: "
	kept := policytest.CiliumEgressPolicy(t, toBilling+"[{}]}}]}")
	host := policytest.CiliumEgressPolicy(t, toBilling+"[{method: 'GET|POST', host: 'billing:80'}]}}]}")
	both := policytest.CiliumEgressPolicy(t, toBilling+"[{method: GET}]}}]}, {toEntities: [all]}")
	at := func(host string) flow.Flow {
		r := charge
		r.Host = host
		return billing(80, r)
	}
	query := charge
	query.Query = "?now=1"
	for _, c := range []struct {
		reason   string
		dialect  Dialect
		policies Policies
		flow     flow.Flow
		want     policy.Outcome
		text     string // a part of the reason or of a notice; "-" is no notice
	}{
		{"listed", on, limited, billing(80, charge), policy.Allowed, "-"},
		{"listed, with a query", on, limited, billing(80, query), policy.Allowed, "-"},
		{"another request", on, limited, billing(80, charge, invoice), policy.Denied,
			"GET /api/v1/invoices/123 is not in rule 0 (pods app=billing), which allows POST /api/v1/charge"},
		{"another method", on, limited, billing(80, policytest.HTTP("GET", "/api/v1/charge")), policy.Denied, "is not in"},
		{"a path below", on, limited, billing(80, policytest.HTTP("POST", "/api/v1/charge/1")), policy.Denied, "is not in"},
		{"nothing sent", on, limited, billing(80), policy.Allowed, "-"},
		{"opaque", on, limited, policytest.Opaque(billing(80), "TLS"), policy.Denied,
			"rule 0 (pods app=billing) allows only some HTTP requests, and those of this flow are not known: TLS"},
		{"Kafka", on, limited, billing(80, produce), policy.Denied, "produce orders is not in"},
		{"not recorded", off, limited, billing(80, invoice), policy.Allowed, "add the option Requests"},
		{"every request", on, open, billing(80, charge), policy.Allowed, "allows every request to billing:80/TCP"},
		{"every request, to a flow that needs it", on, open, policytest.Opaque(billing(80), "TLS"), policy.Allowed, "-"},
		{"kept wide by hand", on, kept, billing(80, charge), policy.Allowed, "-"},
		{"kept wide by hand, not recorded", off, kept, billing(80, charge), policy.Allowed, "-"},
		{"the host", on, host, at("billing:80"), policy.Allowed, "-"},
		{"another host", on, host, at("billing"), policy.Denied, "GET|POST any path at host billing:80"},
		{"a rule beside without requests", on, both, billing(80, charge), policy.Allowed, ""},
	} {
		for name, v := range map[string]policy.Verdict{
			"Evaluate":  c.dialect.Evaluate(c.policies, c.flow),
			"Evaluator": c.dialect.Evaluator(c.policies)(c.flow),
		} {
			text := v.Reason
			if v.Outcome == policy.Allowed {
				text = strings.Join(v.Notices, "; ")
			}
			isSilent := text == ""
			if v.Outcome != c.want || c.text == "-" && !isSilent || c.text != "-" && !strings.Contains(text, c.text) {
				t.Errorf("%s: %s: %s: %s", c.reason, name, v.Outcome, text)
			}
		}
	}
}

func TestRequests_Merge(t *testing.T) {
	c := withRequests("/customers/{name}")
	const entry = "{toEndpoints: [{matchLabels: {'k8s:app': billing}}], toPorts: [{ports: [{port: '80', protocol: TCP}]"
	written := func(ports string) Policies { return policytest.CiliumEgressPolicy(t, entry+ports) }
	for _, v := range []struct {
		reason    string
		committed Policies
		flows     []flow.Flow
		want      []string
	}{
		{"a new request", c.Generate([]flow.Flow{billing(80, charge)}), []flow.Flow{billing(80, charge, invoice)},
			[]string{"80/TCP POST /api/v1/charge, GET /api/v1/invoices/{digits}"}},
		{"a request that is gone", c.Generate([]flow.Flow{billing(80, charge, invoice)}), []flow.Flow{billing(80, charge)},
			[]string{"80/TCP POST /api/v1/charge"}},
		{"a request at one of two ports", c.Generate([]flow.Flow{billing(80, charge), billing(81, charge)}),
			[]flow.Flow{billing(80, charge), billing(81, charge, invoice)},
			[]string{"80/TCP POST /api/v1/charge", "81/TCP POST /api/v1/charge, GET /api/v1/invoices/{digits}"}},
		{"narrowed", written("}]}"), []flow.Flow{billing(80, charge)}, []string{"80/TCP POST /api/v1/charge"}},
		{"narrowed, but for a port that stays", written("}, {ports: [{port: '81', protocol: TCP}]}]}"),
			[]flow.Flow{billing(80, charge), billing(81)}, []string{"81/TCP", "80/TCP POST /api/v1/charge"}},
		{"not narrowed, because one is opaque", written("}]}"),
			[]flow.Flow{billing(80, charge), policytest.Opaque(billing(80), "TLS")}, []string{"80/TCP"}},
		{"not what a recording writes", policytest.CiliumEgressPolicy(t, strings.Replace(entry, "TCP", "ANY", 1)+"}]}"),
			[]flow.Flow{billing(80, charge)}, []string{"80/ANY"}},
		{"kept wide by hand", written(", rules: {http: [{}]}}]}"), []flow.Flow{billing(80, charge)},
			[]string{"80/TCP every request"}},
		{"opaque from now on", c.Generate([]flow.Flow{billing(80, charge), billing(81, charge)}),
			[]flow.Flow{policytest.Opaque(billing(80), "TLS"), billing(81, charge)},
			[]string{"80/TCP", "81/TCP POST /api/v1/charge"}},
		{"nothing was sent", c.Generate([]flow.Flow{billing(80, charge)}), []flow.Flow{billing(80)},
			[]string{"80/TCP POST /api/v1/charge"}},
		{"a new fold", withRequests().Generate([]flow.Flow{billing(80, policytest.HTTP("GET", "/customers/ann"))}),
			[]flow.Flow{billing(80, policytest.HTTP("GET", "/customers/bob"))}, []string{"80/TCP GET /customers/{any}"}},
		{"by hand", written(", rules: {http: [{method: 'GET|POST'}]}}]}"), []flow.Flow{billing(80, charge)},
			[]string{"80/TCP GET|POST any path"}},
	} {
		merged := c.Merge(v.committed, v.flows)
		if diff := gocmp.Diff(v.want, entriesOf(t, merged)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", v.reason, diff)
		}
		for _, f := range v.flows {
			if verdict := c.Evaluate(merged, f); verdict.Outcome != policy.Allowed {
				t.Errorf("%s: %s", v.reason, verdict.Reason)
			}
		}
		if lines := c.Unused(merged, v.flows); len(lines) > 0 {
			t.Errorf("%s: unused: %q", v.reason, lines)
		}
	}
}

func TestRequests_Unused(t *testing.T) {
	c := withRequests()
	policies := c.Generate([]flow.Flow{billing(80, charge, invoice)})
	want := []string{"policy checkout: rule 0: request GET /api/v1/invoices/{digits} to port 80/TCP"}
	if diff := gocmp.Diff(want, c.Unused(policies, []flow.Flow{billing(80, charge)})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := (Dialect{policytest.Alone(policytest.Checkout)}).Unused(policies, []flow.Flow{billing(80)}); len(got) > 0 {
		t.Errorf("without Requests: %q", got)
	}
}

func TestRequests_Unite(t *testing.T) {
	c := withRequests()
	charges, invoices := c.Generate([]flow.Flow{billing(80, charge)}), c.Generate([]flow.Flow{billing(80, invoice)})
	open := c.Generate([]flow.Flow{policytest.Opaque(billing(80), "TLS")})
	for _, v := range []struct {
		reason string
		sets   []Policies
		want   []string
	}{
		{"both lists", []Policies{charges, invoices}, []string{"80/TCP POST /api/v1/charge, GET /api/v1/invoices/{digits}"}},
		{"every request", []Policies{charges, open}, []string{"80/TCP"}},
	} {
		united, err := Unite(v.sets...)
		if err != nil {
			t.Fatal(err)
		}
		if diff := gocmp.Diff(v.want, entriesOf(t, united)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", v.reason, diff)
		}
	}
}

func TestRequests_PatternOfExpression(t *testing.T) {
	for _, p := range []urlpath.Pattern{
		"*", "/", "/a.b/+", "/api/{digits}/x", "/{uuid}", "/{ulid}/{hex}/{date}", "/{any}/", "/a%2Cb%7B", "/%C3%A9%20",
		"//%FF",
		"/[Aa]", "/(x)",
	} {
		if got, ok := patternOf(p.Regexp()); !ok || got != p {
			t.Errorf("%s: %s: %q, %v", p, p.Regexp(), got, ok)
		}
	}
	for _, expr := range []string{"", "/.*", "/a|/b", "/a?", "/[0-9]+x", "/a$"} {
		if got, ok := patternOf(expr); ok {
			t.Errorf("%s: %q", expr, got)
		}
	}
}

// TestRequests_RandomPolicies draws flows with requests: generated policies allow exactly them, merges allow them all,
// and nothing of a merge is unused that a generated policy has.
func TestRequests_RandomPolicies(t *testing.T) {
	seed := policytest.Seed(t)
	denied := 0
	for i := range uint64(60) {
		r := policytest.New(seed, i)
		scope := r.Scope()
		scope.Requests = true
		scope.FoldPaths = policytest.Pick(r, nil, []string{"/customers/{name}"})
		c := Dialect{scope}
		flows, others := r.WithRequests(r.FlowsIn(scope)), r.WithRequests(r.FlowsIn(scope))
		generated, edited := c.Generate(flows), r.AddCilium(r.EditCilium(c.Generate(others)))
		merged := c.Merge(edited, flows)
		for what, policies := range map[string]Policies{
			"generated": generated, "merged": merged, "extended": c.Extend(edited, flows),
		} {
			evaluate := c.Evaluator(policies)
			for _, f := range c.Required(flows) {
				v := c.Evaluate(policies, f)
				if v.Outcome == policy.Denied && !strings.Contains(v.Reason, "Deny rule") {
					t.Errorf("%s: %s %v %s is denied: %s", what, arrow(f), f.Requests, f.Opaque, v.Reason)
				}
			}
			for _, f := range append(others, flows...) {
				v := c.Evaluate(policies, f)
				if v.Outcome == policy.Denied {
					denied++
				}
				if diff := gocmp.Diff(v, evaluate(f)); diff != "" {
					t.Errorf("%s: %s (-Evaluate +Evaluator):\n%s", what, arrow(f), diff)
				}
			}
			for _, p := range policies {
				if err := cilium.Validate(p); err != nil {
					t.Errorf("%s: %v", what, err)
				}
			}
			compareUsage(t, c, policies, c.Required(flows))
		}
		same := func(what string, want, got Policies) {
			if diff := gocmp.Diff(policytest.ToYAMLs(t, want), policytest.ToYAMLs(t, got)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", what, diff)
			}
		}
		if unused := c.Unused(generated, flows); len(unused) > 0 {
			t.Errorf("generated: unused: %q", unused)
		}
		same("merged into nothing", generated, c.Merge(nil, flows))
		same("merged again", generated, c.Merge(generated, flows))
		same("merged twice", merged, c.Merge(merged, flows))
		if t.Failed() {
			t.Fatalf("case %d of seed %d\nedited: %s\nmerged: %s", i, seed, policytest.ToYAMLs(t, edited),
				policytest.ToYAMLs(t, merged))
		}
	}
	if denied < 100 {
		t.Errorf("only %d flows are denied: too few to mean anything", denied)
	}
}
