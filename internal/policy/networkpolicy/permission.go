package networkpolicy

import (
	"cmp"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// permission is one port of one peer.
type permission struct {
	peer     peerKey
	port     uint16
	end      uint16 // the last port of a range; 0 for a single port
	protocol flow.Protocol
}

func (o permission) compare(p permission) int {
	return cmp.Or(
		o.peer.compare(p.peer), cmp.Compare(o.port, p.port), cmp.Compare(o.end, p.end),
		cmp.Compare(o.protocol, p.protocol),
	)
}

// peerKey holds the parts of a flow's peer end that its rule depends on, so that equal peers share a rule. A public
// name is only its kind, because all public names share the rule for the internet.
type peerKey struct {
	kind      flow.Kind
	namespace string     // of pods, if it is not the policy's; or AnyNamespace
	labels    string     // of pods, in the form of labels.Set.String
	addr      netip.Addr // of an Address, and of a Resolver outside of pods
	bits      int        // of the prefix of a Resolver's addresses
}

func (k peerKey) compare(l peerKey) int {
	return cmp.Or(
		cmp.Compare(k.kind, l.kind),
		cmp.Compare(k.namespace, l.namespace),
		cmp.Compare(k.labels, l.labels),
		k.addr.Compare(l.addr),
		cmp.Compare(k.bits, l.bits),
	)
}

// permissions returns the distinct permissions that a subject's flows in a direction need, sorted.
func (d Dialect) permissions(subject policy.Workload, direction policy.Direction, flows []flow.Flow) []permission {
	var permissions []permission
	for _, f := range policy.Needed(direction, d.AtFirstPorts(flows)) {
		if d.inexpressible(direction, f) == "" {
			permissions = append(permissions, d.permissionsOf(subject, direction, f)...)
		}
	}
	slices.SortFunc(permissions, permission.compare)
	return slices.Compact(permissions)
}

// permissionsOf returns the permissions that one flow needs, all with the same peer.
func (d Dialect) permissionsOf(subject policy.Workload, direction policy.Direction, f flow.Flow) []permission {
	var all []permission
	for _, port := range policy.WrittenPorts(f) {
		f.Port = port
		all = append(all, d.permissionOf(subject, direction, f))
	}
	return all
}

func (d Dialect) permissionOf(subject policy.Workload, direction policy.Direction, f flow.Flow) permission {
	first, last := d.PortsOfFlow(f)
	peer := d.peerOf(subject, direction, direction.PeerEnd(f))
	return permission{peer: peer, port: first, end: last, protocol: f.Protocol}
}

func (d Dialect) peerOf(subject policy.Workload, direction policy.Direction, e flow.Endpoint) peerKey {
	switch addr := policy.EndpointAddress(e); {
	case policy.IsAPIServer(e) && direction == policy.Egress && addr.IsValid():
		return peerKey{kind: flow.Address, addr: addr}
	case isBeyondSelectors(direction, e):
		return peerKey{kind: flow.Anyone} // a rule without peers, with an annotation that reserves it
	case e.Kind == flow.Workload:
		w, _ := d.WorkloadOf(e)
		k := peerKey{kind: flow.Workload, labels: w.AsPeer(direction).SelectorLabels().String()}
		if w.Namespace != subject.Namespace {
			k.namespace = w.Namespace
		}
		if policy.CallsFromAnyNamespace(direction, w, subject) {
			k.namespace = policy.AnyNamespace
		}
		return k
	case e.Kind == flow.Resolver:
		return resolverPeer(d.ResolverOf(e))
	case e.Kind == flow.Address, e.Kind == flow.External && (direction == policy.Ingress || !flow.Public(addr)):
		return peerKey{kind: flow.Address, addr: addr}
	}
	return peerKey{kind: e.Kind}
}

// metadataEntry returns the entry of [policy.MetadataAnnotation] for an egress permission, or "".
func (o permission) metadataEntry() string {
	if o.peer.addr != flow.MetadataService || o.peer.kind == flow.Resolver {
		return ""
	}
	return policy.MetadataServiceEntry(o.port, o.protocol)
}

func (o permission) policyPort() networkingv1.NetworkPolicyPort {
	protocol, port := corev1.Protocol(o.protocol.String()), intstr.FromInt32(int32(o.port))
	written := networkingv1.NetworkPolicyPort{Protocol: &protocol, Port: &port}
	if o.end != 0 {
		last := int32(o.end)
		written.EndPort = &last
	}
	return written
}
