package manifest

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestNamespaces_Labels(t *testing.T) {
	const text = `{apiVersion: v1, kind: Namespace, metadata: {name: data, labels: {team: storage}}}
---
{apiVersion: v1, kind: Namespace, metadata: {name: shop}}
`
	want := map[string]map[string]string{"data": {"team": "storage"}, "shop": nil}
	if diff := cmp.Diff(want, parsed(t, text).Namespaces()); diff != "" {
		t.Errorf("namespaces (-want +got):\n%s", diff)
	}
	if got := parsed(t, cartYAML).Namespaces(); got != nil {
		t.Errorf("namespaces of manifests without any: %v", got)
	}
	err := new(Set).add("x.yaml", []byte(text+"---\n"+strings.Replace(text, "storage", "shop", 1)))
	if err == nil || !strings.Contains(err.Error(), "a different Namespace data is in x.yaml:1") {
		t.Errorf("two that differ: %v", err)
	}
}
