package ciliumpolicy

import (
	"fmt"
	"slices"

	"github.com/netzero-dev/netzero/internal/cilium"
	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// Unused implements [policy.Dialect]. It never lists the empty rule, which makes its direction denied by default, and
// does not examine the lookups that a rule lets Cilium read. HTTP rules for the peer and port of an opaque flow are
// used.
func (c Dialect) Unused(policies Policies, flows []flow.Flow) []string {
	c = Dialect{c.Scope.Normalized().Indexed()}
	required := c.BySubject(c.evaluated(flows))
	policies = partsOf(policies)
	var lines []string
	for _, p := range policies {
		for _, d := range policy.Directions {
			rules := RulesOf(p, d)
			for i, used := range c.usage(p, d, required) {
				lines = append(lines, c.unusedInRule(p, d, i, rules[i], used)...)
			}
		}
		lines = append(lines, describeUnusedNames(
			p,
			policy.UnusedLookups(c.Scope, p, c.listedBy(p)(policy.Egress), func(w policy.Workload) []flow.Flow {
				return c.unmetLookups(policies, w, required)
			}),
		)...)
		lines = append(lines, policy.DescribeUnusedOthers(c.otherFlows(), p, c.listedBy(p), required)...)
		if subjects := c.isolatedBy(p, policy.Egress); c.Requests && len(subjects) > 0 {
			lines = append(lines, policy.DescribeUnusedKafka(p, c.kafkaOf(subjects, required))...)
		}
		if subjects := c.isolatedBy(p, policy.Egress); c.Binaries && len(subjects) > 0 {
			lines = append(lines, policy.DescribeUnusedBinaries(p, c.binariesOf(subjects, required))...)
		}
	}
	return lines
}

func (c Dialect) unusedInRule(
	p *cilium.NetworkPolicy, d policy.Direction, i int, rule Rule, used policy.Usage,
) []string {
	where := fmt.Sprintf("policy %s: %s %d", p.Name, c.RuleWord(d), i)
	if !used.Rule {
		return []string{fmt.Sprintf("%s (%s)", where, describePeers(d, rule))}
	}
	var lines []string
	for i, peer := range rule.peers() {
		if !used.Peers[i] {
			lines = append(lines, fmt.Sprintf("%s: peer %s", where, describePeer(d, peer)))
		}
	}
	for i, ref := range rule.AllowedPorts() {
		if !used.Ports[i] {
			lines = append(lines, fmt.Sprintf("%s: port %s", where, DescribeAllowed(ref)))
		}
	}
	http := used.HTTP
	for _, e := range rule.Ports {
		if !e.HasHTTP() {
			continue
		}
		for i, r := range e.Rules.HTTP {
			if !http[i] {
				lines = append(lines, fmt.Sprintf("%s: request %s to port %s", where, DescribeHTTP(r), describePorts(e)))
			}
		}
		http = http[len(e.Rules.HTTP):]
	}
	return lines
}

// isolatedBy returns the subjects that a policy isolates in a direction.
func (c Dialect) isolatedBy(p *cilium.NetworkPolicy, d policy.Direction) []policy.Subject {
	return c.SubjectsWhere(func(w policy.Workload) bool { return doesNotIsolate(p, w, d) == "" })
}

// listedBy returns the subjects that a policy's lists apply to: all that it selects, as with its rules.
func (c Dialect) listedBy(p *cilium.NetworkPolicy) func(policy.Direction) []policy.Subject {
	return func(policy.Direction) []policy.Subject {
		return c.SubjectsWhere(func(w policy.Workload) bool { return doesNotSelect(p, w) == "" })
	}
}

// usage returns which rules, peers and ports of a policy the flows needed. It returns nil if the policy isolates no
// subject in the direction, or isolates a subject for ingress that was not recorded completely.
func (c Dialect) usage(p *cilium.NetworkPolicy, d policy.Direction, flows policy.SubjectFlows) []policy.Usage {
	all := policy.UsageBy(c.isolatedBy(p, d), d, func(subject policy.Workload) []policy.Usage {
		v := c.applicablePolicies(Policies{p}, subject, d)[0]
		// Another policy may let Cilium read the lookup. A name counts as needed if a flow used it.
		v.lookups = []cilium.FQDN{{MatchPattern: "*"}}
		return v.usage(c.needed(d, flows.Of(subject, d)))
	})
	for i, r := range RulesOf(p, d) {
		if all != nil {
			keepRequests(r, all[i])
		}
	}
	return all
}

// keepRequests marks the HTTP rules as used of entries without a used one: without ports the entry is unused anyway,
// and otherwise it would allow every request.
func keepRequests(r Rule, used policy.Usage) {
	http := used.HTTP
	for _, e := range r.Ports {
		if !e.HasHTTP() {
			continue
		}
		own := http[:len(e.Rules.HTTP)]
		http = http[len(own):]
		if !slices.Contains(own, true) {
			copy(own, fill(len(own)))
		}
	}
}

// usage returns which rules, peers and ports a subject's flows needed.
func (v applicable) usage(flows []flow.Flow) []policy.Usage {
	all := slices.Grow([]policy.Usage(nil), len(v.rules)) // nil without rules
	for _, r := range v.rules {
		all = append(all, policy.Usage{
			Rule: r.isEmpty(), Peers: make([]bool, len(r.peers())), Ports: make([]bool, len(r.AllowedPorts())),
			HTTP: make([]bool, r.countHTTP(len(r.Ports))),
		})
	}
	s := &compiled{scope: v.scope, direction: v.direction, applicable: []applicable{v}}
	s.build()
	for _, f := range flows {
		for at := range s.allowing(f) {
			peer, port := s.allowed.pair(at)
			match := s.applicable[0].matchRefs(peer, port, f)
			isFor := match // what an opaque flow sent may be any of the requests
			if match.Request == policy.RequestsUnknown {
				isFor.Request = policy.RequestMatches
			}
			if !isFor.Allows() {
				continue
			}
			used := &all[at.Rule]
			used.Rule = true
			if at.Peer >= 0 {
				used.Peers[at.Peer] = true
			}
			if at.Port >= 0 {
				used.Ports[at.Port] = true
			}
			if port.http == nil {
				continue
			}
			first := v.rules[at.Rule].countHTTP(port.entry)
			if match.Request == policy.RequestsUnknown {
				copy(used.HTTP[first:], fill(len(port.http.HTTP)))
			}
			for _, r := range f.Requests {
				for i := range port.allowing(r) {
					used.HTTP[first+i] = true
				}
			}
		}
	}
	return all
}
