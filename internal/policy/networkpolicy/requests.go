package networkpolicy

import (
	"fmt"
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
	first := slices.IndexFunc(isolating, func(a applicable) bool { return a.Name == v.Policy })
	why, notice := d.UnlistedRequest(isolating[first], subject, f)
	if why != "" {
		// Policies are a union: another one may allow the request.
		rest := slices.DeleteFunc(slices.Clone(isolating), func(a applicable) bool {
			why, _ := d.UnlistedRequest(a, subject, f)
			return why != ""
		})
		denied := policy.Verdict{Outcome: policy.Denied, Policy: v.Policy, Rule: -1, Reason: why}
		if len(rest) == 0 {
			return denied
		}
		if v = d.evaluateApplicable(rest, subject, direction, f); v.Outcome != policy.Allowed {
			return denied
		}
		first = slices.IndexFunc(isolating, func(a applicable) bool { return a.Name == v.Policy })
	}
	if notice == "" {
		notice = d.unlimited(isolating[first], v.Rule, subject, f)
	}
	if notice != "" {
		v.Notices = append(slices.Clone(v.Notices), notice)
	}
	return policy.EvaluateKafka(d.Scope, policiesOf(isolating), f, v)
}

// unlimited returns the notice on a flow to whose peer and port a policy allows every request, if an update would list
// those of the flow instead. rule is the one that allows the flow.
func (d Dialect) unlimited(p applicable, rule int, subject policy.Workload, f flow.Flow) string {
	if !d.Requests || len(f.Requests) == 0 || policy.NeedsEveryRequest(f) || d.ListsRequests(p, subject, f) ||
		p.Name != subject.Name || !d.written(p.NetworkPolicy, subject, p.rules[rule])[d.permissionOf(
		subject, policy.Egress, f)] {
		return ""
	}
	return fmt.Sprintf("policy %s allows every request to %s; -update lists the recorded ones, and the entry %q of the "+
		"annotation %s keeps it so", p.Name, f.Target(), d.EveryRequest(subject, f), policy.RequestsAnnotation)
}

// written returns the permissions for which Generate would write exactly these egress rules of a policy.
func (d Dialect) written(p *networkingv1.NetworkPolicy, subject policy.Workload, rules ...Rule) map[permission]bool {
	e := edit{merging: &merging{scope: d}, policy: p, subject: subject, direction: policy.Egress}
	all := make(map[permission]bool)
	for _, r := range rules {
		peer, ok := e.peerOfRule(r)
		for _, port := range r.Ports {
			if !ok || port.Port == nil || port.Port.Type != intstr.Int {
				continue
			}
			o := permission{peer: peer, port: uint16(port.Port.IntVal), protocol: portProtocol(&port)}
			if port.EndPort != nil {
				o.end = uint16(*port.EndPort)
			}
			all[o] = true
		}
	}
	return all
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
		written := m.scope.written(p, subject.Workload, RulesOf(p, policy.Egress)...)
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
	own := m.own(subject)
	var denied []flow.Flow
	c := m.scope.compile(m.policies, subject, policy.Egress)
	for _, f := range m.flows.Of(subject, policy.Egress) {
		verdict := policy.PerRequest(f, c.verdict)
		if verdict.Outcome == policy.Denied && m.scope.inexpressible(policy.Egress, f) == "" &&
			(own == nil || verdict.Policy != own.Name) {
			denied = append(denied, f)
		}
	}
	if len(denied) == 0 {
		return
	}
	e := edit{m, m.isolating(subject, policy.Egress), subject, policy.Egress}
	alone := e.applicable().compile()
	denied = slices.DeleteFunc(denied, func(f flow.Flow) bool { return !alone.isMissing(f) })
	e.addPorts(denied)
	alone = e.applicable().compile()
	e.addRules(slices.DeleteFunc(denied, func(f flow.Flow) bool { return !alone.isMissing(f) }))
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
