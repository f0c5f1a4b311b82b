package policy

import (
	"iter"
	"strings"

	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// NewEvaluator returns a function that evaluates flows. It calls compile once for each subject and direction and
// keeps the result. A flow that compile's functions get has at most one request, or is opaque. byAddress and inexpressible are those of the dialect.
func NewEvaluator(
	s Scope, byAddress func(flow.Flow) flow.Flow, inexpressible func(flow.Flow) string,
	compile func(Workload, Direction) func(flow.Flow) Verdict,
) func(flow.Flow) Verdict {
	type end struct {
		name, namespace string
		direction       Direction
	}
	compiled := make(map[end]func(flow.Flow) Verdict)
	evaluate := func(f flow.Flow) Verdict {
		evaluated := byAddress(f)
		v := s.EvaluateAtResolvers(evaluated, func(g flow.Flow) Verdict {
			return s.Ends(g, inexpressible, func(subject Workload, d Direction) Verdict {
				at := end{subject.Name, subject.Namespace, d}
				verdict := compiled[at]
				if verdict == nil {
					verdict = compile(subject, d)
					compiled[at] = verdict
				}
				return verdict(g)
			})
		})
		return ExplainAddress(v, f, evaluated)
	}
	return func(f flow.Flow) Verdict { return PerRequest(f, evaluate) }
}

// NameIndex finds entries of [NamesAnnotation] by host.
type NameIndex struct {
	All      []AllowedName
	byHost   map[string][]int // the indexes of the entries for exactly this host
	patterns []int            // the indexes of the other entries
}

// NewNameIndex returns an index of names.
func NewNameIndex(names []AllowedName) *NameIndex {
	x := &NameIndex{byHost: make(map[string][]int)}
	for _, n := range names {
		x.Add(n)
	}
	return x
}

// Add appends a name.
func (x *NameIndex) Add(n AllowedName) {
	if strings.Contains(n.Host, "*") {
		x.patterns = append(x.patterns, len(x.All))
	} else {
		x.byHost[n.Host] = append(x.byHost[n.Host], len(x.All))
	}
	x.All = append(x.All, n)
}

// ForHosts yields the index of each entry that may match one of the hosts. Entries for exactly one host come first.
func (x *NameIndex) ForHosts(hosts []string) iter.Seq[int] {
	return func(yield func(int) bool) {
		for _, host := range hosts {
			for _, i := range x.byHost[host] {
				if !yield(i) {
					return
				}
			}
		}
		for _, i := range x.patterns {
			if !yield(i) {
				return
			}
		}
	}
}

// Each calls do with the entries that may match a host, until do returns false.
func (x *NameIndex) Each(host string, do func(AllowedName) bool) {
	for i := range x.ForHosts([]string{host}) {
		if !do(x.All[i]) {
			return
		}
	}
}

// Allows reports whether an entry matches a flow.
func (x *NameIndex) Allows(f flow.Flow) (allows bool) {
	x.Each(f.Destination.Name, func(n AllowedName) bool {
		allows = n.Matches(f)
		return !allows
	})
	return allows
}

// Lookup returns the first entry that allows a lookup. hosts are those that [Scope.LookupHosts] returned for it.
func (x *NameIndex) Lookup(f flow.Flow, hosts []string) (AllowedName, bool) {
	first := -1
	for i := range x.ForHosts(hosts) {
		if (first < 0 || i < first) && x.All[i].MatchesLookup(f, hosts) {
			first = i
		}
	}
	if first < 0 {
		return AllowedName{}, false
	}
	return x.All[first], true
}

// workloadIndex finds subjects and peers by name.
type workloadIndex struct {
	subjects, peers             map[[2]string]int // by name and namespace
	subjectsByName, peersByName map[string]int
}

// Indexed returns the scope with an index of its workloads. They must not change from then on.
func (s Scope) Indexed() Scope {
	x := &workloadIndex{
		subjects: make(map[[2]string]int), peers: make(map[[2]string]int),
		subjectsByName: make(map[string]int), peersByName: make(map[string]int),
	}
	for i := len(s.Subjects) - 1; i >= 0; i-- { // backwards, so that the first one wins
		w := s.Subjects[i].Workload
		x.subjects[[2]string{w.Name, w.Namespace}], x.subjectsByName[w.Name] = i, i
	}
	for i := len(s.Peers) - 1; i >= 0; i-- {
		w := s.Peers[i]
		x.peers[[2]string{w.Name, w.Namespace}], x.peersByName[w.Name] = i, i
	}
	s.index = x
	return s
}

// find is [Scope.WorkloadOf] with the index.
func (x *workloadIndex) find(s Scope, e flow.Endpoint) (w Workload, subject bool) {
	at := [2]string{e.Name, e.Namespace}
	if i, known := x.subjects[at]; known {
		return s.Subjects[i].Workload, true
	}
	if i, known := x.peers[at]; known {
		return s.Peers[i], false
	}
	if e.Namespace == "" {
		if i, known := x.subjectsByName[e.Name]; known {
			return s.Subjects[i].Workload, true
		}
		if i, known := x.peersByName[e.Name]; known {
			return s.Peers[i], false
		}
	}
	return Workload{Name: e.Name, Namespace: e.Namespace}, false
}
