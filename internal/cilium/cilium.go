// Package cilium holds CiliumNetworkPolicy of cilium.io/v2 as far as recordings write it, and tells which of them cannot
// mean what they say.
//
// Its types have the fields that a recording can fill in or a verdict can judge, and no others: whoever reads a policy
// with them has to refuse what they do not know (HTTP rules, nodes, services, CIDR groups, authentication), because a
// verdict that leaves a field out is wrong. Nothing here needs Cilium itself, of which a user would import all.
package cilium

import (
	"encoding/json"
	"reflect"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// What the objects are called.
const (
	APIVersion = "cilium.io/v2"
	Kind       = "CiliumNetworkPolicy"
)

// The labels by which Cilium knows the namespace of pods.
const (
	NamespaceLabel     = "io.kubernetes.pod.namespace"
	NamespaceMetaLabel = "io.cilium.k8s.namespace.labels." // before each label of the namespace itself
)

// policyLabels begins the labels of pods that say of which cluster and service account they are.
const policyLabels = "io.cilium.k8s.policy."

// The sources of labels, before their keys: a pod's labels are of Kubernetes; a key without a source is of any.
const (
	KubernetesSource = "k8s:"
	AnySource        = "any:"
)

// MaxPorts is the largest number of ports in one entry of toPorts, and of ICMP types in one of icmps.
const MaxPorts = 40

// The entities that package policy writes or judges.
const (
	All        = "all"
	World      = "world"
	Cluster    = "cluster"
	Mesh       = "cluster-mesh"
	APIServer  = "kube-apiserver"
	RemoteNode = "remote-node" // every other node, with all that uses its network
	Host       = "host"        // the node that the pods run on, with all that uses its network
)

// entities are all that the CRD has. Those of pkg/policy/api/entity.go are two more, world-ipv4 and world-ipv6, which an
// API server refuses.
var entities = []string{
	All, World, Cluster, Mesh, Host, "init", "ingress", "unmanaged", RemoteNode,
	"health", "none", APIServer,
}

// The families of ICMP; a missing one is IPv4.
const (
	IPv4 = "IPv4"
	IPv6 = "IPv6"
)

// Any is the protocol of a port that is open for TCP, UDP and SCTP; a missing one means the same.
const Any = "ANY"

// NetworkPolicy is a CiliumNetworkPolicy: in each direction of which it has rules, its pods are denied what none of its
// rules, and none of another policy that selects them, allows; and what a deny rule is for, whatever allows it.
type NetworkPolicy struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`

	Spec  Spec   `json:"spec,omitzero"`
	Specs []Spec `json:"specs,omitempty"` // more of them, or all; each is for pods of its own
}

// Parts returns a policy as one policy to a spec, all of the same metadata: Spec first, if there is one. What the policy
// does is what they do together. They share memory with it.
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

// HasSpec reports whether a policy has a spec of its own besides its Specs: one that says anything.
func HasSpec(p *NetworkPolicy) bool { return !reflect.ValueOf(p.Spec).IsZero() }

// Spec says for which pods the rules are. A rule without any field allows nothing, so that one alone denies everything.
type Spec struct {
	Description       string               `json:"description,omitempty"`
	EndpointSelector  metav1.LabelSelector `json:"endpointSelector"`
	EnableDefaultDeny *DefaultDeny         `json:"enableDefaultDeny,omitempty"`
	Ingress           []IngressRule        `json:"ingress,omitempty"`
	IngressDeny       []IngressRule        `json:"ingressDeny,omitempty"`
	Egress            []EgressRule         `json:"egress,omitempty"`
	EgressDeny        []EgressRule         `json:"egressDeny,omitempty"`
}

// DefaultDeny says in which directions the rules of a policy deny what none of them allows; a missing one is true. One
// that is true means nothing in a direction without rules.
type DefaultDeny struct {
	Ingress *bool `json:"ingress,omitempty"`
	Egress  *bool `json:"egress,omitempty"`
}

// EgressRule allows pods to open flows, or denies it. At most one of its five kinds of peer is not empty; without any, its ports are
// open to everywhere. Without ports and ICMP types its peers may be asked for anything.
type EgressRule struct {
	ToEndpoints []metav1.LabelSelector `json:"toEndpoints,omitempty"`
	ToFQDNs     []FQDN                 `json:"toFQDNs,omitempty"`
	ToCIDR      []string               `json:"toCIDR,omitempty"`
	ToCIDRSet   []CIDRRule             `json:"toCIDRSet,omitempty"`
	ToEntities  []string               `json:"toEntities,omitempty"`
	ToPorts     []PortRule             `json:"toPorts,omitempty"`
	ICMPs       []ICMPRule             `json:"icmps,omitempty"`
}

// IngressRule allows others to open flows to pods; its fields are as those of [EgressRule].
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

// CIDRRule is a range of addresses, of no pods and no nodes.
type CIDRRule struct {
	CIDR   string   `json:"cidr"`
	Except []string `json:"except,omitempty"`
}

// PortRule is a list of ports, and what may be said there.
type PortRule struct {
	Ports []Port   `json:"ports"`
	Rules *L7Rules `json:"rules,omitempty"`
}

// Port is a port, a range of them, or a name that only the pods resolve. "0" is every port of the protocol.
type Port struct {
	Port     string `json:"port"`
	EndPort  int32  `json:"endPort,omitempty"`
	Protocol string `json:"protocol,omitempty"`
}

// L7Rules say which names may be looked up; Cilium reads the answers, and so knows the addresses of toFQDNs.
type L7Rules struct {
	DNS []FQDN `json:"dns,omitempty"`
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

// DeepCopy returns a policy that shares no memory with this one. Empty lists become nil, which says the same.
func (p *NetworkPolicy) DeepCopy() *NetworkPolicy {
	text, err := json.Marshal(p)
	if err != nil {
		panic(err) // these are plain values: no channels, functions or cycles
	}
	q := new(NetworkPolicy)
	if err := json.Unmarshal(text, q); err != nil {
		panic(err)
	}
	return q
}

// HasDNS reports whether Cilium reads what is looked up at the ports.
func (r PortRule) HasDNS() bool { return r.Rules != nil && len(r.Rules.DNS) > 0 }
