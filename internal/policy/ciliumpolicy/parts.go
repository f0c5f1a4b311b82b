package ciliumpolicy

import (
	"cmp"
	"slices"

	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/netzero-dev/netzero/internal/cilium"
	"github.com/netzero-dev/netzero/internal/policy"
)

// parts splits a rule into one for ports, one for the lookups that Cilium reads, one for the requests that it reads,
// with an entry for each port, and one for ICMP types. A rule without ports and ICMP types is one part.
func (r Rule) parts() []Rule {
	peers := Rule{
		Endpoints: policy.SortedSet(r.Endpoints), Names: policy.SortedSet(r.Names),
		Cidrs: policy.SortedSet(r.ranges()), Entities: policy.SortedSet(r.Entities),
	}
	if len(r.AllowedPorts()) == 0 {
		return []Rule{peers}
	}
	lookups, ports, requests, icmps := peers, peers, peers, peers
	var parts []Rule
	for _, rule := range r.Ports {
		if rule.HasHTTP() {
			for _, port := range sortedPorts(rule.Ports) {
				requests.addRequests(port, rule.Rules.HTTP)
			}
			continue
		}
		if rule.Rules != nil {
			lookups.Ports = append(lookups.Ports, cilium.PortRule{Ports: policy.SortedSet(rule.Ports), Rules: rule.Rules})
			continue
		}
		if ports.Ports == nil {
			ports.Ports = []cilium.PortRule{{}}
		}
		ports.Ports[0].Ports = sortedPorts(append(ports.Ports[0].Ports, rule.Ports...))
	}
	for _, rule := range r.Icmps {
		if icmps.Icmps == nil {
			icmps.Icmps = []cilium.ICMPRule{{}}
		}
		icmps.Icmps[0].Fields = policy.SortedSet(append(icmps.Icmps[0].Fields, numbered(rule.Fields)...))
	}
	for _, part := range []Rule{lookups, ports, requests, icmps} {
		if len(part.AllowedPorts()) > 0 {
			parts = append(parts, part)
		}
	}
	return parts
}

// ranges returns all address ranges of a rule in the form that allows exceptions.
func (r Rule) ranges() []cilium.CIDRRule {
	ranges := slices.Clone(r.Cidrs)
	for _, cidr := range r.Addresses {
		ranges = append(ranges, cilium.CIDRRule{CIDR: cidr})
	}
	for i := range ranges {
		ranges[i].Except = policy.SortedSet(ranges[i].Except)
	}
	return ranges
}

// numbered returns ICMP types by number, as Generate writes them.
func numbered(fields []cilium.ICMPField) []cilium.ICMPField {
	var all []cilium.ICMPField
	for _, f := range fields {
		all = append(all, cilium.ICMPField{Family: cmp.Or(f.Family, cilium.IPv4), Type: intstr.FromInt32(int32(f.Number()))})
	}
	return all
}

// sortedPorts returns ports in the order of Generate, without duplicates. A missing protocol means any.
func sortedPorts(ports []cilium.Port) []cilium.Port {
	ports = slices.Clone(ports)
	for i := range ports {
		ports[i].Protocol = cmp.Or(ports[i].Protocol, cilium.Any)
	}
	slices.SortFunc(ports, func(a, b cilium.Port) int {
		return cmp.Or(comparePorts(a, b), cmp.Compare(policy.EncodeJSON(a), policy.EncodeJSON(b)))
	})
	return slices.Compact(ports)
}

// addRequests adds HTTP rules for a port to a rule that has one entry for each port.
func (r *Rule) addRequests(port cilium.Port, list []cilium.HTTPRule) {
	i := slices.IndexFunc(r.Ports, func(e cilium.PortRule) bool { return e.Ports[0] == port })
	if i < 0 {
		r.insertRequests(cilium.PortRule{
			Ports: []cilium.Port{port}, Rules: &cilium.L7Rules{HTTP: sortedHTTP(list)},
		})
		return
	}
	r.Ports = slices.Clone(r.Ports)
	r.Ports[i].Rules = &cilium.L7Rules{HTTP: sortedHTTP(slices.Concat(r.Ports[i].Rules.HTTP, list))}
}

