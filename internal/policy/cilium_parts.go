package policy

import (
	"cmp"
	"slices"

	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/netzero-dev/netzero/internal/cilium"
)

// parts returns a rule as one for ports, one for what Cilium reads of look-ups, and one for ICMP types. A rule for
// everything is one part, too.
func (r ciliumRule) parts() []ciliumRule {
	peers := ciliumRule{endpoints: sortedSet(r.endpoints), names: sortedSet(r.names), cidrs: sortedSet(r.ranges()), entities: sortedSet(r.entities)}
	if len(r.openTo()) == 0 {
		return []ciliumRule{peers}
	}
	lookups, ports, icmps := peers, peers, peers
	var parts []ciliumRule
	for _, rule := range r.ports {
		if rule.Rules != nil {
			lookups.ports = append(lookups.ports, cilium.PortRule{Ports: sortedSet(rule.Ports), Rules: rule.Rules})
			continue
		}
		if ports.ports == nil {
			ports.ports = []cilium.PortRule{{}}
		}
		ports.ports[0].Ports = sortedPorts(append(ports.ports[0].Ports, rule.Ports...))
	}
	for _, rule := range r.icmps {
		if icmps.icmps == nil {
			icmps.icmps = []cilium.ICMPRule{{}}
		}
		icmps.icmps[0].Fields = sortedSet(append(icmps.icmps[0].Fields, numbered(rule.Fields)...))
	}
	for _, part := range []ciliumRule{lookups, ports, icmps} {
		if len(part.openTo()) > 0 {
			parts = append(parts, part)
		}
	}
	return parts
}

// ranges returns all ranges of addresses of a rule in the one form in which they may have exceptions.
func (r ciliumRule) ranges() []cilium.CIDRRule {
	ranges := slices.Clone(r.cidrs)
	for _, cidr := range r.addresses {
		ranges = append(ranges, cilium.CIDRRule{CIDR: cidr})
	}
	for i := range ranges {
		ranges[i].Except = sortedSet(ranges[i].Except)
	}
	return ranges
}

// numbered returns ICMP types by their numbers, as Generate writes them.
func numbered(fields []cilium.ICMPField) []cilium.ICMPField {
	var all []cilium.ICMPField
	for _, f := range fields {
		all = append(all, cilium.ICMPField{Family: cmp.Or(f.Family, cilium.IPv4), Type: intstr.FromInt32(int32(f.Number()))})
	}
	return all
}

// sortedPorts returns ports in the order of Generate, each once. A missing protocol is any.
func sortedPorts(ports []cilium.Port) []cilium.Port {
	ports = slices.Clone(ports)
	for i := range ports {
		ports[i].Protocol = cmp.Or(ports[i].Protocol, cilium.Any)
	}
	slices.SortFunc(ports, func(a, b cilium.Port) int { return cmp.Or(comparePorts(a, b), cmp.Compare(encode(a), encode(b))) })
	return slices.Compact(ports)
}

// key tells apart what rules are for: their peers, and whether they are for look-ups, ports, ICMP or everything.
func (r ciliumRule) key() string {
	sort := "everything"
	switch {
	case len(r.icmps) > 0:
		sort = "icmps"
	case len(r.ports) > 0 && r.ports[0].Rules != nil:
		sort = "lookups"
	case len(r.ports) > 0:
		sort = "ports"
	}
	return encode([]any{r.endpoints, r.names, r.cidrs, r.entities, sort})
}

// join adds to a part of a rule another one of the same key.
func (r *ciliumRule) join(other ciliumRule) {
	if len(other.icmps) > 0 {
		r.icmps[0].Fields = sortedSet(append(r.icmps[0].Fields, other.icmps[0].Fields...))
	}
	for _, rule := range other.ports {
		i := slices.IndexFunc(r.ports, func(own cilium.PortRule) bool { return rule.Rules == nil || encode(own.Ports) == encode(rule.Ports) })
		switch {
		case rule.Rules == nil:
			r.ports[0].Ports = sortedPorts(append(r.ports[0].Ports, rule.Ports...))
		case i < 0:
			r.ports = sortedSet(append(r.ports, rule))
		default:
			r.ports[i].Rules = &cilium.L7Rules{DNS: sortedNames(append(slices.Clone(r.ports[i].Rules.DNS), rule.Rules.DNS...))}
		}
	}
}

// sortedNames returns names of look-ups in one order, without what a pattern for all of them holds.
func sortedNames(names []cilium.FQDN) []cilium.FQDN {
	every := cilium.FQDN{MatchPattern: "*"}
	if slices.Contains(names, every) {
		return []cilium.FQDN{every}
	}
	return sortedSet(names)
}

// whole joins the look-ups and the ports of the same peers, as Generate writes them, and cuts lists of ports that are
// longer than Cilium takes.
func whole(parts []ciliumRule) []ciliumRule {
	var rules []ciliumRule
	for _, part := range parts {
		var ports []cilium.PortRule
		for _, rule := range part.ports {
			for chunk := range slices.Chunk(rule.Ports, cilium.MaxPorts) {
				ports = append(ports, cilium.PortRule{Ports: chunk, Rules: rule.Rules})
			}
		}
		var icmps []cilium.ICMPRule
		for _, rule := range part.icmps {
			for chunk := range slices.Chunk(rule.Fields, cilium.MaxPorts) {
				icmps = append(icmps, cilium.ICMPRule{Fields: chunk})
			}
		}
		peers := func(r ciliumRule) string { return encode([]any{r.endpoints, r.names, r.cidrs, r.entities}) }
		if n := len(rules); n > 0 && len(ports) > 0 && len(rules[n-1].ports) > 0 && peers(rules[n-1]) == peers(part) {
			rules[n-1].ports = append(rules[n-1].ports, ports...)
			slices.SortStableFunc(rules[n-1].ports, func(a, b cilium.PortRule) int {
				switch {
				case a.HasDNS() == b.HasDNS():
					return 0
				case a.HasDNS():
					return -1
				}
				return 1
			})
			continue
		}
		part.ports, part.icmps = ports, icmps
		rules = append(rules, part)
	}
	return rules
}
