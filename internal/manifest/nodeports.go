package manifest

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
)

// nodePort is a port of every node, or of the pods' nodes, that leads to ports of the pods.
type nodePort struct {
	key     portKey
	numbers []uint16 // sorted
}

// checkNodePort validates a nodePort or hostPort; 0 means none.
func (o *object) checkNodePort(at, field string, number int32) error {
	if number < 0 || number > 65535 {
		return o.invalid(at+"."+field, fmt.Sprintf("%d is not a port", number), "give one between 1 and 65535")
	}
	return nil
}

// addHostPort records the port of the node that also reaches a container's port.
func (o *object) addHostPort(w *workload, p corev1.ContainerPort, key portKey, at string) error {
	if err := o.checkNodePort(at, "hostPort", p.HostPort); err != nil || p.HostPort == 0 || w.hostNetwork {
		return err
	}
	w.hostPorts = append(w.hostPorts, nodePort{portKey{uint16(p.HostPort), key.protocol}, []uint16{key.number}})
	return nil
}

// addNodePorts adds the nodes' ports that lead to the pods of a match: the nodePorts of every Service that selects some
// of them, and the hostPorts of their containers.
func (m *Match) addNodePorts(services []*service) {
	add := func(n nodePort) {
		i := slices.IndexFunc(m.nodes, func(other nodePort) bool { return other.key == n.key })
		if i < 0 {
			i = len(m.nodes)
			m.nodes = append(m.nodes, nodePort{key: n.key})
		}
		numbers := append(m.nodes[i].numbers, n.numbers...)
		slices.Sort(numbers)
		m.nodes[i].numbers = slices.Compact(numbers)
	}
	for _, svc := range services {
		picked := slices.DeleteFunc(slices.Clone(m.pods), func(w *workload) bool { return !svc.selects(w) })
		if len(picked) == 0 {
			continue
		}
		for _, t := range svc.targets(picked) {
			if t.node != 0 && len(t.numbers) > 0 {
				add(nodePort{portKey{t.node, t.key.protocol}, t.numbers})
			}
		}
	}
	for _, w := range m.pods {
		for _, n := range w.hostPorts {
			add(n)
		}
	}
	slices.SortFunc(m.nodes, func(a, b nodePort) int { return a.key.compare(b.key) })
}

// behindNode returns the ports of the pods behind a port of the nodes, or nil.
func (m Match) behindNode(key portKey) []uint16 {
	for _, n := range m.nodes {
		if n.key == key {
			return slices.Clone(n.numbers)
		}
	}
	return nil
}
