package cilium

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"

	utilvalidation "k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

func validateNames(names []FQDN, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for i, n := range names {
		path := path.Index(i)
		switch {
		case n.MatchName != "" && n.MatchPattern != "":
			errs = append(errs, field.Forbidden(path,
				"matchName and matchPattern cannot be in one entry: write one for each"))
		case n.MatchName == "" && n.MatchPattern == "":
			errs = append(errs, field.Required(path, "an entry needs a matchName or a matchPattern"))
		case n.MatchName != "" && (len(n.MatchName) > longestName || !nameShape.MatchString(n.MatchName)):
			errs = append(errs, field.Invalid(path.Child("matchName"), n.MatchName,
				"not a DNS name; write a name with asterisks as matchPattern"))
		case n.MatchPattern != "" && (len(n.MatchPattern) > longestName || !patternShape.MatchString(n.MatchPattern)):
			errs = append(errs, field.Invalid(path.Child("matchPattern"), n.MatchPattern,
				"not a pattern of DNS names, such as *.example.com"))
		}
	}
	return errs
}

func validateEntities(list []string, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for i, e := range list {
		if !slices.Contains(entities, e) {
			errs = append(errs, field.NotSupported(path.Index(i), e, entities))
		}
	}
	return errs
}

func validateAddresses(list []string, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for i, text := range list {
		if _, err := ParseCIDR(text, path.Index(i)); err != nil {
			errs = append(errs, err)
		}
	}
	return errs
}

func validateCIDRs(rules []CIDRRule, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for i, r := range rules {
		path := path.Index(i)
		prefix, err := ParseCIDR(r.CIDR, path.Child("cidr"))
		if err != nil {
			errs = append(errs, err)
			continue
		}
		for j, text := range r.Except {
			path := path.Child("except").Index(j)
			except, err := ParseCIDR(text, path)
			switch {
			case err != nil:
				errs = append(errs, err)
			case !prefix.Contains(except.Addr()) || except.Bits() <= prefix.Bits():
				errs = append(errs, field.Invalid(path, text, "not a part of "+r.CIDR))
			}
		}
	}
	return errs
}

// ParseCIDR parses a range of addresses of either dialect. It also rejects ranges that both of Cilium's validators and
// Kubernetes' accept, if they cannot have their apparent meaning.
func ParseCIDR(text string, path *field.Path) (netip.Prefix, *field.Error) {
	prefix, err := netip.ParsePrefix(text)
	switch {
	case err != nil:
		return prefix, field.Invalid(path, text, "not a CIDR, such as 192.0.2.0/24")
	case prefix.Addr().Is4In6():
		return prefix, field.Invalid(path, text, "an IPv4 range written as IPv6 matches no address: write the IPv4 range")
	case prefix != prefix.Masked():
		return prefix, field.Invalid(path, text,
			fmt.Sprintf("has host bits set: %s is the range, %s/%d the address", prefix.Masked(), prefix.Addr(),
				prefix.Addr().BitLen()))
	}
	return prefix, nil
}

func validatePorts(rules []PortRule, dns bool, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for i, r := range rules {
		path := path.Index(i)
		hasHTTP := r.HasHTTP()
		hasDNS := r.Rules != nil && !hasHTTP
		switch {
		case len(r.Ports) == 0:
			errs = append(errs, field.Required(path.Child("ports"),
				"an entry needs a port: add one, or remove toPorts to allow every port"))
		case len(r.Ports) > MaxPorts:
			errs = append(errs, field.TooMany(path.Child("ports"), len(r.Ports), MaxPorts))
		}
		if hasDNS {
			rules := path.Child("rules")
			if !dns {
				errs = append(errs, field.Forbidden(rules, "DNS rules are for egress"))
			}
			if len(r.Rules.DNS) == 0 {
				errs = append(errs, field.Required(rules.Child("dns"),
					`list the names that may be looked up, or matchPattern: "*" for all`))
			}
			errs = append(errs, validateNames(r.Rules.DNS, rules.Child("dns"))...)
		}
		if hasHTTP {
			errs = append(errs, validateHTTP(r, path)...)
		}
		for j, port := range r.Ports {
			errs = append(errs, validatePort(port, hasDNS, path.Child("ports").Index(j))...)
		}
	}
	return errs
}

func validatePort(p Port, dns bool, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	if known := []string{"TCP", "UDP", "SCTP", Any}; p.Protocol != "" && !slices.Contains(known, p.Protocol) {
		errs = append(errs, field.NotSupported(path.Child("protocol"), p.Protocol, known))
	}
	number, isNumber := p.Number()
	switch {
	case p.Port == "":
		errs = append(errs, field.Required(path.Child("port"), "a port is a number or a name"))
	case isNumber && number > 65535 || isNumber && strconv.Itoa(number) != p.Port:
		errs = append(errs, field.Invalid(path.Child("port"), p.Port,
			"not a port number from 0 to 65535, without anything before it"))
	case !isNumber:
		for _, message := range utilvalidation.IsValidPortName(p.Port) {
			errs = append(errs, field.Invalid(path.Child("port"), p.Port, message))
		}
	}
	end := path.Child("endPort")
	switch {
	case p.EndPort == 0:
	case !isNumber:
		errs = append(errs, field.Invalid(end, p.EndPort, "a range cannot start with a named port"))
	case p.EndPort < 0 || p.EndPort > 65535:
		errs = append(errs, field.Invalid(end, p.EndPort, "not a port number up to 65535"))
	case number == 0:
		errs = append(errs, field.Invalid(end, p.EndPort, "port 0 already means every port"))
	case int(p.EndPort) < number:
		errs = append(errs, field.Invalid(end, p.EndPort, fmt.Sprintf("is below port %d", number)))
	}
	if dns && (isNumber && number == 0 || int(p.EndPort) > number) {
		errs = append(errs, field.Forbidden(path, "DNS rules are for single ports"))
	}
	return errs
}

// Number returns the port's number; false for a named port.
func (p Port) Number() (int, bool) {
	n, err := strconv.Atoi(p.Port)
	return n, err == nil && n >= 0
}
