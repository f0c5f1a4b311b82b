package ciliumpolicy

import (
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/netzero-dev/netzero/internal/cilium"
	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// matchLookup matches a failed lookup against a pair of a rule. Cilium need not read a lookup that got no answer.
func (v applicable) matchLookup(peer peerRef, port portRef, f flow.Flow) policy.Match {
	m := policy.Match{Peer: v.matchPeer(peer, f), Port: policy.PortMatches}
	if m.Peer == policy.LookupNotRead {
		m.Peer = policy.PeerMatches
	}
	if port.icmp != nil {
		m.Port = policy.OtherPort
	}
	return m
}

func shallow(p *cilium.NetworkPolicy) *cilium.NetworkPolicy { q := *p; return &q }

func (c Dialect) unmetLookups(policies Policies, subject policy.Workload, flows policy.SubjectFlows) []flow.Flow {
	lookups := policy.LookupsOf(flows.Of(subject, policy.Egress))
	if len(lookups) == 0 {
		return nil
	}
	stripped := policy.WithoutLookups(policies, shallow)
	return policy.UnmetLookups(lookups, c.compile(stripped, subject, policy.Egress).verdict)
}

func describeUnusedNames(p metav1.Object, unused []string) []string {
	var lines []string
	for _, entry := range unused {
		lines = append(lines, fmt.Sprintf("policy %s: name %s", p.GetName(), entry))
	}
	return lines
}
