package ciliumpolicy

import (
	"maps"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/netzero-dev/netzero/internal/cilium"
	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// Generate implements [policy.Dialect]. A peer has one rule with all of its ports and one with its ICMP types. The
// order is: workloads by namespace and labels, the resolver, the API server, the node, names, addresses, anyone. Label
// keys have the source k8s. A selector contains the namespace of its pods if it is known.
//
// The resolver's rule lets Cilium read every lookup, because toFQDNs matches nothing without it. If the API server was
// dialled at 443, the port of its Service, 6443 is allowed too, because most API servers listen there behind the
// Service.
//
// If Requests of the [policy.Scope] is set, a port has one HTTP rule for each method and path that all flows to the
// peer and port sent, sorted by path and method. Ports with the same requests share an entry. A port has no such rules
// if any of these flows is opaque or has other requests than HTTP.
func (c Dialect) Generate(flows []flow.Flow) []*cilium.NetworkPolicy {
	c = Dialect{c.Normalized()}
	required := c.BySubject(c.evaluated(flows))
	var policies Policies
	for _, subject := range c.Subjects {
		policies = append(policies, c.generate(subject, required))
	}
	for _, namespace := range c.DeniedNamespaces() {
		policies = append(policies, denyAll(namespace))
	}
	return policies
}

func (c Dialect) generate(subject policy.Subject, required policy.SubjectFlows) *cilium.NetworkPolicy {
	p := &cilium.NetworkPolicy{
		TypeMeta:   metav1.TypeMeta{APIVersion: cilium.APIVersion, Kind: cilium.Kind},
		ObjectMeta: metav1.ObjectMeta{Name: subject.Name, Namespace: subject.Namespace},
		Spec:       cilium.Spec{EndpointSelector: sourced(subject.AsSubject().SelectorLabels())},
	}
	sent, received := required.Of(subject.Workload, policy.Egress), required.Of(subject.Workload, policy.Ingress)
	SetRules(p, policy.Egress, rulesFor(c.permissions(subject.Workload, policy.Egress, sent)))
	metadata := make(map[string]bool)
	for _, f := range sent {
		if entry := c.metadataEntry(f); entry != "" {
			metadata[entry] = true
		}
	}
	if len(metadata) > 0 {
		metav1.SetMetaDataAnnotation(
			&p.ObjectMeta, policy.MetadataAnnotation, strings.Join(slices.Sorted(maps.Keys(metadata)), ","),
		)
	}
	if unmet := c.unmetLookups(Policies{p}, subject.Workload, required); len(unmet) > 0 {
		policy.SetEntries(p, policy.NamesAnnotation, c.LookupEntries(subject.Workload, unmet))
	}
	policy.ListOthers(c.otherFlows(), p, subject, required)
	if c.Binaries {
		policy.AddBinaries(Policies{p}, c.binariesOf([]policy.Subject{subject}, required))
	}
	policy.AddKafka(Policies{p}, c.kafkaOf([]policy.Subject{subject}, required), true)
	if c.IsolatesIngress(subject, c.serves(received)) {
		rules := rulesFor(c.permissions(subject.Workload, policy.Ingress, received))
		if len(rules) == 0 {
			rules = []Rule{{}} // closed
		}
		SetRules(p, policy.Ingress, rules)
	}
	return p
}

// metadataEntry returns the entry of [policy.MetadataAnnotation] for a flow that leaves a subject, or "". Cilium treats
// the metadata service like any other address outside of the cluster.
func (c Dialect) metadataEntry(f flow.Flow) string {
	if policy.EndpointAddress(f.Destination) != flow.MetadataService || f.Destination.Kind < flow.External ||
		!f.Protocol.HasPorts() || c.inexpressible(policy.Egress, f) != "" {
		return ""
	}
	return policy.MetadataServiceEntry(f.Port, f.Protocol)
}
