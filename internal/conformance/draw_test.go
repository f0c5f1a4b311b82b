package conformance

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// draw draws from small pools, so that values collide.
type draw struct{ *rand.Rand }

func pick[T any](r draw, from ...T) T { return from[r.IntN(len(from))] }

// question draws a cluster, policies for it, and flows. In some questions nothing has a namespace, and everything is in
// namespace default. Namespaces are never partly missing, because package policy then matches workloads in any
// namespace.
func (r draw) question(flows int) (cluster, []*networkingv1.NetworkPolicy, []traffic) {
	in, policies := r.cluster(), r.policies()
	if r.one(5) {
		for i := range in.Pods {
			in.Pods[i].Namespace = ""
		}
		for _, p := range policies {
			p.Namespace = ""
		}
	}
	var all []traffic
	for range flows {
		all = append(all, r.traffic(in))
	}
	return in, policies, all
}

func (r draw) one(in int) bool { return r.IntN(in) == 0 }

var (
	keys       = []string{"app", "tier", "env"}
	values     = []string{"a", "b", "web", ""}
	namespaces = []string{"default", "shop", "data"}
	ranges     = []string{
		"0.0.0.0/0", "::/0", "10.0.0.0/8", "10.1.0.0/16", "10.1.2.0/24", "10.1.2.3/32", "10.1.2.3/16", "203.0.113.0/25",
		"2001:db8::/32", "2001:db8:1::/48", "2001:db8:1::7/128", "fd00::/8",
	}
	exceptions = []string{"10.1.0.0/16", "10.1.2.0/24", "10.1.2.3/32", "203.0.113.64/26", "2001:db8:1::/48",
		"2001:db8:1::7/128"}
	addresses = []string{"10.1.2.3", "10.1.2.4", "10.1.3.1", "10.2.0.1", "203.0.113.9", "203.0.113.65", "198.51.100.1",
		"2001:db8:1::7", "2001:db8:1::8", "2001:db8:2::1", "fd00::1"}
	ports      = []uint16{1, 79, 80, 81, 82, 443, 5432, 65535}
	portNames  = []string{"http", "pg", "metrics"}
	transports = []corev1.Protocol{corev1.ProtocolTCP, corev1.ProtocolTCP, corev1.ProtocolUDP, corev1.ProtocolSCTP}
)

func (r draw) labels() map[string]string {
	set := make(map[string]string)
	for _, key := range keys {
		if !r.one(3) {
			set[key] = pick(r, values...)
		}
	}
	return set
}

func (r draw) cluster() cluster {
	var in cluster
	if r.one(2) {
		// In the other cases the labels of the namespaces are unknown.
		in.Namespaces = map[string]map[string]string{"default": r.labels(), "shop": r.labels()}
	}
	for i := range 2 + r.IntN(4) {
		p := pod{Name: "pod-" + strconv.Itoa(i), Namespace: pick(r, namespaces...), Labels: r.labels()}
		p.Labels["pod"] = p.Name // package policy gives pods without labels the label app
		for j, name := range portNames {
			if r.one(2) { // no two names have the same number
				p.Ports = append(p.Ports, namedPort{name, ports[j*2+r.IntN(2)], pick(r, transports...)})
			}
		}
		in.Pods = append(in.Pods, p)
	}
	return in
}

func (r draw) end(in cluster) end {
	if r.one(3) {
		return end{Address: netip.MustParseAddr(pick(r, addresses...))}
	}
	p := pick(r, in.Pods...)
	return end{Pod: &p}
}

func (r draw) traffic(in cluster) traffic {
	t := traffic{From: r.end(in), To: r.end(in), Port: pick(r, ports...), Protocol: pick(r, transports...)}
	if t.From.Pod == nil && t.To.Pod == nil {
		t.From = end{Pod: &in.Pods[0]}
	}
	if t.To.Pod != nil && len(t.To.Pod.Ports) > 0 && r.one(2) {
		named := pick(r, t.To.Pod.Ports...)
		t.Port = named.Number
		if !r.one(4) {
			t.Protocol = named.Protocol
		}
	}
	return t
}

