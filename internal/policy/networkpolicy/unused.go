package networkpolicy

import (
	"fmt"
	"slices"

	networkingv1 "k8s.io/api/networking/v1"

	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// Unused returns one line for each part of a policy that isolates a subject and that no flow needed, in the policies'
// order. Examples:
//
//	policy checkout: egress rule 3 (pods app=cache)
//	policy checkout: egress rule 1: port 8443/TCP
//	policy checkout: egress rule 1: peer 10.0.0.0/8
//	policy checkout: name old.example:443/TCP
//	policy checkout: annotation netzero.dev/egress-other: icmp-echo db
//	policy checkout: request billing:8080 POST /api/v1/charge
//	policy checkout: Kafka produce alpha-telemetry
//	policy checkout: binary curl
//
// The last but one appears only if Requests of the [policy.Scope] is set, and the last only if Binaries is. Rules are numbered and named as in
// [policy.Verdict]. If a policy isolates several subjects, a part is used if any of them needed it. The callers of a
// subject without AllTraffic are unknown: Unused never lists ingress rules of a policy that isolates one.
//
// The flows that the given ones imply (see [Required]) count as needed. The IPv4 and the IPv6 half of the internet
// count as one peer, because the family that a name resolves to is chance. Two rules that allow one flow are both
// used. But if anyone may connect to a port, a rule for named callers there is unused.
func (d Dialect) Unused(policies []*networkingv1.NetworkPolicy, flows []flow.Flow) []string {
	d.Scope = d.Normalized().Indexed()
	required := d.BySubject(d.allByAddress(d.Required(flows)))
	var lines []string
	for _, p := range policies {
		rules := RulesOf(p, policy.Egress)
		for i, used := range d.usage(p, policy.Egress, required) {
			lines = append(lines, d.unusedInRule(p, policy.Egress, i, rules[i], used)...)
		}
		lines = append(lines, d.unusedNames(policies, p, required)...)
		lines = append(lines, policy.DescribeUnusedOthers(d.otherFlows(), p, d.listedBy(p), required)...)
		subjects := d.isolatedBy(p, policy.Egress)
		lines = append(lines, d.DescribeUnusedRequests(p, subjects, required)...)
		if d.Requests && len(subjects) > 0 {
			lines = append(lines, policy.DescribeUnusedKafka(p, d.kafkaOf(subjects, required))...)
		}
		if d.Binaries && len(subjects) > 0 {
			lines = append(lines, policy.DescribeUnusedBinaries(p, d.binariesOf(subjects, required))...)
		}
		rules = RulesOf(p, policy.Ingress)
		for i, used := range d.usage(p, policy.Ingress, required) {
			lines = append(lines, d.unusedInRule(p, policy.Ingress, i, rules[i], used)...)
		}
	}
	return lines
}

// unusedInRule returns one line for an unused rule, or else one for each of its unused peers and ports.
func (d Dialect) unusedInRule(
	p *networkingv1.NetworkPolicy, direction policy.Direction, i int, rule Rule, used policy.Usage,
) []string {
	where := fmt.Sprintf("policy %s: %s %d", p.Name, d.RuleWord(direction), i)
	if !used.Rule {
		return []string{fmt.Sprintf("%s (%s)", where, describePeers(direction, rule.Peers))}
	}
	var lines []string
	for i := range rule.Peers {
		if !used.Peers[i] {
			lines = append(lines, fmt.Sprintf("%s: peer %s", where, describePeer(direction, &rule.Peers[i])))
		}
	}
	for i := range rule.Ports {
		if !used.Ports[i] {
			lines = append(lines, fmt.Sprintf("%s: port %s", where, DescribePort(&rule.Ports[i])))
		}
	}
	return slices.Compact(lines) // the two halves of the internet have the same text
}

func (d Dialect) unusedNames(
	policies []*networkingv1.NetworkPolicy, p *networkingv1.NetworkPolicy, flows policy.SubjectFlows,
) []string {
	var lines []string
	subjects := d.isolatedBy(p, policy.Egress)
	if len(subjects) == 0 {
		return nil
	}
	unused := d.unusedLookups(policies, p, flows)
	needed := newHostIndex(flows.OfAll(subjects, policy.Egress))
	for _, n := range policy.ListedNames(p).All {
		if unused[n.String()] || !n.IsLookup() && !needed.needs(n) {
			lines = append(lines, fmt.Sprintf("policy %s: name %s", p.Name, n))
		}
	}
	return lines
}
