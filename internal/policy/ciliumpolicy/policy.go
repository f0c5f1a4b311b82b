package ciliumpolicy

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/netzero-dev/netzero/internal/cilium"
	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// Required implements [policy.Dialect]. Unlike in package networkpolicy, a ping to a name implies the lookup too. A
// flow to the node implies none, because pods know the node's address without a name.
func (c Dialect) Required(flows []flow.Flow) []flow.Flow {
	return policy.RequiredBy(flows, func(d policy.Direction, f flow.Flow) string {
		if IsNode(f.Destination) {
			return "it has no name"
		}
		return c.inexpressible(d, f)
	})
}

// inexpressible says why no rule of a direction can allow a flow without allowing others, or returns "".
func (c Dialect) inexpressible(d policy.Direction, f flow.Flow) string {
	if f.Lookup {
		return policy.LookupHasNoPort
	}
	if why := c.inexpressibleKind(f); why != "" {
		return why
	}
	return c.unnameable(d, d.PeerEnd(f))
}

// inexpressibleKind says why the dialect cannot express the protocol or port of a flow, or returns "".
func (c Dialect) inexpressibleKind(f flow.Flow) string {
	switch {
	case f.Protocol.IsICMP():
	case !f.Protocol.HasPorts():
		return fmt.Sprintf("a CiliumNetworkPolicy allows TCP, UDP, SCTP and ICMP, not %s", f.Protocol)
	case f.Port == 0:
		return "a CiliumNetworkPolicy has no word for port 0 alone"
	}
	return ""
}

func (c Dialect) unnameable(d policy.Direction, peerEnd flow.Endpoint) string {
	if IsNode(peerEnd) {
		return "" // any name will do
	}
	return c.Unnameable(d, peerEnd)
}

func (c Dialect) otherFlows() policy.OtherFlows {
	return policy.OtherFlows{Scope: c.Scope, NoRule: c.inexpressibleKind, NoName: c.Unnameable}
} // in a list, the node needs a name too

// IsNode reports whether an endpoint is the machine that runs the pods at the other end. Cilium does not treat its
// processes as pods, and its addresses are in no range.
func IsNode(e flow.Endpoint) bool { return e.Kind == flow.Workload && e.Node }

// doesNotSelect says why a policy does not select the subject, or returns "" if it does.
func doesNotSelect(p *cilium.NetworkPolicy, subject policy.Workload) string {
	namespace := cmp.Or(p.Namespace, subject.Namespace, policy.DefaultNamespace)
	switch {
	case p.Namespace != "" && subject.Namespace != "" && p.Namespace != subject.Namespace:
		return fmt.Sprintf("policy %s is in namespace %s, not in %s", p.Name, p.Namespace, subject.Namespace)
	case !policy.Selects(
		plainSelector(&p.Spec.EndpointSelector),
		endpointLabels{pods: subject.AsSubject().AllLabels(), namespace: namespace},
	):
		return fmt.Sprintf("policy %s selects %s, the pods have %s",
			p.Name, describeSourced(p.Spec.EndpointSelector), subject.AsSubject().AllLabels())
	}
	return ""
}

// doesNotIsolate says why a policy does not isolate the subject in a direction, or returns "" if it does.
func doesNotIsolate(p *cilium.NetworkPolicy, subject policy.Workload, d policy.Direction) string {
	if why := doesNotSelect(p, subject); why != "" {
		return why
	}
	switch {
	case !hasRules(p, d):
		return fmt.Sprintf("policy %s has no %s rules, not even {}", p.Name, d)
	case !DeniesByDefault(p, d):
		return fmt.Sprintf("policy %s denies nothing by default, by its enableDefaultDeny.%s", p.Name, d)
	}
	return ""
}

func hasRules(p *cilium.NetworkPolicy, d policy.Direction) bool {
	if d == policy.Ingress {
		return len(p.Spec.Ingress)+len(p.Spec.IngressDeny) > 0
	}
	return len(p.Spec.Egress)+len(p.Spec.EgressDeny) > 0
}

// DeniesByDefault reports whether a policy denies everything in a direction that its rules do not allow, if it has
// rules.
func DeniesByDefault(p *cilium.NetworkPolicy, d policy.Direction) bool {
	enabled := p.Spec.EnableDefaultDeny
	if enabled == nil {
		return true
	}
	is := enabled.Egress
	if d == policy.Ingress {
		is = enabled.Ingress
	}
	return is == nil || *is
}

func isolates(policies Policies, subject policy.Workload, d policy.Direction) (bool, string) {
	return policy.Isolated(subject, d, policies, func(p *cilium.NetworkPolicy) string {
		return doesNotIsolate(p, subject, d)
	})
}

