package manifest

import "maps"

// addOperated reads an object of a controller that does not come with Kubernetes, as far as it is like a Deployment's. Only
// its controller knows what else it may hold, so one that is not like that is passed over.
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

// ofUnknownPods returns what a Service stands for whose pods no workload of the manifests has: an operator makes them of
// an object of a kind that is not read, such as a Kafka or a Prometheus. The Service's selector suffices to select them.
// What ports they have is not known.
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
	m.Notice = m.String() + ": " + s.picksNone(svc) + ": taken for pods that an operator makes, which the selector selects; " +
		"if it does not, correct it, or add the manifest of the workload"
	return m
}
