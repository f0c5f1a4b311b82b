package ciliumpolicy

import (
	"cmp"

	"github.com/netzero-dev/netzero/internal/cilium"
	"github.com/netzero-dev/netzero/internal/policy"
)

// applicable is a policy that selects a subject, with the context that its rules need.
type applicable struct {
	*cilium.NetworkPolicy
	scope        Dialect
	direction    policy.Direction
	rules        []Rule
	denials      []Rule
	namespace    string // of the policy and the subject, never empty
	subject      policy.Workload
	named        bool          // a rule of the policy has names
	lookups      []cilium.FQDN // that any policy lets Cilium read for the subject's pods
	read         *fqdnIndex    // of lookups; may be nil
	descriptions *policy.Descriptions

	byPeer func() map[peerKey][]int // see edit.rulesByPeer; may be nil
}

// applicablePolicies returns the policies that select the subject, in order, with their rules of a direction.
func (c Dialect) applicablePolicies(policies Policies, subject policy.Workload, d policy.Direction) []applicable {
	var all []applicable
	var lookups []cilium.FQDN
	for _, p := range policies {
		if doesNotSelect(p, subject) != "" {
			continue
		}
		v := applicable{
			NetworkPolicy: p, scope: c, direction: d, rules: RulesOf(p, d), denials: DenyRulesOf(p, d),
			namespace: cmp.Or(p.Namespace, subject.Namespace, policy.DefaultNamespace), descriptions: new(policy.Descriptions),
			subject: subject,
		}
		for _, r := range v.rules {
			v.named = v.named || len(r.Names) > 0
			for _, ports := range r.Ports {
				// With names, the rule would need the answer that it lets Cilium read.
				if ports.HasDNS() && len(r.Names) == 0 {
					lookups = append(lookups, ports.Rules.DNS...)
				}
			}
		}
		all = append(all, v)
	}
	for i := range all {
		all[i].lookups = lookups
	}
	return all
}
