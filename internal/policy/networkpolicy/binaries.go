package networkpolicy

import (
	networkingv1 "k8s.io/api/networking/v1"

	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// Unlisted says that the policies that isolate a flow's source for egress do not list one of its programs, and which they
// list instead; "" where they do. Where none of them has [BinariesAnnotation] nothing is listed, which counts with
// [Scope].Binaries only.
func (s Dialect) Unlisted(policies []*networkingv1.NetworkPolicy, f flow.Flow, binary string) string {
	subject, ok := s.SubjectOf(f.Source)
	if !ok {
		return ""
	}
	return policy.Unlisted(policy.IsolatingEgress(policies, subject, doesNotIsolate), binary, s.Binaries)
}

// binariesOf returns the programs of subjects that opened what a policy can allow, sorted.
func (s Dialect) binariesOf(subjects []policy.Subject, flows []flow.Flow) []string {
	return policy.BinariesOf(s.FlowsOfAll(subjects, policy.Egress, flows), s.Unnameable)
}
