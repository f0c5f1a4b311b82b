package golden

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// asItem returns a policy's YAML as an item of a list, with the fields that a cluster adds.
func asItem(policy string) string {
	policy = strings.Replace(
		policy, "metadata:\n",
		"metadata:\n  creationTimestamp: \"2026-01-02T03:04:05Z\"\n  generation: 1\n  resourceVersion: \"812\"\n"+
			"  uid: 0b5c2b62-0000-4000-8000-1234567890ab\n",
		1,
	)
	return "- " + strings.TrimSuffix(strings.ReplaceAll(policy, "\n", "\n  "), "  ")
}

func kubectlList(kind string, policies ...string) string {
	text := "apiVersion: v1\nitems:\n"
	if of, isTyped := strings.CutSuffix(kind, "List"); isTyped && of != "" {
		text = strings.Replace(text, "v1",
			map[string]string{"NetworkPolicy": "networking.k8s.io/v1", "CiliumNetworkPolicy": "cilium.io/v2"}[of], 1)
	}
	for _, p := range policies {
		text += asItem(p)
	}
	return text + "kind: " + kind + "\nmetadata:\n  resourceVersion: \"\"\n"
}

func TestRead_KubectlLists(t *testing.T) {
	refund := strings.ReplaceAll(checkoutYAML, "checkout", "refund")
	untyped := strings.TrimPrefix(checkoutYAML, "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\n")
	withStatus := strings.Replace(
		ciliumYAML, "spec:\n",
		"status:\n  conditions:\n  - lastTransitionTime: \"2026-01-02T03:04:05Z\"\n"+
			"    message: Policy validation succeeded\n    status: \"True\"\n    type: Valid\nspec:\n",
		1,
	)
	for _, c := range []struct {
		reason, text       string
		kubernetes, cilium string // the policies' names
	}{
		{"a list of one", kubectlList("List", checkoutYAML), "checkout", ""},
		{"a list of two", kubectlList("List", checkoutYAML, refund), "checkout refund", ""},
		{"the API's own list", kubectlList("NetworkPolicyList", checkoutYAML, refund), "checkout refund", ""},
		{"items of the API's own list do not say what they are", kubectlList("NetworkPolicyList", untyped), "checkout", ""},
		{"nothing", "apiVersion: v1\nitems: []\nkind: List\nmetadata:\n  resourceVersion: \"\"\n", "", ""},
		{"nothing at all", "apiVersion: v1\nkind: List\n", "", ""},
		{"a list beside a policy", kubectlList("List", checkoutYAML) + "---\n" + refund, "checkout refund", ""},
		{
			"JSON",
			`{"apiVersion": "v1", "items": [{"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "checkout"},
			"spec": {"podSelector": {}, "policyTypes": ["Egress"]}}], "kind": "List", "metadata": {"resourceVersion": ""}}`,
			"checkout", "",
		},
		{"Cilium's, with what its operator says of it", kubectlList("List", withStatus), "", "checkout"},
		{"Cilium's own list", kubectlList("CiliumNetworkPolicyList", ciliumYAML), "", "checkout"},
		{"a single policy with a status", checkoutYAML + "status: {}\n", "checkout", ""},
	} {
		file, err := Parse("x.yaml", []byte(c.text))
		if err != nil {
			t.Errorf("%s: %v", c.reason, err)
			continue
		}
		names := make(map[Dialect]string)
		for _, p := range file.Policies {
			names[file.Dialect] = strings.TrimPrefix(names[file.Dialect]+" "+p.GetName(), " ")
		}
		if names[Kubernetes] != c.kubernetes || names[Cilium] != c.cilium {
			t.Errorf("%s: read %v, want %s/%s", c.reason, names, c.kubernetes, c.cilium)
		}
		text, err := file.Rewrite(file.Header, file.Policies)
		if err != nil || string(text) != c.text {
			t.Errorf("%s: rewritten with its own policies, the file changed (%v):\n%s", c.reason, err, text)
		}
	}
}

