package policy

import (
	"maps"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/netzero-dev/netzero/internal/cilium"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// Generate is [Scope.Generate]. There is one rule to a peer with all of its ports, and one with its ICMP types: first
// workloads by namespace and labels, then the resolver, the API server, the node, names, addresses, and anyone. Keys of labels
// have the source k8s, and pods of which the namespace is known have it in their selector.
//
// The resolver's rule lets Cilium read every look-up, without which toFQDNs matches nothing. The API server is open at
// 6443 too where it was asked at 443: that is the port of its Service, behind which most have the other.
func (c Cilium) Generate(flows []flow.Flow) []*cilium.NetworkPolicy {
	c = c.normal()
	required := c.allByAddress(c.Required(flows))
	var policies ciliumPolicies
	for _, subject := range c.Subjects {
		policies = append(policies, c.generate(subject, required))
	}
	for _, namespace := range c.deniedNamespaces() {
		policies = append(policies, ciliumDenyAll(namespace))
	}
	return policies
}

func (c Cilium) generate(subject Subject, required []flow.Flow) *cilium.NetworkPolicy {
	p := &cilium.NetworkPolicy{
		TypeMeta:   metav1.TypeMeta{APIVersion: cilium.APIVersion, Kind: cilium.Kind},
		ObjectMeta: metav1.ObjectMeta{Name: subject.Name, Namespace: subject.Namespace},
		Spec:       cilium.Spec{EndpointSelector: sourced(subject.self().selecting())},
	}
	setCiliumRules(p, egress, ciliumRules(c.openings(subject.Workload, egress, required)))
	metadata := make(map[string]bool)
	for _, f := range c.of(subject.Workload, egress, required) {
		if entry := c.metadataEntry(f); entry != "" {
			metadata[entry] = true
		}
	}
	if len(metadata) > 0 {
		metav1.SetMetaDataAnnotation(&p.ObjectMeta, MetadataAnnotation, strings.Join(slices.Sorted(maps.Keys(metadata)), ","))
	}
	if unmet := c.unmetLookups(ciliumPolicies{p}, subject.Workload, required); len(unmet) > 0 {
		setEntries(p, NamesAnnotation, c.lookupEntries(subject.Workload, unmet))
	}
	listOthers(c.otherWords(), p, subject, required)
	if c.Binaries {
		addBinaries(ciliumPolicies{p}, c.binariesOf([]Subject{subject}, required))
	}
	if c.isolatesIngress(subject, c.serves(subject.Workload, required)) {
		rules := ciliumRules(c.openings(subject.Workload, ingress, required))
		if len(rules) == 0 {
			rules = []ciliumRule{{}} // closed
		}
		setCiliumRules(p, ingress, rules)
	}
	return p
}

// metadataEntry returns what [MetadataAnnotation] says of a flow that leaves a subject, or "". To Cilium the service is
// an address like any other outside of the cluster.
func (c Cilium) metadataEntry(f flow.Flow) string {
	if address(f.Destination) != flow.MetadataService || f.Destination.Kind < flow.External || !f.Protocol.HasPorts() || c.inexpressible(egress, f) != "" {
		return ""
	}
	return opening{peer: peerKey{addr: flow.MetadataService}, port: f.Port, protocol: f.Protocol}.metadataEntry()
}
