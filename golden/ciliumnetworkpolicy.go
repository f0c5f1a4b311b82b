package golden

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/netzero-dev/netzero/internal/cilium"
	"github.com/netzero-dev/netzero/internal/policy/ciliumpolicy"
)

// ciliumNetworkPolicies implements the dialect [Cilium].
var ciliumNetworkPolicies = &typed[cilium.NetworkPolicy, *cilium.NetworkPolicy]{
	version: cilium.APIVersion, kind: Cilium,
	meta: func(p *cilium.NetworkPolicy) (*metav1.TypeMeta, *metav1.ObjectMeta) {
		return &p.TypeMeta, &p.ObjectMeta
	},
	checkObject: checkCiliumSpecs,
	unknownField: InvalidError{ // the API server may know the field
		Problem: "a field that is not supported here",
		Advice:  "correct it, or move the policy to a file that tests do not read",
	},
	validate:      ciliumpolicy.Validate,
	normalizeSpec: normalizeCiliumNetworkPolicy,
	merge:         ciliumpolicy.Unite,
}

// checkCiliumSpecs checks the specs of a policy: spec, specs, or both.
func checkCiliumSpecs(object map[string]any) *InvalidError {
	if invalid := checkCiliumSpec(object["spec"], "spec"); invalid != nil || object["specs"] == nil {
		return invalid
	}
	specs, _ := object["specs"].([]any) // of another type it is refused by its decoder
	if empty := emptyList(object["specs"], "specs"); empty == "specs" {
		return &InvalidError{Field: empty, Problem: "is an empty list", Advice: "remove it"}
	}
	for i, spec := range specs {
		at := "specs[" + strconv.Itoa(i) + "]"
		if spec == nil {
			return &InvalidError{Field: at, Problem: "has no value", Advice: "give it one, or remove it"}
		}
		if invalid := checkCiliumSpec(spec, at); invalid != nil {
			return invalid
		}
	}
	return nil
}

// checkCiliumSpec finds fields of a spec that are empty by accident.
func checkCiliumSpec(spec any, at string) *InvalidError {
	if invalid := checkValues(spec, at); invalid != nil {
		return invalid
	}
	if empty := emptyList(spec, at); empty != "" {
		// To Cilium a list that is empty selects nothing in some places, and everything in others.
		return &InvalidError{Field: empty, Problem: "is an empty list",
			Advice: "remove it; [{}] in its place denies everything in that direction"}
	}
	if empty := emptyEnum(spec, at); empty != "" {
		return &InvalidError{Field: empty, Problem: "is empty", Advice: "give it a value, or remove it"}
	}
	if fields, ok := spec.(map[string]any); ok && fields["endpointSelector"] == nil {
		// Cilium rejects a policy without it. Read as an empty one, it would select all pods.
		return &InvalidError{Field: at + ".endpointSelector", Problem: "missing",
			Advice: "add it: {} selects all pods of the policy's namespace"}
	}
	return nil
}

// emptyList returns the first field of a spec that is an empty list.
func emptyList(v any, at string) string {
	switch v := v.(type) {
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			if found := emptyList(v[key], at+"."+key); found != "" {
				return found
			}
		}
	case []any:
		if len(v) == 0 {
			return at
		}
		for i, element := range v {
			if found := emptyList(element, at+"["+strconv.Itoa(i)+"]"); found != "" {
				return found
			}
		}
	}
	return ""
}

// emptyEnum returns the first field of a spec with an empty string in place of one of a few valid values. An API server
// rejects it. The Go type would treat it as missing.
func emptyEnum(v any, at string) string {
	switch v := v.(type) {
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			below := at + "." + key
			if (key == "protocol" || key == "family") && v[key] == "" {
				return below
			}
			if found := emptyEnum(v[key], below); found != "" {
				return found
			}
		}
	case []any:
		for i, element := range v {
			if found := emptyEnum(element, at+"["+strconv.Itoa(i)+"]"); found != "" {
				return found
			}
		}
	}
	return ""
}

func normalizeCiliumNetworkPolicy(p *cilium.NetworkPolicy) {
	var specs []cilium.Spec
	for _, part := range cilium.Parts(p) {
		specs = append(specs, normalSpec(part.Spec))
	}
	p.Spec, p.Specs = cilium.Spec{}, set(specs)
	if len(p.Specs) == 1 { // equivalent to spec
		p.Spec, p.Specs = p.Specs[0], nil
	}
}

func normalSpec(s cilium.Spec) cilium.Spec {
	normalSelector(&s.EndpointSelector)
	s.Egress, s.EgressDeny = normalEgress(s.Egress), normalEgress(s.EgressDeny)
	s.Ingress, s.IngressDeny = normalIngress(s.Ingress), normalIngress(s.IngressDeny)
	return s
}

func normalEgress(rules []cilium.EgressRule) []cilium.EgressRule {
	for i := range rules {
		r := &rules[i]
		r.ToEndpoints = normalSelectors(r.ToEndpoints)
		r.ToFQDNs = normalNames(r.ToFQDNs)
		r.ToCIDR = set(r.ToCIDR)
		r.ToCIDRSet = normalCIDRs(r.ToCIDRSet)
		r.ToEntities = set(r.ToEntities)
		r.ToPorts = normalPortRules(r.ToPorts)
		r.ICMPs = normalICMPs(r.ICMPs)
	}
	return set(rules)
}

func normalIngress(rules []cilium.IngressRule) []cilium.IngressRule {
	for i := range rules {
		r := &rules[i]
		r.FromEndpoints = normalSelectors(r.FromEndpoints)
		r.FromCIDR = set(r.FromCIDR)
		r.FromCIDRSet = normalCIDRs(r.FromCIDRSet)
		r.FromEntities = set(r.FromEntities)
		r.ToPorts = normalPortRules(r.ToPorts)
		r.ICMPs = normalICMPs(r.ICMPs)
	}
	return set(rules)
}

func normalSelectors(selectors []metav1.LabelSelector) []metav1.LabelSelector {
	for i := range selectors {
		normalSelector(&selectors[i])
	}
	return set(selectors)
}

func normalNames(names []cilium.FQDN) []cilium.FQDN {
	for i := range names {
		names[i].MatchName = strings.ToLower(strings.TrimSuffix(names[i].MatchName, "."))
		names[i].MatchPattern = strings.ToLower(strings.TrimSuffix(names[i].MatchPattern, "."))
	}
	return set(names)
}

func normalCIDRs(rules []cilium.CIDRRule) []cilium.CIDRRule {
	for i := range rules {
		rules[i].Except = set(rules[i].Except)
	}
	return set(rules)
}

func normalPortRules(rules []cilium.PortRule) []cilium.PortRule {
	for i := range rules {
		for j := range rules[i].Ports {
			p := &rules[i].Ports[j]
			p.Protocol = cmp.Or(p.Protocol, cilium.Any)
			if n, isNumber := p.Number(); isNumber && int(p.EndPort) == n {
				p.EndPort = 0 // a range of one port
			}
		}
		rules[i].Ports = set(rules[i].Ports)
		if rules[i].Rules != nil {
			rules[i].Rules.DNS = normalNames(rules[i].Rules.DNS)
			rules[i].Rules.HTTP = set(rules[i].Rules.HTTP)
		}
	}
	return set(rules)
}

func normalICMPs(rules []cilium.ICMPRule) []cilium.ICMPRule {
	for i := range rules {
		for j := range rules[i].Fields {
			f := &rules[i].Fields[j]
			f.Family = cmp.Or(f.Family, cilium.IPv4)
		}
		rules[i].Fields = set(rules[i].Fields)
	}
	return set(rules)
}