// sortedHTTP returns HTTP rules by path and method, without duplicates.
func sortedHTTP(list []cilium.HTTPRule) []cilium.HTTPRule {
	list = policy.SortedSet(list)
	slices.SortStableFunc(list, compareHTTP)
	return list
}

// key identifies a part of a rule by its peers and its kind: lookups, ports, requests, ICMP or everything.
func (r Rule) key() string {
	sort := "everything"
	switch {
	case len(r.Icmps) > 0:
		sort = "icmps"
	case len(r.Ports) > 0 && r.Ports[0].HasHTTP():
		sort = "requests"
	case len(r.Ports) > 0 && r.Ports[0].Rules != nil:
		sort = "lookups"
	case len(r.Ports) > 0:
		sort = "ports"
	}
	return policy.EncodeJSON([]any{r.Endpoints, r.Names, r.Cidrs, r.Entities, sort})
}

// join adds a part with the same key to a part of a rule.
func (r *Rule) join(other Rule) {
	if len(other.Icmps) > 0 {
		r.Icmps[0].Fields = policy.SortedSet(append(r.Icmps[0].Fields, other.Icmps[0].Fields...))
	}
	for _, rule := range other.Ports {
		if rule.HasHTTP() {
			r.addRequests(rule.Ports[0], rule.Rules.HTTP)
			continue
		}
		i := slices.IndexFunc(r.Ports, func(own cilium.PortRule) bool {
			return rule.Rules == nil || policy.EncodeJSON(own.Ports) == policy.EncodeJSON(rule.Ports)
		})
		switch {
		case rule.Rules == nil:
			r.Ports[0].Ports = sortedPorts(append(r.Ports[0].Ports, rule.Ports...))
		case i < 0:
			r.Ports = policy.SortedSet(append(r.Ports, rule))
		default:
			r.Ports[i].Rules = &cilium.L7Rules{DNS: sortedNames(append(slices.Clone(r.Ports[i].Rules.DNS), rule.Rules.DNS...))}
		}
	}
}

// sortedNames returns the names of lookups, sorted. If there is a pattern for all names, it returns only the pattern.
func sortedNames(names []cilium.FQDN) []cilium.FQDN {
	every := cilium.FQDN{MatchPattern: "*"}
	if slices.Contains(names, every) {
		return []cilium.FQDN{every}
	}
	return policy.SortedSet(names)
}

// whole joins the parts for lookups, ports and requests of the same peers, as Generate writes them. It splits lists of
// ports that exceed [cilium.MaxPorts].
func whole(parts []Rule) []Rule {
	var rules []Rule
	for _, part := range parts {
		part.shareEntries()
		var ports []cilium.PortRule
		for _, rule := range part.Ports {
			for chunk := range slices.Chunk(rule.Ports, cilium.MaxPorts) {
				ports = append(ports, cilium.PortRule{Ports: chunk, Rules: rule.Rules})
			}
		}
		var icmps []cilium.ICMPRule
		for _, rule := range part.Icmps {
			for chunk := range slices.Chunk(rule.Fields, cilium.MaxPorts) {
				icmps = append(icmps, cilium.ICMPRule{Fields: chunk})
			}
		}
		peers := func(r Rule) string { return policy.EncodeJSON([]any{r.Endpoints, r.Names, r.Cidrs, r.Entities}) }
		if n := len(rules); n > 0 && len(ports) > 0 && len(rules[n-1].Ports) > 0 && peers(rules[n-1]) == peers(part) {
			rules[n-1].Ports = append(rules[n-1].Ports, ports...)
			kind := func(e cilium.PortRule) int {
				switch {
				case e.HasDNS():
					return 0
				case e.HasHTTP():
					return 2
				}
				return 1
			}
			slices.SortStableFunc(rules[n-1].Ports, func(a, b cilium.PortRule) int { return cmp.Compare(kind(a), kind(b)) })
			continue
		}
		part.Ports, part.Icmps = ports, icmps
		rules = append(rules, part)
	}
	return rules
}
