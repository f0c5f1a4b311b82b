package networkpolicy

import (
	"fmt"
	"iter"
	"slices"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// byRequest returns the verdict on a flow whose ports have the verdict v, after the lists of requests. isolating are
// the policies that isolate the subject in the direction.
func (d Dialect) byRequest(
	isolating []applicable, subject policy.Workload, direction policy.Direction, f flow.Flow, v policy.Verdict,
) policy.Verdict {
	if v.Outcome != policy.Allowed || direction != policy.Egress || f.Protocol != flow.TCP || f.Lookup {
		return v
	}
	var notice string
	rest := slices.DeleteFunc(slices.Clone(isolating), func(a applicable) bool {
		why, _ := d.UnlistedRequest(a, subject, f)
		return why != ""
	})
	if len(rest) < len(isolating) { // policies are a union: another one may allow the request
		allowed := v
		if len(rest) > 0 {
			v = d.evaluateApplicable(rest, subject, direction, f)
		}
		if len(rest) == 0 || v.Outcome != policy.Allowed {
			return d.unlisted(isolating, subject, f, allowed)
		}
	}
	if i := slices.IndexFunc(rest, func(a applicable) bool {
		return a.Name == v.Policy && v.Rule < len(a.rules)
	}); i >= 0 {
		if _, notice = d.UnlistedRequest(rest[i], subject, f); notice == "" {
			notice = d.unlimited(rest[i], v.Rule, subject, f)
		}
	}
	if notice != "" {
		v.Notices = append(slices.Clone(v.Notices), notice)
	}
	return policy.EvaluateKafka(d.Scope, policiesOf(isolating), f, v)
}

// unlisted returns the verdict on a flow that the rules of the policies allow with the verdict v, and none of their
// lists.
func (d Dialect) unlisted(
	isolating []applicable, subject policy.Workload, f flow.Flow, v policy.Verdict,
) policy.Verdict {
	denied := policy.Verdict{Outcome: policy.Denied, Policy: v.Policy, Rule: -1}
	for _, a := range isolating {
		why, _ := d.UnlistedRequest(a, subject, f)
		if why != "" && d.evaluateApplicable([]applicable{a}, subject, policy.Egress, f).Outcome == policy.Allowed {
			denied.Policy, denied.Reason = a.Name, why
			break
		}
	}
	return denied
}

// unlimited returns the notice on a flow to whose peer and port a policy allows every request, if an update would list
// those of the flow instead. rule is the one that allows the flow.
func (d Dialect) unlimited(p applicable, rule int, subject policy.Workload, f flow.Flow) string {
	if !d.Requests || len(f.Requests) == 0 || policy.NeedsEveryRequest(f) || d.ListsRequests(p, subject, f) ||
		p.Name != subject.Name ||
		!d.writes(p.NetworkPolicy, subject, p.rules[rule], d.permissionOf(subject, policy.Egress, f)) {
		return ""
	}
	return fmt.Sprintf("policy %s allows every request to %s; -update lists the recorded ones, and the entry %q of the "+
		"annotation %s keeps it so", p.Name, f.Target(), d.EveryRequest(subject, f), policy.RequestsAnnotation)
}

// written returns the permissions for which Generate would write exactly these egress rules of a policy.
func (d Dialect) written(p *networkingv1.NetworkPolicy, subject policy.Workload, rules []Rule) map[permission]bool {
	e := edit{merging: &merging{scope: d}, policy: p, subject: subject, direction: policy.Egress}
	all := make(map[permission]bool)
	for _, r := range rules {
		if peer, ok := e.peerOfRule(r); ok {
			for o := range portsWritten(r, peer) {
				all[o] = true
			}
		}
	}
	return all
}

// writes reports whether written holds a permission, of one rule.
func (d Dialect) writes(p *networkingv1.NetworkPolicy, subject policy.Workload, r Rule, o permission) bool {
	e := edit{merging: &merging{scope: d}, policy: p, subject: subject, direction: policy.Egress}
	if peer, ok := e.peerOfRule(r); !ok || peer != o.peer {
		return false
	}
	for other := range portsWritten(r, o.peer) {
		if other == o {
			return true
		}
	}
	return false
}

// portsWritten yields the permissions for which Generate would write the ports of a rule for a peer.
func portsWritten(r Rule, peer peerKey) iter.Seq[permission] {
	return func(yield func(permission) bool) {
		for _, port := range r.Ports {
			if port.Port == nil || port.Port.Type != intstr.Int {
				continue
			}
			o := permission{peer: peer, port: uint16(port.Port.IntVal), protocol: portProtocol(&port)}
			if port.EndPort != nil {
				o.end = uint16(*port.EndPort)
			}
			if !yield(o) {
				return
			}
		}
	}
}

// addRequests makes the policies allow the requests of every flow, whose ports they allow.
func (m *merging) addRequests() {
	if !m.scope.Requests {
		return
	}
	for _, subject := range m.scope.Subjects {
		m.addOwnRules(subject.Workload)
	}
	before := m.scope.Evaluator(m.committed)
	for _, subject := range m.scope.Subjects {
		p := m.own(subject.Workload)
		if p == nil || doesNotIsolate(p, subject.Workload, policy.Egress) != "" {
			continue
		}
		written := m.scope.written(p, subject.Workload, RulesOf(p, policy.Egress))
		m.scope.AddRequests(p, m.scope.isolatedBy(p, policy.Egress), m.flows,
			func(w policy.Workload, f flow.Flow) bool {
				// Flows that are not among these may need the other requests.
				return written[m.scope.permissionOf(w, policy.Egress, f)] && !(m.partial && before(f).Outcome == policy.Allowed)
			})
	}
	for _, subject := range m.scope.Subjects {
		policy.AddKafka(
			policy.IsolatingEgress(m.policies, subject.Workload, doesNotIsolate),
			m.scope.kafkaOf([]policy.Subject{subject}, m.flows),
			!m.partial,
		)
	}
}

// addOwnRules adds rules for flows whose ports only the policies of others allow, with lists that lack their requests.
func (m *merging) addOwnRules(subject policy.Workload) {
	c := m.scope.compile(m.policies, subject, policy.Egress)
	denied := slices.DeleteFunc(m.flows.Of(subject, policy.Egress), func(f flow.Flow) bool {
		return m.scope.inexpressible(policy.Egress, f) != "" ||
			policy.PerRequest(f, c.verdict).Outcome != policy.Denied
	})
	missing := func() []flow.Flow {
		own := m.own(subject)
		if own == nil || doesNotIsolate(own, subject, policy.Egress) != "" {
			return denied
		}
		alone := m.scope.compile([]*networkingv1.NetworkPolicy{own}, subject, policy.Egress)
		return slices.DeleteFunc(slices.Clone(denied), func(f flow.Flow) bool { return !alone.isMissing(f) })
	}
	if len(missing()) == 0 {
		return
	}
	e := edit{m, m.isolating(subject, policy.Egress), subject, policy.Egress}
	if !e.checksNoName() {
		for _, f := range missing() {
			if f.Destination.Kind == flow.External {
				policy.AddEntry(e.policy, policy.NamesAnnotation, e.scope.EntryOf(f))
			}
		}
	}
	e.addPorts(e.compile(), missing())
	e.addRules(missing())
}

// kafkaOf returns the entries of [policy.KafkaAnnotation] that the outgoing flows of subjects need.
func (d Dialect) kafkaOf(subjects []policy.Subject, flows policy.SubjectFlows) []string {
	return d.KafkaOf(flows.OfAll(subjects, policy.Egress), d.Unnameable)
}

// opens reports whether a rule of a policy allows some outgoing flow over TCP to one of the ports. Any port may have a
// name.
func opens(p *networkingv1.NetworkPolicy, first, last uint16) bool {
	return slices.ContainsFunc(RulesOf(p, policy.Egress), func(r Rule) bool {
		return slices.ContainsFunc(elements(r.Ports), func(port *networkingv1.NetworkPolicyPort) bool {
			if port == nil || port.Port == nil || port.Port.Type == intstr.String {
				return true
			}
			end := port.Port.IntVal
			if port.EndPort != nil {
				end = *port.EndPort
			}
			return portProtocol(port) == flow.TCP && port.Port.IntVal <= int32(last) && int32(first) <= end
		})
	})
}
