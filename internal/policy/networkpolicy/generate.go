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

// Generate returns the policies that allow exactly the flows and those that they imply (see [Required]): one for each
// subject, sorted by namespace and name. A flow between two subjects appears in the egress of one and in the ingress
// of the other. Every policy has the type Egress. The policy of a subject with AllTraffic that the flows show as a
// server also has the type Ingress. CloseIngress of the [policy.Scope] adds the type for other subjects, and DenyAll
// adds policies at the end. Generate ignores flows without a subject at either end.
//
// The same flows in any order give the same policies. Each peer has one rule with all of its ports. The rules come in
// the order: workloads by namespace and labels, the resolver, the internet, single addresses, anyone. External
// destinations share the rule for the internet, and [policy.NamesAnnotation] lists them; a destination at an address
// that is not public also has that address. External sources are written as their addresses. If anyone may connect to
// a port, no rule names callers at that port. No selector matches the API server, or pods on the network of their
// nodes. The API server is written as the addresses of its Endpoints if these are known. Otherwise both are a rule
// without peers, which [policy.APIServerAnnotation] and [policy.HostNetworkAnnotation] reserve for them.
//
// Without any flow, or with none that a NetworkPolicy can express, a policy denies all egress.
// [policy.OtherAnnotation] lists the flows that it cannot express, and [policy.NamesAnnotation] the lookups that
// nothing else allows. If Requests is set, [policy.RequestsAnnotation] lists the requests to each peer and port whose
// flows were all understood, and [policy.KafkaAnnotation] those to Kafka brokers.
func (d Dialect) Generate(flows []flow.Flow) []*networkingv1.NetworkPolicy {
	d.Scope = d.Normalized()
	required := d.BySubject(d.allByAddress(d.Required(flows)))
	var policies []*networkingv1.NetworkPolicy
	for _, subject := range d.Subjects {
		policies = append(policies, d.generate(subject, required))
	}
	for _, namespace := range d.DeniedNamespaces() {
		policies = append(policies, denyAll(namespace))
	}
	return policies
}

// generate returns one subject's policy.
func (d Dialect) generate(subject policy.Subject, required policy.SubjectFlows) *networkingv1.NetworkPolicy {
	p := &networkingv1.NetworkPolicy{
		TypeMeta:   metav1.TypeMeta{APIVersion: networkingv1.SchemeGroupVersion.String(), Kind: "NetworkPolicy"},
		ObjectMeta: metav1.ObjectMeta{Name: subject.Name, Namespace: subject.Namespace},
		Spec: networkingv1.NetworkPolicySpec{
			PodSelector: *selector(subject.AsSubject().SelectorLabels()),
			PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeEgress},
		},
	}
	sent, received := required.Of(subject.Workload, policy.Egress), required.Of(subject.Workload, policy.Ingress)
	SetRules(p, policy.Egress, rules(d.permissions(subject.Workload, policy.Egress, sent)))
	names, metadata := make(map[string]bool), make(map[string]bool)
	for _, f := range sent {
		if d.inexpressible(policy.Egress, f) != "" {
			continue
		}
		if f.Destination.Kind == flow.External {
			names[d.EntryOf(f)] = true
		}
		if entry := d.permissionOf(subject.Workload, policy.Egress, f).metadataEntry(); entry != "" {
			metadata[entry] = true
		}
	}
	annotate(p, policy.NamesAnnotation, names)
	annotate(p, policy.MetadataAnnotation, metadata)
	d.annotateEverywhere(p, subject.Workload, policy.Egress, sent)
	if unmet := d.unmetLookups([]*networkingv1.NetworkPolicy{p}, subject.Workload, required); len(unmet) > 0 {
		policy.AddEntries(p, policy.NamesAnnotation, d.LookupEntries(subject.Workload, unmet))
	}
	policy.ListOthers(d.otherFlows(), p, subject, required)
	d.AddRequests(p, []policy.Subject{subject}, required, func(_ policy.Workload, f flow.Flow) bool {
		return d.inexpressible(policy.Egress, f) == ""
	})
	policy.AddKafka([]*networkingv1.NetworkPolicy{p}, d.kafkaOf([]policy.Subject{subject}, required), true)
	if d.Binaries {
		policy.AddBinaries([]*networkingv1.NetworkPolicy{p}, d.binariesOf([]policy.Subject{subject}, required))
	}
	if d.IsolatesIngress(subject, d.serves(received)) {
		p.Spec.PolicyTypes = append(p.Spec.PolicyTypes, networkingv1.PolicyTypeIngress)
		SetRules(p, policy.Ingress, rules(d.permissions(subject.Workload, policy.Ingress, received)))
		d.annotateEverywhere(p, subject.Workload, policy.Ingress, policy.Needed(policy.Ingress, received))
	}
	return p
}

func annotate(p *networkingv1.NetworkPolicy, annotation string, entries map[string]bool) {
	if len(entries) > 0 {
		metav1.SetMetaDataAnnotation(&p.ObjectMeta, annotation, strings.Join(slices.Sorted(maps.Keys(entries)), ","))
	}
}

// rules turns sorted permissions into one rule for each peer.
func rules(permissions []permission) []Rule {
	var list []Rule
	for i, o := range permissions {
		if i == 0 || o.peer != permissions[i-1].peer {
			list = append(list, Rule{Peers: o.peer.list()})
		}
		last := &list[len(list)-1]
		last.Ports = append(last.Ports, o.policyPort())
	}
	return list
}

// list returns the peers of a rule for one peer key.
func (k peerKey) list() []networkingv1.NetworkPolicyPeer {
	switch k.kind {
	case flow.Workload:
		set, _ := labels.ConvertSelectorToLabelsMap(k.labels) // labels that cannot be parsed back are inexpressible
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

// internet returns the blocks that contain every public address, IPv4 first.
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
