package networkpolicy

import (
	"fmt"
	"slices"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/netzero-dev/netzero/internal/policy"
)

// describePeers names the peers of a rule in one line. The two halves of the internet appear once.
func describePeers(d policy.Direction, peers []networkingv1.NetworkPolicyPeer) string {
	var phrases []string
	for _, peer := range elements(peers) {
		phrases = append(phrases, describePeer(d, peer))
	}
	return policy.Abbreviate(slices.Compact(phrases), ", ")
}

// describePeer names a peer for a person: "pods app=cache in namespace data", "203.0.113.9/32", "the internet".
func describePeer(d policy.Direction, peer *networkingv1.NetworkPolicyPeer) string {
	switch {
	case peer == nil && d == policy.Ingress:
		return "anywhere"
	case peer == nil:
		return "everywhere"
	case isInternet(peer):
		return "the internet"
	case peer.IPBlock != nil:
		return peer.IPBlock.CIDR
	case peer.PodSelector == nil && peer.NamespaceSelector == nil:
		return "no peer"
	}
	return policy.DescribePods(peer.PodSelector) + describeNamespaces(peer.NamespaceSelector)
}

func describeNamespaces(selector *metav1.LabelSelector) string {
	switch {
	case selector == nil:
		return ""
	case policy.IsEmpty(selector):
		return " in all namespaces"
	}
	name, ok := selector.MatchLabels[policy.NamespaceLabel]
	if ok && len(selector.MatchLabels)+len(selector.MatchExpressions) == 1 {
		return " in namespace " + name
	}
	return " in namespaces " + metav1.FormatLabelSelector(selector)
}

func describePorts(ports []networkingv1.NetworkPolicyPort) string {
	var phrases []string
	for i := range ports {
		phrases = append(phrases, DescribePort(&ports[i]))
	}
	return policy.Abbreviate(phrases, ", ")
}

// namesOfPorts returns the port names of a rule.
func namesOfPorts(ports []networkingv1.NetworkPolicyPort) []string {
	var names []string
	for _, p := range ports {
		if p.Port != nil && p.Port.Type == intstr.String {
			names = append(names, p.Port.StrVal)
		}
	}
	return names
}

// DescribePort names a port with its protocol: "5432/TCP", "8000-8100/UDP", "http/TCP", "all TCP ports".
func DescribePort(port *networkingv1.NetworkPolicyPort) string {
	protocol := portProtocol(port).String()
	if port.Protocol != nil {
		protocol = string(*port.Protocol)
	}
	switch {
	case port.Port == nil:
		return fmt.Sprintf("all %s ports", protocol)
	case port.EndPort != nil:
		return fmt.Sprintf("%s-%d/%s", port.Port, *port.EndPort, protocol)
	}
	return fmt.Sprintf("%s/%s", port.Port, protocol)
}
