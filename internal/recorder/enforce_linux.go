package recorder

import (
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"

	"github.com/netzero-dev/netzero/internal/docker"
	"github.com/netzero-dev/netzero/internal/enforce"
	"github.com/netzero-dev/netzero/internal/goroutine"
	"github.com/netzero-dev/netzero/internal/probe"
	"github.com/netzero-dev/netzero/internal/session"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// kernelPolicies is the part of package probe that refuses flows.
type kernelPolicies interface {
	EnableEnforcement() error
	NewPolicy(probe.Rules) (probe.PolicyID, error)
	AddRules(probe.PolicyID, probe.Rules) error
	RemovePolicy(probe.PolicyID) error
	Enforce(cgroup uint64, recording goroutine.ID, id probe.PolicyID) error
	EnforceBelow(parent uint64, level int, id probe.PolicyID) error
}

// enforcement is the stage that writes policies into the kernel, which then refuses what they do not allow. Until a
// recording has an [Enforcement] it does nothing.
//
// The innermost recording with an Enforcement decides about the test process. Tasks of no known recording may do what
// any of the deciding recordings allows, and everything if nothing is refused to one of the active recordings.
type enforcement struct {
	unseparated string // as in attribution
	// read reads this machine. With the argument true it waits for the engine.
	read func(wait bool) (machine, error)
	// endpoint returns the workload that a container is to a recording; false if it is none.
	endpoint func(rec *Recording, c docker.Container) (flow.Endpoint, bool)

	mu       sync.Mutex // locked before Recorder.mu
	kernel   kernelPolicies
	own      uint64 // cgroup of the test process
	enabled  bool
	machine  machine   // as it was read last
	policies []*policy // of recordings, and unknown after those that it unites

	unknown  *policy      // of tasks of no known recording; nil if nothing is refused to them
	deciding []*Recording // those whose policies unknown unites

	containers containerPolicies
}

func newEnforcement(r *Recorder) *enforcement {
	return &enforcement{
		read:     func(wait bool) (machine, error) { return readMachine(r.containers.watched(wait)) },
		endpoint: (*Recording).endpointOf,
	}
}

// open makes enforcement possible, once the session is open.
func (e *enforcement) open(s *session.Session, unseparated string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	below, _ := filepath.Rel(s.Tree.Root, s.Leaf.Path)
	const parents = 1 // the level of cgroups below the root
	level := s.Probe.Level() - strings.Count(filepath.Join("/", below), "/") + parents
	e.kernel, e.own, e.unseparated = s.Probe, s.Leaf.ID, unseparated
	e.containers = newContainerPolicies(s.Tree, level)
}

// isEnabled reports whether the kernel may have refused something.
func (e *enforcement) isEnabled() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.enabled
}

// close removes the cgroups of containers. The policies end with the probe.
func (e *enforcement) close() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.enabled = false
	e.containers.end(nil)
}

// refreshEnforcement adds to the policies what the engine has described. It is called at any time.
func (r *Recorder) refreshEnforcement() {
	err := r.enforcement.refresh()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fail(err)
}

// policy is a policy in the kernel.
type policy struct {
	id      probe.PolicyID
	of      *Recording  // nil for tasks of no known recording
	isTest  bool        // of the test process of the recording, not of a container
	rules   probe.Rules // that the kernel has
	compile func(machine) (probe.Rules, error)
}

// enforcing returns the recording whose policy decides about a recording: itself, or the innermost one that includes
// it; nil if nothing is refused to it.
func enforcing(rec *Recording, active []*Recording) *Recording {
	if rec.options.Enforcement != nil || rec.isPackage {
		active = []*Recording{rec}
	}
	var innermost *Recording
	for _, other := range active {
		includes := other == rec || other.includes(rec.test)
		if other.options.Enforcement != nil && includes && (innermost == nil || innermost.includes(other.test)) {
			innermost = other
		}
	}
	return innermost
}

