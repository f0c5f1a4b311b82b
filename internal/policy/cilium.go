package policy

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/netzero-dev/netzero/internal/cilium"
	"github.com/netzero-dev/netzero/internal/flow"
)

// Cilium is a scope whose policies are CiliumNetworkPolicies of cilium.io/v2: its methods do what those of [Scope] do.
//
// What differs is what this dialect can say: a host is its name, by toFQDNs, which needs a rule that lets Cilium read the
// look-up; the API server is an entity; a ping has words, and is taken for an echo request, since a recording does not
// know the type of an ICMP message. A policy denies by default in each direction of which it has rules.
type Cilium struct{ Scope }

type ciliumPolicies = []*cilium.NetworkPolicy

func (c Cilium) normal() Cilium { return Cilium{c.Scope.normal()} }

// Required is [Required], but a ping to a name implies the look-up too.
func (c Cilium) Required(flows []flow.Flow) []flow.Flow { return required(flows, c.inexpressible) }

// inexpressible says why no rule of a direction can allow a flow and no other, or returns "" if one can.
func (c Cilium) inexpressible(d direction, f flow.Flow) string {
	switch {
	case isPing(f):
	case !f.Protocol.HasPorts():
		return fmt.Sprintf("a CiliumNetworkPolicy allows TCP, UDP, SCTP and ICMP, it has no word for %s", f.Protocol)
	case f.Port == 0:
		return "a CiliumNetworkPolicy has no word for port 0 alone"
	}
	return c.unnameable(d, d.far(f))
}

func isPing(f flow.Flow) bool { return f.Protocol == flow.ICMP || f.Protocol == flow.ICMPv6 }

// isAPIServer reports whether an endpoint is the cluster's API server, by the name of its Service: it runs on nodes, and
// so is neither pods nor an address to Cilium.
func isAPIServer(e flow.Endpoint) bool {
	switch e.Kind {
	case flow.Workload:
		return e.Name == "kubernetes" && e.Namespace == defaultNamespace
	case flow.External:
		name, _ := strings.CutSuffix(strings.TrimSuffix(e.Name, ".cluster.local"), ".svc")
		return name == "kubernetes."+defaultNamespace
	}
	return false
}

// ciliumRule is a rule of either direction: in Cilium they differ in the names of fields, and that only egress has names.
type ciliumRule struct {
	endpoints []metav1.LabelSelector
	names     []cilium.FQDN
	cidrs     []cilium.CIDRRule
	entities  []string
	ports     []cilium.PortRule
	icmps     []cilium.ICMPRule
}

func ciliumRulesOf(p *cilium.NetworkPolicy, d direction) []ciliumRule {
	var rules []ciliumRule
	if d == ingress {
		for _, r := range p.Spec.Ingress {
			rules = append(rules, ciliumRule{r.FromEndpoints, nil, r.FromCIDRSet, r.FromEntities, r.ToPorts, r.ICMPs})
		}
		return rules
	}
	for _, r := range p.Spec.Egress {
		rules = append(rules, ciliumRule{r.ToEndpoints, r.ToFQDNs, r.ToCIDRSet, r.ToEntities, r.ToPorts, r.ICMPs})
	}
	return rules
}

// setCiliumRules gives a policy its rules of a direction. Egress without any is the rule that denies everything.
func setCiliumRules(p *cilium.NetworkPolicy, d direction, rules []ciliumRule) {
	if d == ingress {
		p.Spec.Ingress = nil
		for _, r := range rules {
			p.Spec.Ingress = append(p.Spec.Ingress, cilium.IngressRule{
				FromEndpoints: r.endpoints, FromCIDRSet: r.cidrs, FromEntities: r.entities, ToPorts: r.ports, ICMPs: r.icmps,
			})
		}
		return
	}
	p.Spec.Egress = nil
	for _, r := range rules {
		p.Spec.Egress = append(p.Spec.Egress, cilium.EgressRule{
			ToEndpoints: r.endpoints, ToFQDNs: r.names, ToCIDRSet: r.cidrs, ToEntities: r.entities, ToPorts: r.ports, ICMPs: r.icmps,
		})
	}
	if len(rules) == 0 {
		p.Spec.Egress = []cilium.EgressRule{{}}
	}
}

// isEmpty reports whether a rule has no fields: then it allows nothing, and is there for its direction to have a rule.
func (r ciliumRule) isEmpty() bool { return len(r.peers())+len(r.ports)+len(r.icmps) == 0 }

