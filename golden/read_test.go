package golden

import (
	"errors"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/netzero-dev/netzero/internal/cilium"
)

// checkoutYAML is a policy with its fields sorted by name, as files were written before; that order is read, and stays.
const checkoutYAML = `apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: checkout
spec:
  egress:
  - ports:
    - port: 5432
      protocol: TCP
    to:
    - podSelector:
        matchLabels:
          app: orders-db
  podSelector:
    matchLabels:
      app: checkout
  policyTypes:
  - Egress
`

// writtenYAML is the same policy as it is written.
const writtenYAML = `apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: checkout
spec:
  podSelector:
    matchLabels:
      app: checkout
  policyTypes:
  - Egress
  egress:
  - to:
    - podSelector:
        matchLabels:
          app: orders-db
    ports:
    - port: 5432
      protocol: TCP
`

func TestRead_Valid(t *testing.T) {
	checkout := policy("checkout", 5432)
	other := strings.ReplaceAll(checkoutYAML, "checkout", "refund")
	for _, c := range []struct {
		reason string
		text   string
		want   []Policy
	}{
		{"one policy", checkoutYAML, list(checkout)},
		{"two policies", checkoutYAML + "---\n" + other, list(checkout, policy("refund", 5432))},
		{"the order of the file", other + "---\n" + checkoutYAML, list(policy("refund", 5432), checkout)},
		{"one name in two namespaces",
			checkoutYAML + "---\n" + strings.Replace(checkoutYAML, "metadata:", "metadata:\n  namespace: shop", 1),
			list(checkout, inNamespace("shop", policy("checkout", 5432)))},
		{"Windows line ends", strings.ReplaceAll(checkoutYAML, "\n", "\r\n"), list(checkout)},
		{"a byte order mark", "\ufeff" + checkoutYAML, list(checkout)},
		{"a marker before the first document", "# x\n---\n" + checkoutYAML, list(checkout)},
		{"markers with comments and spaces", "--- # x\n" + checkoutYAML + "---  \t\n# y\n", list(checkout)},
		{"an end marker", checkoutYAML + "...\n", list(checkout)},
		{"an end marker and another document", checkoutYAML + "...\n---\n" + other, list(checkout, policy("refund", 5432))},
		{"no line end", strings.TrimSuffix(checkoutYAML, "\n"), list(checkout)},
		{
			"JSON",
			`{"apiVersion":"networking.k8s.io/v1","kind":"NetworkPolicy","metadata":{"name":"checkout"},"spec":{"podSelector":{"matchLabels":{"app":"checkout"}},"policyTypes":["Egress"]}}`,
			list(policy("checkout")),
		},
		{"anchors", strings.Replace(strings.Replace(checkoutYAML, "name: checkout", "name: &n checkout", 1), "app: checkout",
			"app: *n", 1), list(checkout)},
		{"empty", "", nil},
		{"comments only", "# nothing\n\n---\n# here\n", nil},
		{"a null creation time, as kubectl create --dry-run writes it",
			strings.Replace(checkoutYAML, "metadata:", "metadata:\n  creationTimestamp: null", 1), list(checkout)},
		{"a spec field without value", strings.Replace(checkoutYAML, "spec:", "spec:\n  ingress:", 1), list(checkout)},
		{"marks of a conflict in a comment or a scalar", "# <<<<<<< x\n" +
			strings.Replace(checkoutYAML, "metadata:", "metadata:\n  annotations:\n    x: |\n      =======", 1),
			list(withAnnotation(policy("checkout", 5432), "x", "=======\n"))},
	} {
		path := filepath.Join(t.TempDir(), "x.yaml")
		write(t, path, c.text)
		got, err := Read(path)
		if err != nil {
			t.Errorf("%s: %v", c.reason, err)
			continue
		}
		for _, p := range c.want {
			p.(*networkingv1.NetworkPolicy).TypeMeta = metav1.TypeMeta{APIVersion: "networking.k8s.io/v1", Kind: "NetworkPolicy"}
		}
		if diff := cmp.Diff(c.want, got.Policies); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.reason, diff)
		}
		if got.Path != path {
			t.Errorf("%s: path %q, want %q", c.reason, got.Path, path)
		}
		if text, err := got.Rewrite(got.Header, got.Policies); err != nil || string(text) != c.text {
			t.Errorf("%s: rewritten with its own policies, the file changed (%v):\n%s", c.reason, err, text)
		}
	}
}

func withAnnotation(p *networkingv1.NetworkPolicy, key, value string) *networkingv1.NetworkPolicy {
	p.Annotations = map[string]string{key: value}
	return p
}

