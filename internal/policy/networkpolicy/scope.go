package networkpolicy

import (
	"slices"

	networkingv1 "k8s.io/api/networking/v1"

	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// serves reports whether a subject has a recorded caller that a rule can match.
func (s Dialect) serves(subject policy.Workload, flows []flow.Flow) bool {
	return slices.ContainsFunc(s.FlowsOf(subject, policy.Ingress, flows), func(f flow.Flow) bool { return s.inexpressible(policy.Ingress, f) == "" })
}

// NotIsolated returns one line for each subject that no policy isolates, with the reason. It checks every subject for
// egress, and for ingress each subject with AllTraffic that the flows show as a server. No flow of a subject that is
// not isolated could ever be denied. The lines are sorted by namespace and name of the subjects.
func (s Dialect) NotIsolated(policies []*networkingv1.NetworkPolicy, flows []flow.Flow) []string {
	s.Scope = s.Normalized()
	flows = s.allByAddress(flows)
	var lines []string
	for _, subject := range s.Subjects {
		for _, d := range policy.Directions {
			if d == policy.Ingress && !s.IsolatesIngress(subject, s.serves(subject.Workload, flows)) {
				continue
			}
			if isolated, why := isolates(policies, subject.Workload, d); !isolated {
				lines = append(lines, why)
			}
		}
	}
	return append(lines, policy.DescribeNotDenied(policy.NotDenied(s.Scope, policies, deniesAll))...)
}

// Protects reports whether the policies isolate any subject for egress.
func (s Dialect) Protects(policies []*networkingv1.NetworkPolicy) bool {
	return slices.ContainsFunc(s.Subjects, func(subject policy.Subject) bool {
		isolated, _ := isolates(policies, subject.Workload, policy.Egress)
		return isolated
	})
}

// Foreign returns the policies that select no subject, in their order: those of workloads that this run did not see,
// and unrelated ones. No verdict depends on them, and Merge leaves them unchanged.
func (s Dialect) Foreign(policies []*networkingv1.NetworkPolicy) []*networkingv1.NetworkPolicy {
	var foreign []*networkingv1.NetworkPolicy
	for _, p := range policies {
		if !slices.ContainsFunc(s.Subjects, func(subject policy.Subject) bool { return doesNotSelect(p, subject.Workload) == "" }) {
			foreign = append(foreign, p)
		}
	}
	return foreign
}
