package networkpolicy

import (
	"maps"
	"net/netip"
	"slices"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// Generate returns the policies that allow the flows, and the flows that those imply (see [Required]), and nothing
// else: one for each subject, sorted by namespace and name. A flow between two subjects is in the egress of the one and
// in the ingress of the other. A policy is of the type Egress; that of a subject that is [Subject.Whole] and that the
// flows show as a server is of the type Ingress too; see [Scope].CloseIngress for others, and [Scope].DenyAll for what is
// added at the end. Flows at neither end of which there is a subject are left out.
//
// The same flows in any order give the same policies. There is one rule to a peer, with all of its ports: first
// workloads by namespace and labels, then the resolver, the internet, single addresses, and anyone. External
// destinations share the rule for the internet, and stand in [NamesAnnotation]; one at an address that is not public
// has that address too. External sources are their addresses. Who anyone may call at a port has no rule for some callers
// there. The API server, and pods on the network of their nodes, are beyond selectors: the former is the addresses of its
// Endpoints where they are known; else both are a rule without peers, which [APIServerAnnotation] and
// [HostNetworkAnnotation] keep for them.
// Without any flow, or with none that a NetworkPolicy can express, a policy denies all egress. What it cannot express stands
// in [OtherAnnotation], and a look-up that nothing else allows in [NamesAnnotation].
func (s Dialect) Generate(flows []flow.Flow) []*networkingv1.NetworkPolicy {
	s.Scope = s.Normalized()
	required := s.allByAddress(Required(flows))
	var policies []*networkingv1.NetworkPolicy
	for _, subject := range s.Subjects {
		policies = append(policies, s.generate(subject, required))
	}
	for _, namespace := range s.DeniedNamespaces() {
		policies = append(policies, denyAll(namespace))
	}
	return policies
}

// generate returns one subject's policy.
func (s Dialect) generate(subject policy.Subject, required []flow.Flow) *networkingv1.NetworkPolicy {
	p := &networkingv1.NetworkPolicy{
		TypeMeta:   metav1.TypeMeta{APIVersion: networkingv1.SchemeGroupVersion.String(), Kind: "NetworkPolicy"},
		ObjectMeta: metav1.ObjectMeta{Name: subject.Name, Namespace: subject.Namespace},
		Spec: networkingv1.NetworkPolicySpec{
			PodSelector: *selector(subject.AsSubject().SelectorLabels()),
			PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeEgress},
		},
	}
	SetRules(p, policy.Egress, rules(s.permissions(subject.Workload, policy.Egress, required)))
	names, metadata := make(map[string]bool), make(map[string]bool)
	for _, f := range s.FlowsOf(subject.Workload, policy.Egress, required) {
		if s.inexpressible(policy.Egress, f) != "" {
			continue
		}
		if f.Destination.Kind == flow.External {
			names[s.EntryOf(f)] = true
		}
		if entry := s.permissionOf(subject.Workload, policy.Egress, f).metadataEntry(); entry != "" {
			metadata[entry] = true
		}
	}
	annotate(p, policy.NamesAnnotation, names)
	annotate(p, policy.MetadataAnnotation, metadata)
	s.annotateEverywhere(p, subject.Workload, policy.Egress, s.FlowsOf(subject.Workload, policy.Egress, required))
	if unmet := s.unmetLookups([]*networkingv1.NetworkPolicy{p}, subject.Workload, required); len(unmet) > 0 {
		policy.AddEntries(p, policy.NamesAnnotation, s.LookupEntries(subject.Workload, unmet))
	}
	policy.ListOthers(s.otherWords(), p, subject, required)
	if s.Binaries {
		policy.AddBinaries([]*networkingv1.NetworkPolicy{p}, s.binariesOf([]policy.Subject{subject}, required))
	}
	if s.IsolatesIngress(subject, s.serves(subject.Workload, required)) {
		p.Spec.PolicyTypes = append(p.Spec.PolicyTypes, networkingv1.PolicyTypeIngress)
		SetRules(p, policy.Ingress, rules(s.permissions(subject.Workload, policy.Ingress, required)))
		s.annotateEverywhere(p, subject.Workload, policy.Ingress, policy.Needed(policy.Ingress, s.FlowsOf(subject.Workload, policy.Ingress, required)))
	}
	return p
}

func annotate(p *networkingv1.NetworkPolicy, annotation string, entries map[string]bool) {
	if len(entries) > 0 {
		metav1.SetMetaDataAnnotation(&p.ObjectMeta, annotation, strings.Join(slices.Sorted(maps.Keys(entries)), ","))
	}
}

// rules turns sorted openings into one rule for each peer.
func rules(openings []permission) []Rule {
	var list []Rule
	for i, o := range openings {
		if i == 0 || o.peer != openings[i-1].peer {
			list = append(list, Rule{Peers: o.peer.list()})
		}
		last := &list[len(list)-1]
		last.Ports = append(last.Ports, o.policyPort())
	}
	return list
}

// list returns the peers of a rule for one peer.
func (k peerKey) list() []networkingv1.NetworkPolicyPeer {
	switch k.kind {
	case flow.Workload:
		set, _ := labels.ConvertSelectorToLabelsMap(k.labels) // what cannot be read back is inexpressible
		pods := networkingv1.NetworkPolicyPeer{PodSelector: selector(set)}
		switch k.namespace {
		case "":
		case policy.AnyNamespace:
			pods.NamespaceSelector = &metav1.LabelSelector{}
		default:
			pods.NamespaceSelector = selector(policy.NamespaceNameLabels(k.namespace))
		}
		return []networkingv1.NetworkPolicyPeer{pods}
	case flow.Resolver:
		if k.addr.IsValid() {
			return []networkingv1.NetworkPolicyPeer{block(netip.PrefixFrom(k.addr, k.bits))}
		}
		if k.labels != "" {
			return peerKey{kind: flow.Workload, namespace: k.namespace, labels: k.labels}.list()
		}
		return []networkingv1.NetworkPolicyPeer{{
			PodSelector:       selector(policy.ResolverLabels),
			NamespaceSelector: selector(policy.NamespaceNameLabels(flow.ClusterResolver.Namespace)),
		}}
	case flow.External:
		return internet()
	case flow.Anyone:
		return nil
	}
	return []networkingv1.NetworkPolicyPeer{block(netip.PrefixFrom(k.addr, k.addr.BitLen()))}
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
