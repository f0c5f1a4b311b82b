package ciliumpolicy

import (
	"slices"

	"k8s.io/apimachinery/pkg/api/equality"

	"github.com/netzero-dev/netzero/internal/cilium"
	"github.com/netzero-dev/netzero/internal/policy"
)

// fqdn returns a host, or the pattern that it folds into, in the form of this dialect. A leading "*." stands for one
// label and "**." for any number of them. A host with one label in that place gets the narrower "*.".
func (c Dialect) fqdn(host string) cilium.FQDN {
	pattern := c.Folded(host)
	if pattern == host {
		return cilium.FQDN{MatchName: host}
	}
	if single := (cilium.FQDN{MatchPattern: pattern}); single.Matches(host) {
		return single
	}
	return cilium.FQDN{MatchPattern: "*" + pattern}
}

// writes reports whether Generate may write this name or pattern unchanged.
func (c Dialect) writes(n cilium.FQDN) bool {
	return n.MatchName != "" || slices.ContainsFunc(c.Fold, func(p string) bool {
		return n.MatchPattern == p || n.MatchPattern == "*"+p
	})
}

// foldNames folds the names of a policy. Rules that get the same pattern and differ only in their ports become one.
func (c Dialect) foldNames(p *cilium.NetworkPolicy) {
	c.Scope.FoldNames(p)
	var kept []Rule
	folded := false
	for _, r := range RulesOf(p, policy.Egress) {
		changed := false
		var names []cilium.FQDN
		for _, n := range r.Names {
			if n.MatchName != "" && c.fqdn(n.MatchName).MatchPattern != "" {
				n, changed = c.fqdn(n.MatchName), true
			}
			if !slices.Contains(names, n) {
				names = append(names, n)
			}
		}
		if !changed {
			kept = append(kept, r)
			continue
		}
		r.Names, folded = names, true
		same := slices.IndexFunc(kept, func(other Rule) bool {
			return slices.Equal(other.Names, names) && (other.hasPorts() && r.hasPorts() ||
				equality.Semantic.DeepEqual(other.AllowedPorts(), r.AllowedPorts()))
		})
		if same < 0 {
			kept = append(kept, r)
			continue
		}
		kept[same].addPorts(r)
	}
	if folded {
		SetRules(p, policy.Egress, kept)
	}
}

// hasPorts reports whether a rule has ports, none of them with DNS rules.
func (r Rule) hasPorts() bool {
	return len(r.Ports) > 0 && !slices.ContainsFunc(r.Ports, cilium.PortRule.HasDNS)
}

// addPorts adds the ports of another rule, with their HTTP rules. A port for which one of the rules has none gets none.
func (r *Rule) addPorts(other Rule) {
	r.Ports = slices.Clone(r.Ports)
	for _, e := range other.Ports {
		for _, port := range e.Ports {
			if e.Rules == nil {
				r.removePort(port, true)
				r.addPort(port)
				continue
			}
			plain := func(own cilium.PortRule) bool { return own.Rules == nil && slices.Contains(own.Ports, port) }
			if slices.ContainsFunc(r.Ports, plain) {
				continue
			}
			list := slices.Clone(e.Rules.HTTP)
			for _, own := range r.Ports {
				if own.HasHTTP() && slices.Contains(own.Ports, port) {
					list = append(list, own.Rules.HTTP...)
				}
			}
			r.removePort(port, true)
			r.insertRequests(cilium.PortRule{
				Ports: []cilium.Port{port}, Rules: &cilium.L7Rules{HTTP: sortedHTTP(list)},
			})
		}
	}
	r.shareEntries()
}