// decidingOf returns the recordings whose policies decide about the active ones. It returns none if nothing is refused
// to one of those.
func decidingOf(active []*Recording) []*Recording {
	var all []*Recording
	for _, rec := range active {
		source := enforcing(rec, active)
		if source == nil || source.options.Enforcement.Own.Unrestricted {
			return nil
		}
		if !slices.Contains(all, source) {
			all = append(all, source)
		}
	}
	return all
}

// admit returns an error if a recording cannot start beside active ones, because their tasks are not distinguished.
func (e *enforcement) admit(rec *Recording, active []*Recording) error {
	enforces := func(rec *Recording) bool { return rec.options.Enforcement != nil }
	if e.unseparated == "" || len(active) == 0 || !enforces(rec) && !slices.ContainsFunc(active, enforces) {
		return nil
	}
	return &EnforceError{fmt.Errorf("%s is recorded at the same time, and the goroutines of the two cannot be "+
		"distinguished: %s: run the tests one after the other", active[0].test, e.unseparated)}
}

// begin enforces the policy of a recording that becomes active. active includes it.
func (e *enforcement) begin(rec *Recording, active []*Recording) error {
	source := enforcing(rec, active)
	e.mu.Lock()
	defer e.mu.Unlock()
	if source == nil && !e.enabled {
		return nil
	}
	if err := e.beginLocked(rec, source, active); err != nil {
		return &EnforceError{errors.Join(err, e.endLocked(rec, without(active, rec)))}
	}
	return nil
}

func (e *enforcement) beginLocked(rec, source *Recording, active []*Recording) error {
	if !e.enabled {
		if err := e.kernel.EnableEnforcement(); err != nil {
			return err
		}
		e.containers.tree.RemoveStaleParents()
		e.enabled = true
	}
	if source == rec {
		if err := e.newRecordingPolicy(rec); err != nil {
			return err
		}
	}
	if source != nil {
		if err := e.enforceFor(rec.goroutine, source); err != nil {
			return err
		}
	}
	return e.updateUnknown(active)
}

// newRecordingPolicy writes the policy of a recording's test process.
func (e *enforcement) newRecordingPolicy(rec *Recording) error {
	table := rec.options.Enforcement.Own
	// The addresses of containers have to be known from the start, for a test that calls one that runs already.
	m, err := e.read(len(table.Workloads) > 0)
	if err != nil {
		return err
	}
	if err := e.update(m); err != nil || table.Unrestricted {
		return err
	}
	p, err := e.newPolicy(rec, func(m machine) (probe.Rules, error) { return e.testRules(rec, m) })
	if err != nil {
		return err
	}
	p.isTest = true
	return nil
}

// enforceFor enforces the policy of one recording for the goroutines of another, which it includes, or for its own.
func (e *enforcement) enforceFor(id goroutine.ID, source *Recording) error {
	if p := e.policyOf(source); p != nil && e.unseparated == "" {
		return e.kernel.Enforce(e.own, id, p.id)
	}
	return nil // unrestricted; or all tasks are of no known recording
}

// enter enforces the policy of a recording for a test that it names.
func (e *enforcement) enter(id goroutine.ID, rec *Recording) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if rec.options.Enforcement == nil {
		return nil
	}
	return e.enforceFor(id, rec)
}

// end removes the policies of a recording that is active no more. active are the others.
func (e *enforcement) end(rec *Recording, active []*Recording) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.endLocked(rec, active)
}

func (e *enforcement) endLocked(rec *Recording, active []*Recording) error {
	if !e.enabled {
		return nil
	}
	err := e.updateUnknown(active)
	for _, p := range slices.Clone(e.policies) {
		if p.of == rec {
			err = errors.Join(err, e.remove(p))
		}
	}
	e.containers.end(rec)
	return err
}

// updateUnknown enforces for tasks of no known recording what the policies of all active recordings allow together.
func (e *enforcement) updateUnknown(active []*Recording) error {
	deciding := decidingOf(active)
	if slices.Equal(deciding, e.deciding) {
		return nil
	}
	var united *policy
	if len(deciding) > 0 {
		p, err := e.newPolicy(nil, func(machine) (probe.Rules, error) { return e.unitedRules(deciding), nil })
		if err != nil {
			return err
		}
		if err := e.kernel.Enforce(e.own, 0, p.id); err != nil {
			return errors.Join(err, e.remove(p))
		}
		united = p
	}
	old := e.unknown
	e.unknown, e.deciding = united, deciding
	if old == nil {
		return nil
	}
	return e.remove(old)
}