func TestRead_InvalidLists(t *testing.T) {
	const only = "but only networking.k8s.io/v1 NetworkPolicy and cilium.io/v2 CiliumNetworkPolicy are read; move " +
		"other objects to files of their own"
	other := func(apiVersion, kind string) string {
		text := strings.Replace(checkoutYAML, "networking.k8s.io/v1", apiVersion, 1)
		return strings.ReplaceAll(strings.Replace(text, "kind: NetworkPolicy", "kind: "+kind, 1), "checkout", "other")
	}
	type row struct{ reason, text, want string }
	rows := []row{
		{"an unknown field", kubectlList("List", checkoutYAML,
			strings.Replace(strings.ReplaceAll(checkoutYAML, "checkout", "refund"), "    to:", "    too:", 1)),
			"document 1, line 38: items[1].spec.egress[0].too: unknown field; correct or remove it"},
		{"a wrong type", kubectlList("List", strings.Replace(checkoutYAML, "app: orders-db", "app: 1", 1)),
			"document 1, line 18: items[0].spec.egress.to.podSelector.matchLabels: is a number, " +
				"want a string (write it in quotes); correct it"},
		{"one name twice", kubectlList("List", checkoutYAML, checkoutYAML),
			"document 1, line 32: items[1].metadata.name: document 1, " +
				"items[0] has the name checkout too; rename or remove one of them, or merge their rules"},
		{"two dialects", kubectlList("List", checkoutYAML, strings.ReplaceAll(ciliumYAML, "checkout", "refund")),
			"document 1, line 26: items[1].kind: a CiliumNetworkPolicy after one of another kind; keep only policies of the " +
				"kind that the test's options choose in this file"},
		{
			"no object", "apiVersion: v1\nkind: List\nitems:\n- x\n",
			"document 1, line 4: items[0]: not an object with apiVersion and kind; correct it, " +
				"or delete the file and record it anew with -update",
		},
		{"no list", "apiVersion: v1\nkind: List\nitems: x\n",
			"document 1, line 3: items: is a string, want a list; correct it"},
		{"a misspelt field of the list", "apiVersion: v1\nkind: List\nitem: []\n",
			"document 1, line 3: item: unknown field; correct or remove it"},
		{"a list in a list", "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: List\n",
			"document 1, line 5: items[0].kind: v1 List, " + only},
	}
	// These have rules for more than the pods of one namespace, or an order among them: no verdict is known of them.
	for _, o := range []struct{ apiVersion, kind string }{
		{"cilium.io/v2", "CiliumClusterwideNetworkPolicy"}, {"cilium.io/v2alpha1", "CiliumNetworkPolicy"},
		{"policy.networking.k8s.io/v1alpha1", "AdminNetworkPolicy"},
		{"policy.networking.k8s.io/v1alpha1", "BaselineAdminNetworkPolicy"},
		{"policy.networking.k8s.io/v1alpha2", "ClusterNetworkPolicy"}, {"projectcalico.org/v3", "NetworkPolicy"},
		{"crd.projectcalico.org/v1", "GlobalNetworkPolicy"}, {"crd.antrea.io/v1beta1", "ClusterNetworkPolicy"},
		{"v1", "Service"},
	} {
		problem := fmt.Sprintf("kind: %s %s, %s", o.apiVersion, o.kind, only)
		rows = append(rows,
			row{o.kind, other(o.apiVersion, o.kind), "document 1, line 2: " + problem},
			row{o.kind + " after a policy", checkoutYAML + "---\n" + other(o.apiVersion, o.kind),
				"document 2, line 21: " + problem},
			row{o.kind + " in a list", kubectlList("List", checkoutYAML, other(o.apiVersion, o.kind)),
				"document 1, line 26: items[1]." + problem},
			row{o.kind + "List", kubectlList("List", other(o.apiVersion, o.kind)), "document 1, line 4: items[0]." + problem},
		)
	}
	for _, c := range rows {
		_, err := Parse("x.yaml", []byte(c.text))
		if err == nil {
			t.Errorf("%s: read", c.reason)
			continue
		}
		if diff := cmp.Diff("read golden x.yaml: "+c.want, err.Error()); diff != "" {
			t.Errorf("%s (-want +got):\n%s\n%s", c.reason, diff, c.text)
		}
	}
}

// An update of a list changes only the items that differ, and keeps the fields that the cluster added to them.
func TestRewrite_Lists(t *testing.T) {
	refund := strings.ReplaceAll(writtenYAML, "checkout", "refund")
	changed := func(text string) string { return strings.Replace(text, "5432", "6432", 1) }
	commented := strings.Replace(kubectlList("List", writtenYAML, refund), "    egress:",
		"    # Ada knows why\n    egress:", 1)
	for _, c := range []struct {
		reason, text string
		policies     []Policy
		want         string
	}{
		{"the first item", commented, list(policy("checkout", 6432)), changed(commented)},
		{"the second item", kubectlList("List", writtenYAML, refund), list(policy("refund", 6432)),
			kubectlList("List", writtenYAML, changed(refund))},
		{"items that do not say what they are", strings.ReplaceAll(kubectlList("NetworkPolicyList", writtenYAML),
			"- apiVersion: networking.k8s.io/v1\n  kind: NetworkPolicy\n  metadata", "- metadata"),
			list(policy("checkout", 6432)),
			changed(strings.ReplaceAll(kubectlList("NetworkPolicyList", writtenYAML),
				"- apiVersion: networking.k8s.io/v1\n  kind: NetworkPolicy\n  metadata", "- metadata"))},
		{"a new policy joins the list", kubectlList("List", writtenYAML), list(policy("refund", 5432)),
			strings.Replace(kubectlList("List", writtenYAML), "kind: List", asPlainItem(refund)+"kind: List", 1)},
		{"a new policy in an empty list", "apiVersion: v1\nkind: List\nitems: []\n", list(policy("refund", 5432)),
			"apiVersion: v1\nkind: List\nitems:\n" + asPlainItem(refund)},
		{"a new policy where a list is not the last", kubectlList("List", writtenYAML) + "---\n" + refund,
			list(policy("sales", 5432)),
			kubectlList("List", writtenYAML) + "---\n" + refund + "---\n" +
				strings.ReplaceAll(writtenYAML, "checkout", "sales")},
		{"a list of the other dialect takes none", "apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicyList\nitems: []\n",
			list(policy("checkout", 5432)),
			"apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicyList\nitems: []\n---\n" + writtenYAML},
	} {
		file := mustParse(t, c.text)
		got, err := file.Rewrite(file.Header, c.policies)
		if err != nil {
			t.Errorf("%s: %v", c.reason, err)
			continue
		}
		if diff := cmp.Diff(c.want, string(got)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.reason, diff)
		}
	}
}

// asPlainItem is asItem without the fields that only a cluster adds.
func asPlainItem(policy string) string {
	return "- " + strings.TrimSuffix(strings.ReplaceAll(policy, "\n", "\n  "), "  ")
}

func TestUpdate_ListInPlace(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.yaml")
	write(t, path, kubectlList("List", checkoutYAML))
	changed, err := Update(path,
		func(old *File) ([]byte, error) { return old.Rewrite(old.Header, list(policy("checkout", 6432))) })
	if err != nil || !changed {
		t.Fatalf("changed is %v (%v)", changed, err)
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Replace(kubectlList("List", checkoutYAML), "5432", "6432", 1), string(got)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
