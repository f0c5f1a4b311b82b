package ciliumpolicy

import (
	"slices"

	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// byKafka returns the verdict on a flow that rules give the verdict v, after the lists of Kafka requests. selecting are
// the policies that select the subject.
func (c Dialect) byKafka(
	selecting []applicable, d policy.Direction, f flow.Flow, v policy.Verdict,
) policy.Verdict {
	if d != policy.Egress || len(f.Requests) == 0 || v.Outcome != policy.Allowed {
		return v
	}
	isolating := slices.DeleteFunc(slices.Clone(selecting), func(a applicable) bool { return !a.isolates() })
	return policy.EvaluateKafka(c.Scope, policiesOf(isolating), f, v)
}

// addKafka lists the Kafka requests of every flow. mayList says that policies without a list may get one.
func (m *merging) addKafka(mayList bool) {
	for _, subject := range m.scope.Subjects {
		policy.AddKafka(
			policy.IsolatingEgress(m.policies, subject.Workload, doesNotIsolate),
			m.scope.kafkaOf([]policy.Subject{subject}, m.flows),
			mayList,
		)
	}
}

// kafkaOf returns the entries of [policy.KafkaAnnotation] that the outgoing flows of subjects need.
func (c Dialect) kafkaOf(subjects []policy.Subject, flows policy.SubjectFlows) []string {
	return c.KafkaOf(flows.OfAll(subjects, policy.Egress), c.unnameable)
}
