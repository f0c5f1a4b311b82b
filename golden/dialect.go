package golden

import (
	"errors"
	"fmt"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/netzero-dev/netzero/internal/cilium"
	"github.com/netzero-dev/netzero/internal/kubeyaml"
)

// Dialect is the kind of the policies in a golden file, as Kubernetes names it. A file without policies has none ("").
type Dialect string

// The dialects that golden files may have.
const (
	Kubernetes Dialect = "NetworkPolicy"       // of networking.k8s.io/v1
	Cilium     Dialect = "CiliumNetworkPolicy" // of cilium.io/v2
)

// Policy is a *networkingv1.NetworkPolicy of k8s.io/api/networking/v1 or a *[CiliumNetworkPolicy]. A type switch or an
// assertion gives access to its rules:
//
//	for _, p := range file.Policies {
//		switch p := p.(type) {
//		case *networkingv1.NetworkPolicy:
//			fmt.Println(p.Name, len(p.Spec.Egress))
//		case *golden.CiliumNetworkPolicy:
//			fmt.Println(p.Name, len(p.Spec.Egress))
//		}
//	}
//
// Format, Merge and Rewrite return an error for a policy of another type or nil, and for a list with both dialects.
type Policy interface {
	metav1.Object
	runtime.Object
}

// CiliumNetworkPolicy is a policy of cilium.io/v2, limited to the fields that recordings write: a file with other
// fields is rejected.
type CiliumNetworkPolicy = cilium.NetworkPolicy

// implementation is what this package does differently for each dialect. All of its policies are of that dialect.
type implementation interface {
	dialect() Dialect
	apiVersion() string
	// implements reports whether a policy has the dialect's Go type. It may be nil.
	implements(p Policy) bool
	isNil(p Policy) bool
	// decode reads an object of the dialect's apiVersion and kind. The error has no path, document and item.
	decode(object map[string]any) (Policy, *InvalidError)
	// typeMeta returns the apiVersion and kind that a policy has. Both may be empty.
	typeMeta(p Policy) metav1.TypeMeta
	// strip returns a copy with its apiVersion and kind, and without the metadata that only an API server sets.
	strip(p Policy) Policy
	// normalize returns the normal form: policies are equivalent if theirs are equal.
	normalize(p Policy) Policy
	// unite returns the union of lists of policies.
	unite(lists [][]Policy) ([]Policy, error)
}

var implementations = []implementation{networkPolicies, ciliumNetworkPolicies}

// typed implements a dialect for a Go type. P is a pointer to that type.
type typed[T any, P interface {
	*T
	Policy
}] struct {
	version string
	kind    Dialect
	meta    func(P) (*metav1.TypeMeta, *metav1.ObjectMeta)
	// checkObject finds faults that the decoded policy does not show, such as fields that are empty by accident.
	checkObject  func(object map[string]any) *InvalidError
	unknownField InvalidError // for a field that the type lacks
	validate     func(P) error
	// normalizeSpec brings what follows the metadata to its normal form, in place.
	normalizeSpec func(P)
	merge         func(lists ...[]P) ([]P, error)
}

func (d *typed[T, P]) dialect() Dialect { return d.kind }

func (d *typed[T, P]) apiVersion() string { return d.version }

func (d *typed[T, P]) implements(p Policy) bool {
	_, ok := p.(P)
	return ok
}

func (d *typed[T, P]) isNil(p Policy) bool { return p.(P) == nil }

func (d *typed[T, P]) decode(object map[string]any) (Policy, *InvalidError) {
	if invalid := d.checkObject(object); invalid != nil {
		return nil, invalid
	}
	policy := P(new(T))
	// The decoder is as strict as the API server under `kubectl apply --validate=strict`.
	unknown, fault := kubeyaml.Decode(object, policy)
	if fault != nil {
		return nil, invalidText(fault)
	}
	if len(unknown) > 0 {
		invalid := d.unknownField
		invalid.Field = unknown[0]
		return nil, &invalid
	}
	if policy.GetName() == "" {
		return nil, &InvalidError{Field: "metadata.name", Problem: "missing", Advice: "give the policy a name"}
	}
	if err := d.validate(policy); err != nil {
		return nil, validationError(err)
	}
	return policy, nil
}

func (d *typed[T, P]) typeMeta(p Policy) metav1.TypeMeta {
	t, _ := d.meta(p.(P))
	return *t
}

func (d *typed[T, P]) strip(p Policy) Policy {
	stripped := p.DeepCopyObject().(P)
	t, m := d.meta(stripped)
	*t = metav1.TypeMeta{APIVersion: d.version, Kind: string(d.kind)}
	*m = metav1.ObjectMeta{Name: m.Name, Namespace: m.Namespace, Labels: m.Labels, Annotations: m.Annotations}
	return stripped
}

func (d *typed[T, P]) normalize(p Policy) Policy {
	normal := d.strip(p).(P)
	d.normalizeSpec(normal)
	return normal
}

func (d *typed[T, P]) unite(lists [][]Policy) ([]Policy, error) {
	var converted [][]P
	for _, list := range lists {
		var policies []P
		for _, p := range list {
			policies = append(policies, p.(P))
		}
		converted = append(converted, policies)
	}
	united, err := d.merge(converted...)
	var policies []Policy
	for _, p := range united {
		policies = append(policies, p)
	}
	return policies, err
}

// implementationOf returns the implementation for a policy, or nil for a policy of an unknown type.
func implementationOf(p Policy) implementation {
	i := slices.IndexFunc(implementations, func(d implementation) bool { return d.implements(p) })
	if i < 0 {
		return nil
	}
	return implementations[i]
}

// commonDialect returns the implementation for all policies of a list. It returns nil for an empty list.
func commonDialect(policies []Policy) (implementation, error) {
	for i, p := range policies {
		switch d := implementationOf(p); {
		case p == nil || d != nil && d.isNil(p):
			return nil, errors.New("a policy is nil")
		case d == nil:
			return nil, fmt.Errorf("a %T is no policy: want a %s or a %s", p, Kubernetes, Cilium)
		case i > 0 && d != implementationOf(policies[0]):
			return nil, fmt.Errorf("policies of two dialects: %s, %s", title(policies[0]), title(p))
		}
	}
	if len(policies) == 0 {
		return nil, nil
	}
	return implementationOf(policies[0]), nil
}
