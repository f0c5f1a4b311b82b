package conformance

import (
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/cilium/cilium/pkg/policy/api"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/netzero-dev/netzero/internal/cilium"
	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/internal/policy/ciliumpolicy"
	"github.com/netzero-dev/netzero/internal/policy/policytest"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// matchesAsEnvoy reports whether an HTTP rule in the form of Cilium's agent matches a request. Cilium gives its
// expressions to Envoy as safe_regex, which has to match the whole of :method, :path and :authority.
func matchesAsEnvoy(r api.PortRuleHTTP, request flow.Request) bool {
	whole := func(expr, text string) bool {
		re := regexp.MustCompile(expr)
		re.Longest()
		at := re.FindStringIndex(text)
		return expr == "" || at != nil && at[0] == 0 && at[1] == len(text)
	}
	return whole(r.Method, request.Method) && whole(r.Path, request.URI()) && whole(r.Host, request.Host)
}

// TestCilium_Requests compares verdicts on random requests with Envoy's rules for matching. Both validators accept the
// policies.
func TestCilium_Requests(t *testing.T) {
	t.Parallel()
	schema := newCRD(t)
	seed := policytest.Seed(t)
	allowed, denied := 0, 0
	for i := range uint64(200) {
		r := policytest.New(seed, i)
		scope := policytest.Alone(policytest.Checkout)
		scope.Requests, scope.FoldPaths = true, policytest.Pick(r, nil, []string{"/customers/{name}"})
		c := ciliumpolicy.Dialect{Scope: scope}
		send := func() flow.Flow {
			f := policytest.TCP(policytest.Workload("billing"), 80)
			f.Requests = policytest.DrawRequests(r.Rand)
			return f
		}
		policies := c.Merge(c.Generate([]flow.Flow{send()}), []flow.Flow{send(), send()})
		text := []byte(toYAML(t, policies[0]))
		accept(t, schema, "generated", text)
		rule, err := parse(text)
		if err != nil {
			t.Fatal(err)
		}
		var rules []api.PortRuleHTTP
		isOpen := false
		for _, e := range rule.Egress {
			for _, p := range e.ToPorts {
				if p.Ports[0].Port != "80" {
					continue
				}
				isOpen = isOpen || p.Rules.IsEmpty()
				if !p.Rules.IsEmpty() {
					rules = append(rules, p.Rules.HTTP...)
				}
			}
		}
		for range 20 {
			f := send()
			f.Requests = f.Requests[:min(1, len(f.Requests))]
			if len(f.Requests) == 0 || !f.Requests[0].IsHTTP() {
				continue
			}
			f.Requests[0].Query = policytest.Pick(r, "", "?a=b")
			want := isOpen || slices.ContainsFunc(rules, func(h api.PortRuleHTTP) bool {
				return matchesAsEnvoy(h, f.Requests[0])
			})
			v := c.Evaluate(policies, f)
			if got := v.Outcome == policy.Allowed; got != want {
				t.Fatalf("case %d of seed %d: %v: allowed here: %v (%s), by Envoy: %v\n%s",
					i, seed, f.Requests, got, v.Reason, want, text)
			}
			if want {
				allowed++
			} else {
				denied++
			}
		}
	}
	t.Logf("%d allowed, %d denied", allowed, denied)
	if allowed < 200 || denied < 200 {
		t.Error("too few to mean anything")
	}
}

// opening draws a policy for all pods of a namespace, with a few rules for a few peers and ports, so that several are
// for the same ones. Some have HTTP rules.
func (r draw) opening(namespace string) *cilium.NetworkPolicy {
	p := &cilium.NetworkPolicy{TypeMeta: metav1.TypeMeta{APIVersion: cilium.APIVersion, Kind: cilium.Kind}}
	p.Name, p.Namespace = "opening", namespace
	for range 1 + r.IntN(3) {
		var rule cilium.EgressRule
		switch r.IntN(4) {
		case 0: // every peer
		case 1:
			rule.ToEntities = []string{pick(r, "all", "cluster", "world")}
		case 2:
			rule.ToCIDR = []string{"0.0.0.0/0"}
		case 3:
			rule.ToEndpoints = []metav1.LabelSelector{{}}
		}
		for range 1 + r.IntN(2) {
			ports := cilium.PortRule{Ports: []cilium.Port{{
				Port: pick(r, "79", "80", "80", "81"), EndPort: pick[int32](r, 0, 0, 82), Protocol: "TCP",
			}}}
			if r.IntN(4) > 0 {
				ports.Rules = &cilium.L7Rules{HTTP: r.httpRules()}
			}
			rule.ToPorts = append(rule.ToPorts, ports)
		}
		p.Spec.Egress = append(p.Spec.Egress, rule)
	}
	return p
}

// TestCilium_RequestsOfHandWrittenPolicies compares verdicts on requests where several rules are for one peer and port,
// in the same form or in others, with HTTP rules and without.
func TestCilium_RequestsOfHandWrittenPolicies(t *testing.T) {
	t.Parallel()
	seed := policytest.Seed(t)
	byRequest, beside := 0, 0
	for i := range uint64(300) {
		r := draw{rand.New(rand.NewPCG(seed, i))}
		q := ciliumQuestion{Cluster: r.cluster()}
		q.Traffic = r.traffic(q.Cluster)
		q.Traffic.Protocol, q.Traffic.Port = corev1.ProtocolTCP, pick[uint16](r, 80, 80, 81)
		if q.Traffic.From.Pod == nil {
			continue
		}
		q.Policies = []*cilium.NetworkPolicy{r.opening(q.Traffic.From.Pod.Namespace)}
		if r.one(3) {
			q.Policies = append(q.Policies, r.opening(q.Traffic.From.Pod.Namespace))
		}
		nothingSent, _ := q.ours()
		q.Opaque = true
		withoutRules, _ := q.ours() // a rule without HTTP rules allows the flow
		q.Opaque = false
		for range 6 {
			q.Request = r.request()
			ours, v := q.ours()
			if theirs := q.theirs(t); ours != theirs {
				t.Fatalf("case %d of seed %d: %v: allowed here: %v (%s: %s), by Cilium: %v\n%s", i, seed, q.Request, ours,
					v.Outcome, v.Reason, theirs, toYAML(t, q))
			}
			if nothingSent && !ours {
				byRequest++
			}
			if withoutRules && strings.Contains(toText(q.Policies), `"http"`) {
				beside++
			}
		}
	}
	t.Logf("%d denied for their requests, %d with a rule for every request beside HTTP rules", byRequest, beside)
	if byRequest < 20 || beside < 20 {
		t.Error("too few to mean anything")
	}
}

// TestValidators_HTTPRules compares both of Cilium's validators with ours.
func TestValidators_HTTPRules(t *testing.T) {
	t.Parallel()
	schema := newCRD(t)
	for _, c := range []struct {
		reason, port string
		theirs, ours bool // accept it
	}{
		{"a rule", "{ports: [{port: '80', protocol: TCP}], rules: {http: [{method: GET, path: '/a'}]}}", true, true},
		{"every request", "{ports: [{port: '80', protocol: TCP}], rules: {http: [{}]}}", true, true},
		{"a range", "{ports: [{port: '80', endPort: 90, protocol: TCP}], rules: {http: [{method: GET}]}}", true, true},
		{"a named port", "{ports: [{port: http, protocol: TCP}], rules: {http: [{method: GET}]}}", true, true},
		{"a host", "{ports: [{port: '80', protocol: TCP}], rules: {http: [{host: 'a\\.b'}]}}", true, true},
		{"another protocol", "{ports: [{port: '80', protocol: UDP}], rules: {http: [{method: GET}]}}", false, false},
		{"any protocol", "{ports: [{port: '80'}], rules: {http: [{method: GET}]}}", false, false},
		{"every port", "{ports: [{port: '0', protocol: TCP}], rules: {http: [{method: GET}]}}", false, false},
		{"no expression", "{ports: [{port: '80', protocol: TCP}], rules: {http: [{path: '('}]}}", false, false},
		{"DNS beside", "{ports: [{port: '80', protocol: TCP}], rules: {http: [{}], dns: [{matchPattern: '*'}]}}",
			false, false},
		{"Kafka", "{ports: [{port: '80', protocol: TCP}], rules: {kafka: [{topic: a}]}}", false, false},
		{"no expression for the host", "{ports: [{port: '80', protocol: TCP}], rules: {http: [{host: '('}]}}", true, false},
		{"headers", "{ports: [{port: '80', protocol: TCP}], rules: {http: [{headers: [a]}]}}", true, false},
	} {
		text := "apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata: {name: a}\n" +
			"spec: {endpointSelector: {}, egress: [{toPorts: [" + c.port + "]}]}\n"
		bySanitizer, bySchema := sanitize([]byte(text)), schema.validate([]byte(text))
		if got := bySanitizer == nil && bySchema == nil; got != c.theirs {
			t.Errorf("%s: Cilium accepts it: %v (%v, %v)", c.reason, got, bySanitizer, bySchema)
		}
		if err := ours(t, text); (err == nil) != c.ours {
			t.Errorf("%s: ours: %v", c.reason, err)
		}
		denial := strings.Replace(text, "egress:", "egressDeny:", 1)
		if strings.Contains(c.port, "http: [") && ours(t, denial) == nil {
			t.Errorf("%s: a deny rule is accepted", c.reason)
		}
	}
}
