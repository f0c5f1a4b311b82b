package cluster

import (
	"fmt"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/internal/policy/networkpolicy"
	"github.com/netzero-dev/netzero/internal/policy/policytest"
)

// TestValidation_DrawnPolicies sends generated policies to the API server as a dry run, with strict validation.
func TestValidation_DrawnPolicies(t *testing.T) {
	c := theCluster(t)
	drawn := policytest.Policies(policytest.Seed(t), 1000,
		func(s policy.Scope) networkpolicy.Dialect { return networkpolicy.Dialect{Scope: s} })
	for i, p := range drawn {
		fields, err := runtime.DefaultUnstructuredConverter.ToUnstructured(p)
		if err != nil {
			t.Fatal(err)
		}
		object := &unstructured.Unstructured{Object: fields}
		object.SetAPIVersion("networking.k8s.io/v1")
		object.SetKind("NetworkPolicy")
		object.SetNamespace(namespaced(object.GetNamespace()))
		if err := c.ensureNamespace(t.Context(), object.GetNamespace()); err != nil {
			t.Fatal(err)
		}
		if err := c.Apply(t.Context(), object, true); err != nil {
			t.Errorf("policy %d: %v", i, err)
		}
	}
}

// TestValidation_Strict shows that the API server rejects the errors that strict validation covers.
func TestValidation_Strict(t *testing.T) {
	for _, wrong := range []struct{ right, wrong, want string }{
		{"policyTypes", "policytypes", "field not declared in schema"},
		{"port: 6379", "port: 70000", "must be between 1 and 65535"},
		{"0.0.0.0/0", "0.0.0.0/33", "cidr"},
		{"app: redis", "app: -redis", "a valid label must be"},
		{"protocol: TCP", "protocol: TPC", "supported values"},
	} {
		t.Run(wrong.wrong, func(t *testing.T) {
			c := theCluster(t)
			text := strings.Replace(shop.Policies, wrong.right, wrong.wrong, 1)
			objects, err := ReadObjects(text)
			if err != nil {
				t.Fatal(err)
			}
			if err := c.ensureNamespace(t.Context(), "shop"); err != nil {
				t.Fatal(err)
			}
			err = c.Apply(t.Context(), objects[0], true)
			if err == nil || !strings.Contains(strings.ToLower(fmt.Sprint(err)), wrong.want) {
				t.Errorf("got %v, want an error about %q", err, wrong.want)
			}
		})
	}
}
