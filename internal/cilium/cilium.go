// Package cilium contains the part of CiliumNetworkPolicy of cilium.io/v2 that recordings write, and rejects policies
// that cannot have their apparent meaning.
//
// Its types have only the fields that a recording can fill in or a verdict can evaluate. Code that reads policies with
// them has to reject unknown fields (nodes, services, CIDR groups, authentication), because a verdict that leaves a
// field out is wrong. The package does not import Cilium, so that users do not download all of it.
package cilium

import (
	"encoding/json"
	"reflect"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// The type of the objects.
const (
	APIVersion = "cilium.io/v2"
	Kind       = "CiliumNetworkPolicy"
)

// Cilium's labels for the namespace of pods.
const (
	NamespaceLabel     = "io.kubernetes.pod.namespace"
	NamespaceMetaLabel = "io.cilium.k8s.namespace.labels." // prefix of each label of the namespace
)

// policyLabels starts the labels for the cluster and the service account of pods.
const policyLabels = "io.cilium.k8s.policy."

// The sources of labels, which precede their keys: Kubernetes for a pod's labels; a key without a source matches any.
const (
	KubernetesSource = "k8s:"
	AnySource        = "any:"
)

// MaxPorts is the maximum number of ports in one entry of toPorts, and of ICMP types in one of icmps.
const MaxPorts = 40

// The entities that package ciliumpolicy writes or evaluates.
const (
	All        = "all"
	World      = "world"
	Cluster    = "cluster"
	Mesh       = "cluster-mesh"
	APIServer  = "kube-apiserver"
	RemoteNode = "remote-node" // every other node, with everything on its network
	Host       = "host"        // the pods' node, with everything on its network
)

// entities are the values that the CRD allows. pkg/policy/api/entity.go has two more, world-ipv4 and world-ipv6, which
// an API server rejects.
var entities = []string{
	All, World, Cluster, Mesh, Host, "init", "ingress", "unmanaged", RemoteNode,
	"health", "none", APIServer,
}

// The families of ICMP; the default is IPv4.
const (
	IPv4 = "IPv4"
	IPv6 = "IPv6"
)

// Any is the protocol of a port that is open for TCP, UDP and SCTP. It is the default.
const Any = "ANY"

// NetworkPolicy is a CiliumNetworkPolicy. In each direction with rules, its pods are denied everything that neither its
// rules nor those of another policy for the same pods allow. A deny rule takes precedence over every other rule.
type NetworkPolicy struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`

	Spec  Spec   `json:"spec,omitzero"`
	Specs []Spec `json:"specs,omitempty"` // more specs, or all of them; each has its own selector
}

// Parts splits a policy into one policy per spec, with the same metadata, Spec first if there is one. Together they are
// equivalent to the policy. They share memory with it.
func Parts(p *NetworkPolicy) []*NetworkPolicy {
	if len(p.Specs) == 0 {
		return []*NetworkPolicy{p}
	}
	var parts []*NetworkPolicy
	add := func(s Spec) {
		parts = append(parts, &NetworkPolicy{TypeMeta: p.TypeMeta, ObjectMeta: p.ObjectMeta, Spec: s})
	}
	if HasSpec(p) {
		add(p.Spec)
	}
	for _, s := range p.Specs {
		add(s)
	}
	return parts
}

// HasSpec reports whether a policy has a non-empty Spec in addition to its Specs.
func HasSpec(p *NetworkPolicy) bool { return !reflect.ValueOf(p.Spec).IsZero() }

// Spec has rules and the selector of their pods. A rule without fields allows nothing. If it is the only rule,
// everything is denied.
type Spec struct {
	Description       string               `json:"description,omitempty"`
	EndpointSelector  metav1.LabelSelector `json:"endpointSelector"`
	EnableDefaultDeny *DefaultDeny         `json:"enableDefaultDeny,omitempty"`
	Ingress           []IngressRule        `json:"ingress,omitempty"`
	IngressDeny       []IngressRule        `json:"ingressDeny,omitempty"`
	Egress            []EgressRule         `json:"egress,omitempty"`
	EgressDeny        []EgressRule         `json:"egressDeny,omitempty"`
}

// DefaultDeny sets the directions in which a policy denies everything that no rule allows. The default is true, which
// has no effect in a direction without rules.
type DefaultDeny struct {
	Ingress *bool `json:"ingress,omitempty"`
	Egress  *bool `json:"egress,omitempty"`
}

// EgressRule allows or denies flows that pods open. At most one of its five kinds of peer may be set. Without peers, it
// applies to all destinations. Without ports and ICMP types, it applies to all ports of its peers.
type EgressRule struct {
	ToEndpoints []metav1.LabelSelector `json:"toEndpoints,omitempty"`
	ToFQDNs     []FQDN                 `json:"toFQDNs,omitempty"`
	ToCIDR      []string               `json:"toCIDR,omitempty"`
	ToCIDRSet   []CIDRRule             `json:"toCIDRSet,omitempty"`
	ToEntities  []string               `json:"toEntities,omitempty"`
	ToPorts     []PortRule             `json:"toPorts,omitempty"`
	ICMPs       []ICMPRule             `json:"icmps,omitempty"`
}

// IngressRule allows or denies flows to pods. Its fields are like those of [EgressRule].
type IngressRule struct {
	FromEndpoints []metav1.LabelSelector `json:"fromEndpoints,omitempty"`
	FromCIDR      []string               `json:"fromCIDR,omitempty"`
	FromCIDRSet   []CIDRRule             `json:"fromCIDRSet,omitempty"`
	FromEntities  []string               `json:"fromEntities,omitempty"`
	ToPorts       []PortRule             `json:"toPorts,omitempty"`
	ICMPs         []ICMPRule             `json:"icmps,omitempty"`
}

// FQDN is a DNS name or a pattern of names.
type FQDN struct {
	MatchName    string `json:"matchName,omitempty"`
	MatchPattern string `json:"matchPattern,omitempty"`
}

// CIDRRule is a range of addresses. It does not match pods and nodes.
type CIDRRule struct {
	CIDR   string   `json:"cidr"`
	Except []string `json:"except,omitempty"`
}

// PortRule is a list of ports with their L7 rules.
type PortRule struct {
	Ports []Port   `json:"ports"`
	Rules *L7Rules `json:"rules,omitempty"`
}

// Port is a port, a range, or a name that only the pods resolve. "0" is every port of the protocol.
type Port struct {
	Port     string `json:"port"`
	EndPort  int32  `json:"endPort,omitempty"`
	Protocol string `json:"protocol,omitempty"`
}

// L7Rules lists the names that pods may look up, or the requests that they may send. Cilium reads the answers to
// lookups to learn the addresses of toFQDNs. Its proxy refuses requests that no rule for the same peer and port allows.
// Rules for a peer and port have no effect if another rule allows the same peer and port without them.
type L7Rules struct {
	DNS  []FQDN     `json:"dns,omitempty"`
	HTTP []HTTPRule `json:"http,omitempty"`
}

// ICMPRule is a list of ICMP types.
type ICMPRule struct {
	Fields []ICMPField `json:"fields"`
}

// ICMPField is an ICMP type, by its number or by its name in CamelCase.
type ICMPField struct {
	Family string             `json:"family,omitempty"`
	Type   intstr.IntOrString `json:"type"`
}

// DeepCopy returns a policy that shares no memory with this one. Empty lists become nil, which means the same.
func (p *NetworkPolicy) DeepCopy() *NetworkPolicy {
	text, err := json.Marshal(p)
	if err != nil {
		panic(err) // plain values without channels, functions or cycles
	}
	q := new(NetworkPolicy)
	if err := json.Unmarshal(text, q); err != nil {
		panic(err)
	}
	return q
}

// DeepCopyObject is DeepCopy for [runtime.Object].
func (p *NetworkPolicy) DeepCopyObject() runtime.Object { return p.DeepCopy() }

// HasDNS reports whether Cilium reads the DNS lookups at the ports.
func (r PortRule) HasDNS() bool { return r.Rules != nil && len(r.Rules.DNS) > 0 }

// HasHTTP reports whether Cilium's proxy reads the requests at the ports.
func (r PortRule) HasHTTP() bool { return r.Rules != nil && len(r.Rules.HTTP) > 0 }
