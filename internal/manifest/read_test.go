package manifest

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const cartYAML = `apiVersion: apps/v1
kind: Deployment
metadata:
  name: cart
  namespace: shop
spec:
  selector:
    matchLabels:
      app: cart
  template:
    metadata:
      labels:
        app: cart
    spec:
      containers:
      - name: cart
        image: shop/cart:2
        env:
        - name: MODE
          value: fast
        ports:
        - name: http
          containerPort: 8080
---
apiVersion: v1
kind: Service
metadata:
  name: cart
  namespace: shop
spec:
  selector:
    app: cart
  ports:
  - name: http
    port: 80
    targetPort: http
  - name: admin
    port: 8443
`

func TestRead_Invalid(t *testing.T) {
	replaced := func(old, with string) string {
		t.Helper()
		if !strings.Contains(cartYAML, old) {
			t.Fatalf("no %q in the manifests", old)
		}
		return strings.Replace(cartYAML, old, with, 1)
	}
	const render = `; render it first, as "helm template" does, and give the result`
	const onlyManifests = "; give patterns that match manifests only"
	for _, c := range []struct{ reason, text, want string }{
		{"no YAML", replaced("    app: cart\n  ports", "    app: cart\n   ports"),
			`document 2, line 33: not YAML: did not find expected key; correct it`},
		{"a template", replaced("name: cart", "name: {{ .Values.name }}"),
			`document 1, line 4: template text "{{ .Values.name }}"` + render},
		{"a template behind a comment with one", "# {{ x }}\n" + replaced("spec:", "{{- with .Values.spec }}\nspec:"),
			`document 1, line 7: template text "{{- with .Values.spec }}"` + render},
		{"the rest of a template", cartYAML + "---\n{{- end }}\n",
			`document 3, line 40: template text "{{- end }}"` + render},
		{"a template in quotes", replaced("  namespace: shop", `  namespace: "{{ .Values.ns }}"`),
			`document 1, line 5: metadata.namespace: template text "{{ .Values.ns }}"` + render},
		{"a variable for envsubst", replaced("app: cart\n    spec", "app: ${NAME}\n    spec"),
			`document 1, line 13: spec.template.metadata.labels[app]: template text "${NAME}"` + render},
		{"a template for a kind", replaced("kind: Service", `kind: "{{ .Values.kind }}"`),
			`document 2, line 26: kind: template text "{{ .Values.kind }}"` + render},
		{"a key given twice", replaced("  name: cart", "  name: cart\n  name: cart"),
			`document 1, line 5: name: given twice; remove one of them`},
		{"a key given twice in a kind that is passed over", cartYAML + "---\nkind: ConfigMap\nkind: ConfigMap\n",
			`document 3, line 41: kind: given twice; remove one of them`},
		{"no kind", replaced("kind: Service\n", ""),
			`document 2, line 25: kind: missing; give it one, or` + onlyManifests[1:]},
		{"no apiVersion", replaced("apiVersion: v1\n", ""),
			`document 2, line 25: apiVersion: missing; give it one, or` + onlyManifests[1:]},
		{"an apiVersion of the past", replaced("apps/v1", "extensions/v1beta1"),
			`document 1, line 1: apiVersion: extensions/v1beta1 Deployment, which clusters no longer accept; write ` +
				`apps/v1`},
		{"values of a chart", "replicas: 3\n",
			`document 1, line 1: kind: missing; give it one, or` + onlyManifests[1:]},
		{"text", "hello\n", `document 1, line 1: not an object with apiVersion and kind` + onlyManifests},
		{"a list of objects without a List", "- kind: Service\n",
			`document 1, line 1: not an object with apiVersion and kind` + onlyManifests},
		{"two objects without a separator", "{kind: Service}\n{kind: Service}\n",
			`document 1, line 1: more text after the end of the object; separate documents with a line "---"`},
		{"no name", replaced("  name: cart\n  namespace: shop\nspec:\n  selector:\n    app",
			"  namespace: shop\nspec:\n  selector:\n    app"),
			`document 2, line 27: metadata.name: missing; give the Service a name`},
		{"no metadata", "kind: Pod\napiVersion: v1\n",
			`document 1, line 1: metadata.name: missing; give the Pod a name`},
		{"a name that is none", replaced("name: cart", "name: Cart"),
			`document 1, line 4: metadata.name: "Cart": a lowercase RFC 1123 subdomain must consist of lower case ` +
				`alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. ` +
				`'example.com', regex used for validation is ` +
				`'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*'); correct it`},
		{"a label that is none", replaced("        app: cart\n", "        app: cart\n        version: a/b\n"),
			`document 1, line 14: spec.template.metadata.labels[version]: "a/b": a valid label must be an empty ` +
				`string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an ` +
				`alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is ` +
				`'(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?'); correct it`},
		{"a number for a label", replaced("      app: cart\n  template", "      app: 1\n  template"),
			`document 1, line 9: spec.selector.matchLabels: is a number, want a string (write it in quotes)` +
				`; correct it`},
		{"a number for a variable, in a list", replaced("value: fast", "value: 8080"),
			`document 1, line 20: spec.template.spec.containers.env.value: is a number, want a string (write it ` +
				`in quotes); correct it`},
		{"no selector", replaced("  selector:\n    matchLabels:\n      app: cart\n", ""),
			`document 1, line 6: spec.selector: missing; give it the labels of the template`},
		{"a selector that is empty", replaced("  selector:\n    matchLabels:\n      app: cart\n", "  selector: {}\n"),
			`document 1, line 7: spec.selector: selects every pod; give it the labels of the template`},
		{"a selector that is none", replaced("  selector:\n    matchLabels:\n      app: cart\n",
			"  selector: {matchExpressions: [{key: app, operator: Is}]}\n"),
			`document 1, line 7: spec.selector: "Is" is not a valid label selector operator; correct it`},
		{"a selector of other pods", replaced("        app: cart\n", "        app: carts\n"),
			`document 1, line 7: spec.selector: app=cart does not select the pods of its own template, which have ` +
				`app=carts; correct one of them: spec.template.metadata.labels`},
		{"a template without labels", replaced("    metadata:\n      labels:\n        app: cart\n", ""),
			`document 1, line 7: spec.selector: app=cart does not select the pods of its own template, which have no ` +
				`labels; correct one of them: spec.template.metadata.labels`},
		{"a string where a mapping belongs, in a type within a type", replaced("      containers:", "      volumes:"),
			`document 1, line 17: spec.template.spec.volumes.image: is a string, want a mapping; correct it`},
		{"no containers", cartYAML[:strings.Index(cartYAML, "      containers:")] + "      hostname: x\n",
			`document 1, line 14: spec.template.spec.containers: missing; give the pods a container`},
		{"a misspelt field", replaced("targetPort:", "targetport:"),
			`document 2, line 36: spec.ports[0].targetport: unknown field; did you mean "targetPort"?`},
		{"a misspelt field without which nothing is missing", replaced("        ports:\n", "        port:\n"),
			`document 1, line 21: spec.template.spec.containers[0].port: unknown field; did you mean "ports"?`},
		{"a port that is none", replaced("8080", "80800"),
			`document 1, line 23: spec.template.spec.containers[0].ports[0].containerPort: 80800 is not a port; give ` +
				`one between 1 and 65535`},
		{"a target port that is none", replaced("targetPort: http", "targetPort: 80800"),
			`document 2, line 36: spec.ports[0].targetPort: 80800 is not a port; give one between 1 and 65535`},
		{"a target port that is no name", replaced("targetPort: http", "targetPort: a_b"),
			`document 2, line 36: spec.ports[0].targetPort: "a_b": must contain only alpha-numeric characters (a-z, ` +
				`0-9), and hyphens (-); correct it`},
		{"a protocol in lower case", replaced("    port: 80\n", "    port: 80\n    protocol: tcp\n"),
			`document 2, line 36: spec.ports[0].protocol: "tcp" is not a protocol with ports; write TCP, UDP or SCTP`},
		{"one of several ports without a name", replaced("  - name: admin\n    port", "  - port"),
			`document 2, line 37: spec.ports[1].name: missing; name the ports of a Service that has several`},
		{"two ports of one name", replaced("name: admin", "name: http"),
			`document 2, line 37: spec.ports[1].name: "http" is the name of another port too; rename one of them`},
		{"a port given twice", replaced("port: 8443", "port: 80"),
			`document 2, line 37: spec.ports[1]: 80/TCP is given twice; remove one of them`},
		{"a Service without ports", "apiVersion: v1\nkind: Service\nmetadata: {name: x}\nspec: {selector: {a: b}}\n",
			`document 1, line 4: spec.ports: missing; give the Service a port, or clusterIP: None`},
		{"no type of Service", replaced("  ports:\n  - name: http\n    port: 80",
			"  type: Loadbalancer\n  ports:\n  - name: http\n    port: 80"),
			`document 2, line 33: spec.type: "Loadbalancer" is not a type of Service; write ClusterIP, NodePort, ` +
				`LoadBalancer or ExternalName`},
		{"no host", "apiVersion: v1\nkind: Service\nmetadata: {name: x}\nspec:\n  type: ExternalName\n",
			`document 1, line 4: spec.externalName: missing; name the host`},
		{"no address", "apiVersion: v1\nkind: Endpoints\nmetadata: {name: x}\nsubsets:\n- addresses:\n  - ip: " +
			"db.example\n", `document 1, line 6: subsets[0].addresses[0].ip: "db.example" is not an IP address; correct it`},
		{"no address in a slice", "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: " +
			"x}\naddressType: IPv6\nendpoints:\n- addresses: [\"fe80::1%eth0\"]\n",
			`document 1, line 6: endpoints[0].addresses[0]: "fe80::1%eth0" is not an IP address; correct it`},
		{"two versions of one object", cartYAML + "---\n" + replaced("8080", "8081"),
			`document 3, line 43: metadata.name: a different Deployment cart in namespace shop is in x.yaml:1` +
				`; remove one of them, or give patterns that match one`},
		{"a fault in a list", "kind: List\napiVersion: v1\nitems:\n- kind: Pod\n  apiVersion: v1\n  metadata: " +
			"{name: a}\n  spec: {containers: [{name: x}]}\n- kind: Pod\n  apiVersion: v1\n  metadata:\n    " +
			"namespace: b\n", `document 1, line 10: items[1].metadata.name: missing; give the Pod a name`},
		{"no object in a list", "kind: PodList\napiVersion: v1\nitems:\n- x\n",
			`document 1, line 4: items[0]: not an object with apiVersion and kind; correct it`},
		{"a list that is none", "kind: List\napiVersion: v1\nitems: {}\n",
			`document 1, line 3: items: not a list; correct it`},
		{"lists in lists without end", strings.Repeat("{kind: List, apiVersion: v1, items: [", 20) +
			strings.Repeat("]}", 20), "document 1, line 1: " + strings.Repeat("items[0].", 16) +
			"items: too many lists in lists; take the objects out of them"},
		{"a kustomization that changes names",
			"kind: Kustomization\napiVersion: kustomize.config.k8s.io/v1beta1\nresources: [x]\nnamePrefix: a-\n",
			`document 1, line 4: namePrefix: a kustomization that changes the manifests; render it first, as ` +
				`"kubectl kustomize" does, and give the result instead`},
		{
			"JSON in one line",
			`{"apiVersion":"v1","kind":"Service","metadata":{"name":"x"},"spec":{"ports":[{"port":0}]}}`,
			`document 1, line 1: spec.ports[0].port: 0 is not a port; give one between 1 and 65535`,
		},
		{"conflict", replaced("kind: Service", "<<<<<<< HEAD\nkind: Service"),
			`document 2, line 26: merge conflict marker "<<<<<<< HEAD"; resolve the conflict`},
		{"Latin-1", replaced("---\n", "---\n# gr\xfc\xdfe\n"),
			`document 2, line 25: not UTF-8; save the file as UTF-8`},
		{"text behind a separator", replaced("---\n", "--- {}\n"),
			`document 2, line 24: text after "---"; put it on the next line: kubectl ignores it here`},
	} {
		err := new(Set).add("x.yaml", []byte(c.text))
		if invalid := (*InvalidError)(nil); !errors.As(err, &invalid) {
			t.Errorf("%s: error %v, want an InvalidError", c.reason, err)
			continue
		}
		if diff := cmp.Diff("read manifests: x.yaml: "+c.want, err.Error()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.reason, diff)
		}
	}
}

