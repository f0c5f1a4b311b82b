package policy

import (
	"cmp"

	"github.com/netzero-dev/netzero/internal/cilium"
)

// ciliumView is a policy that selects a subject, with what it takes to read its rules.
type ciliumView struct {
	*cilium.NetworkPolicy
	scope     Cilium
	direction direction
	rules     []ciliumRule
	denials   []ciliumRule
	namespace string // of the policy and the subject, never empty
	subject   Workload
	named     bool          // one of the policy's rules is for names
	lookups   []cilium.FQDN // that Cilium reads for the subject's pods, by any policy
	read      *fqdnIndex    // of them; may be nil
	openings  *openings
}

// views returns the policies that select the subject, in their order, with what they say of a direction.
func (c Cilium) views(policies ciliumPolicies, subject Workload, d direction) []ciliumView {
	var all []ciliumView
	var lookups []cilium.FQDN
	for _, p := range policies {
		if ciliumOverlooks(p, subject) != "" {
			continue
		}
		v := ciliumView{
			NetworkPolicy: p, scope: c, direction: d, rules: ciliumRulesOf(p, d), denials: ciliumDenyRulesOf(p, d),
			namespace: cmp.Or(p.Namespace, subject.Namespace, defaultNamespace), openings: new(openings),
			subject: subject,
		}
		for _, r := range v.rules {
			v.named = v.named || len(r.names) > 0
			for _, ports := range r.ports {
				if ports.HasDNS() && len(r.names) == 0 { // a rule for names would need its own answer first
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
