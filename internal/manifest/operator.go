package manifest

import (
	"fmt"
	"maps"
	"strings"
)

// addOperated reads an object of a third-party controller if it has the form of a Deployment. It skips an object of
// another form, because only the controller knows its other fields.
func (s *Set) addOperated(o *object) error {
	spec, _ := o.tree["spec"].(map[string]any)
	if spec["selector"] == nil || spec["template"] == nil {
		return nil // such as a Rollout with a workloadRef
	}
	o.tree = maps.Clone(o.tree)
	o.tree["spec"] = map[string]any{"selector": spec["selector"], "template": spec["template"]}
	delete(o.tree, "status")
	read, err := o.readWorkload()
	if err != nil {
		return nil
	}
	return addOnce(&s.workloads, read, o)
}

// ofUnknownPods returns the match of a Service with pods that no workload of the manifests has: an operator creates
// them from an object of an unknown kind, such as a Kafka or a Prometheus. The Service's selector suffices to select
// them. Their ports are not known.
func (s *Set) ofUnknownPods(m Match, svc *service) Match {
	m.Selector = s.stableSelector(svc, nil)
	if len(m.Selector) == 0 { // only generated labels, such as one pod's name
		m.Selector = maps.Clone(svc.selector)
	}
	m.Labels, m.Own, m.OwnLabels = maps.Clone(m.Selector), maps.Clone(m.Selector), maps.Clone(m.Selector)
	m.direct, m.unknown = svc.headless, true
	m.targets = svc.targets(nil)
	for _, t := range m.targets {
		if t.node != 0 && len(t.numbers) > 0 {
			m.nodes = append(m.nodes, nodePort{portKey{t.node, t.key.protocol}, t.numbers})
		}
	}
	m.Notice = fmt.Sprintf("%s: no workload in the manifests has the labels of its selector, %s%s: "+
		"policies use it for pods that an operator may create; if no operator does, correct it, or add the workload's "+
		"manifest",
		m, labelText(svc.selector), s.elsewhere(svc))
	return m
}

// elsewhere names the other namespaces in which a Service would match pods.
func (s *Set) elsewhere(svc *service) string {
	var all []string
	for _, w := range s.workloads {
		if moved := *svc; w.namespace != svc.namespace {
			if moved.namespace = w.namespace; moved.selects(w) {
				all = append(all, w.identity.String())
			}
		}
	}
	if len(all) == 0 {
		return ""
	}
	return ", but for another namespace's " + strings.Join(all, ", ")
}