func TestRead_Valid(t *testing.T) {
	for _, c := range []struct{ reason, text string }{
		{"as it is", cartYAML},
		{"Windows line ends, and a byte order mark", "\ufeff" + strings.ReplaceAll(cartYAML, "\n", "\r\n")},
		{"empty documents", "---\n# none\n---\n" + cartYAML + "---\n"},
		{"the same twice", cartYAML + "---\n" + cartYAML},
		{"a field that a later release of Kubernetes brings",
			strings.Replace(cartYAML, "spec:", "spec:\n  revisionPolicy: {}", 1)},
		{"kinds that are passed over, with other rules",
			cartYAML + "---\nkind: Chart\napiVersion: example.com/v1\nmetadata: 1\n---\nkind: " +
				"ConfigMap\napiVersion: v1\ndata: {a: '{{ x }}'}\n"},
		{"another group's Deployment", cartYAML + "---\nkind: Deployment\napiVersion: example.com/v1\n"},
		{"a kustomization that changes nothing",
			cartYAML + "---\nkind: Kustomization\napiVersion: kustomize.config.k8s.io/v1beta1\nresources: [x]\n"},
	} {
		m, err := parsed(t, c.text).Find("cart", "shop")
		if err != nil || m.Kind != "Service" || len(m.Ports()) != 1 {
			t.Errorf("%s: %+v, %v", c.reason, m, err)
		}
	}
}