func TestRead_Invalid(t *testing.T) {
	replaced := func(old, with string) string {
		t.Helper()
		if strings.Count(checkoutYAML, old) == 0 {
			t.Fatalf("no %q in the policy", old)
		}
		return strings.Replace(checkoutYAML, old, with, 1)
	}
	second := checkoutYAML + "---\n# the second\n"
	for _, c := range []struct{ reason, text, want string }{
		{"unknown field", replaced("    to:", "    too:"),
			`document 1, line 10: spec.egress[0].too: unknown field; correct or remove it`},
		{"unknown field in the second document",
			second + strings.ReplaceAll(replaced("    to:", "    too:"), "checkout", "refund"),
			`document 2, line 30: spec.egress[0].too: unknown field; correct or remove it`},
		{"field in another case", replaced("  podSelector:\n    match", "  podselector:\n    match"),
			`document 1, line 14: spec.podselector: unknown field; correct or remove it`},
		{"another kind", replaced("kind: NetworkPolicy", "kind: Service"),
			`document 1, line 2: kind: networking.k8s.io/v1 Service, but only networking.k8s.io/v1 NetworkPolicy and cilium.io/v2 CiliumNetworkPolicy are read; move other objects to files of their own`},
		{"no kind", replaced("kind: NetworkPolicy\n", ""),
			`document 1: kind: networking.k8s.io/v1 (no kind), but only networking.k8s.io/v1 NetworkPolicy and cilium.io/v2 CiliumNetworkPolicy are read; move other objects to files of their own`},
		{"another version", replaced("networking.k8s.io/v1", "extensions/v1beta1"),
			`document 1, line 2: kind: extensions/v1beta1 NetworkPolicy, but only networking.k8s.io/v1 NetworkPolicy and cilium.io/v2 CiliumNetworkPolicy are read; move other objects to files of their own`},
		{"key given twice", replaced("  policyTypes:", "  egress: []\n  policyTypes:"),
			`document 1, line 17: egress: given twice; remove one of them`},
		{"key given twice in the second document",
			second + strings.Replace(checkoutYAML, "metadata:", "kind: NetworkPolicy\nmetadata:", 1),
			`document 2, line 23: kind: given twice; remove one of them`},
		{"number where a string belongs", replaced("app: orders-db", "app: 1"),
			`document 1, line 12: spec.egress.to.podSelector.matchLabels: is a number, want a string (write it in quotes); correct it`},
		{"mapping where a list belongs", replaced("    to:\n    - pod", "    to:\n      pod"),
			`document 1, line 10: spec.egress.to: is a mapping, want a list; correct it`},
		{"fraction where an integer belongs", replaced("port: 5432", "port: 1.5"),
			`document 1, line 8: spec.egress.ports.port: is the number 1.5, want an integer; correct it`},
		{"rule that lost its peers", replaced("    - podSelector:\n        matchLabels:\n          app: orders-db\n", ""),
			`document 1, line 10: spec.egress[0].to: has no value; give it one, or remove it`},
		{"rule that lost everything", replaced("  podSelector:\n    match", "  -\n  podSelector:\n    match"),
			`document 1, line 14: spec.egress[1]: has no value; give it one, or remove it`},
		{"no name", replaced("  name: checkout\n", "  namespace: x\n"),
			`document 1: metadata.name: missing; give the policy a name`},
		{"a name that is none", replaced("  name: checkout", "  name: Check_Out"),
			`document 1, line 4: metadata.name: Invalid value: "Check_Out": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*'); correct it`},
		{"a range that is none", replaced("    - podSelector:\n        matchLabels:\n          app: orders-db",
			"    - ipBlock:\n        cidr: 10.0.0.1/8"),
			`document 1, line 12: spec.egress[0].to[0].ipBlock.cidr: Invalid value: "10.0.0.1/8": has host bits set: 10.0.0.0/8 is the range, 10.0.0.1/32 the address; correct it`},
		{"an annotation of ours that is none, and a second fault", replaced("  name: checkout",
			"  name: checkout\n  annotations:\n    netzero.dev/egress-names: x y\n  namespace: A.b"),
			`document 1, line 7: metadata.namespace: Invalid value: "A.b": a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?') (the first of 2 errors); correct it`},
		{"an annotation of ours that is none",
			replaced("  name: checkout", "  name: checkout\n  annotations:\n    netzero.dev/egress-names: x y"),
			`document 1, line 6: metadata.annotations[netzero.dev/egress-names]: Invalid value: "x y": read name "x y": want a host name in lower case, as in host.example:443/TCP; correct it`},
		{"two of one name", second + checkoutYAML,
			`document 2, line 24: metadata.name: document 1 has the name checkout too; rename or remove one of them, or merge their rules`},
		{"no YAML", "kind: [\n",
			`document 1, line 2: not YAML: did not find expected node content; correct it, or delete the file and record it anew with -update`},
		{"a tab", replaced("  - ports:", "\t- ports:"),
			`document 1, line 7: not YAML: found character that cannot start any token; correct it, or delete the file and record it anew with -update`},
		{"wrong indent", replaced("  podSelector:\n    match", "   podSelector:\n    match"),
			`document 1, line 14: not YAML: did not find expected key; correct it, or delete the file and record it anew with -update`},
		{"text, not an object", "hello\n",
			`document 1: not an object with apiVersion and kind; correct it, or delete the file and record it anew with -update`},
		{"null", "~\n",
			`document 1: not an object with apiVersion and kind; correct it, or delete the file and record it anew with -update`},
		{"two objects without a separator", "{kind: NetworkPolicy}\n{kind: NetworkPolicy}\n",
			`document 1: more text after the end of the object; separate documents with a line "---"`},
		{"text behind a separator, which kubectl drops", checkoutYAML + "--- {}\n",
			`line 19: text after "---"; put it on the next line: kubectl ignores it here`},
		{"a separator that kubectl does not know", checkoutYAML + "...\n" + checkoutYAML,
			`line 19: "..." before another document; separate documents with a line "---": kubectl accepts no other separator`},
		{"conflict", replaced("metadata:", "<<<<<<< HEAD\nmetadata:"),
			`line 3: merge conflict marker "<<<<<<< HEAD"; resolve the conflict, or take one side and run the test with -update`},
		{"rest of a conflict", replaced("metadata:", "=======\r\nmetadata:"),
			`line 3: merge conflict marker "======="; resolve the conflict, or take one side and run the test with -update`},
		{"Latin-1", replaced("metadata:", "# gr\xfc\xdfe\nmetadata:"),
			`line 3: not UTF-8; save the file as UTF-8`},
		{"UTF-16", "\xff\xfea\x00", `line 1: not UTF-8; save the file as UTF-8`},
		{"NUL", replaced("metadata:", "# \x00\nmetadata:"), `line 3: control character '\x00'; remove it`},
		{"old Mac line ends", strings.ReplaceAll(checkoutYAML, "\n", "\r"), `line 1: control character '\r'; remove it`},
		{"a line end that editors do not show", replaced("metadata:", "# \u2028---\nmetadata:"),
			`line 3: control character '\u2028'; remove it`},
		{"anchor that contains itself", "a: &a [*a]\n",
			`document 1: not YAML: anchor 'a' value contains itself; correct it, or delete the file and record it anew with -update`},
		{
			"a bomb", bomb(9),
			`document 1: not YAML: document contains excessive aliasing; correct it, or delete the file and record it anew with -update`,
		},
		{"brackets without end", strings.Repeat("[", 100_000),
			`document 1: not YAML: exceeded max depth of 10000; correct it, or delete the file and record it anew with -update`},
		{"a byte order mark inside, as copies have it", replaced("spec:", "\ufeffspec:"),
			`line 5: control character '\ufeff'; remove it`},
		{"no key", replaced("          app: orders-db", "          ~: x"),
			`document 1: not YAML: a key that is not a string; correct it, or delete the file and record it anew with -update`},
		{"a list as a key", replaced("          app: orders-db", "          [a]: x"),
			`document 1: not YAML: a key that is not a string; correct it, or delete the file and record it anew with -update`},
		{"a key given twice, in two ways of writing",
			replaced("          app: orders-db", "          app: orders-db\n          \"app\": x"),
			`document 1, line 14: app: given twice; remove one of them`},
		{"too large", checkoutYAML + strings.Repeat("#\n", MaxSize/2),
			`larger than 16 MiB; make sure that it is a policy; keep what other tests need in their own files`},
	} {
		path := filepath.Join(t.TempDir(), "x.yaml")
		write(t, path, c.text)
		f, err := Read(path)
		var invalid *InvalidError
		if !errors.As(err, &invalid) {
			t.Errorf("%s: error %v and file %+v, want an InvalidError", c.reason, err, f)
			continue
		}
		if diff := cmp.Diff("read golden "+path+": "+c.want, err.Error()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.reason, diff)
		}
	}
}

