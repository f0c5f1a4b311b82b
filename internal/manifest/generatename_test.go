package manifest

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// migrateYAML is a Job for `kubectl create`, with the given labels of its pods.
func migrateYAML(labels string) string {
	return `---
apiVersion: batch/v1
kind: Job
metadata:
  generateName: migrate-
  namespace: shop
spec:
  template:
    metadata:
      labels: {` + labels + `}
    spec:
      restartPolicy: Never
      containers:
      - name: migrate
        image: shop/cart:2
`
}

func TestRead_GenerateName(t *testing.T) {
	cart := strings.Split(cartYAML, "---\n")[0] // without the Service
	wide := strings.Replace(cart, "        app: cart\n    spec", "        app: cart\n        tier: web\n    spec", 1)
	for _, c := range []struct {
		reason, text string
		want         map[string]string // the selector of cart
	}{
		{"a Job of other labels", cart + migrateYAML("job: migrate"), set{"app": "cart"}},
		{"two of one generateName", cart + migrateYAML("job: migrate") + migrateYAML("job: seed"), set{"app": "cart"}},
		{"no labels", cart + migrateYAML(""), set{"app": "cart"}},
		{"a Job whose pods the selector matches too", wide + migrateYAML("app: cart"), set{"app": "cart", "tier": "web"}},
		{"a test pod of Helm", cart + "---\napiVersion: v1\nkind: Pod\nmetadata:\n  generateName: cart-test-\n  " +
			"annotations: {helm.sh/hook: test}\nspec:\n  containers:\n  - name: wget\n    image: busybox\n",
			set{"app": "cart"}},
		{"a Namespace, a Service and an EndpointSlice",
			cart + "---\napiVersion: v1\nkind: Namespace\nmetadata: {generateName: preview-}\n---\napiVersion: " +
				"v1\nkind: Service\nmetadata: {generateName: cart-}\nspec: {selector: {app: cart}}\n" +
				"---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\naddressType: IPv4\nmetadata: " +
				"{generateName: " +
				"cart-}\nendpoints: []\n", set{"app": "cart"}},
		{"a kind that is not read", cart + "---\napiVersion: argoproj.io/v1alpha1\nkind: Workflow\nmetadata: " +
			"{generateName: build-}\n", set{"app": "cart"}},
		{"a name counts more", cart + strings.Replace(migrateYAML("job: migrate"), "  generateName",
			"  name: migrate-1\n  generateName", 1), set{"app": "cart"}},
	} {
		s := parsed(t, c.text)
		m, err := s.Find("cart", "shop")
		if err != nil {
			t.Errorf("%s: %v", c.reason, err)
			continue
		}
		if diff := cmp.Diff(c.want, m.Selector); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.reason, diff)
		}
	}
	var missing *NotFoundError
	_, err := parsed(t, cart+migrateYAML("job: migrate")).Find("migrate-", "")
	if !errors.As(err, &missing) || !slices.Equal(missing.Names, []string{"cart.shop"}) {
		t.Errorf("a name that the server gives is found: %v", err)
	}
	if _, err := parsed(t, cart+strings.Replace(migrateYAML("job: migrate"), "  generateName",
		"  name: migrate-1\n  generateName", 1)).Find("migrate-1", "shop"); err != nil {
		t.Error(err)
	}
}

func TestRead_InvalidGenerateName(t *testing.T) {
	for _, c := range []struct{ reason, old, new, want string }{
		{"a template", "migrate-\n", "\"{{ .Release.Name }}-\"\n",
			`line 5: metadata.generateName: template text "{{ .Release.Name }}-"`},
		{"capital letters", "migrate-\n", "Migrate-\n",
			`line 5: metadata.generateName: "Migrate-x": a lowercase RFC 1123 subdomain`},
		{"neither name nor generateName", "generateName: migrate-", "generateName: \"\"",
			"metadata.name: missing; give the Job a name"},
		{"a namespace that is none", "namespace: shop", "namespace: Shop", `line 6: metadata.namespace: "Shop"`},
		{"no containers", "      containers:\n      - name: migrate\n        image: shop/cart:2\n", "",
			"spec.template.spec.containers: missing"},
	} {
		text := strings.Replace(strings.TrimPrefix(migrateYAML("job: migrate"), "---\n"), c.old, c.new, 1)
		err := new(Set).add("x.yaml", []byte("#\n"+text))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", c.reason, err, c.want)
		}
	}
}

func TestRead_JSONLines(t *testing.T) {
	const deployment = `{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"NAME"},` +
		`"spec":{"selector":{"matchLabels":{"app":"NAME"}},"template":{"metadata":{"labels":{"app":"NAME"}},` +
		`"spec":{"containers":[{"name":"c","image":"x"}]}}}}` + "\n"
	of := func(name string) string { return strings.ReplaceAll(deployment, "NAME", name) }
	s := parsed(t, of("cart")+of("orders")+`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"generateName":"x-"}}`+
		"\n---\n"+cartYAML)
	for name, line := range map[string]int{"cart.shop": 29, "orders": 2} {
		m, err := s.Find(name, "")
		if err != nil || m.Line != line {
			t.Errorf("%s is on line %d, want %d (%v)", name, m.Line, line, err)
		}
	}
	err := new(Set).add("x.yaml", []byte(of("cart")+strings.Replace(of("orders"), `"containers"`, `"container"`, 1)))
	const want = `read manifests: x.yaml: document 2, line 2: spec.template.spec.container: unknown field; did you ` +
		`mean "containers"?`
	if err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
}
