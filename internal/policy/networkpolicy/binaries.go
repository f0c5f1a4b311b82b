package networkpolicy

import (
	networkingv1 "k8s.io/api/networking/v1"

	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// Unlisted returns why the policies that isolate a flow's source for egress do not list one of its programs, with the
// entries that they have, or "" if they list it. Policies without [policy.BinariesAnnotation] list nothing, which is
// a reason only if Binaries of the [policy.Scope] is set.
func (d Dialect) Unlisted(policies []*networkingv1.NetworkPolicy, f flow.Flow, binary string) string {
	subject, ok := d.SubjectOf(f.Source)
	if !ok {
		return ""
	}
	return policy.Unlisted(policy.IsolatingEgress(policies, subject, doesNotIsolate), binary, d.Binaries)
}

// binariesOf returns the programs of the subjects that opened flows which a policy can allow, sorted.
func (d Dialect) binariesOf(subjects []policy.Subject, flows policy.SubjectFlows) []string {
	return policy.BinariesOf(flows.OfAll(subjects, policy.Egress), d.Unnameable)
}
