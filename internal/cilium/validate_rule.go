package cilium

import (
	"cmp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"
)

func validateIngress(r IngressRule, path *field.Path) field.ErrorList {
	peers := map[string]int{
		"fromEndpoints": len(r.FromEndpoints), "fromCIDR": len(r.FromCIDR), "fromCIDRSet": len(r.FromCIDRSet),
		"fromEntities": len(r.FromEntities),
	}
	errs := validateRule(peers, r.ToPorts, r.ICMPs, path)
	errs = append(errs, validateSelectors(r.FromEndpoints, path.Child("fromEndpoints"))...)
	errs = append(errs, validateAddresses(r.FromCIDR, path.Child("fromCIDR"))...)
	errs = append(errs, validateCIDRs(r.FromCIDRSet, path.Child("fromCIDRSet"))...)
	errs = append(errs, validateEntities(r.FromEntities, path.Child("fromEntities"))...)
	return append(errs, validatePorts(r.ToPorts, false, path.Child("toPorts"))...)
}

func validateEgress(r EgressRule, path *field.Path) field.ErrorList {
	peers := map[string]int{
		"toEndpoints": len(r.ToEndpoints), "toFQDNs": len(r.ToFQDNs), "toCIDR": len(r.ToCIDR),
		"toCIDRSet": len(r.ToCIDRSet), "toEntities": len(r.ToEntities),
	}
	errs := validateRule(peers, r.ToPorts, r.ICMPs, path)
	errs = append(errs, validateSelectors(r.ToEndpoints, path.Child("toEndpoints"))...)
	errs = append(errs, validateNames(r.ToFQDNs, path.Child("toFQDNs"))...)
	errs = append(errs, validateAddresses(r.ToCIDR, path.Child("toCIDR"))...)
	errs = append(errs, validateCIDRs(r.ToCIDRSet, path.Child("toCIDRSet"))...)
	errs = append(errs, validateEntities(r.ToEntities, path.Child("toEntities"))...)
	return append(errs, validatePorts(r.ToPorts, true, path.Child("toPorts"))...)
}

// validateDenial rejects fields that deny rules do not have: names and L7 rules.
func validateDenial(names []FQDN, ports []PortRule, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	if len(names) > 0 {
		errs = append(errs, field.Forbidden(path.Child("toFQDNs"),
			"a deny rule cannot have names: deny the addresses, or allow the other names only"))
	}
	for i, r := range ports {
		rules := path.Child("toPorts").Index(i).Child("rules")
		switch {
		case r.HasHTTP():
			errs = append(errs, field.Forbidden(rules, "a deny rule cannot have HTTP rules: list the requests to allow"))
		case r.Rules != nil:
			errs = append(errs, field.Forbidden(rules, "a deny rule cannot have DNS rules"))
		}
	}
	return errs
}

// validateRule checks the combination of a rule's fields.
func validateRule(peers map[string]int, ports []PortRule, icmps []ICMPRule, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	var kinds []string
	for kind, n := range peers {
		if n > 0 {
			kinds = append(kinds, kind)
		}
	}
	slices.Sort(kinds)
	if len(kinds) > 1 {
		errs = append(errs, field.Forbidden(path,
			strings.Join(kinds, " and ")+" cannot be in one rule: write a rule for each"))
	}
	if len(ports) > 0 && len(icmps) > 0 {
		errs = append(errs, field.Forbidden(path, "toPorts and icmps cannot be in one rule: write a rule for each"))
	}
	for i, rule := range icmps {
		path := path.Child("icmps").Index(i).Child("fields")
		switch {
		case len(rule.Fields) == 0:
			errs = append(errs, field.Required(path, "an entry needs an ICMP type: add one, or remove the entry"))
		case len(rule.Fields) > MaxPorts:
			errs = append(errs, field.TooMany(path, len(rule.Fields), MaxPorts))
		}
		for j, f := range rule.Fields {
			if f.Family != "" && f.Family != IPv4 && f.Family != IPv6 {
				errs = append(errs, field.NotSupported(path.Index(j).Child("family"), f.Family, []string{IPv4, IPv6}))
			} else if n := f.Number(); n < 0 || n > 255 {
				errs = append(errs, field.Invalid(path.Index(j).Child("type"), f.Type.String(),
					"not an ICMP type of "+cmp.Or(f.Family, IPv4)))
			}
		}
	}
	return errs
}