// denyByDefault removes the setting that turns off the default deny of a direction.
func denyByDefault(p *cilium.NetworkPolicy, d policy.Direction) {
	enabled := *p.Spec.EnableDefaultDeny
	if d == policy.Ingress {
		enabled.Ingress = nil
	} else {
		enabled.Egress = nil
	}
	p.Spec.EnableDefaultDeny = &enabled
	if enabled == (cilium.DefaultDeny{}) {
		p.Spec.EnableDefaultDeny = nil
	}
}

// endpointLabels are the labels by which Cilium identifies pods, without their sources. They implement [labels.Labels].
type endpointLabels struct {
	pods        labels.Set
	namespace   string
	ofNamespace map[string]string // known labels of the namespace, without the one for its name
}

// Lookup implements [labels.Labels].
func (l endpointLabels) Lookup(key string) (value string, exists bool) {
	if key == cilium.NamespaceLabel || key == cilium.NamespaceMetaLabel+policy.NamespaceLabel {
		return l.namespace, true
	}
	if name, is := strings.CutPrefix(key, cilium.NamespaceMetaLabel); is {
		if value, exists = l.ofNamespace[name]; exists {
			return value, true
		}
	}
	return l.pods.Lookup(key)
}

// Has implements [labels.Labels].
func (l endpointLabels) Has(key string) bool {
	_, exists := l.Lookup(key)
	return exists
}

// Get implements [labels.Labels].
func (l endpointLabels) Get(key string) string {
	value, _ := l.Lookup(key)
	return value
}

// plainSelector returns a selector without the sources of its keys. A key with a source that pod labels do not have
// stays as it is. No validation accepts such a key.
func plainSelector(s *metav1.LabelSelector) *metav1.LabelSelector {
	plain := new(metav1.LabelSelector)
	addPlain(s, func(string) *metav1.LabelSelector { return plain })
	return plain
}

// podSelector is a selector without the sources of its keys, in two parts.
type podSelector struct{ ofNamespace, ofPods metav1.LabelSelector }

func splitSelector(s *metav1.LabelSelector) *podSelector {
	split := new(podSelector)
	addPlain(s, func(key string) *metav1.LabelSelector {
		if isNamespaceKey(key) {
			return &split.ofNamespace
		}
		return &split.ofPods
	})
	return split
}

// addPlain adds the requirements of a selector, without the sources of their keys, each to the selector that part
// returns for its key. Of several sources of a key, the last in alphabetical order counts.
func addPlain(s *metav1.LabelSelector, part func(key string) *metav1.LabelSelector) {
	for key, value := range s.MatchLabels {
		name := plainKey(key)
		isLast := func(source string) bool {
			other := source + name
			_, has := s.MatchLabels[other]
			return !has || other <= key || plainKey(other) != name
		}
		if isLast("") && isLast(cilium.AnySource) && isLast(cilium.KubernetesSource) {
			metav1.AddLabelToSelector(part(name), name, value)
		}
	}
	for _, e := range s.MatchExpressions {
		e.Key = plainKey(e.Key)
		p := part(e.Key)
		p.MatchExpressions = append(p.MatchExpressions, e)
	}
}

func plainKey(key string) string {
	for _, source := range []string{cilium.KubernetesSource, cilium.AnySource} {
		if name, has := strings.CutPrefix(key, source); has {
			return name
		}
	}
	return key
}

// NotIsolated implements [policy.Dialect].
func (c Dialect) NotIsolated(policies Policies, flows []flow.Flow) []string {
	c = Dialect{c.Normalized()}
	by := c.BySubject(c.allByAddress(flows))
	policies = partsOf(policies)
	var lines []string
	for _, subject := range c.Subjects {
		for _, d := range policy.Directions {
			serves := c.serves(by.Of(subject.Workload, policy.Ingress))
			if d == policy.Ingress && !c.IsolatesIngress(subject, serves) {
				continue
			}
			if isolated, why := isolates(policies, subject.Workload, d); !isolated {
				lines = append(lines, why)
			}
		}
	}
	return append(lines, policy.DescribeNotDenied(policy.NotDenied(c.Scope, policies, deniesAll))...)
}

// serves reports whether a rule can name the caller of any of a subject's calls.
func (c Dialect) serves(calls []flow.Flow) bool {
	return slices.ContainsFunc(calls, func(f flow.Flow) bool {
		return c.inexpressible(policy.Ingress, f) == ""
	})
}

// Protects implements [policy.Dialect].
func (c Dialect) Protects(policies Policies) bool {
	return slices.ContainsFunc(c.Subjects, func(subject policy.Subject) bool {
		isolated, _ := isolates(partsOf(policies), subject.Workload, policy.Egress)
		return isolated
	})
}

// Foreign implements [policy.Dialect].
func (c Dialect) Foreign(policies Policies) Policies {
	var foreign Policies
	for _, p := range policies {
		selects := func(subject policy.Subject) bool {
			return slices.ContainsFunc(cilium.Parts(p), func(part *cilium.NetworkPolicy) bool {
				return doesNotSelect(part, subject.Workload) == ""
			})
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
