package policy

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"

	"github.com/netzero-dev/netzero/netzerotest/flow"
	"k8s.io/apimachinery/pkg/labels"
)

// Workload is a set of pods as a selector sees it.
type Workload struct {
	Name      string            // a DNS-1123 subdomain; the name of its policy
	Namespace string            // a DNS-1123 label; empty means the namespace that its policies are applied to
	Labels    map[string]string // the labels of its pods; none means those of Selector
	Selector  map[string]string // the labels by which generated selectors match the pods; none means all of Labels
	Ports     []Port            // the known named ports of the pods

	// Own replaces Selector, and OwnLabels replaces Labels, in the workload's own policy and where the workload is a
	// source. They differ if a Service selects more pods than the workload has. None means Selector and Labels.
	Own, OwnLabels map[string]string
}

// AsSubject returns the workload as its own policy selects it, and as a rule for a source does.
func (w Workload) AsSubject() Workload {
	if len(w.Own) > 0 {
		w.Selector, w.Labels, w.Own, w.OwnLabels = w.Own, w.OwnLabels, nil, nil
	}
	return w
}

// AsPeer returns the workload as the peer end of a flow in a direction.
func (w Workload) AsPeer(d Direction) Workload {
	if d == Ingress {
		return w.AsSubject()
	}
	return w
}

// AllLabels returns all labels of the pods, or {"app": Name} if there are none.
func (w Workload) AllLabels() labels.Set {
	if len(w.Labels)+len(w.Selector) == 0 {
		return labels.Set{"app": w.Name}
	}
	all := make(labels.Set)
	maps.Copy(all, w.Labels)
	maps.Copy(all, w.Selector) // otherwise generated selectors would not match them
	return all
}

// SelectorLabels returns the labels by which a generated selector matches the pods.
func (w Workload) SelectorLabels() labels.Set {
	if len(w.Selector) > 0 {
		return w.Selector
	}
	return w.AllLabels()
}

// PodSelector returns the labels by which the workload's own policy selects its pods.
func (w Workload) PodSelector() map[string]string { return w.AsSubject().SelectorLabels() }

// PodLabels returns all known labels of the workload's pods. Every selector that is generated for the workload, in
// its own policy and in those of others, matches them.
func (w Workload) PodLabels() map[string]string {
	all := maps.Clone(w.AllLabels())
	maps.Copy(all, w.AsSubject().AllLabels())
	return all
}

// Subject is a workload that gets a policy.
type Subject struct {
	Workload
	// AllTraffic says that all traffic of the workload was recorded, as for a container. Its callers are then known,
	// and if there are any, its policy also has the type Ingress. The test process does not set it: no test can know
	// its callers in production.
	AllTraffic bool
}

// Scope describes the workloads that policies are written for and evaluated with, and the options. Subjects with the
// same namespace and name are replicas of one workload, which has the flows of all of them.
type Scope struct {
	Subjects []Subject
	Peers    []Workload // other workloads that have more than a name: how rules select them

	// Fold holds patterns that [CheckFold] accepts. Policies write the external hosts that match a pattern as that
	// pattern, so that numbered hosts, which change from run to run, do not change the file. A leading "*." stands
	// for one or more labels, any other "*" for letters, digits and hyphens within its label. Fold changes no
	// verdict.
	Fold []string

	// Ranges holds ranges of ports. A flow to any port of a range is written with the whole range (endPort), so that
	// a server that listens at another port in each run does not change the file. Ranges change no verdict.
	Ranges []PortRange

	// Binaries says that policies list the programs that open the allowed flows, in [BinariesAnnotation].
	Binaries bool

	// Requests says that the requests of flows were recorded, and that policies list them. Without it, a flow has no
	// requests because they were not read.
	Requests bool
	// FoldPaths holds patterns that [urlpath.CheckFold] accepts. Policies write the paths that match a pattern as that
	// pattern. FoldPaths changes no verdict.
	FoldPaths []string

	// CloseIngress says that subjects with AllTraffic are isolated for ingress even if they have no recorded callers.
	CloseIngress bool
	// DenyAll says that a policy in each namespace of the subjects denies all traffic that no other policy allows.
	// Any subject that the flows show as a server then gets a policy with ingress, because that policy isolates it
	// anyway.
	DenyAll bool

	// Namespaces holds the known labels of namespaces, by name. Each namespace also has the label
	// kubernetes.io/metadata.name.
	Namespaces map[string]map[string]string

	// Addresses holds the destinations of flows to endpoints that selectors can match. A rule for exactly one of them
	// is neither for the API server nor for pods on the network of their nodes.
	Addresses []netip.Addr
	// Resolvers holds the places of the cluster's DNS, and so determines the rules for it. None means pods with the
	// label k8s-app: kube-dns in kube-system, at port 53; hand-written rules that may mean a resolver elsewhere then
	// allow DNS too.
	Resolvers []Resolver

	index *workloadIndex // of subjects and peers; may be nil
}

