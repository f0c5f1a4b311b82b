package policy

import (
	"slices"
)

// Usage states which parts of a rule flows needed: the rule itself, and by index its peers, its
// ports, and the HTTP rules of all of its ports.
type Usage struct {
	Rule         bool
	Peers, Ports []bool
	HTTP         []bool // of Cilium's rules only
}

// SubjectsWhere returns the subjects for which holds returns true.
func (s Scope) SubjectsWhere(holds func(Workload) bool) []Subject {
	var subjects []Subject
	for _, subject := range s.Subjects {
		if holds(subject.Workload) {
			subjects = append(subjects, subject)
		}
	}
	return subjects
}

// UsageBy adds up what the flows of each of a policy's subjects needed of its rules.
func UsageBy(subjects []Subject, d Direction, of func(Workload) []Usage) []Usage {
	if d == Ingress && slices.ContainsFunc(subjects, func(subject Subject) bool { return !subject.AllTraffic }) {
		return nil
	}
	var all []Usage
	for i, subject := range subjects {
		each := of(subject.Workload)
		if i == 0 {
			all = each
			continue
		}
		for j, used := range each {
			all[j].add(used)
		}
	}
	return all
}

func (u *Usage) add(other Usage) {
	u.Rule = u.Rule || other.Rule
	for i, used := range other.Peers {
		u.Peers[i] = u.Peers[i] || used
	}
	for i, used := range other.Ports {
		u.Ports[i] = u.Ports[i] || used
	}
	for i, used := range other.HTTP {
		u.HTTP[i] = u.HTTP[i] || used
	}
}
