package conformance

import (
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"

	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/internal/policy/networkpolicy"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

var protocols = map[corev1.Protocol]flow.Protocol{
	corev1.ProtocolTCP: flow.TCP, corev1.ProtocolUDP: flow.UDP, corev1.ProtocolSCTP: flow.SCTP,
}

// scope returns a cluster as a scope of package policy. All traffic of all pods is recorded.
func (in cluster) scope() policy.Scope {
	s := policy.Scope{Namespaces: in.Namespaces}
	for _, p := range in.Pods {
		w := policy.Workload{Name: p.Name, Namespace: p.Namespace, Labels: p.Labels}
		for _, port := range p.Ports {
			w.Ports = append(w.Ports, policy.Port{Name: port.Name, Number: port.Number, Protocol: protocols[port.Protocol]})
		}
		s.Subjects = append(s.Subjects, policy.Subject{Workload: w, AllTraffic: true})
	}
	return s
}

// icmp are the protocols that only Cilium can express. The port of such traffic is its ICMP type.
var icmp = map[corev1.Protocol]flow.Protocol{"ICMP": flow.ICMP, "ICMPv6": flow.ICMPv6}

func (t traffic) flow() flow.Flow {
	if p := icmp[t.Protocol]; p != 0 {
		return flow.Flow{Source: t.From.endpoint(), Destination: t.To.endpoint(), Protocol: p, ICMPType: uint8(t.Port),
			Count: 1}
	}
	return flow.Flow{Source: t.From.endpoint(), Destination: t.To.endpoint(), Protocol: protocols[t.Protocol],
		Port: t.Port, Count: 1}
}

func (e end) endpoint() flow.Endpoint {
	if e.Pod == nil {
		return flow.Endpoint{Kind: flow.Address, Addr: e.Address}
	}
	if isAPIServer(e) {
		return flow.ClusterAPIServer
	}
	return flow.Endpoint{Kind: flow.Workload, Name: e.Pod.Name, Namespace: e.Pod.Namespace, Node: isNode(e)}
}

// allows returns our verdict. It counts unprotected flows as allowed, because Kubernetes allows them. For a golden file
// they are an error, not a denial.
func allows(scope policy.Scope, policies []*networkingv1.NetworkPolicy, f flow.Flow) (bool, policy.Verdict) {
	v := networkpolicy.Dialect{Scope: scope}.Evaluate(policies, f)
	return v.Outcome == policy.Allowed || v.Outcome == policy.Unprotected, v
}

// toCyclonus returns a flow in the form for cyclonus. It returns false if cyclonus cannot express the flow: an end is
// neither a pod nor an address, or the protocol has no ports.
func toCyclonus(s policy.Scope, f flow.Flow) (traffic, bool) {
	t := traffic{Port: f.Port}
	for name, p := range protocols {
		if p == f.Protocol {
			t.Protocol = name
		}
	}
	var from, to bool
	t.From, from = endOf(s, f.Source)
	t.To, to = endOf(s, f.Destination)
	return t, from && to && t.Protocol != ""
}

func endOf(s policy.Scope, e flow.Endpoint) (end, bool) {
	switch e.Kind {
	case flow.Resolver:
		return end{Pod: &pod{Name: "kube-dns", Namespace: "kube-system", Labels: map[string]string{"k8s-app": "kube-dns"}}},
			true
	case flow.Workload:
		all := slices.Clone(s.Peers)
		for _, subject := range s.Subjects {
			all = append(all, subject.Workload)
		}
		w := policy.Workload{Name: e.Name, Namespace: e.Namespace}
		for _, known := range all { // an end without a namespace may be in any
			if known.Name == e.Name && (known.Namespace == e.Namespace || e.Namespace == "") {
				w = known
			}
		}
		if len(w.Labels) == 0 {
			w.Labels = map[string]string{"app": w.Name}
		}
		return end{Pod: &pod{Name: w.Name, Namespace: w.Namespace, Labels: w.Labels}}, true
	case flow.External, flow.Address:
		addr := e.Addr.Unmap().WithZone("")
		return end{Address: addr, Name: e.Name}, addr != netip.Addr{}
	}
	return end{}, false
}
