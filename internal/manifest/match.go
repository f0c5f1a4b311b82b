package manifest

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// ofService returns the match of a Service. There may be a workload of the same name.
func (s *Set) ofService(svc *service, same []*workload, hops int) (Match, error) {
	m := svc.match()
	stands := ""
	switch {
	case svc.externalName != "":
		if to, follows, err := s.target(svc, hops); follows && (err != nil || len(same) == 0) {
			return to, err
		}
		m.ExternalName, m.direct = svc.externalName, true
		stands = "which stands for the host " + svc.externalName
	case len(svc.selector) == 0:
		s.addAddresses(&m, svc)
		if len(m.Addresses) == 0 && !m.IsAPIServer() {
			return Match{}, &UnusableError{svc.name, m.String(),
				"it has no selector, and no Endpoints or EndpointSlice gives it addresses" + s.unlabelled(svc),
				"give it a selector, or its Endpoints"}
		}
		stands = "which stands for the addresses of its Endpoints"
	default:
		for _, w := range s.workloads {
			if svc.selects(w) {
				m.pods = append(m.pods, w)
			}
		}
		m.pods = withoutHooks(m.pods)
		switch {
		case len(m.pods) > 0:
			stands = "which selects " + listed(m.pods)
		case len(same) > 0:
			return Match{}, &UnusableError{svc.name, m.String(), s.selectsNone(svc),
				"correct its selector, or the labels of the pod template"}
		default:
			return s.ofUnknownPods(m, svc), nil
		}
	}
	if len(same) == 1 && !slices.Contains(m.pods, same[0]) {
		return Match{}, &AmbiguousError{svc.name, []string{m.String() + ", " + stands, same[0].describe()},
			"correct the Service, or rename one of them"}
	}
	if len(m.pods) == 0 {
		return m, nil
	}
	m.Selector, m.Labels = s.stableSelector(svc, m.pods), inCommon(svc.serving(m.pods))
	if len(m.Selector) == 0 { // it selects one pod by its name
		m.Selector, _ = s.selectorOf(m.pods[0])
	}
	own := svc.named(m.pods)
	m.setOwn(own, func() (map[string]string, []*workload) { return s.selectorOfAll(svc, own) })
	m.direct = svc.headless
	return s.usable(m, svc)
}

// setOwn sets the fields for the pods' own policy.
func (m *Match) setOwn(workloads []*workload, selector func() (map[string]string, []*workload)) {
	own, others := selector()
	m.Own, m.OwnLabels = own, inCommon(workloads)
	if len(others) > 0 {
		m.OwnNotice = sharing(*m, own, others)
	}
}

// ofWorkload returns the pods of a workload without a Service of its name.
func (s *Set) ofWorkload(w *workload) (Match, error) {
	m := w.match()
	m.pods, m.direct = []*workload{w}, true
	m.setOwn(m.pods, func() (map[string]string, []*workload) { return s.selectorOf(w) })
	m.Selector, m.Labels = maps.Clone(m.Own), inCommon(m.pods)
	return s.usable(m, nil)
}

// usable completes a match with pods, if a NetworkPolicy can select them.
func (s *Set) usable(m Match, svc *service) (Match, error) {
	if len(m.Selector) == 0 {
		return Match{}, &UnusableError{m.Name, m.String(),
			"its pods have no labels, so no policy can select them", "give the pod template labels"}
	}
	onHosts := func(w *workload) bool { return w.hostNetwork }
	m.HostNetwork = slices.ContainsFunc(m.pods, onHosts)
	s.addPorts(&m, svc)
	return m, nil
}

// selectsNone explains why a Service's selector matches no pods, and names the existing pods.
func (s *Set) selectsNone(svc *service) string {
	text := "its selector " + labelText(svc.selector) + " selects the pods of no workload"
	var here, elsewhere []string
	moved := *svc
	for _, w := range s.workloads {
		if w.namespace == svc.namespace {
			here = append(here, fmt.Sprintf("%s %s (%s)", w.kind, w.name, orNone(labelText(w.labels))))
		} else if moved.namespace = w.namespace; moved.selects(w) {
			elsewhere = append(elsewhere, w.identity.String())
		}
	}
	switch {
	case len(elsewhere) > 0:
		return text + " in its own namespace, though it would select " + strings.Join(elsewhere, ", ")
	case len(here) > 0:
		return text + "; in its namespace there are " + strings.Join(here, ", ")
	}
	return text + ", and there is none in its namespace"
}

func listed(workloads []*workload) string {
	var names []string
	for _, w := range workloads {
		names = append(names, w.kind+" "+w.name)
	}
	return strings.Join(names, ", ")
}