// ciliumOverlooks says why a policy does not select the subject, or returns "" if it does.
func ciliumOverlooks(p *cilium.NetworkPolicy, subject Workload) string {
	namespace := cmp.Or(p.Namespace, subject.Namespace, defaultNamespace)
	switch {
	case p.Namespace != "" && subject.Namespace != "" && p.Namespace != subject.Namespace:
		return fmt.Sprintf("policy %s is in namespace %s, not in %s", p.Name, p.Namespace, subject.Namespace)
	case !selects(plainSelector(&p.Spec.EndpointSelector), podLabels(subject.labels(), namespace)):
		return fmt.Sprintf("policy %s selects %s, the pods have %s", p.Name, describeSourced(p.Spec.EndpointSelector), subject.labels())
	}
	return ""
}

// ciliumPassesOver says why a policy does not isolate the subject in a direction, or returns "" if it does.
func ciliumPassesOver(p *cilium.NetworkPolicy, subject Workload, d direction) string {
	if why := ciliumOverlooks(p, subject); why != "" {
		return why
	}
	if len(ciliumRulesOf(p, d)) == 0 {
		return fmt.Sprintf("policy %s has no %s rules, not even {}", p.Name, d)
	}
	return ""
}

func ciliumIsolates(policies ciliumPolicies, subject Workload, d direction) (bool, string) {
	return isolated(subject, d, policies, func(p *cilium.NetworkPolicy) string { return ciliumPassesOver(p, subject, d) })
}

// podLabels returns the labels by which Cilium knows pods, without their source.
func podLabels(pods labels.Set, namespace string) labels.Set {
	set := labels.Set{cilium.NamespaceLabel: namespace, cilium.NamespaceMetaLabel + namespaceLabel: namespace}
	return labels.Merge(pods, set)
}

// plainSelector returns a selector without the sources of its keys. A key of another source than pods' labels have stays
// as it is, and is valid to nobody.
func plainSelector(s *metav1.LabelSelector) *metav1.LabelSelector {
	plain := &metav1.LabelSelector{}
	for _, key := range sortedKeysOf(s.MatchLabels) {
		metav1.AddLabelToSelector(plain, plainKey(key), s.MatchLabels[key])
	}
	for _, e := range s.MatchExpressions {
		e.Key = plainKey(e.Key)
		plain.MatchExpressions = append(plain.MatchExpressions, e)
	}
	return plain
}

func plainKey(key string) string {
	switch source, name := cilium.SplitKey(key); source {
	case cilium.KubernetesSource, cilium.AnySource:
		return name
	}
	return key
}

// NotIsolated is [Scope.NotIsolated].
func (c Cilium) NotIsolated(policies ciliumPolicies, flows []flow.Flow) []string {
	c = c.normal()
	var lines []string
	for _, subject := range c.Subjects {
		for _, d := range directions {
			if d == ingress && !(subject.Whole && c.serves(subject.Workload, flows)) {
				continue
			}
			if isolated, why := ciliumIsolates(policies, subject.Workload, d); !isolated {
				lines = append(lines, why)
			}
		}
	}
	return lines
}

// serves reports whether a subject was seen as a server, by somebody whom a rule can name.
func (c Cilium) serves(subject Workload, flows []flow.Flow) bool {
	return slices.ContainsFunc(c.of(subject, ingress, flows), func(f flow.Flow) bool { return c.inexpressible(ingress, f) == "" })
}

// Protects is [Scope.Protects].
func (c Cilium) Protects(policies ciliumPolicies) bool {
	return slices.ContainsFunc(c.Subjects, func(subject Subject) bool {
		isolated, _ := ciliumIsolates(policies, subject.Workload, egress)
		return isolated
	})
}

// Foreign is [Scope.Foreign].
func (c Cilium) Foreign(policies ciliumPolicies) ciliumPolicies {
	var foreign ciliumPolicies
	for _, p := range policies {
		if !slices.ContainsFunc(c.Subjects, func(subject Subject) bool { return ciliumOverlooks(p, subject.Workload) == "" }) {
			foreign = append(foreign, p)
		}
	}
	return foreign
}

func sortedKeysOf(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }

func isNamespaceKey(key string) bool {
	return key == cilium.NamespaceLabel || strings.HasPrefix(key, cilium.NamespaceMetaLabel)
}
