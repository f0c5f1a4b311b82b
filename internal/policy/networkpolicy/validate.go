package networkpolicy

import (
	"cmp"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/intstr"
	utilvalidation "k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/netzero-dev/netzero/internal/cilium"
	"github.com/netzero-dev/netzero/internal/policy"
)

// Validate returns an error that names the policy and each field that the API server would reject, as
// ValidateNetworkPolicy of k8s.io/kubernetes/pkg/apis/networking/validation does. It also rejects fields that cannot
// mean what they say: host bits in a CIDR, an IPv4 range written as IPv6, a malformed entry of
// [policy.NamesAnnotation].
func Validate(p *networkingv1.NetworkPolicy) error {
	errs := validateMetadata(&p.ObjectMeta, field.NewPath("metadata"))
	spec := field.NewPath("spec")
	errs = append(errs, validateSelector(&p.Spec.PodSelector, spec.Child("podSelector"))...)
	types := []networkingv1.PolicyType{networkingv1.PolicyTypeEgress, networkingv1.PolicyTypeIngress}
	for i, t := range p.Spec.PolicyTypes {
		if !slices.Contains(types, t) {
			errs = append(errs, field.NotSupported(spec.Child("policyTypes").Index(i), t, types))
		}
	}
	if most := len(types); len(p.Spec.PolicyTypes) > most {
		errs = append(errs, field.TooMany(spec.Child("policyTypes"), len(p.Spec.PolicyTypes), most))
	}
	for i, rule := range p.Spec.Ingress {
		path := spec.Child("ingress").Index(i)
		errs = append(errs, validatePeers(rule.From, path.Child("from"))...)
		errs = append(errs, validatePorts(rule.Ports, path.Child("ports"))...)
	}
	for i, rule := range p.Spec.Egress {
		path := spec.Child("egress").Index(i)
		errs = append(errs, validatePeers(rule.To, path.Child("to"))...)
		errs = append(errs, validatePorts(rule.Ports, path.Child("ports"))...)
	}
	if len(errs) == 0 {
		return nil
	}
	return fmt.Errorf("validate policy %s: %w", p.Name, errs.ToAggregate())
}

func validateMetadata(meta *metav1.ObjectMeta, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for _, message := range utilvalidation.IsDNS1123Subdomain(meta.Name) {
		errs = append(errs, field.Invalid(path.Child("name"), meta.Name, message))
	}
	if meta.Namespace != "" {
		for _, message := range utilvalidation.IsDNS1123Label(meta.Namespace) {
			errs = append(errs, field.Invalid(path.Child("namespace"), meta.Namespace, message))
		}
	}
	annotations := path.Child("annotations")
	errs = append(errs, sorted(metav1validation.ValidateLabels(meta.Labels, path.Child("labels")))...)
	errs = append(errs, sorted(validation.ValidateAnnotations(meta.Annotations, annotations))...)
	return append(errs, policy.ValidateLists(meta, annotations)...)
}

// sorted sorts errors that come from ranging over a map.
func sorted(errs field.ErrorList) field.ErrorList {
	slices.SortFunc(errs, func(a, b *field.Error) int { return cmp.Compare(a.Error(), b.Error()) })
	return errs
}

func validateSelector(selector *metav1.LabelSelector, path *field.Path) field.ErrorList {
	return sorted(metav1validation.ValidateLabelSelector(
		selector, metav1validation.LabelSelectorValidationOptions{}, path,
	))
}

func validatePeers(peers []networkingv1.NetworkPolicyPeer, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for i, peer := range peers {
		path := path.Index(i)
		pods := peer.PodSelector != nil || peer.NamespaceSelector != nil
		switch {
		case peer.IPBlock != nil && pods:
			errs = append(errs, field.Forbidden(path, "an ipBlock and a selector cannot be one peer"))
		case peer.IPBlock != nil:
			errs = append(errs, validateBlock(peer.IPBlock, path.Child("ipBlock"))...)
		case !pods:
			errs = append(errs, field.Required(path, "a peer has an ipBlock, a podSelector or a namespaceSelector"))
		}
		errs = append(errs, validateSelector(peer.PodSelector, path.Child("podSelector"))...)
		errs = append(errs, validateSelector(peer.NamespaceSelector, path.Child("namespaceSelector"))...)
	}
	return errs
}

func validateBlock(block *networkingv1.IPBlock, path *field.Path) field.ErrorList {
	prefix, err := cilium.ParseCIDR(block.CIDR, path.Child("cidr"))
	if err != nil {
		return field.ErrorList{err}
	}
	var errs field.ErrorList
	for i, text := range block.Except {
		path := path.Child("except").Index(i)
		except, err := cilium.ParseCIDR(text, path)
		switch {
		case err != nil:
			errs = append(errs, err)
		case !prefix.Contains(except.Addr()) || except.Bits() <= prefix.Bits():
			errs = append(errs, field.Invalid(path, text, "not a part of "+block.CIDR))
		}
	}
	return errs
}

func validatePorts(ports []networkingv1.NetworkPolicyPort, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for i, port := range ports {
		path := path.Index(i)
		if port.Protocol != nil && policy.ProtocolOf(*port.Protocol) == 0 {
			known := []corev1.Protocol{corev1.ProtocolSCTP, corev1.ProtocolTCP, corev1.ProtocolUDP}
			errs = append(errs, field.NotSupported(path.Child("protocol"), *port.Protocol, known))
		}
		if port.Port != nil {
			errs = append(errs, validatePort(*port.Port, path.Child("port"))...)
		}
		if port.EndPort != nil {
			errs = append(errs, validateEndPort(port.Port, *port.EndPort, path.Child("endPort"))...)
		}
	}
	return errs
}

func validatePort(port intstr.IntOrString, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	if port.Type == intstr.String {
		for _, message := range utilvalidation.IsValidPortName(port.StrVal) {
			errs = append(errs, field.Invalid(path, port.StrVal, message))
		}
		return errs
	}
	for _, message := range utilvalidation.IsValidPortNum(port.IntValue()) {
		errs = append(errs, field.Invalid(path, port.IntVal, message))
	}
	return errs
}

func validateEndPort(port *intstr.IntOrString, end int32, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	switch {
	case port == nil:
		errs = append(errs, field.Invalid(path, end, "without a port there is no range"))
	case port.Type == intstr.String:
		errs = append(errs, field.Invalid(path, end, "a range cannot start with a named port"))
	case end < port.IntVal:
		errs = append(errs, field.Invalid(path, end, fmt.Sprintf("is below port %d", port.IntVal)))
	}
	for _, message := range utilvalidation.IsValidPortNum(int(end)) {
		errs = append(errs, field.Invalid(path, end, message))
	}
	return errs
}
