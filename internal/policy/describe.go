package policy

import (
	"fmt"
	"slices"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// describePeers names the peers of a rule in a line, the halves of the internet once.
func describePeers(d direction, peers []networkingv1.NetworkPolicyPeer) string {
	var phrases []string
	for _, peer := range elements(peers) {
		phrases = append(phrases, describePeer(d, peer))
	}
	return abbreviate(slices.Compact(phrases), ", ")
}

// describePeer names a peer as a person would: "pods app=cache in namespace data", "203.0.113.9/32", "the internet".
func describePeer(d direction, peer *networkingv1.NetworkPolicyPeer) string {
	switch {
	case peer == nil && d == ingress:
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
	return describePods(peer.PodSelector) + describeNamespaces(peer.NamespaceSelector)
}

func describePods(selector *metav1.LabelSelector) string {
	if isEmpty(selector) {
		return "all pods"
	}
	return "pods " + metav1.FormatLabelSelector(selector)
}

func describeNamespaces(selector *metav1.LabelSelector) string {
	switch {
	case selector == nil:
		return ""
	case isEmpty(selector):
		return " in all namespaces"
	}
	if name, ok := selector.MatchLabels[namespaceLabel]; ok && len(selector.MatchLabels)+len(selector.MatchExpressions) == 1 {
		return " in namespace " + name
	}
	return " in namespaces " + metav1.FormatLabelSelector(selector)
}

func isEmpty(selector *metav1.LabelSelector) bool {
	return selector == nil || len(selector.MatchLabels)+len(selector.MatchExpressions) == 0
}

func describePorts(ports []networkingv1.NetworkPolicyPort) string {
	var phrases []string
	for i := range ports {
		phrases = append(phrases, describePort(&ports[i]))
	}
	return abbreviate(phrases, ", ")
}

// namesOfPorts returns the names that stand for ports.
func namesOfPorts(ports []networkingv1.NetworkPolicyPort) []string {
	var names []string
	for _, p := range ports {
		if p.Port != nil && p.Port.Type == intstr.String {
			names = append(names, p.Port.StrVal)
		}
	}
	return names
}

// describePort names a port with its protocol: "5432/TCP", "8000-8100/UDP", "http/TCP", "all TCP ports".
func describePort(port *networkingv1.NetworkPolicyPort) string {
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
