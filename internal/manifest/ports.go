package manifest

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// target is a port of a Service with its target ports.
type target struct {
	name    string
	key     portKey
	node    uint16   // its nodePort, or 0
	numbers []uint16 // sorted; none if the name is not a port of the pods
	unknown string   // that name
}

// TargetPorts returns the ports of the pods that receive a flow to a port, sorted.
//
// Tests dial containers at their own ports, programs in a cluster dial Services. So TargetPorts does not change a port
// that the pods declare or that is the target of a Service. It maps any other port of the Service to its target port.
// There are several if the workloads behind the Service use one name for different ports. It maps a nodePort or a
// hostPort to the pods' port, for a workload too. It translates nothing else for a headless Service, a workload, or a
// host of type ExternalName. Pods without declared ports and without a Service may listen on any port. A protocol
// without ports has none.
//
// The error is a [*PortError].
func (m Match) TargetPorts(port uint16, protocol flow.Protocol) ([]uint16, error) {
	key := portKey{port, protocol}
	switch {
	case !protocol.HasPorts():
		return nil, nil
	case m.ExternalName != "" || m.knows(key):
		return []uint16{port}, nil
	}
	for _, t := range m.targets {
		switch {
		case t.key != key:
		case m.direct:
			return []uint16{port}, nil
		case len(t.numbers) > 0:
			return slices.Clone(t.numbers), nil
		case len(m.pods) > 0:
			return nil, m.portError(key, fmt.Sprintf("its target port %q is not a port of %s", t.unknown, listed(m.pods)),
				"correct targetPort, or give a containerPort that name")
		case m.unknown:
			reason := fmt.Sprintf("its target port %q belongs to pods that no manifest describes", t.unknown)
			return nil, m.portError(key, reason,
				"name the pods' port with Peer, or give the Service its number as targetPort")
		default:
			return nil, m.portError(key, fmt.Sprintf("its Endpoints have no %s port with the name %q of the Service's",
				key.protocol, t.name),
				"give them one")
		}
	}
	if numbers := m.behindNode(key); len(numbers) > 0 {
		return numbers, nil
	}
	if m.unknown || len(m.ports) == 0 && len(m.targets) == 0 && len(m.others) == 0 && len(m.Addresses) == 0 {
		return []uint16{port}, nil
	}
	return nil, m.portError(key, "there is no such port; there are "+m.portList(),
		"add it to the manifest, or use one of these")
}

// Ports returns the containers' declared ports, sorted by number, protocol, name and container.
func (m Match) Ports() []Port { return slices.Clone(m.ports) }

// Translated returns the ports that TargetPorts may change: those of the Service, and the nodePorts and hostPorts. Only
// their Number and Protocol are set.
func (m Match) Translated() []Port {
	var all []Port
	for _, t := range m.targets {
		all = append(all, Port{Number: t.key.number, Protocol: t.key.protocol})
	}
	for _, n := range m.nodes {
		all = append(all, Port{Number: n.key.number, Protocol: n.key.protocol})
	}
	return all
}

// knows reports whether pods or addresses have a port themselves.
func (m Match) knows(key portKey) bool {
	return m.declares(key) ||
		slices.ContainsFunc(m.targets, func(t target) bool {
			return !m.direct && t.key.protocol == key.protocol && slices.Contains(t.numbers, key.number)
		}) ||
		slices.Contains(m.others, key) ||
		slices.ContainsFunc(m.Addresses, func(a Address) bool {
			return a.Port == key.number && a.Protocol == key.protocol || a.Port == 0
		})
}

func (m Match) declares(key portKey) bool {
	return slices.ContainsFunc(m.ports, func(p Port) bool {
		return p.Number == key.number && p.Protocol == key.protocol
	})
}

func (m Match) portError(key portKey, reason, advice string) *PortError {
	return &PortError{m.String(), key.number, key.protocol, reason, advice}
}

// portList lists the ports for messages: "80/TCP (http) to 8080, 5432/TCP".
func (m Match) portList() string {
	var all []string
	add := func(key portKey, name, rest string) {
		text := key.String()
		if name != "" {
			text += " (" + name + ")"
		}
		if text += rest; !slices.Contains(all, text) {
			all = append(all, text)
		}
	}
	for _, t := range m.targets {
		var ends []string
		for _, number := range t.numbers {
			ends = append(ends, fmt.Sprint(number))
		}
		rest := ""
		if len(ends) > 0 && !m.direct {
			rest = " to " + strings.Join(ends, " and ")
		}
		add(t.key, t.name, rest)
	}
	for _, p := range m.ports {
		add(portKey{p.Number, p.Protocol}, p.Name, " of container "+p.Container)
	}
	for _, key := range m.others {
		if !m.declares(key) {
			add(key, "", "")
		}
	}
	return strings.Join(all, ", ")
}

