package policy

import (
	"fmt"
	"slices"

	networkingv1 "k8s.io/api/networking/v1"

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
func (s Scope) Unused(policies []*networkingv1.NetworkPolicy, flows []flow.Flow) []string {
	s = s.normal().indexed()
	required := s.allByAddress(Required(flows))
	var lines []string
	for _, p := range policies {
		rules := rulesOf(p, egress)
		for i, used := range s.usage(p, egress, required) {
			lines = append(lines, s.unusedInRule(p, egress, i, rules[i], used)...)
		}
		lines = append(lines, s.unusedNames(policies, p, required)...)
		lines = append(lines, describeUnusedOthers(s.otherWords(), p, s.listedBy(p), required)...)
		if subjects := s.isolatedBy(p, egress); s.Binaries && len(subjects) > 0 {
			lines = append(lines, describeUnusedBinaries(p, s.binariesOf(subjects, required))...)
		}
		rules = rulesOf(p, ingress)
		for i, used := range s.usage(p, ingress, required) {
			lines = append(lines, s.unusedInRule(p, ingress, i, rules[i], used)...)
		}
	}
	return lines
}

// unusedInRule returns one line for a rule that no flow used, else one for each of its peers and ports that none did.
func (s Scope) unusedInRule(p *networkingv1.NetworkPolicy, d direction, i int, rule rule, used usage) []string {
	where := fmt.Sprintf("policy %s: %s %d", p.Name, s.ruleWord(d), i)
	if !used.rule {
		return []string{fmt.Sprintf("%s (%s)", where, describePeers(d, rule.peers))}
	}
	var lines []string
	for i := range rule.peers {
		if !used.peers[i] {
			lines = append(lines, fmt.Sprintf("%s: peer %s", where, describePeer(d, &rule.peers[i])))
		}
	}
	for i := range rule.ports {
		if !used.ports[i] {
			lines = append(lines, fmt.Sprintf("%s: port %s", where, describePort(&rule.ports[i])))
		}
	}
	return slices.Compact(lines) // the halves of the internet read the same
}

func (s Scope) unusedNames(policies []*networkingv1.NetworkPolicy, p *networkingv1.NetworkPolicy, flows []flow.Flow) []string {
	var lines []string
	subjects := s.isolatedBy(p, egress)
	if len(subjects) == 0 {
		return nil
	}
	unused := s.unusedLookups(policies, p, flows)
	needed := newHostIndex(s.ofAll(subjects, egress, flows))
	for _, n := range listedNames(p).all {
		if unused[n.String()] || !n.isLookup() && !needed.needs(n) {
			lines = append(lines, fmt.Sprintf("policy %s: name %s", p.Name, n))
		}
	}
	return lines
}