func TestRead_Patterns(t *testing.T) {
	dir := filepath.Join(t.TempDir(), `a[b]*c`)
	for name, text := range map[string]string{
		"deploy/cart.yaml": cartYAML, "deploy/kustomization.yaml": "resources: [cart.yaml]\n",
		"deploy/base/x.yaml": "x",
		"broken/values.yaml": "a: 1\n", "renaming/kustomization.yml": "resources: [x]\nnameSuffix: -a\n",
		"deploy/test/.keep": "",
	} {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("nowhere", filepath.Join(dir, "dangling.yaml")); err != nil {
		t.Skip(err) // Windows, without the privilege
	}
	for _, c := range []struct {
		reason, dir string
		patterns    []string
		want        string // the error, with DIR for the directory; empty where the cart is found
	}{
		{"a directory's files, without its directories", dir, []string{"deploy/*"}, ""},
		{"below another directory", filepath.Join(dir, "broken"), []string{"../deploy/*.yaml"}, ""},
		{"two patterns for one file", dir, []string{"deploy/c*.yaml", "deploy/cart.yaml", "./deploy/cart.yaml"}, ""},
		{"an absolute path", "elsewhere", []string{Literal(filepath.Join(dir, "deploy", "cart.yaml"))}, ""},
		{"no file", dir, []string{"deploy/cart.yaml", "deploy/*.yml"},
			`read manifests: pattern "deploy/*.yml" matches no file; patterns are relative to DIR`},
		{"directories only", dir, []string{"deploy/t*"},
			`read manifests: pattern "deploy/t*" matches only directories; patterns are relative to DIR`},
		{"no pattern", dir, []string{""}, `read manifests: pattern "" is malformed; patterns are relative to DIR`},
		{"half a pattern", dir, []string{"deploy/[a"},
			`read manifests: pattern "deploy/[a" is malformed; patterns are relative to DIR`},
		{"values of a chart", dir, []string{"*/values.yaml"},
			`read manifests: broken/values.yaml: document 1, line 1: kind: missing; give it one, or give patterns ` +
				`that match manifests only`},
		{"a kustomization without a kind", dir, []string{"renaming/*"},
			`read manifests: renaming/kustomization.yml: document 1, line 2: nameSuffix: a kustomization that ` +
				`changes the manifests; render it first, as "kubectl kustomize" does, and give the result instead`},
		{"a file of another directory", filepath.Join(dir, "deploy"), []string{"../broken/*"},
			`read manifests: ../broken/values.yaml: document 1, line 1: kind: missing; give it one, or give ` +
				`patterns that match manifests only`},
	} {
		s, err := Read(c.dir, c.patterns...)
		if c.want != "" {
			if err == nil {
				t.Errorf("%s: read", c.reason)
			} else if diff := cmp.Diff(strings.ReplaceAll(c.want, "DIR", c.dir), err.Error()); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.reason, diff)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", c.reason, err)
		} else if m, err := s.Find("cart", ""); err != nil || m.Kind != "Service" {
			t.Errorf("%s: %+v, %v", c.reason, m, err)
		}
	}
	if _, err := Read(dir, "dangling.yaml"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a link to nowhere: %v", err)
	}
}

