package ciliumpolicy

import (
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/netzero-dev/netzero/internal/cilium"
	"github.com/netzero-dev/netzero/internal/policy"
)

func describePeers(d policy.Direction, rule Rule) string {
	if rule.isEmpty() {
		return "nothing"
	}
	peers := rule.peers()
	if len(peers) == 0 {
		return describePeer(d, peerRef{})
	}
	var phrases []string
	for _, peer := range peers {
		phrases = append(phrases, describePeer(d, peer))
	}
	return policy.Abbreviate(phrases, ", ")
}

// describePeer describes a peer in a message: "pods app=cache in namespace data", "api.example", "kube-apiserver".
func describePeer(d policy.Direction, peer peerRef) string {
	switch {
	case peer.endpoint != nil:
		return describeSourced(*peer.endpoint)
	case peer.name != nil:
		return peer.name.String()
	case peer.cidr != nil:
		return peer.cidr.CIDR
	case peer.entity == cilium.World:
		return "the internet"
	case peer.entity != "" && peer.entity != cilium.All:
		return peer.entity
	case d == policy.Ingress:
		return "anywhere"
	}
	return "everywhere"
}

// describeSourced describes pods without the sources of their labels' keys.
func describeSourced(s metav1.LabelSelector) string {
	plain := plainSelector(&s)
	namespace, known := plain.MatchLabels[cilium.NamespaceLabel]
	delete(plain.MatchLabels, cilium.NamespaceLabel)
	if !known {
		return policy.DescribePods(plain)
	}
	return policy.DescribePods(plain) + " in namespace " + namespace
}

func describeAllAllowed(rule Rule) string {
	var phrases []string
	for _, ref := range rule.AllowedPorts() {
		phrases = append(phrases, DescribeAllowed(ref))
	}
	return policy.Abbreviate(phrases, ", ")
}

// namesOfPorts returns the named ports of a rule.
func (r Rule) namesOfPorts() []string {
	var names []string
	for _, ref := range r.AllowedPorts() {
		if ref.port == nil {
			continue
		}
		if _, isNumber := ref.port.Number(); !isNumber {
			names = append(names, ref.port.Port)
		}
	}
	return names
}

// describePorts describes the ports of an entry.
func describePorts(e cilium.PortRule) string {
	var phrases []string
	for i := range e.Ports {
		phrases = append(phrases, DescribeAllowed(portRef{port: &e.Ports[i]}))
	}
	return policy.Abbreviate(phrases, ", ")
}

// DescribeAllowed describes a port with its protocol, or an ICMP type: "5432/TCP", "53/ANY", "ICMP echo request".
func DescribeAllowed(ref portRef) string {
	if ref.icmp != nil {
		return ref.icmp.String()
	}
	protocol := ref.port.Protocol
	if protocol == "" {
		protocol = cilium.Any
	}
	switch n, isNumber := ref.port.Number(); {
	case isNumber && n == 0:
		return fmt.Sprintf("all %s ports", protocol)
	case ref.port.EndPort != 0:
		return fmt.Sprintf("%s-%d/%s", ref.port.Port, ref.port.EndPort, protocol)
	}
	return ref.port.Port + "/" + protocol
}
