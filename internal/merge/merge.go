// Package merge unites recordings: of the shards of a run, of several packages, and of several machines.
//
// It refuses recordings from which no policy may be made: incomplete ones, those of failed tests, and those that
// contradict each other. Its errors name the files. It writes no policy.
package merge

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/labels"

	"github.com/netzero-dev/netzero/golden"
	"github.com/netzero-dev/netzero/internal/check"
	"github.com/netzero-dev/netzero/internal/manifest"
	"github.com/netzero-dev/netzero/internal/placement"
	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/internal/recording"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// Source is a recording, with the path of its file for messages.
type Source struct {
	Path string
	File recording.File
}

// Options are the settings for a union.
type Options struct {
	Manifests *manifest.Set     // nil: workloads keep the place in the cluster that the files hold
	Namespace string            // of workloads that have none
	Dialect   golden.Dialect    // of the policies; empty means that of the tests
	Added     recording.Options // to those of each test; Cilium and Driver of it do not count
}

// Unite returns the recordings as one. Recordings of the same test add up. The result does not depend on the order of
// the recordings.
//
// The error names the files: a recording is incomplete or its test failed, an option is not valid, or two recordings
// differ in their dialect or in the labels of a workload. It is one line.
func Unite(sources []Source, o Options) (check.Union, error) {
	if len(sources) == 0 {
		return check.Union{}, errors.New("there are no recordings")
	}
	sources = slices.SortedFunc(slices.Values(sources), func(a, b Source) int {
		return cmp.Or(cmp.Compare(TestName(a.File), TestName(b.File)), cmp.Compare(a.Path, b.Path))
	})
	var refused []string
	for _, s := range sources {
		if why := s.refusal(); why != "" {
			refused = append(refused, why)
		}
	}
	if len(refused) > 0 {
		return check.Union{}, errors.New(strings.Join(refused, "; "))
	}
	u := check.Union{Initiators: make(map[recording.Program]recording.Initiator)}
	var err error
	if u.Dialect, err = dialectOf(sources, o.Dialect); err != nil {
		return check.Union{}, err
	}
	var all []placed
	for _, s := range sources {
		p, err := s.place(o, u.Dialect)
		if err != nil {
			return check.Union{}, fmt.Errorf("%s: %w", s.Path, err)
		}
		all = append(all, p)
	}
	if err := contradiction(all); err != nil {
		return check.Union{}, err
	}
	return addAll(u, all)
}

// TestName returns the name of a recording's test, as in [golden.Header].Tests: "package" and the import path for a
// recording of a package, and "" for a recording of a cluster.
func TestName(f recording.File) string {
	if f.Package == "" || f.Test == "package "+f.Package {
		return f.Test
	}
	return check.Package{Path: f.Package}.TestName(f.Test)
}

// refusal returns why no policy may be made from the recording, or "".
func (s Source) refusal() string {
	switch {
	case s.File.Incomplete != "":
		return fmt.Sprintf("%s is incomplete: %s: run %s again, and leave this file out", s.Path,
			strings.ReplaceAll(s.File.Incomplete, "\n", "; "), TestName(s.File))
	case s.File.Failed:
		return fmt.Sprintf("%s is of a run in which %s failed: run it again, and leave this file out", s.Path,
			TestName(s.File))
	}
	return ""
}

// dialectOf returns the dialect of all recordings, or the chosen one.
func dialectOf(sources []Source, chosen golden.Dialect) (golden.Dialect, error) {
	if chosen != "" {
		return chosen, nil
	}
	first := sources[0]
	for _, s := range sources {
		if s.File.Options.Cilium != first.File.Options.Cilium {
			return "", fmt.Errorf("of %s and %s, one test has the option Cilium and the other has not: choose by -cilium or "+
				"-cilium=false", first.Path, s.Path)
		}
	}
	if first.File.Options.Cilium {
		return golden.Cilium, nil
	}
	return golden.Kubernetes, nil
}

// placed is a recording in the cluster.
type placed struct {
	Source
	placement.Placement
}

// place returns the place of a recording in the cluster.
func (s Source) place(o Options, dialect golden.Dialect) (placed, error) {
	options := s.File.Options
	options.Cilium = dialect == golden.Cilium
	options.FoldNames = union(options.FoldNames, o.Added.FoldNames)
	options.FoldPaths = union(options.FoldPaths, o.Added.FoldPaths)
	options.Ports = union(options.Ports, o.Added.Ports)
	options.ClusterDomains = union(options.ClusterDomains, o.Added.ClusterDomains)
	options.Ignore = union(options.Ignore, o.Added.Ignore)
	options.Resolvers = slices.Concat(options.Resolvers, o.Added.Resolvers)
	options.Binaries = options.Binaries || o.Added.Binaries
	options.CloseIngress = options.CloseIngress || o.Added.CloseIngress
	options.DefaultDeny = options.DefaultDeny || o.Added.DefaultDeny
	settings, err := placement.FromRecorded(options)
	if err != nil {
		return placed{}, err
	}
	settings.Manifests = o.Manifests
	recorded := s.File.Recording
	if i := slices.IndexFunc(recorded.Workloads, isTestProcess); i >= 0 {
		settings.Workload = recorded.Workloads[i].Name
		if o.Manifests != nil && o.Namespace != "" && recorded.Workloads[i].Namespace == "" {
			// The names that the process looked up depend on its namespace.
			recorded.Workloads = slices.Clone(recorded.Workloads)
			recorded.Workloads[i].Namespace = o.Namespace
			recorded.Flows = inNamespace(recorded.Flows, o.Namespace, []string{settings.Workload})
		}
	}
	p := placed{Source: s}
	if o.Manifests != nil {
		p.Placement, err = placement.Place(recorded, settings)
	} else {
		p.Placement, err = placement.FromFile(s.File, settings)
		p.Flows = settings.Ignored.Without(p.Flows) // those that only -ignore names
	}
	if o.Namespace != "" {
		p.setNamespace(o.Namespace)
	}
	return p, err
}

