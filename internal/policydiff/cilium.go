package policydiff

import (
	"cmp"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/netzero-dev/netzero/golden"
	"github.com/netzero-dev/netzero/internal/cilium"
	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/internal/policy/ciliumpolicy"
)

// plainKey returns the key of a label without its source. The label of a pod's namespace gets the name that
// NetworkPolicies know.
func plainKey(key string) string {
	_, plain := cilium.SplitKey(key)
	if plain == cilium.NamespaceLabel {
		return namespacePrefix + policy.NamespaceLabel
	}
	if rest, is := strings.CutPrefix(plain, cilium.NamespaceMetaLabel); is {
		return namespacePrefix + rest
	}
	return plain
}

// namespacePrefix marks the labels of a namespace among those of its pods. No label's key has a colon.
const namespacePrefix = "namespace:"

// addCilium adds a CiliumNetworkPolicy, if it selects pods with these labels.
func (c collector) addCilium(p *golden.CiliumNetworkPolicy, labels map[string]string) {
	for _, part := range cilium.Parts(p) {
		c.addPart(part, labels)
	}
}

func (c collector) addPart(p *cilium.NetworkPolicy, labels map[string]string) {
	selects := slices.ContainsFunc(selectorsOf(&p.Spec.EndpointSelector, plainKey), func(s selector) bool {
		own, _ := s.split() // a policy selects pods of its own namespace only
		return own.matches(labels)
	})
	if !selects {
		return
	}
	c.selected = true
	allow, deny := ciliumpolicy.RulesOf(p, c.direction), ciliumpolicy.DenyRulesOf(p, c.direction)
	isolates := len(allow)+len(deny) > 0 && ciliumpolicy.DeniesByDefault(p, c.direction)
	if isolates {
		c.isolating = append(c.isolating, p.Name)
	}
	c.addLists(p, isolates)
	names := slices.ContainsFunc(allow, func(r ciliumpolicy.Rule) bool { return len(r.Names) > 0 })
	for i, r := range allow {
		c.allowed = append(c.allowed, c.atomsOf(r, Origin{p.Name, i}, names)...)
	}
	for i, r := range deny {
		c.denied = append(c.denied, c.atomsOf(r, Origin{p.Name, i}, false)...)
	}
}

// atomsOf returns the atoms of a rule. names says that the policy has rules for names: a single address is then only
// for hosts without a name.
func (c collector) atomsOf(r ciliumpolicy.Rule, from Origin, names bool) []atom {
	var all []atom
	peers := c.peersOf(r, names)
	if len(peers) == 0 {
		if len(r.Ports)+len(r.Icmps) == 0 {
			return nil // a rule without fields allows nothing
		}
		peers = []atom{{peer: peer{kind: everyone}}}
	}
	add := func(open ports, lookups, requests string) {
		for _, a := range peers {
			a.ports, a.peer.lookups, a.peer.requests, a.from = open, lookups, requests, from
			all = append(all, a)
		}
	}
	if len(r.Ports)+len(r.Icmps) == 0 {
		add(everything(), "", "")
	}
	for _, rule := range r.Ports {
		var open ports
		for _, p := range rule.Ports {
			open.add(portsOfCilium(p))
		}
		if rule.HasHTTP() {
			for _, r := range rule.Rules.HTTP {
				requests := ""
				if !r.AllowsAll() {
					requests = ciliumpolicy.DescribeHTTP(r)
				}
				add(open, "", requests)
			}
			continue
		}
		if !rule.HasDNS() {
			add(open, "", "")
			continue
		}
		for _, n := range rule.Rules.DNS {
			pattern := plainName(n)
			if pattern == everyName {
				add(open, "", "")
			} else {
				add(open, pattern, "")
			}
			if len(r.Names) == 0 { // with names, the rule would need the answer that it lets Cilium read
				all = append(all, atom{peer: peer{kind: reading, name: pattern}, ports: ports{rest: true}, from: from})
			}
		}
	}
	var types ports
	for _, rule := range r.Icmps {
		for _, f := range rule.Fields {
			protocol := withTypes[0]
			if f.Family == cilium.IPv6 {
				protocol = withTypes[1]
			}
			types.add(single(protocol, f.Number(), f.Number()))
		}
	}
	if !types.isEmpty() {
		add(types, "", "")
	}
	return all
}

// plainName returns a name or pattern in lower case, without the dot at its end.
func plainName(n cilium.FQDN) string {
	text := strings.ToLower(strings.TrimSuffix(n.String(), "."))
	if strings.Trim(text, "*") == "" {
		return everyName
	}
	return text
}

func portsOfCilium(p cilium.Port) ports {
	protocols := []string{p.Protocol}
	if cmp.Or(p.Protocol, cilium.Any) == cilium.Any {
		protocols = withPorts
	}
	var open ports
	for _, protocol := range protocols {
		switch first, isNumber := p.Number(); {
		case !isNumber:
			open.add(named(strings.ToLower(p.Port), protocol))
		case first == 0:
			open.add(single(protocol, firstPort, lastPort))
		default:
			open.add(single(protocol, first, max(first, int(p.EndPort))))
		}
	}
	return open
}

// peersOf returns an atom without ports for each peer of a rule.
func (c collector) peersOf(r ciliumpolicy.Rule, names bool) []atom {
	var all []atom
	for i := range r.Endpoints {
		others := selectsOthers(&r.Endpoints[i])
		for _, s := range selectorsOf(&r.Endpoints[i], plainKey) {
			own, namespaces := s.split()
			switch {
			case len(namespaces) == 0:
				namespaces = inNamespace(c.namespace)
			case len(namespaces) == 1 && namespaces[0] == requirement{key: policy.NamespaceLabel, is: exists}:
				namespaces = nil // every namespace has this label
			}
			all = append(all, atom{peer: peer{kind: pods, pods: own, namespaces: namespaces, others: others}})
		}
	}
	for _, n := range r.Names {
		all = append(all, atom{peer: peer{kind: name, name: plainName(n)}})
	}
	ranges := slices.Clone(r.Cidrs)
	for _, cidr := range r.Addresses {
		ranges = append(ranges, cilium.CIDRRule{CIDR: cidr})
	}
	for _, cidr := range ranges {
		a := atom{peer: peer{kind: addresses}, block: blockOf(cidr.CIDR, cidr.Except)}
		if names && c.direction == policy.Egress && a.block.prefix.IsSingleIP() {
			a.peer.kind = nameless
		}
		all = append(all, a)
	}
	for _, e := range r.Entities {
		if e == cilium.All {
			all = append(all, atom{peer: peer{kind: everyone}})
		} else {
			all = append(all, atom{peer: peer{kind: entity, name: e}})
		}
	}
	return all
}

// selectsOthers reports whether a selector also selects what is no pod: a requirement on the namespace lifts the limit
// to the policy's own, and what has no labels meets every exclusion.
func selectsOthers(s *metav1.LabelSelector) bool {
	return slices.ContainsFunc(selectorsOf(s, plainKey), func(s selector) bool {
		_, namespaces := s.split()
		return len(namespaces) > 0 && s.matches(nil)
	})
}

// split separates the requirements on pods from those on their namespaces.
func (s selector) split() (own, namespaces selector) {
	for _, r := range s {
		key, ofNamespace := strings.CutPrefix(r.key, namespacePrefix)
		if ofNamespace {
			r.key = key
			namespaces = append(namespaces, r)
		} else {
			own = append(own, r)
		}
	}
	return own, namespaces
}