// bomb is a small text with levels of aliases: each level expands to nine of the level below.
func bomb(levels int) string {
	text := "a: &a [x]\n"
	for i := 1; i < levels; i++ {
		below, own := string(rune('a'+i-1)), string(rune('a'+i))
		text += own + ": &" + own + " [" + strings.TrimSuffix(strings.Repeat("*"+below+", ", 9), ", ") + "]\n"
	}
	return text
}

func TestRead_NoRegularFile(t *testing.T) {
	dir := t.TempDir()
	if _, err := Read(filepath.Join(dir, "no", "x.yaml")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing file: %v", err)
	}
	_, err := Read(dir)
	if invalid := (*InvalidError)(nil); !errors.As(err, &invalid) || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a directory: %v", err)
	}
}

func TestRead_HeaderForms(t *testing.T) {
	for _, c := range []struct {
		reason, text string
		want         Header
	}{
		{"as written", Header{Test: "TestA/b", Command: "go test ."}.String() + checkoutYAML,
			Header{Test: "TestA/b", Command: "go test ."}},
		{"after a marker and a comment", "# mine\n---\n\n" + Header{Test: "TestA", Command: "x"}.String() + checkoutYAML,
			Header{Test: "TestA", Command: "x"}},
		{"a part of it", "# accept: go test .\n" + checkoutYAML, Header{Command: "go test ."}},
		{"a name that needs quotes", Header{Test: "Test/a\nb\xff\u2028 ", Command: ""}.String() + checkoutYAML,
			Header{Test: "Test/a\nb\xff\u2028 "}},
		{"a name that begins with a quote", Header{Test: `"a"`, Command: ""}.String() + checkoutYAML, Header{Test: `"a"`}},
		{"a name with a backslash", Header{Test: `Test/\x00`, Command: ""}.String() + checkoutYAML,
			Header{Test: `Test/\x00`}},
		{"Windows line ends", strings.ReplaceAll(Header{Test: "TestA", Command: "x"}.String()+checkoutYAML, "\n", "\r\n"),
			Header{Test: "TestA", Command: "x"}},
		{"in an empty file", Header{Test: "TestA", Command: "x"}.String(), Header{Test: "TestA", Command: "x"}},
		{"no header", "# mine\n" + checkoutYAML, Header{}},
		{"too late", checkoutYAML + "# test: TestA\n---\n# test: TestB\n", Header{}},
	} {
		if diff := cmp.Diff(c.want, mustParse(t, c.text).Header); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.reason, diff)
		}
	}
}

