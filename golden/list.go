package golden

import (
	"maps"
	"strconv"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/netzero-dev/netzero/internal/kubeyaml"
)

// listOf reports whether an object is a list of policies as kubectl get writes it. It also returns the dialect of items
// without a kind: NetworkPolicyList and CiliumNetworkPolicyList have one, v1 List does not.
func listOf(object map[string]any) (dialect implementation, isList bool) {
	if object["apiVersion"] == "v1" && object["kind"] == "List" {
		return nil, true
	}
	for _, d := range implementations {
		if object["apiVersion"] == d.apiVersion() && object["kind"] == string(d.dialect())+"List" {
			return d, true
		}
	}
	return nil, false
}

func itemPath(i int) string { return "items[" + strconv.Itoa(i) + "]" }

// decodeItems reads the policies of a list. The dialect is nil if each item must have a kind.
func decodeItems(list map[string]any, dialect implementation) ([]Policy, *InvalidError) {
	var known struct {
		metav1.TypeMeta `json:",inline"`
		metav1.ListMeta `json:"metadata"`
		Items           []any `json:"items"`
	}
	unknown, fault := kubeyaml.Decode(list, &known)
	if fault != nil {
		return nil, invalidText(fault)
	}
	if len(unknown) > 0 {
		return nil, &InvalidError{Field: unknown[0], Problem: "unknown field", Advice: "correct or remove it"}
	}
	var policies []Policy
	for i, item := range known.Items {
		object, ok := item.(map[string]any)
		if !ok {
			return nil, inItem(i, notAnObject())
		}
		object = maps.Clone(object)
		if dialect != nil {
			for field, value := range map[string]string{"apiVersion": dialect.apiVersion(), "kind": string(dialect.dialect())} {
				if object[field] == nil {
					object[field] = value
				}
			}
		}
		policy, invalid := decodePolicy(object)
		if invalid != nil {
			return nil, inItem(i, invalid)
		}
		policies = append(policies, policy)
	}
	return policies, nil
}

// inItem adds to an object's error that the object is an item of a list.
func inItem(i int, e *InvalidError) *InvalidError {
	if e.Field == "" {
		e.Field = itemPath(i)
	} else {
		e.Field = itemPath(i) + "." + e.Field
	}
	return e
}

// inDocument adds to an error about a policy its place in the document.
func (d document) inDocument(i int, e *InvalidError) *InvalidError {
	if d.list == nil {
		return e
	}
	return inItem(i, e)
}

// canHold reports whether new policies can be added to the document: it is a list of their kind.
func (d document) canHold(policies []Policy) bool {
	if d.list == nil || len(policies) == 0 {
		return false
	}
	dialect, _ := listOf(d.list)
	return dialect == nil || dialect == implementationOf(policies[0])
}

// treeOf returns the content of the document with these policies, in the form of [kubeyaml.Document.Tree].
func (d document) treeOf(policies []Policy) (any, error) {
	var items []any
	for _, p := range policies {
		tree, err := kubeyaml.TreeOf(strip(p))
		if err != nil {
			return nil, err
		}
		items = append(items, tree)
	}
	if d.list == nil {
		return items[0], nil
	}
	list := maps.Clone(d.list)
	list["items"] = items
	return list, nil
}

// withoutStatus returns an object without its status, which has no effect on the allowed flows.
func withoutStatus(object map[string]any) map[string]any {
	if _, has := object["status"]; !has {
		return object
	}
	object = maps.Clone(object)
	delete(object, "status")
	return object
}
