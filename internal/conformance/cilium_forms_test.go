package conformance

import (
	"encoding/json"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/netzero-dev/netzero/internal/cilium"
	"github.com/netzero-dev/netzero/internal/policy/policytest"
)

// wrong are values that at least one of Cilium's two validators rejects in a field.
var wrong = map[string][]any{
	"protocol":          {"tcp", "ICMP", "http", 6, "", "UDP", "SCTP", "ANY"},
	"port":              {"", "0", "65536", "-1", "a_b", "0x50", "aVeryLongNameOfAPort", 80},
	"endPort":           {-1, 65536, "81"},
	"cidr":              {"", "10.0.0.0", "10.0.0.0/33", "nonsense", 7},
	"except":            {[]any{"192.0.2.0/24"}, []any{"10.0.0.0"}, []any{"0.0.0.0/0"}, "10.1.0.0/16"},
	"operator":          {"in", "Equals", ""},
	"key":               {"", "a b", "a/b/c", "-a"},
	"values":            {[]any{}, []any{"a b"}, "a"},
	"toEntities":        {[]any{"internet"}, []any{"World"}, []any{"world-ipv4"}, []any{""}},
	"fromEntities":      {[]any{"internet"}, []any{"World"}},
	"toCIDR":            {[]any{"10.0.0.0/33"}, []any{"10.0.0"}, []any{""}},
	"enableDefaultDeny": {map[string]any{"egress": "yes"}, true},
	"http":              {"all", map[string]any{"method": "GET"}, []any{"GET /"}, []any{map[string]any{"verb": "GET"}}},
	"method":            {"(", "[", "(?=a)", "*", 7, []any{"GET", "POST"}},
	"path":              {"(", "/[", "/{a", "(?!a)", "/a{2,1}", `/\`, `\1`, "*", "/a**", 7},
	"host":              {7, []any{"a"}},
	"rules": {"all", map[string]any{"http": []any{map[string]any{}}, "dns": []any{map[string]any{"matchPattern": "*"}}},
		map[string]any{"kafka": []any{map[string]any{"topic": "a"}}}, map[string]any{"http": "GET"},
		map[string]any{"l7proto": "a"}, map[string]any{"https": []any{}}},
	"egressDeny": {[]any{map[string]any{"toPorts": []any{map[string]any{
		"ports": []any{map[string]any{"port": "80", "protocol": "TCP"}},
		"rules": map[string]any{"http": []any{map[string]any{"method": "GET"}}}}}}}},
	"ingressDeny": {[]any{map[string]any{"toPorts": []any{map[string]any{
		"ports": []any{map[string]any{"port": "80", "protocol": "TCP"}},
		"rules": map[string]any{"http": []any{map[string]any{}}}}}}}},
	"endpointSelector": {nil, "app=x", map[string]any{"matchLabels": map[string]any{"a b": "c"}},
		map[string]any{"matchLabels": map[string]any{"app": "a b"}}},
	"egress": {"all", []any{map[string]any{"toFQDNs": []any{map[string]any{"matchName": "*.a"}}}},
		[]any{map[string]any{"toPorts": []any{},
			"icmps": []any{map[string]any{"fields": []any{map[string]any{"type": 8, "family": "IPv5"}}}}}}},
}

// spoil puts a wrong value into one field of a tree, and describes it. It returns "" if there is no such field.
func (r draw) spoil(tree any) string {
	type place struct {
		of  map[string]any
		key string
	}
	var places []place
	var walk func(any)
	walk = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			for key, below := range v {
				if wrong[key] != nil {
					places = append(places, place{v, key})
				}
				walk(below)
			}
		case []any:
			for _, below := range v {
				walk(below)
			}
		}
	}
	walk(tree)
	if len(places) == 0 {
		return ""
	}
	slices.SortFunc(places, func(a, b place) int { return strings.Compare(a.key+toText(a.of), b.key+toText(b.of)) })
	at := pick(r, places...)
	value := pick(r, wrong[at.key]...)
	at.of[at.key] = value
	return at.key + ": " + toText(value)
}

// TestValidators_HandWrittenForms compares Cilium's validators with ours on forms that are never generated. All accept
// the valid forms. If one field is wrong and Cilium rejects the form, we reject it too.
func TestValidators_HandWrittenForms(t *testing.T) {
	t.Parallel()
	schema := newCRD(t)
	seed := policytest.Seed(t)
	rejected := 0
	for i := range uint64(250) {
		r := draw{rand.New(rand.NewPCG(seed, i))}
		for _, p := range r.ciliums() {
			p = withoutHostBits(p)
			text := toYAML(t, p)
			if err := cilium.Validate(p); err != nil {
				t.Fatalf("case %d of seed %d: we refuse: %v\n%s", i, seed, err, text)
			}
			accept(t, schema, "drawn", []byte(text))
			var tree map[string]any
			if err := json.Unmarshal([]byte(toText(p)), &tree); err != nil {
				t.Fatal(err)
			}
			what := r.spoil(tree["spec"])
			object, err := yaml.Marshal(tree)
			if err != nil {
				t.Fatal(err)
			}
			bySanitizer, bySchema := sanitize(object), schema.validate(object)
			if bySanitizer == nil && bySchema == nil {
				continue
			}
			rejected++
			if ours(t, string(object)) == nil {
				t.Errorf("case %d of seed %d: %s: we accept what Cilium refuses (%v) or the API server (%v):\n%s", i, seed, what,
					bySanitizer, bySchema, object)
			}
		}
		if t.Failed() {
			return
		}
	}
	t.Logf("%d refused", rejected)
	if rejected < 100 {
		t.Error("too few to mean anything")
	}
}
