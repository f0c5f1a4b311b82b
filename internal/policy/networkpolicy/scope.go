package networkpolicy

import (
	"slices"

	networkingv1 "k8s.io/api/networking/v1"

	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// serves reports whether a rule can match any of the calls of a subject.
func (d Dialect) serves(calls []flow.Flow) bool {
	return slices.ContainsFunc(calls, func(f flow.Flow) bool {
		return d.inexpressible(policy.Ingress, f) == ""
	})
}

// NotIsolated returns one line for each subject that no policy isolates, with the reason. It checks every subject for
// egress, and for ingress each subject with AllTraffic that the flows show as a server. No flow of a subject that is
// not isolated could ever be denied. The lines are sorted by namespace and name of the subjects.
func (d Dialect) NotIsolated(policies []*networkingv1.NetworkPolicy, flows []flow.Flow) []string {
	d.Scope = d.Normalized()
	by := d.BySubject(d.allByAddress(flows))
	var lines []string
	for _, subject := range d.Subjects {
		for _, direction := range policy.Directions {
			serves := d.serves(by.Of(subject.Workload, policy.Ingress))
			if direction == policy.Ingress && !d.IsolatesIngress(subject, serves) {
				continue
			}
			if isolated, why := isolates(policies, subject.Workload, direction); !isolated {
				lines = append(lines, why)
			}
		}
	}
	return append(lines, policy.DescribeNotDenied(policy.NotDenied(d.Scope, policies, deniesAll))...)
}

// Protects reports whether the policies isolate any subject for egress.
func (d Dialect) Protects(policies []*networkingv1.NetworkPolicy) bool {
	return slices.ContainsFunc(d.Subjects, func(subject policy.Subject) bool {
		isolated, _ := isolates(policies, subject.Workload, policy.Egress)
		return isolated
	})
}

// Foreign returns the policies that select no subject, in their order: those of workloads that this run did not see,
// and unrelated ones. No verdict depends on them, and Merge leaves them unchanged.
func (d Dialect) Foreign(policies []*networkingv1.NetworkPolicy) []*networkingv1.NetworkPolicy {
	var foreign []*networkingv1.NetworkPolicy
	for _, p := range policies {
		if !slices.ContainsFunc(d.Subjects, func(subject policy.Subject) bool {
			return doesNotSelect(
				p, subject.Workload,
			) == ""
		}) {
			foreign = append(foreign, p)
		}
	}
	return foreign
}
