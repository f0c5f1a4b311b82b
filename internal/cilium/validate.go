package cilium

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	utilvalidation "k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// Validate returns an error that names the policy and each field that Cilium or the API server would reject, according
// to Cilium's pkg/policy/api/rule_validation.go and CRD. It also rejects fields that both accept and that cannot have
// their apparent meaning: a range of ports that ends before it begins, host bits in a CIDR, an IPv4 range written as
// IPv6, a rule with two kinds of peer.
func Validate(p *NetworkPolicy) error {
	metadata, spec := field.NewPath("metadata"), field.NewPath("spec")
	var errs field.ErrorList
	for _, message := range utilvalidation.IsDNS1123Subdomain(p.Name) {
		errs = append(errs, field.Invalid(metadata.Child("name"), p.Name, message))
	}
	if p.Namespace != "" {
		for _, message := range utilvalidation.IsDNS1123Label(p.Namespace) {
			errs = append(errs, field.Invalid(metadata.Child("namespace"), p.Namespace, message))
		}
	}
	errs = append(errs, sorted(metav1validation.ValidateLabels(p.Labels, metadata.Child("labels")))...)
	errs = append(errs, sorted(validation.ValidateAnnotations(p.Annotations, metadata.Child("annotations")))...)
	if HasSpec(p) || len(p.Specs) == 0 {
		errs = append(errs, validateSpec(p.Spec, p.Namespace, spec)...)
	}
	for i, more := range p.Specs {
		errs = append(errs, validateSpec(more, p.Namespace, field.NewPath("specs").Index(i))...)
	}
	if len(errs) == 0 {
		return nil
	}
	return fmt.Errorf("validate policy %s: %w", p.Name, errs.ToAggregate())
}

func validateSpec(s Spec, namespace string, spec *field.Path) field.ErrorList {
	errs := validateSelector(s.EndpointSelector, spec.Child("endpointSelector"))
	errs = append(errs, validateOwnNamespace(s.EndpointSelector, namespace, spec.Child("endpointSelector"))...)
	if len(s.Egress)+len(s.Ingress)+len(s.EgressDeny)+len(s.IngressDeny) == 0 {
		errs = append(errs, field.Required(spec,
			"a policy needs egress or ingress rules: to deny everything write egress: [{}]"))
	}
	for i, r := range s.Ingress {
		errs = append(errs, validateIngress(r, spec.Child("ingress").Index(i))...)
	}
	for i, r := range s.IngressDeny {
		path := spec.Child("ingressDeny").Index(i)
		errs = append(errs, validateIngress(r, path)...)
		errs = append(errs, validateDenial(nil, r.ToPorts, path)...)
	}
	for i, r := range s.Egress {
		errs = append(errs, validateEgress(r, spec.Child("egress").Index(i))...)
	}
	for i, r := range s.EgressDeny {
		path := spec.Child("egressDeny").Index(i)
		errs = append(errs, validateEgress(r, path)...)
		errs = append(errs, validateDenial(r.ToFQDNs, r.ToPorts, path)...)
	}
	return errs
}

// sorted sorts errors from an iteration over a map.
func sorted(errs field.ErrorList) field.ErrorList {
	slices.SortFunc(errs, func(a, b *field.Error) int { return cmp.Compare(a.Error(), b.Error()) })
	return errs
}

func validateSelectors(selectors []metav1.LabelSelector, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for i, s := range selectors {
		errs = append(errs, validateSelector(s, path.Index(i))...)
	}
	return errs
}

// validateSelector validates a selector without the sources of its keys, which Kubernetes does not have.
func validateSelector(s metav1.LabelSelector, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	plain := s.DeepCopy()
	plain.MatchLabels = nil
	for _, key := range slices.Sorted(maps.Keys(s.MatchLabels)) {
		errs = append(errs, validateKey(key, path.Child("matchLabels"))...)
		for _, message := range utilvalidation.IsValidLabelValue(s.MatchLabels[key]) {
			errs = append(errs, field.Invalid(path.Child("matchLabels").Key(key), s.MatchLabels[key], message))
		}
	}
	for i := range plain.MatchExpressions {
		errs = append(errs, validateSource(plain.MatchExpressions[i].Key,
			path.Child("matchExpressions").Index(i).Child("key"))...)
		_, plain.MatchExpressions[i].Key = SplitKey(plain.MatchExpressions[i].Key)
	}
	options := metav1validation.LabelSelectorValidationOptions{}
	return append(errs, sorted(metav1validation.ValidateLabelSelector(plain, options, path))...)
}

func validateKey(key string, path *field.Path) field.ErrorList {
	errs := validateSource(key, path)
	_, name := SplitKey(key)
	for _, message := range utilvalidation.IsQualifiedName(name) {
		if !strings.HasPrefix(name, NamespaceMetaLabel) { // the namespace label's name contains the slash
			errs = append(errs, field.Invalid(path, key, message))
		}
	}
	return errs
}

// validateSource rejects labels that no recording contains: labels from sources other than Kubernetes, and the labels
// for the cluster and the service account, which Cilium adds to pods.
func validateSource(key string, path *field.Path) field.ErrorList {
	source, name := SplitKey(key)
	switch {
	case source == "reserved:":
		return field.ErrorList{field.Invalid(path, key,
			"reserved labels are not supported: write the entity, as in toEntities: [host]")}
	case source != "" && source != KubernetesSource && source != AnySource:
		return field.ErrorList{field.Invalid(path, key, "labels from other sources than Kubernetes are not supported")}
	case strings.HasPrefix(name, policyLabels):
		return field.ErrorList{field.Invalid(path, key,
			"labels for a pod's cluster and service account are not supported")}
	}
	return nil
}

// validateOwnNamespace rejects a policy for pods of another namespace, because Cilium silently replaces that with the
// policy's own.
func validateOwnNamespace(s metav1.LabelSelector, namespace string, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for _, key := range slices.Sorted(maps.Keys(s.MatchLabels)) {
		if _, name := SplitKey(key); name == NamespaceLabel &&
			s.MatchLabels[key] != cmp.Or(namespace, s.MatchLabels[key]) {
			errs = append(errs, field.Invalid(path.Child("matchLabels").Key(key), s.MatchLabels[key],
				"a policy selects pods of its own namespace only, "+namespace))
		}
	}
	return errs
}

// SplitKey splits a label's key into its source, with the colon, and its name.
func SplitKey(key string) (source, name string) {
	before, after, found := strings.Cut(key, ":")
	if !found {
		return "", key
	}
	return before + ":", after
}