func isTestProcess(w recording.Workload) bool { return !w.AllTraffic }

func union(a, b []string) []string {
	all := slices.Concat(a, b)
	slices.Sort(all)
	return slices.Compact(all)
}

// setNamespace sets the namespace of workloads with a policy that have none.
func (p *placed) setNamespace(namespace string) {
	var names []string
	p.Scope.Subjects = slices.Clone(p.Scope.Subjects)
	for i, s := range p.Scope.Subjects {
		if s.Namespace == "" {
			names = append(names, s.Name)
			p.Scope.Subjects[i].Namespace = namespace
		}
	}
	p.Flows = inNamespace(p.Flows, namespace, names)
	for i, e := range p.EphemeralPorts {
		p.EphemeralPorts[i].Flow = inNamespace([]flow.Flow{e.Flow}, namespace, names)[0]
	}
}

// inNamespace returns flows in which workloads of these names have a namespace, unless they have another.
func inNamespace(flows []flow.Flow, namespace string, names []string) []flow.Flow {
	set := func(e *flow.Endpoint) {
		if e.Kind == flow.Workload && !e.Node && e.Namespace == "" && slices.Contains(names, e.Name) {
			e.Namespace = namespace
		}
	}
	return policy.MapFlows(flows, func(f flow.Flow) flow.Flow {
		set(&f.Source)
		set(&f.Destination)
		return f
	})
}

// contradiction returns an error if two recordings place a workload in different ways.
func contradiction(all []placed) error {
	type known struct {
		labels labels.Set
		path   string
	}
	selectors := make(map[flow.Endpoint]known)
	var scopes []policy.Scope
	for _, p := range all {
		scopes = append(scopes, p.Scope)
		for _, w := range workloads(p.Scope) {
			id := flow.Endpoint{Name: w.Name, Namespace: w.Namespace}
			first, again := selectors[id]
			if !again {
				selectors[id] = known{w.SelectorLabels(), p.Path}
			} else if !maps.Equal(first.labels, w.SelectorLabels()) {
				return fmt.Errorf("%s and %s: workload %s has the labels %s and %s: give it the same in all tests",
					first.path, p.Path, w.Name, first.labels, w.SelectorLabels())
			}
		}
	}
	if _, err := policy.UniteScopes(scopes...); err == nil {
		return nil
	}
	for i, p := range all {
		for _, before := range all[:i] {
			if _, err := policy.UniteScopes(before.Scope, p.Scope); err != nil {
				return fmt.Errorf("%s and %s: %w", before.Path, p.Path, err)
			}
		}
	}
	return nil
}

// workloads returns all workloads of a scope.
func workloads(s policy.Scope) []policy.Workload {
	all := slices.Clone(s.Peers)
	for _, subject := range s.Subjects {
		all = append(all, subject.Workload)
	}
	return all
}

// addAll returns a union with the recordings.
func addAll(u check.Union, all []placed) (check.Union, error) {
	var set flow.Set
	var scopes []policy.Scope
	whole := make(map[string]bool) // by test: a recording of it is not partial
	anyRecords := slices.ContainsFunc(all, func(p placed) bool { return p.Scope.Requests })
	for _, p := range all {
		if test := TestName(p.File); test != "" {
			whole[test] = whole[test] || !p.File.Partial
			u.Tests = append(u.Tests, test)
		}
		scopes = append(scopes, p.Scope)
		for _, f := range check.MarkOpaque(p.Flows, p.Scope, anyRecords) {
			set.Add(f)
		}
		u.Notices = append(u.Notices, p.File.Recording.Notices...)
		u.Placed.Notices = append(u.Placed.Notices, p.Placement.Notices...)
		u.Placed.EphemeralPorts = append(u.Placed.EphemeralPorts, p.EphemeralPorts...)
		for program, first := range p.File.Recording.Initiators {
			if _, known := u.Initiators[program]; !known {
				u.Initiators[program] = first
			}
		}
	}
	u.Tests = slices.Compact(u.Tests) // sorted, as the sources are
	u.Partial = slices.DeleteFunc(slices.Clone(u.Tests), func(test string) bool { return whole[test] })
	slices.SortFunc(u.Notices, recording.Notice.Compare)
	u.Notices = slices.Compact(u.Notices)
	slices.SortFunc(u.Placed.Notices, recording.Notice.Compare)
	u.Placed.Notices = slices.Compact(u.Placed.Notices)
	slices.SortStableFunc(u.Placed.EphemeralPorts, func(a, b recording.EphemeralPort) int {
		return a.Flow.Compare(b.Flow)
	})
	u.Placed.Flows = set.Sorted()
	var err error
	u.Placed.Scope, err = policy.UniteScopes(scopes...)
	return u, err
}