// policies draws up to four policies. Several may select one pod.
func (r draw) policies() []*networkingv1.NetworkPolicy {
	var all []*networkingv1.NetworkPolicy
	for i := range 1 + r.IntN(4) {
		p := &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("policy-%d", i),
			Namespace: pick(r, namespaces...)}}
		p.Spec.PodSelector = *r.selector()
		p.Spec.PolicyTypes = pick(r, nil, nil,
			[]networkingv1.PolicyType{networkingv1.PolicyTypeEgress},
			[]networkingv1.PolicyType{networkingv1.PolicyTypeIngress},
			[]networkingv1.PolicyType{networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress})
		for range r.IntN(6) {
			if r.one(2) {
				p.Spec.Ingress = append(p.Spec.Ingress, networkingv1.NetworkPolicyIngressRule{From: r.peers(), Ports: r.ports()})
			} else {
				p.Spec.Egress = append(p.Spec.Egress, networkingv1.NetworkPolicyEgressRule{To: r.peers(), Ports: r.ports()})
			}
		}
		all = append(all, p)
	}
	return all
}

func (r draw) selector() *metav1.LabelSelector {
	s := new(metav1.LabelSelector)
	if r.one(2) {
		return s
	}
	for range r.IntN(4) / 2 { // usually one or none, so that some pods have policies
		metav1.AddLabelToSelector(s, pick(r, keys...), pick(r, values...))
	}
	for range r.IntN(4) / 2 {
		e := metav1.LabelSelectorRequirement{Key: pick(r, keys...), Operator: pick(r,
			metav1.LabelSelectorOpIn, metav1.LabelSelectorOpNotIn, metav1.LabelSelectorOpExists,
			metav1.LabelSelectorOpDoesNotExist)}
		if e.Operator == metav1.LabelSelectorOpIn || e.Operator == metav1.LabelSelectorOpNotIn {
			for range 1 + r.IntN(3) {
				e.Values = append(e.Values, pick(r, values...))
			}
		}
		s.MatchExpressions = append(s.MatchExpressions, e)
	}
	return s
}

func (r draw) peers() []networkingv1.NetworkPolicyPeer {
	var all []networkingv1.NetworkPolicyPeer
	for range r.IntN(4) {
		var peer networkingv1.NetworkPolicyPeer
		switch r.IntN(5) {
		case 0, 1:
			peer.IPBlock = &networkingv1.IPBlock{CIDR: pick(r, ranges...)}
			for range r.IntN(3) {
				peer.IPBlock.Except = append(peer.IPBlock.Except, pick(r, exceptions...))
			}
		case 2:
			peer.PodSelector = r.selector()
		case 3:
			peer.NamespaceSelector = r.namespaces()
		case 4:
			peer.PodSelector, peer.NamespaceSelector = r.selector(), r.namespaces()
		}
		all = append(all, peer)
	}
	return all
}

func (r draw) namespaces() *metav1.LabelSelector {
	if r.one(2) {
		return &metav1.LabelSelector{MatchLabels: map[string]string{namespaceLabel: pick(r, "default", "shop", "data")}}
	}
	return r.selector()
}

func (r draw) ports() []networkingv1.NetworkPolicyPort {
	var all []networkingv1.NetworkPolicyPort
	for range r.IntN(4) {
		var p networkingv1.NetworkPolicyPort
		if !r.one(4) {
			protocol := pick(r, transports...)
			p.Protocol = &protocol
		}
		first, name := intstr.FromInt32(int32(pick(r, ports...))), intstr.FromString(pick(r, portNames...))
		switch r.IntN(4) {
		case 0, 1:
			p.Port = &first
		case 2:
			p.Port = &name
		}
		if last := int32(pick(r, ports...)); p.Port == &first && r.one(3) && last >= first.IntVal {
			p.EndPort = &last
		}
		all = append(all, p)
	}
	return all
}