// policyOf returns the policy of a recording's test process, or nil if it is unrestricted.
func (e *enforcement) policyOf(rec *Recording) *policy {
	for _, p := range e.policies {
		if p.of == rec && p.isTest {
			return p
		}
	}
	return nil
}

// newPolicy writes a policy into the kernel. It has no effect yet.
func (e *enforcement) newPolicy(of *Recording, compile func(machine) (probe.Rules, error)) (*policy, error) {
	rules, err := compile(e.machine)
	if err != nil {
		return nil, err
	}
	id, err := e.kernel.NewPolicy(rules)
	if err != nil {
		return nil, err
	}
	p := &policy{id: id, of: of, rules: rules, compile: compile}
	e.policies = append(e.policies, p)
	return p, nil
}

func (e *enforcement) remove(p *policy) error {
	e.policies = without(e.policies, p)
	return e.kernel.RemovePolicy(p.id)
}

// refresh adds to all policies what has become known about this machine and its containers.
func (e *enforcement) refresh() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.enabled {
		return nil
	}
	m, err := e.read(false)
	if err != nil {
		return err
	}
	return e.update(m)
}

// update is refresh after the machine was read.
func (e *enforcement) update(m machine) error {
	m.describe(e.containers.described)
	if reflect.DeepEqual(m, e.machine) {
		return nil
	}
	e.machine = m
	var errs []error
	for _, p := range e.policies {
		rules, err := p.compile(m)
		if add := missing(p.rules, rules); err == nil && !isEmpty(add) {
			p.rules = together(p.rules, add)
			err = e.kernel.AddRules(p.id, add)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// testRules returns the rules of a recording's test process.
func (e *enforcement) testRules(rec *Recording, m machine) (probe.Rules, error) {
	r := newRuleSet(rec.options.Enforcement.Own)
	domains := rec.clusterDomains(m)
	r.allowTestProcess(m, domains)
	e.allowNames(r, rec, m, domains)
	r.complete(m.search.Domains, m.hosts)
	return r.rules()
}

// allowNames adds the names of workloads that a recording or the engine knows.
func (e *enforcement) allowNames(r *ruleSet, rec *Recording, m machine, clusterDomains []string) {
	r.allowOptions(rec.options, rec.identifier, clusterDomains)
	for _, c := range m.containers {
		if to, ok := e.endpoint(rec, c); ok {
			ports := r.workload(to.Name, to.Namespace)
			r.allowHosts(ports, docker.DNSNames(c)...)
			r.allowAddrs(ports, m.addrsOf(c.ID)...)
		}
	}
}

// clusterDomains returns the domains of clusters, besides cluster.local.
func (rec *Recording) clusterDomains(m machine) []string {
	return slices.Concat(rec.options.ClusterDomains, m.search.ClusterDomains())
}

// unitedRules returns the rules that allow what the policy of any of some recordings allows. Parallel tests often share
// a golden file.
func (e *enforcement) unitedRules(recordings []*Recording) probe.Rules {
	var different []probe.Rules
	for _, rec := range recordings {
		rules := e.policyOf(rec).rules
		if !slices.ContainsFunc(different, func(other probe.Rules) bool { return equalRules(rules, other) }) {
			different = append(different, rules)
		}
	}
	if len(different) == 1 {
		return different[0]
	}
	var tables []enforce.Table
	for _, rules := range different {
		tables = append(tables, enforce.Table{Addresses: rules.Addresses, Names: rules.Names})
	}
	union := enforce.Union(tables...)
	return probe.Rules{Addresses: union.Addresses, Names: union.Names}
}

// without returns a list without an element.
func without[T comparable](all []T, element T) []T {
	return slices.DeleteFunc(slices.Clone(all), func(other T) bool { return other == element })
}