// Normalized returns the scope with its subjects sorted by namespace and name, and with replicas merged.
func (s Scope) Normalized() Scope {
	subjects := slices.Clone(s.Subjects)
	slices.SortStableFunc(subjects, func(a, b Subject) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	s.Subjects, s.index = nil, nil
	for _, subject := range subjects {
		n := len(s.Subjects)
		if n > 0 && s.Subjects[n-1].Namespace == subject.Namespace && s.Subjects[n-1].Name == subject.Name {
			s.Subjects[n-1].unite(subject)
			continue
		}
		s.Subjects = append(s.Subjects, subject)
	}
	return s
}

func (s *Subject) unite(replica Subject) {
	s.AllTraffic = s.AllTraffic || replica.AllTraffic
	if len(s.Labels)+len(s.Selector) == 0 {
		s.Labels, s.Selector, s.Own, s.OwnLabels = replica.Labels, replica.Selector, replica.Own, replica.OwnLabels
	}
	if len(s.Ports) == 0 {
		s.Ports = replica.Ports
	}
}

// isPlain reports whether the test process is the only subject: then egress is the only direction and needs no
// mention.
func (s Scope) isPlain() bool { return len(s.Subjects) == 1 && !s.Subjects[0].AllTraffic }

// RuleWord returns the word for rules of a direction in messages.
func (s Scope) RuleWord(d Direction) string {
	if d == Egress && s.isPlain() {
		return "rule"
	}
	return d.String() + " rule"
}

// WorkloadOf returns the known workload of an endpoint. An endpoint without a namespace may be in any.
func (s Scope) WorkloadOf(e flow.Endpoint) (w Workload, subject bool) {
	if s.index != nil {
		return s.index.find(s, e)
	}
	for _, exact := range []bool{true, false} {
		is := func(w Workload) bool {
			return w.Name == e.Name && (w.Namespace == e.Namespace || !exact && e.Namespace == "")
		}
		if i := slices.IndexFunc(s.Subjects, func(s Subject) bool { return is(s.Workload) }); i >= 0 {
			return s.Subjects[i].Workload, true
		}
		if i := slices.IndexFunc(s.Peers, is); i >= 0 {
			return s.Peers[i], false
		}
	}
	return Workload{Name: e.Name, Namespace: e.Namespace}, false
}

// SubjectOf returns the subject of an endpoint, if there is one.
func (s Scope) SubjectOf(e flow.Endpoint) (Workload, bool) {
	if e.Kind != flow.Workload || e.Node {
		return Workload{}, false
	}
	return s.WorkloadOf(e)
}

// SubjectFlows are flows by the subject at either end. The zero value has none.
type SubjectFlows struct{ of [2]map[subjectKey][]flow.Flow } // by direction

type subjectKey struct{ namespace, name string }

// BySubject returns the flows of each subject.
func (s Scope) BySubject(flows []flow.Flow) (by SubjectFlows) {
	if s.index == nil {
		s = s.Indexed()
	}
	for _, d := range Directions {
		of := make(map[subjectKey][]int) // first the indexes, because flows are large
		for i, f := range flows {
			if d == Ingress && f.Lookup {
				continue // a lookup without an address reaches no destination
			}
			if w, ok := s.SubjectOf(d.SubjectEnd(f)); ok {
				at := subjectKey{w.Namespace, w.Name}
				of[at] = append(of[at], i)
			}
		}
		by.of[d] = make(map[subjectKey][]flow.Flow)
		for at, indexes := range of {
			by.of[d][at] = pick(flows, indexes)
		}
	}
	return by
}

// pick returns the flows at some indexes.
func pick(flows []flow.Flow, indexes []int) []flow.Flow {
	picked := make([]flow.Flow, len(indexes))
	for i, at := range indexes {
		picked[i] = flows[at]
	}
	return picked
}

// Filter returns the flows for which keep returns true, or nil if there are none.
func Filter(flows []flow.Flow, keep func(flow.Flow) bool) []flow.Flow {
	var indexes []int
	for i, f := range flows {
		if keep(f) {
			indexes = append(indexes, i)
		}
	}
	if len(indexes) == 0 {
		return nil
	}
	return pick(flows, indexes)
}

// Of returns the flows of a subject in a direction, in their order.
func (by SubjectFlows) Of(subject Workload, d Direction) []flow.Flow {
	return slices.Clone(by.of[d][subjectKey{subject.Namespace, subject.Name}])
}

// OfAll returns the flows of any of the subjects in a direction.
func (by SubjectFlows) OfAll(subjects []Subject, d Direction) []flow.Flow {
	lists := make([][]flow.Flow, len(subjects))
	for i, subject := range subjects {
		lists[i] = by.of[d][subjectKey{subject.Namespace, subject.Name}]
	}
	return slices.Concat(lists...)
}

// Needed returns a subject's flows in a direction without those that a rule for any caller allows anyway. If any
// caller may use a port, no rule for named callers at that port is needed, and the test would pass without it.
func Needed(d Direction, flows []flow.Flow) []flow.Flow {
	if d != Ingress {
		return flows
	}
	type call struct {
		to       flow.Endpoint
		protocol flow.Protocol
		port     int // or ICMP type
	}
	callOf := func(f flow.Flow) call {
		c := call{f.Destination.Identity(), f.Protocol, int(f.Port)}
		if f.Protocol.IsICMP() {
			c.port = ICMPTypeOf(f)
		}
		return c
	}
	byAnyone := make(map[call]bool)
	for _, f := range flows {
		if f.Source.Kind == flow.Anyone && (f.Protocol.HasPorts() || f.Protocol.IsICMP()) {
			byAnyone[callOf(f)] = true
		}
	}
	var kept []flow.Flow
	for _, f := range flows {
		if f.Source.Kind == flow.Anyone || !byAnyone[callOf(f)] {
			kept = append(kept, f)
		}
	}
	return kept
}

// NamespaceNameLabels returns the label that the API server sets on a namespace.
func NamespaceNameLabels(namespace string) labels.Set { return labels.Set{NamespaceLabel: namespace} }