// addPorts adds the ports of a match's pods, and of the Service, which may be nil.
func (s *Set) addPorts(m *Match, svc *service) {
	for _, w := range m.pods {
		for _, p := range w.ports {
			if !slices.Contains(m.ports, p) {
				m.ports = append(m.ports, p)
			}
		}
	}
	slices.SortFunc(m.ports, func(a, b Port) int {
		return cmp.Or(cmp.Compare(a.Number, b.Number), cmp.Compare(a.Protocol, b.Protocol),
			cmp.Compare(a.Name, b.Name), cmp.Compare(a.Container, b.Container))
	})
	if svc != nil {
		m.targets = svc.targets(m.pods)
	}
	for _, other := range s.services {
		if other == svc {
			continue
		}
		picked := slices.DeleteFunc(slices.Clone(m.pods), func(w *workload) bool { return !other.selects(w) })
		for _, t := range other.targets(picked) {
			for _, number := range t.numbers {
				if key := (portKey{number, t.key.protocol}); len(picked) > 0 && !slices.Contains(m.others, key) {
					m.others = append(m.others, key)
				}
			}
		}
	}
	slices.SortFunc(m.others, portKey.compare)
	m.addNodePorts(s.services)
}

func (k portKey) compare(l portKey) int {
	return cmp.Or(cmp.Compare(k.number, l.number), cmp.Compare(k.protocol, l.protocol))
}

// targets resolves the ports of a Service in its pods like kube-proxy's controllers: a name stands for the container
// port with that name and the same protocol, pod by pod.
func (s *service) targets(pods []*workload) []target {
	var all []target
	for _, p := range s.ports {
		t := target{name: p.name, key: p.key, node: p.node}
		if p.target.Type == intstr.Int {
			t.numbers = []uint16{uint16(p.target.IntVal)}
		} else {
			t.unknown = p.target.StrVal
			for _, w := range pods {
				if i := slices.IndexFunc(w.ports, func(c Port) bool {
					return c.Name == p.target.StrVal && c.Protocol == p.key.protocol
				}); i >= 0 {
					t.numbers = append(t.numbers, w.ports[i].Number)
				}
			}
			slices.Sort(t.numbers)
			t.numbers = slices.Compact(t.numbers)
		}
		all = append(all, t)
	}
	return all
}

// addAddresses adds the destinations of a Service without a selector. Its target ports are the ports of its Endpoints
// with the same names; its targetPort fields do not count.
func (s *Set) addAddresses(m *Match, svc *service) {
	ends := make(map[string][]portKey)
	for _, b := range s.backings {
		if b.service != svc.name || b.namespace != svc.namespace {
			continue
		}
		ports := b.ports
		if len(ports) == 0 {
			ports = []backingPort{{}}
		}
		for _, p := range ports {
			ends[p.name] = append(ends[p.name], p.key)
			for _, addr := range b.addresses {
				if a := (Address{addr, p.key.number, p.key.protocol}); !slices.Contains(m.Addresses, a) {
					m.Addresses = append(m.Addresses, a)
				}
			}
		}
	}
	slices.SortFunc(m.Addresses, func(a, b Address) int {
		return cmp.Or(a.Addr.Compare(b.Addr), cmp.Compare(a.Port, b.Port), cmp.Compare(a.Protocol, b.Protocol))
	})
	m.direct = svc.headless
	for _, p := range svc.ports {
		t := target{name: p.name, key: p.key, unknown: p.name}
		for _, end := range ends[p.name] {
			if end.protocol == p.key.protocol {
				t.numbers = append(t.numbers, end.number)
			}
		}
		slices.Sort(t.numbers)
		t.numbers = slices.Compact(t.numbers)
		m.targets = append(m.targets, t)
	}
}

// unlabelled names the EndpointSlices that seem to be for a Service but lack its label.
func (s *Set) unlabelled(svc *service) string {
	for _, b := range s.backings {
		if b.service == "" && b.namespace == svc.namespace && strings.HasPrefix(b.name, svc.name) {
			return fmt.Sprintf(" (EndpointSlice %s at %s:%d lacks the label %s)", b.name, b.file, b.line,
				discoveryv1.LabelServiceName)
		}
	}
	return ""
}
