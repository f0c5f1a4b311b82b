package policy

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// opening is one port of one peer.
type opening struct {
	peer     peerKey
	port     uint16
	end      uint16 // the last port of a range; 0 for a single port
	protocol flow.Protocol
}

func (o opening) compare(p opening) int {
	return cmp.Or(o.peer.compare(p.peer), cmp.Compare(o.port, p.port), cmp.Compare(o.end, p.end), cmp.Compare(o.protocol, p.protocol))
}

// anyNamespace stands for the namespace of a caller that is in an unknown one; see [isFromAnywhere].
const anyNamespace = "*"

// isFromAnywhere reports whether a caller may be in any namespace, as far as is known, while the subject is in a known one.
// Without a namespace in its rule Kubernetes would take the subject's, but the caller's own policy is applied to wherever
// the caller is. A destination without a namespace is another matter: its name is looked up in the caller's.
func isFromAnywhere(d direction, caller, subject Workload) bool {
	return d == ingress && caller.Namespace == "" && subject.Namespace != ""
}

// peerKey is what a rule depends on of the far end of its flows, so that equal peers share a rule: a public name is its
// kind alone, because all of them are the internet.
type peerKey struct {
	kind      flow.Kind
	namespace string     // of pods, where it is another than the policy's; or anyNamespace
	labels    string     // of pods, as labels.Set writes them
	addr      netip.Addr // of an Address, and of a Resolver that is no pods
	bits      int        // of a Resolver's addresses
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

// openings returns what a subject's flows in a direction need, sorted and each once.
func (s Scope) openings(subject Workload, d direction, flows []flow.Flow) []opening {
	var openings []opening
	for _, f := range needed(d, s.inRanges(s.of(subject, d, flows))) {
		if s.inexpressible(d, f) == "" {
			openings = append(openings, s.openingsOf(subject, d, f)...)
		}
	}
	slices.SortFunc(openings, opening.compare)
	return slices.Compact(openings)
}

// openingsOf returns what one flow needs: openings of one peer.
func (s Scope) openingsOf(subject Workload, d direction, f flow.Flow) []opening {
	var all []opening
	for _, port := range writtenPorts(f) {
		f.Port = port
		all = append(all, s.openingOf(subject, d, f))
	}
	return all
}

func (s Scope) openingOf(subject Workload, d direction, f flow.Flow) opening {
	first, last := s.portsOfFlow(f)
	return opening{peer: s.peerOf(subject, d, d.far(f)), port: first, end: last, protocol: f.Protocol}
}

func (s Scope) peerOf(subject Workload, d direction, e flow.Endpoint) peerKey {
	switch addr := address(e); {
	case isAPIServer(e) && d == egress && addr.IsValid():
		return peerKey{kind: flow.Address, addr: addr}
	case isBeyondSelectors(d, e):
		return peerKey{kind: flow.Anyone} // a rule without peers, and an annotation for whom it is
	case e.Kind == flow.Workload:
		w, _ := s.workload(e)
		k := peerKey{kind: flow.Workload, labels: w.at(d).selecting().String()}
		if w.Namespace != subject.Namespace {
			k.namespace = w.Namespace
		}
		if isFromAnywhere(d, w, subject) {
			k.namespace = anyNamespace
		}
		return k
	case e.Kind == flow.Resolver:
		return s.resolverOf(e).peer()
	case e.Kind == flow.Address, e.Kind == flow.External && (d == ingress || !flow.Public(addr)):
		return peerKey{kind: flow.Address, addr: addr}
	}
	return peerKey{kind: e.Kind}
}

// address returns an endpoint's address as an ipBlock can hold it: a zone means nothing outside of its host.
func address(e flow.Endpoint) netip.Addr { return e.Addr.Unmap().WithZone("") }

// metadataEntry returns what [MetadataAnnotation] says of an opening for egress, or "".
func (o opening) metadataEntry() string {
	if o.peer.addr != flow.MetadataService || o.peer.kind == flow.Resolver {
		return ""
	}
	return fmt.Sprintf("%s:%d/%s", o.peer.addr, o.port, o.protocol)
}

func (o opening) policyPort() networkingv1.NetworkPolicyPort {
	protocol, port := corev1.Protocol(o.protocol.String()), intstr.FromInt32(int32(o.port))
	written := networkingv1.NetworkPolicyPort{Protocol: &protocol, Port: &port}
	if o.end != 0 {
		last := int32(o.end)
		written.EndPort = &last
	}
	return written
}
