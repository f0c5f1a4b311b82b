package manifest

import "maps"

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
