package golden

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netzero-dev/netzero/internal/cilium"
)

// Two specs in one policy, as people write them by hand.
const specsYAML = `apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata:
  name: shop
specs:
- description: the shop # by Ada
  endpointSelector:
    matchLabels:
      app: shop
  egress:
  - toEndpoints:
    - matchLabels:
        app: db
    toPorts:
    - ports:
      - port: "5432"
        protocol: TCP
- endpointSelector:
    matchLabels:
      app: db
  egress:
  - {} # nothing
`

func TestRead_SeveralSpecs(t *testing.T) {
	both := strings.Replace(strings.Replace(specsYAML, "specs:\n- description", "spec:\n  description", 1),
		"- endpointSelector:", "specs:\n- endpointSelector:", 1)
	swapped := specsYAML[:strings.Index(specsYAML, "- description")] +
		specsYAML[strings.Index(specsYAML, "- endpointSelector"):] +
		specsYAML[strings.Index(specsYAML, "- description"):strings.Index(specsYAML, "- endpointSelector")]
	want := parsed(t, specsYAML)
	if len(want.Specs) != 2 || cilium.HasSpec(want) || want.Specs[0].Egress[0].ToPorts[0].Ports[0].Port != "5432" {
		t.Fatalf("read %+v", want)
	}
	for reason, text := range map[string]string{"spec and specs": both, "another order": swapped} {
		p := parsed(t, text)
		if diff := Diff(list(want), list(p)); diff != "" {
			t.Errorf("%s: differs:\n%s", reason, diff)
		}
		if p.Spec.Description+strings.Join([]string{p.Specs[0].Description, p.Specs[len(p.Specs)-1].Description}, "") == "" {
			t.Errorf("%s: read %+v", reason, p)
		}
	}
	other := parsed(t, strings.Replace(specsYAML, "5432", "6432", 1))
	if diff := Diff(list(want), list(other)); !strings.Contains(diff, `port: "6432"`) {
		t.Errorf("another port is no difference:\n%s", diff)
	}
	text, err := Format(Header{}, list(want))
	if err != nil || strings.Contains(string(text), "\nspec:") {
		t.Errorf("written as (%v):\n%s", err, text)
	}
}

func TestRead_InvalidSpecs(t *testing.T) {
	for _, c := range []struct{ reason, old, new, want string }{
		{"a policy for nodes is not for pods", "- endpointSelector:", "- nodeSelector: {}\n  endpointSelector:",
			"document 1, line 18: specs[1].nodeSelector: a field that is not supported here"},
		{"which pods it is for is missing", "- endpointSelector:\n    matchLabels:\n      app: db\n  egress", "- egress",
			"specs[1].endpointSelector: missing"},
		{"a field that is not known", "    toPorts:", "    toService: []\n    toPorts:",
			"line 14: specs[0].egress[0].toService"},
		{"a list that is empty", "  - {} # nothing", "  - toEndpoints: []",
			"line 22: specs[1].egress[0].toEndpoints: is an empty list"},
		{"no rules", "  egress:\n  - {} # nothing\n", "",
			"line 18: specs[1]: Required value: a policy needs egress or ingress rules"},
		{"a spec without a value", "- endpointSelector:\n    matchLabels:\n      app: db\n  egress:\n  - {} # nothing", "-",
			"specs[1]: has no value"},
		{"no specs", specsYAML[strings.Index(specsYAML, "specs:"):], "specs: []\n", "line 5: specs: is an empty list"},
		{"of another type", specsYAML[strings.Index(specsYAML, "specs:"):], "specs: {}\n",
			"line 5: specs: is a mapping, want a list"},
		{"a protocol without a value", "protocol: TCP", "protocol: \"\"",
			"line 17: specs[0].egress[0].toPorts[0].ports[0].protocol: is empty"},
		{"a range that ends before it begins", "\"5432\"", "\"5432\"\n        endPort: 80",
			"specs[0].egress[0].toPorts[0].ports[0].endPort"},
	} {
		text := strings.Replace(specsYAML, c.old, c.new, 1)
		if text == specsYAML {
			t.Errorf("%s: nothing was replaced", c.reason)
		}
		if _, err := Parse("x.yaml", []byte(text)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", c.reason, err, c.want)
		}
	}
}

func TestRewrite_SeveralSpecs(t *testing.T) {
	file := mustParse(t, specsYAML)
	p := file.Policies[0].(*CiliumNetworkPolicy).DeepCopy()
	p.Specs[0].Egress[0].ToPorts[0].Ports[0].Port = "6432"
	got, err := file.Rewrite(file.Header, list(p))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Replace(specsYAML, "5432", "6432", 1), string(got)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
