package ciliumpolicy

import (
	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// Unlisted implements [policy.Dialect].
func (c Dialect) Unlisted(policies Policies, f flow.Flow, binary string) string {
	subject, ok := c.SubjectOf(f.Source)
	if !ok {
		return ""
	}
	return policy.Unlisted(policy.IsolatingEgress(partsOf(policies), subject, doesNotIsolate), binary, c.Binaries)
}

func (c Dialect) binariesOf(subjects []policy.Subject, flows policy.SubjectFlows) []string {
	return policy.BinariesOf(flows.OfAll(subjects, policy.Egress), c.unnameable)
}