func TestFile_OtherTest(t *testing.T) {
	for _, c := range []struct{ reason, header, asked, want string }{
		{"the same", "TestA", "TestA", ""},
		{"no header", "", "TestA", ""},
		{"another", "TestB", "TestA", "TestB"},
	} {
		if got := (&File{Header: Header{Test: c.header}}).OtherTest(c.asked); got != c.want {
			t.Errorf("%s: %q, want %q", c.reason, got, c.want)
		}
	}
}

// Random bytes are hardly ever YAML, so most inputs are put somewhere into a file that is.
func FuzzRead(f *testing.F) {
	valid := Header{Test: "TestA/b", Command: "go test ."}.String() + checkoutYAML + "---\n# mine\n" +
		strings.ReplaceAll(checkoutYAML, "checkout", "refund")
	f.Add([]byte(checkoutYAML), uint16(0))
	f.Add([]byte(Header{Test: "TestA/b", Command: "go test ."}.String()+checkoutYAML+"---\n# x\n...\n"), uint16(0))
	f.Add([]byte("\ufeff"+strings.ReplaceAll(checkoutYAML, "\n", "\r\n")), uint16(0))
	f.Add([]byte("{\"apiVersion\":networking.k8s.io/v1,kind: NetworkPolicy,metadata: {name: x},spec: {podSelector: {}}}"),
		uint16(0))
	f.Add([]byte(ciliumYAML), uint16(0))
	f.Add([]byte("  - toEntities: [world]\n    icmps: [{fields: [{type: 8}]}]\n"),
		uint16(len(valid)+strings.Index(ciliumYAML, "  - toFQDNs")))
	f.Add([]byte("a: &a [*a]\n--- x\n%YAML 1.1\n"), uint16(0))
	f.Add([]byte("...\n---\n"), uint16(strings.Index(valid, "---")))
	f.Add([]byte("  annotations: {a: |-}\n"), uint16(strings.Index(valid, "spec:")))
	f.Add([]byte("  - to:\n    - ipBlock:\n        cidr: 0.0.0.0/0\n"), uint16(strings.Index(valid, "  podSelector")))
	f.Fuzz(func(t *testing.T, text []byte, at uint16) {
		if at > 0 {
			whole, i := valid, int(at)%(len(valid)+len(ciliumYAML))
			if i >= len(valid) {
				whole, i = ciliumYAML, i-len(valid)
			}
			text = []byte(whole[:i] + string(text) + whole[i:])
		}
		read, err := Parse("x.yaml", text)
		if err != nil {
			if invalid := (*InvalidError)(nil); !errors.As(err, &invalid) {
				t.Errorf("error of type %T", err)
			}
			return
		}
		added := Policy(policy("added", 1))
		if read.Dialect == Cilium {
			added = &CiliumNetworkPolicy{
				ObjectMeta: metav1.ObjectMeta{Name: "added"}, Spec: cilium.Spec{Egress: []cilium.EgressRule{{}}},
			}
		}
		checkRead(t, read, text, added)
		checkEdits(t, read)
	})
}

