package policy

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"

	"k8s.io/apimachinery/pkg/labels"

	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// Workload is a set of pods as a selector sees it.
type Workload struct {
	Name      string            // a DNS-1123 subdomain; the name of its policy
	Namespace string            // a DNS-1123 label; empty means whichever its policies are applied to
	Labels    map[string]string // the labels of its pods; none means those of Selector
	Selector  map[string]string // those of them by which what is generated selects the pods; none means all of them
	Ports     []Port            // those to which the pods give a name, as far as it is known

	// Own is Selector, and OwnLabels is Labels, for the workload's own policy and where the workload is a source. They
	// differ where a Service stands for more pods than the workload's. None means the former.
	Own, OwnLabels map[string]string
}

// AsSubject returns the workload as its own policy selects it, and as a rule for a source does.
func (w Workload) AsSubject() Workload {
	if len(w.Own) > 0 {
		w.Selector, w.Labels, w.Own, w.OwnLabels = w.Own, w.OwnLabels, nil, nil
	}
	return w
}

// AsPeer returns the workload as the far end of a flow in a direction.
func (w Workload) AsPeer(d Direction) Workload {
	if d == Ingress {
		return w.AsSubject()
	}
	return w
}

// AllLabels returns all labels of the pods. Without any they are {"app": Name}.
func (w Workload) AllLabels() labels.Set {
	if len(w.Labels)+len(w.Selector) == 0 {
		return labels.Set{"app": w.Name}
	}
	all := make(labels.Set)
	maps.Copy(all, w.Labels)
	maps.Copy(all, w.Selector) // or what is generated would not select them
	return all
}

// SelectorLabels returns the labels by which a generated selector knows the pods.
func (w Workload) SelectorLabels() labels.Set {
	if len(w.Selector) > 0 {
		return w.Selector
	}
	return w.AllLabels()
}

// PodSelector returns the labels by which the workload's own policy selects its pods.
func (w Workload) PodSelector() map[string]string { return w.AsSubject().SelectorLabels() }

// PodLabels returns all labels of the workload's pods that are known. Every selector that is generated for the workload
// matches them, in its own policy and in those of others.
func (w Workload) PodLabels() map[string]string {
	all := maps.Clone(w.AllLabels())
	maps.Copy(all, w.AsSubject().AllLabels())
	return all
}

// Subject is a workload that gets a policy.
type Subject struct {
	Workload
	// Whole says that all of it was recorded, as a container is: then who calls it is known too, and its policy is also
	// of the type Ingress where somebody did. The test process is not: who calls it in production, no test can know.
	AllTraffic bool
}

// Scope is what policies are written for and judged by. Two subjects of one namespace and name are replicas of one
// workload, whose flows are all of theirs.
type Scope struct {
	Subjects []Subject
	Peers    []Workload // others of which more than the name is known: how rules select them

	// Fold holds patterns, each of which [CheckFold] has accepted: external hosts whose names they match are written as
	// the pattern, so that hosts which come and go with a number do not change what is written. A leading "*." stands
	// for one or more labels, any other "*" for letters, digits and hyphens within its label. It changes no verdict.
	Fold []string

	// Ranges holds ranges of ports, of which a flow to any port is written with all of them (endPort), so that a server
	// that listens at another one in each run does not change what is written. It changes no verdict.
	Ranges []PortRange

	// Binaries says that policies list the programs that open what they allow, in [BinariesAnnotation].
	Binaries bool

	// CloseIngress says that subjects that are Whole are isolated for ingress also where nobody was seen to call them.
	CloseIngress bool
	// DenyAll says that a policy denies all traffic in each namespace of the subjects which no other one allows. Then any
	// subject that the flows show as a server is isolated for ingress, since it would be anyway.
	DenyAll bool

	// Namespaces holds the labels of namespaces, by their names, as far as they are known. Each has the label
	// kubernetes.io/metadata.name besides.
	Namespaces map[string]map[string]string

	// Addresses are those at which flows went to somebody who is not beyond selectors: a rule for one of them alone is for
	// neither the API server nor pods on the network of their nodes.
	Addresses []netip.Addr
	// Resolvers says where the cluster's DNS is, and so what the rules for it are. None is pods with the label k8s-app:
	// kube-dns in kube-system, at port 53; then hand-written rules that may stand for it elsewhere allow it as well.
	Resolvers []Resolver

	index *workloadIndex // of subjects and peers; may be nil
}

// Normalized returns the scope with its subjects sorted by namespace and name, and replicas as one of them.
func (s Scope) Normalized() Scope {
	subjects := slices.Clone(s.Subjects)
	slices.SortStableFunc(subjects, func(a, b Subject) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	s.Subjects, s.index = nil, nil
	for _, subject := range subjects {
		if n := len(s.Subjects); n > 0 && s.Subjects[n-1].Namespace == subject.Namespace && s.Subjects[n-1].Name == subject.Name {
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

// isPlain reports whether the test process is all there is: then there is one direction, which goes without saying.
func (s Scope) isPlain() bool { return len(s.Subjects) == 1 && !s.Subjects[0].AllTraffic }

// RuleWord returns what a person should call the rules of a direction.
func (s Scope) RuleWord(d Direction) string {
	if d == Egress && s.isPlain() {
		return "rule"
	}
	return d.String() + " rule"
}

// WorkloadOf returns what is known of an endpoint that is one. An endpoint without a namespace may be in any.
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

// SubjectOf returns the subject that an endpoint is, if it is one.
func (s Scope) SubjectOf(e flow.Endpoint) (Workload, bool) {
	if e.Kind != flow.Workload || e.Node {
		return Workload{}, false
	}
	return s.WorkloadOf(e)
}

// FlowsOf returns the flows that a subject has in a direction.
func (s Scope) FlowsOf(subject Workload, d Direction, flows []flow.Flow) []flow.Flow {
	var own []flow.Flow
	for _, f := range flows {
		if d == Ingress && f.Lookup {
			continue // nobody was called
		}
		if w, ok := s.SubjectOf(d.SubjectEnd(f)); ok && w.Name == subject.Name && w.Namespace == subject.Namespace {
			own = append(own, f)
		}
	}
	return own
}

// Needed returns a subject's flows in a direction without those that a rule for others allows anyway: who is called by
// anyone at a port needs no rule for some of them, and a test that lost it would pass.
func Needed(d Direction, flows []flow.Flow) []flow.Flow {
	if d != Ingress {
		return flows
	}
	type call struct {
		to       flow.Endpoint
		protocol flow.Protocol
		port     int // or type of ICMP
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