// Random bytes are hardly ever a manifest, so most inputs become a part of a valid file.
func FuzzRead(f *testing.F) {
	for _, name := range []string{"shop/orders-db.yaml", "shop/search.json", "shop/outside.yaml", "shop/jobs.yml",
		"cluster/all.yaml"} {
		text, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text, uint16(0))
	}
	f.Add([]byte("a: &a [*a]\n--- x\n%YAML 1.1\n"), uint16(0))
	f.Add([]byte("...\n---\n"), uint16(strings.Index(cartYAML, "---")))
	f.Add([]byte("  name: &x {{ y }}\n"), uint16(strings.Index(cartYAML, "spec:")))
	f.Add([]byte("  <<: {type: ExternalName, externalName: x}\n"), uint16(strings.LastIndex(cartYAML, "  selector:")))
	f.Add([]byte(`{"kind":"PodList","apiVersion":"v1","items":[{"metadata":{"name":"\ud83d\ude80\/"}}]}`), uint16(0))
	f.Fuzz(func(t *testing.T, text []byte, at uint16) {
		if at > 0 {
			i := int(at) % len(cartYAML)
			text = []byte(cartYAML[:i] + string(text) + cartYAML[i:])
		}
		s := new(Set)
		if err := s.add("x.yaml", text); err != nil {
			var invalid *InvalidError
			if !errors.As(err, &invalid) {
				t.Fatalf("error of type %T", err)
			}
			lines := strings.Count(string(text), "\n") + 1
			if invalid.File != "x.yaml" || invalid.Document < 1 || invalid.Line < 1 || invalid.Line > lines ||
				invalid.Problem == "" || invalid.Advice == "" {
				t.Errorf("an error that does not say enough of %d lines: %#v", lines, invalid)
			}
			return
		}
		s.dropOwned()
		for _, name := range s.names() {
			name, namespace, _ := strings.Cut(name, ".")
			m, err := s.Find(name, namespace)
			if err != nil {
				continue
			}
			if len(m.Selector) == 0 && m.ExternalName == "" && len(m.Addresses) == 0 {
				t.Errorf("%s: found without anything that a policy could select", m)
			}
			for key := range m.Selector {
				if isGenerated(key) {
					t.Errorf("%s: selected by %s", m, key)
				}
			}
			for _, p := range m.Ports() {
				if ports, err := m.TargetPorts(p.Number, p.Protocol); err != nil || len(ports) != 1 {
					t.Errorf("%s: port %d of a container is %v, %v", m, p.Number, ports, err)
				}
			}
		}
	})
}