// withOtherRules returns a copy of a policy without its first egress rule and with another one.
func withOtherRules(p Policy) Policy {
	switch p := p.DeepCopyObject().(type) {
	case *CiliumNetworkPolicy:
		p.Spec.Egress = append(p.Spec.Egress[min(1, len(p.Spec.Egress)):],
			cilium.EgressRule{ToEntities: []string{cilium.World}})
		return p
	case *networkingv1.NetworkPolicy:
		p.Spec.Egress = append(p.Spec.Egress[min(1, len(p.Spec.Egress)):], policy("added", 1).Spec.Egress...)
		return p
	}
	return nil
}

// checkRead rewrites a file that was read, with its own policies and with one more.
func checkRead(t *testing.T, read *File, text []byte, added Policy) {
	unchanged, err := read.Rewrite(read.Header, read.Policies)
	if err != nil || string(unchanged) != string(text) {
		t.Errorf("rewritten with its own policies, the file changed (%v):\n%s", err, unchanged)
	}
	if diff := Diff(read.Policies, read.Policies); diff != "" {
		t.Errorf("policies differ from themselves:\n%s", diff)
	}
	rewritten, err := read.Rewrite(Header{Test: "Test"}, []Policy{added})
	if err != nil {
		t.Fatalf("add a policy: %v", err)
	}
	again, err := Parse("x.yaml", rewritten)
	if err != nil {
		t.Fatalf("read what was written: %v\n%s", err, rewritten)
	}
	for _, p := range append(read.others([]Policy{added}), added) {
		if !containsSame(again.Policies, p) {
			t.Errorf("policy %s is not in the rewritten file:\n%s", nameOf(p), rewritten)
		}
	}
}

// checkEdits changes every policy of a file that was read, and writes it.
func checkEdits(t *testing.T, read *File) {
	var changed []Policy
	for _, p := range read.Policies {
		changed = append(changed, withOtherRules(p))
	}
	rewritten, err := read.Rewrite(read.Header, changed)
	if err != nil {
		t.Fatalf("change the policies: %v", err)
	}
	again, err := Parse("x.yaml", rewritten)
	if err != nil {
		t.Fatalf("read what was changed: %v\n%s", err, rewritten)
	}
	for _, p := range changed {
		if !containsSame(again.Policies, p) {
			t.Errorf("policy %s is not as it was changed:\n%s", p.GetName(), rewritten)
		}
	}
	second, err := again.Rewrite(read.Header, changed)
	if err != nil || string(second) != string(rewritten) {
		t.Errorf("the second time it changes (%v):\n%s\nfirst:\n%s", err, second, rewritten)
	}
}

func containsSame(policies []Policy, p Policy) bool {
	for _, q := range policies {
		if nameOf(p) == nameOf(q) && same(p, q) {
			return true
		}
	}
	return false
}

func TestFile_Line(t *testing.T) {
	list := `apiVersion: v1
kind: List
items:
- apiVersion: networking.k8s.io/v1
  kind: NetworkPolicy
  metadata: {name: refund, namespace: shop}
  spec:
    podSelector: {}
    egress:
    - ports:
      - port: 443
`
	file := mustParse(t, checkoutYAML+"---\n"+list)
	for _, c := range []struct {
		policy int
		field  string
		want   int
	}{
		{0, "spec.egress[0].ports", 7},
		{0, "spec.egress[0].to[0]", 11},
		{1, "spec.egress[0].ports[0].port", 30},
		{1, "spec.ingress[0]", 0},
	} {
		if got := file.Line(file.Policies[c.policy], c.field); got != c.want {
			t.Errorf("%s of policy %d is at line %d, want %d", c.field, c.policy, got, c.want)
		}
	}
	if got := file.Line(policy("other", 443), "spec"); got != 0 {
		t.Errorf("a policy of no file is at line %d", got)
	}
}
