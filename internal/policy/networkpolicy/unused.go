package networkpolicy

import (
	"fmt"
	"slices"

	networkingv1 "k8s.io/api/networking/v1"

	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// Unused lists what no flow needed in the policies that isolate a subject, one line each, in the policies' order:
// "policy checkout: egress rule 3 (pods app=cache)", inside a rule that is used "policy checkout: egress rule 1: port
// 8443/TCP" and "policy checkout: egress rule 1: peer 10.0.0.0/8", and of [NamesAnnotation] "policy checkout: name
// old.example:443/TCP", of [OtherAnnotation] "policy checkout: annotation netzero.dev/egress-other: icmp-echo db", with
// [Scope].Binaries "policy checkout: binary curl". Rules are numbered and called as in
// [Verdict]. Of a policy that isolates several subjects, what one of them needed is used. Who calls a subject that is not
// [Subject.Whole] is not known: ingress rules of a policy that isolates one are never listed.
//
// What the flows imply (see [Required]) counts as needed. The IPv4 and the IPv6 half of the internet count as one
// peer: which of them a name resolves to is chance. Two rules that allow one flow are both used, but where anyone was seen to call
// at a port, a rule for some callers there is not.
func (s Dialect) Unused(policies []*networkingv1.NetworkPolicy, flows []flow.Flow) []string {
	s.Scope = s.Normalized().Indexed()
	required := s.allByAddress(Required(flows))
	var lines []string
	for _, p := range policies {
		rules := RulesOf(p, policy.Egress)
		for i, used := range s.usage(p, policy.Egress, required) {
			lines = append(lines, s.unusedInRule(p, policy.Egress, i, rules[i], used)...)
		}
		lines = append(lines, s.unusedNames(policies, p, required)...)
		lines = append(lines, policy.DescribeUnusedOthers(s.otherWords(), p, s.listedBy(p), required)...)
		if subjects := s.isolatedBy(p, policy.Egress); s.Binaries && len(subjects) > 0 {
			lines = append(lines, policy.DescribeUnusedBinaries(p, s.binariesOf(subjects, required))...)
		}
		rules = RulesOf(p, policy.Ingress)
		for i, used := range s.usage(p, policy.Ingress, required) {
			lines = append(lines, s.unusedInRule(p, policy.Ingress, i, rules[i], used)...)
		}
	}
	return lines
}

// unusedInRule returns one line for a rule that no flow used, else one for each of its peers and ports that none did.
func (s Dialect) unusedInRule(p *networkingv1.NetworkPolicy, d policy.Direction, i int, rule Rule, used policy.Usage) []string {
	where := fmt.Sprintf("policy %s: %s %d", p.Name, s.RuleWord(d), i)
	if !used.Rule {
		return []string{fmt.Sprintf("%s (%s)", where, describePeers(d, rule.Peers))}
	}
	var lines []string
	for i := range rule.Peers {
		if !used.Peers[i] {
			lines = append(lines, fmt.Sprintf("%s: peer %s", where, describePeer(d, &rule.Peers[i])))
		}
	}
	for i := range rule.Ports {
		if !used.Ports[i] {
			lines = append(lines, fmt.Sprintf("%s: port %s", where, DescribePort(&rule.Ports[i])))
		}
	}
	return slices.Compact(lines) // the halves of the internet read the same
}

func (s Dialect) unusedNames(policies []*networkingv1.NetworkPolicy, p *networkingv1.NetworkPolicy, flows []flow.Flow) []string {
	var lines []string
	subjects := s.isolatedBy(p, policy.Egress)
	if len(subjects) == 0 {
		return nil
	}
	unused := s.unusedLookups(policies, p, flows)
	needed := newHostIndex(s.FlowsOfAll(subjects, policy.Egress, flows))
	for _, n := range policy.ListedNames(p).All {
		if unused[n.String()] || !n.IsLookup() && !needed.needs(n) {
			lines = append(lines, fmt.Sprintf("policy %s: name %s", p.Name, n))
		}
	}
	return lines
}
