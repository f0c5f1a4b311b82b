package manifest

import (
	"fmt"
	"maps"
	"strings"
)

// addOperated reads an object of a controller that does not come with Kubernetes, as far as it is like a Deployment's.
// Only its controller knows what else it may hold, so one that is not like that is passed over.
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

// ofUnknownPods returns what a Service stands for whose pods no workload of the manifests has: an operator makes them
// of an object of a kind that is not read, such as a Kafka or a Prometheus. The Service's selector suffices to select
// them. What ports they have is not known.
func (s *Set) ofUnknownPods(m Match, svc *service) Match {
	m.Selector = s.stableSelector(svc, nil)
	if len(m.Selector) == 0 { // only what Kubernetes generates, such as one pod's name
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
		"policies select by it the pods that an operator may make; if none does, correct it, or add the workload's manifest",
		m, labelText(svc.selector), s.elsewhere(svc))
	return m
}

// elsewhere says in which other namespaces a Service would pick pods.
func (s *Set) elsewhere(svc *service) string {
	var all []string
	for _, w := range s.workloads {
		if moved := *svc; w.namespace != svc.namespace {
			if moved.namespace = w.namespace; moved.picks(w) {
				all = append(all, w.identity.String())
			}
		}
	}
	if len(all) == 0 {
		return ""
	}
	return ", but for another namespace's " + strings.Join(all, ", ")
}
