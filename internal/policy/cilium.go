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
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// Cilium is a scope whose policies are CiliumNetworkPolicies of cilium.io/v2: its methods do what those of [Scope] do.
//
// What differs is what this dialect can say: a host is its name, by toFQDNs, which needs a rule that lets Cilium read the
// look-up; the API server is an entity, and so is the node; what asks by ICMP is its type. A policy denies by default in
// each direction of which it has rules, unless it says otherwise, and may have rules that deny.
type Cilium struct{ Scope }

type ciliumPolicies = []*cilium.NetworkPolicy

func (c Cilium) normal() Cilium { return Cilium{c.Scope.normal()} }

// Required is [Required], but a ping to a name implies the look-up too, and a flow to the node does not: pods know its
// address without a name.
func (c Cilium) Required(flows []flow.Flow) []flow.Flow {
	return required(flows, func(d direction, f flow.Flow) string {
		if isNode(f.Destination) {
			return "it has no name"
		}
		return c.inexpressible(d, f)
	})
}

// inexpressible says why no rule of a direction can allow a flow and no other, or returns "" if one can.
func (c Cilium) inexpressible(d direction, f flow.Flow) string {
	if f.Lookup {
		return isNoPort
	}
	if why := c.wordless(f); why != "" {
		return why
	}
	return c.unnamed(d, d.far(f))
}

// wordless is that of [Scope].
func (c Cilium) wordless(f flow.Flow) string {
	switch {
	case f.Protocol.IsICMP():
	case !f.Protocol.HasPorts():
		return fmt.Sprintf("a CiliumNetworkPolicy allows TCP, UDP, SCTP and ICMP, it has no word for %s", f.Protocol)
	case f.Port == 0:
		return "a CiliumNetworkPolicy has no word for port 0 alone"
	}
	return ""
}

func (c Cilium) unnamed(d direction, far flow.Endpoint) string {
	if isNode(far) {
		return "" // by whichever name
	}
	return c.unnameable(d, far)
}

func (c Cilium) otherWords() otherWords { return otherWords{c.Scope, c.wordless, c.unnameable} } // a list needs a name, of the node too

// isNode reports whether an endpoint is the machine that the pods at the other end run on: to Cilium its processes are
// no pods, and its addresses are in no range.
func isNode(e flow.Endpoint) bool { return e.Kind == flow.Workload && e.Node }

// ciliumOverlooks says why a policy does not select the subject, or returns "" if it does.
func ciliumOverlooks(p *cilium.NetworkPolicy, subject Workload) string {
	namespace := cmp.Or(p.Namespace, subject.Namespace, defaultNamespace)
	switch {
	case p.Namespace != "" && subject.Namespace != "" && p.Namespace != subject.Namespace:
		return fmt.Sprintf("policy %s is in namespace %s, not in %s", p.Name, p.Namespace, subject.Namespace)
	case !selects(plainSelector(&p.Spec.EndpointSelector), ciliumLabels(subject.self().labels(), namespace, namespaceLabels(namespace))):
		return fmt.Sprintf("policy %s selects %s, the pods have %s", p.Name, describeSourced(p.Spec.EndpointSelector), subject.self().labels())
	}
	return ""
}

// ciliumPassesOver says why a policy does not isolate the subject in a direction, or returns "" if it does.
func ciliumPassesOver(p *cilium.NetworkPolicy, subject Workload, d direction) string {
	if why := ciliumOverlooks(p, subject); why != "" {
		return why
	}
	switch {
	case len(ciliumRulesOf(p, d))+len(ciliumDenyRulesOf(p, d)) == 0:
		return fmt.Sprintf("policy %s has no %s rules, not even {}", p.Name, d)
	case !deniesByDefault(p, d):
		return fmt.Sprintf("policy %s denies nothing by default, by its enableDefaultDeny.%s", p.Name, d)
	}
	return ""
}

// deniesByDefault reports whether a policy's rules of a direction, if it has any, deny what they do not allow.
func deniesByDefault(p *cilium.NetworkPolicy, d direction) bool {
	enabled := p.Spec.EnableDefaultDeny
	if enabled == nil {
		return true
	}
	is := enabled.Egress
	if d == ingress {
		is = enabled.Ingress
	}
	return is == nil || *is
}

func ciliumIsolates(policies ciliumPolicies, subject Workload, d direction) (bool, string) {
	return isolated(subject, d, policies, func(p *cilium.NetworkPolicy) string { return ciliumPassesOver(p, subject, d) })
}

// denyByDefault takes back what a policy says to the contrary.
func denyByDefault(p *cilium.NetworkPolicy, d direction) {
	enabled := *p.Spec.EnableDefaultDeny
	if d == ingress {
		enabled.Ingress = nil
	} else {
		enabled.Egress = nil
	}
	p.Spec.EnableDefaultDeny = &enabled
	if enabled == (cilium.DefaultDeny{}) {
		p.Spec.EnableDefaultDeny = nil
	}
}

// ciliumLabels returns the labels by which Cilium knows pods, without their source.
func ciliumLabels(pods labels.Set, namespace string, ofNamespace labels.Set) labels.Set {
	set := labels.Set{cilium.NamespaceLabel: namespace}
	for key, value := range ofNamespace {
		set[cilium.NamespaceMetaLabel+key] = value
	}
	return labels.Merge(pods, set)
}

// plainSelector returns a selector without the sources of its keys. A key of another source than pods' labels have stays
// as it is, and is valid to nobody.
func plainSelector(s *metav1.LabelSelector) *metav1.LabelSelector {
	plain := &metav1.LabelSelector{}
	for _, key := range slices.Sorted(maps.Keys(s.MatchLabels)) {
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
	flows = c.allByAddress(flows)
	policies = partsOf(policies)
	var lines []string
	for _, subject := range c.Subjects {
		for _, d := range directions {
			if d == ingress && !c.isolatesIngress(subject, c.serves(subject.Workload, flows)) {
				continue
			}
			if isolated, why := ciliumIsolates(policies, subject.Workload, d); !isolated {
				lines = append(lines, why)
			}
		}
	}
	return append(lines, describeNotDenied(notDenied(c.Scope, policies, ciliumDeniesAll))...)
}

// serves reports whether a subject was seen as a server, by somebody whom a rule can name.
func (c Cilium) serves(subject Workload, flows []flow.Flow) bool {
	return slices.ContainsFunc(c.of(subject, ingress, flows), func(f flow.Flow) bool { return c.inexpressible(ingress, f) == "" })
}

// Protects is [Scope.Protects].
func (c Cilium) Protects(policies ciliumPolicies) bool {
	return slices.ContainsFunc(c.Subjects, func(subject Subject) bool {
		isolated, _ := ciliumIsolates(partsOf(policies), subject.Workload, egress)
		return isolated
	})
}

// Foreign is [Scope.Foreign].
func (c Cilium) Foreign(policies ciliumPolicies) ciliumPolicies {
	var foreign ciliumPolicies
	for _, p := range policies {
		selects := func(subject Subject) bool {
			return slices.ContainsFunc(cilium.Parts(p), func(part *cilium.NetworkPolicy) bool { return ciliumOverlooks(part, subject.Workload) == "" })
		}
		if !slices.ContainsFunc(c.Subjects, selects) {
			foreign = append(foreign, p)
		}
	}
	return foreign
}

func isNamespaceKey(key string) bool {
	return key == cilium.NamespaceLabel || strings.HasPrefix(key, cilium.NamespaceMetaLabel)
}
