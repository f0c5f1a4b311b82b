package ciliumpolicy

import (
	"cmp"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/netzero-dev/netzero/internal/cilium"
	"github.com/netzero-dev/netzero/internal/policy"
)

// partsOf splits policies into one for each spec: see [cilium.Parts]. A part has the name of its policy. Evaluation and
// updates work on parts.
func partsOf(policies Policies) Policies {
	var parts Policies
	for _, p := range policies {
		parts = append(parts, cilium.Parts(p)...)
	}
	return parts
}

// ownParts returns the parts of the policy with the subject's name that select the subject. A policy with one part
// returns that part.
func (m *merging) ownParts(subject policy.Workload) Policies {
	first := policy.OwnPolicy(m.policies, m.scope.Scope, subject)
	if first == nil {
		return nil
	}
	parts := slices.DeleteFunc(slices.Clone(m.policies), func(p *cilium.NetworkPolicy) bool {
		return m.of[p] != m.of[first]
	})
	if len(parts) == 1 {
		return parts
	}
	return slices.DeleteFunc(parts, func(p *cilium.NetworkPolicy) bool { return doesNotSelect(p, subject) != "" })
}

// ownPart returns the part, of the policy with the subject's name, that holds the subject's rules of a direction, or
// nil.
func (m *merging) ownPart(subject policy.Workload, d policy.Direction) *cilium.NetworkPolicy {
	parts := m.ownParts(subject)
	isolates := func(p *cilium.NetworkPolicy) bool { return doesNotIsolate(p, subject, d) == "" }
	if i := slices.IndexFunc(parts, isolates); i >= 0 {
		return parts[i]
	}
	if len(parts) == 0 {
		return nil
	}
	return parts[0]
}

// addPart adds a policy for a subject. If a policy has the subject's name, and specs for other workloads, it adds a
// spec there.
func (m *merging) addPart(subject policy.Workload) *cilium.NetworkPolicy {
	p := m.scope.generate(policy.Subject{Workload: subject}, policy.SubjectFlows{})
	if namesake := policy.OwnPolicy(m.policies, m.scope.Scope, subject); namesake != nil {
		p.ObjectMeta = *namesake.ObjectMeta.DeepCopy()
		m.of[p] = m.of[namesake]
	} else {
		m.of[p] = p
	}
	m.policies = policy.InsertOwn(m.policies, p)
	return p
}

// joined returns the policies with their parts joined again.
func (m *merging) joined() Policies {
	parts := make(map[*cilium.NetworkPolicy]Policies)
	var whole Policies
	for _, p := range m.policies {
		of := cmp.Or(m.of[p], p)
		if len(parts[of]) == 0 {
			whole = append(whole, of)
		}
		parts[of] = append(parts[of], p)
	}
	for i, of := range whole {
		whole[i] = joinParts(of, parts[of])
	}
	return whole
}

// joinParts returns a policy with its current parts.
func joinParts(of *cilium.NetworkPolicy, parts Policies) *cilium.NetworkPolicy {
	if len(parts) == 1 && len(of.Specs) == 0 {
		return parts[0]
	}
	whole := of.DeepCopy()
	whole.Annotations = annotationsOf(parts)
	hasSpec := cilium.HasSpec(of) || len(of.Specs) == 0
	whole.Spec, whole.Specs = cilium.Spec{}, nil
	for i, p := range parts {
		if i == 0 && hasSpec {
			whole.Spec = p.Spec
			continue
		}
		whole.Specs = append(whole.Specs, p.Spec)
	}
	return whole
}

// annotationsOf returns the union of the annotations of a policy's parts, because one part may need an entry that
// another does not.
func annotationsOf(parts Policies) map[string]string {
	var united metav1.ObjectMeta
	lists := make(map[string][]string)
	for _, p := range parts {
		for key, value := range p.Annotations {
			metav1.SetMetaDataAnnotation(&united, key, value)
			if policy.IsList(key) {
				lists[key] = append(lists[key], policy.EntriesOf(p, key)...)
			}
		}
	}
	for key, entries := range lists {
		slices.Sort(entries)
		policy.SetEntries(&united, key, slices.Compact(entries))
	}
	return united.Annotations
}
