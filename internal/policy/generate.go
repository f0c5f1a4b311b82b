package policy

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/netzero-dev/netzero/internal/flow"
)

// Generate returns the policies that allow the subject the flows, and the flows that those imply (see [Required]),
// and nothing else. For now that is one policy, of the type Egress: who calls the subject, no flow of its own can tell.
// The sources of the flows are not looked at.
//
// The same flows in any order give the same policy. There is one rule to a peer, with all of its ports: first
// workloads by namespace and name, then the resolver, the internet, and single addresses. External names share the
// rule for the internet, and stand in [NamesAnnotation]; one at an address that is not public has that address too.
// Without any flow, or with none that a NetworkPolicy can express, the policy denies everything.
func Generate(subject Workload, flows []flow.Flow) []*networkingv1.NetworkPolicy {
	var openings []opening
	names, metadata := make(map[string]bool), make(map[string]bool)
	for _, f := range Required(flows) {
		if inexpressible(f) != "" {
			continue
		}
		o := openingOf(subject, f)
		openings = append(openings, o)
		if f.Destination.Kind == flow.External {
			names[nameOf(f).String()] = true
		}
		if entry := o.metadataEntry(); entry != "" {
			metadata[entry] = true
		}
	}
	slices.SortFunc(openings, opening.compare)
	p := &networkingv1.NetworkPolicy{
		TypeMeta:   metav1.TypeMeta{APIVersion: networkingv1.SchemeGroupVersion.String(), Kind: "NetworkPolicy"},
		ObjectMeta: metav1.ObjectMeta{Name: subject.Name, Namespace: subject.Namespace},
		Spec: networkingv1.NetworkPolicySpec{
			PodSelector: metav1.LabelSelector{MatchLabels: maps.Clone(subject.labels())},
			Egress:      rules(slices.Compact(openings)),
			PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeEgress},
		},
	}
	annotate(p, NamesAnnotation, names)
	annotate(p, MetadataAnnotation, metadata)
	return []*networkingv1.NetworkPolicy{p}
}

func annotate(p *networkingv1.NetworkPolicy, annotation string, entries map[string]bool) {
	if len(entries) > 0 {
		metav1.SetMetaDataAnnotation(&p.ObjectMeta, annotation, strings.Join(slices.Sorted(maps.Keys(entries)), ","))
	}
}

// opening is one port of one peer.
type opening struct {
	peer     flow.Endpoint // as peerOf returns it
	port     uint16
	protocol flow.Protocol
}

func (o opening) compare(p opening) int {
	return cmp.Or(o.peer.Compare(p.peer), cmp.Compare(o.port, p.port), cmp.Compare(o.protocol, p.protocol))
}

func openingOf(subject Workload, f flow.Flow) opening {
	return opening{peerOf(subject, f.Destination), f.Port, f.Protocol}
}

// metadataEntry returns what [MetadataAnnotation] says of an opening, or "".
func (o opening) metadataEntry() string {
	if o.peer.Addr != flow.MetadataService {
		return ""
	}
	return fmt.Sprintf("%s:%d/%s", o.peer.Addr, o.port, o.protocol)
}

// peerOf reduces an endpoint to what its rule depends on, so that equal peers share a rule. A public name keeps its
// kind alone: all of them are the internet.
func peerOf(subject Workload, e flow.Endpoint) flow.Endpoint {
	switch addr := address(e); {
	case e.Kind == flow.Workload && e.Namespace == subject.Namespace:
		return flow.Endpoint{Kind: flow.Workload, Name: e.Name}
	case e.Kind == flow.Workload:
		return flow.Endpoint{Kind: flow.Workload, Name: e.Name, Namespace: e.Namespace}
	case e.Kind == flow.Address, e.Kind == flow.External && !flow.Public(addr):
		return flow.Endpoint{Kind: flow.Address, Addr: addr}
	}
	return flow.Endpoint{Kind: e.Kind}
}

// address returns an endpoint's address as an ipBlock can hold it: a zone means nothing outside of its host.
func address(e flow.Endpoint) netip.Addr { return e.Addr.Unmap().WithZone("") }

// rules turns sorted openings into one rule for each peer.
func rules(openings []opening) []networkingv1.NetworkPolicyEgressRule {
	var egress []networkingv1.NetworkPolicyEgressRule
	for i, o := range openings {
		if i == 0 || o.peer != openings[i-1].peer {
			egress = append(egress, networkingv1.NetworkPolicyEgressRule{To: to(o.peer)})
		}
		last := &egress[len(egress)-1]
		last.Ports = append(last.Ports, o.policyPort())
	}
	return egress
}

func (o opening) policyPort() networkingv1.NetworkPolicyPort {
	protocol, port := corev1.Protocol(o.protocol.String()), intstr.FromInt32(int32(o.port))
	return networkingv1.NetworkPolicyPort{Protocol: &protocol, Port: &port}
}

func to(peer flow.Endpoint) []networkingv1.NetworkPolicyPeer {
	switch peer.Kind {
	case flow.Workload:
		pods := networkingv1.NetworkPolicyPeer{PodSelector: selector(podLabels(peer.Name))}
		if peer.Namespace != "" {
			pods.NamespaceSelector = selector(namespaceLabels(peer.Namespace))
		}
		return []networkingv1.NetworkPolicyPeer{pods}
	case flow.Resolver:
		return []networkingv1.NetworkPolicyPeer{{
			PodSelector:       selector(resolverLabels),
			NamespaceSelector: selector(namespaceLabels(flow.ClusterResolver.Namespace)),
		}}
	case flow.External:
		return internet()
	}
	return []networkingv1.NetworkPolicyPeer{block(netip.PrefixFrom(peer.Addr, peer.Addr.BitLen()))}
}

// internet returns the blocks that hold every public address, IPv4 first.
func internet() []networkingv1.NetworkPolicyPeer {
	v4, v6 := block(netip.PrefixFrom(netip.IPv4Unspecified(), 0)), block(netip.PrefixFrom(netip.IPv6Unspecified(), 0))
	for _, p := range flow.NotPublic() {
		half := v6
		if p.Addr().Is4() {
			half = v4
		}
		half.IPBlock.Except = append(half.IPBlock.Except, p.String())
	}
	return []networkingv1.NetworkPolicyPeer{v4, v6}
}

func block(p netip.Prefix) networkingv1.NetworkPolicyPeer {
	return networkingv1.NetworkPolicyPeer{IPBlock: &networkingv1.IPBlock{CIDR: p.String()}}
}

func selector(set labels.Set) *metav1.LabelSelector {
	return &metav1.LabelSelector{MatchLabels: maps.Clone(set)}
}

func namespaceLabels(namespace string) labels.Set { return labels.Set{namespaceLabel: namespace} }
