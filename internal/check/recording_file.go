package check

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/netzero-dev/netzero/internal/placement"
	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/internal/recording"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// RecordingFile returns a recording with its place in the cluster and its result, in the form that is written to a
// file. incomplete is the error of the recording. result is that of [Run], or zero if the recording was not compared:
// it is incomplete, or the test failed, panicked or was skipped.
func RecordingFile(recorded recording.Recording, incomplete error, result Result, o Options) recording.File {
	v := recording.File{
		Version: recording.Version, Test: o.Test, Golden: o.Package.Dir.slash(o.Golden), Recording: recorded,
		Enforced: o.Enforced,
	}
	placed, isCompared := result.Placed, result.Placed != nil
	if placed == nil {
		p, err := Place(recorded, o)
		placed, incomplete = &p, errors.Join(incomplete, err)
	}
	v.Options = o.Placement.Recorded()
	if incomplete != nil {
		v.Incomplete = incomplete.Error()
	} else {
		v.Failed = !isCompared && o.Failed != ""
		v.Partial = !isCompared || o.Partial || o.skipped() != ""
	}
	if o.Package.Path != "." {
		v.Package = o.Package.Path
	}
	v.Unusable = result.Report.Unusable
	v.Placed = o.placed(placed, recorded)
	v.Check = result.check()
	return v
}

// check returns the comparison with the golden file as data, or nil if there was none.
func (r Result) check() *recording.Check {
	if r.Placed == nil || r.committed == nil {
		return nil
	}
	v := &recording.Check{
		Dialect: string(r.dialect.kind), Unused: r.Report.Unused, NotIsolated: r.Report.Unprotected, Updated: r.isUpdated,
	}
	var implied []flow.Flow
	evaluate := r.dialect.Evaluator(r.committed.Policies)
	for _, f := range verdicts(r.dialect, r.committed, r.Placed.Flows) {
		if f.Implied {
			implied = append(implied, f.Flow)
		}
		verdict := recordingVerdict(f.Verdict)
		byPort := f.Flow
		byPort.Requests, byPort.Opaque = nil, ""
		verdict.WouldRefuse = wouldRefuse(f.Flow, f.Verdict) && evaluate(byPort).Outcome == f.Outcome
		for _, r := range f.Requests {
			verdict.Requests = append(verdict.Requests, recordingVerdict(r))
		}
		v.Verdicts = append(v.Verdicts, verdict)
	}
	v.Implied = recording.FromFlows(withoutProcesses(implied))
	return v
}

func recordingVerdict(v policy.Verdict) recording.Verdict {
	return recording.Verdict{
		Outcome: recording.Outcome(v.Outcome.String()), Policy: v.Policy, Reason: v.Reason,
		Ingress: v.Direction == policy.Ingress,
	}
}

// placed returns a placement as data. Its flows have no processes, because those of the recording have them.
func (o Options) placed(p *placement.Placement, recorded recording.Recording) recording.Placed {
	v := recording.Placed{
		Flows: recording.FromFlows(withoutProcesses(p.Flows)), Origins: placement.Origins(p.Flows, recorded.Flows),
		Notices: p.Notices, Namespaces: p.Scope.Namespaces,
		EphemeralPorts: recording.FromEphemeralPorts(p.EphemeralPorts),
	}
	for _, s := range p.Scope.Subjects {
		w := o.workload(s.Workload)
		w.AllTraffic = s.AllTraffic
		v.Workloads = append(v.Workloads, w)
	}
	for _, w := range p.Scope.Peers {
		v.Peers = append(v.Peers, o.workload(w))
	}
	byName := func(a, b recording.Workload) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	}
	slices.SortStableFunc(v.Workloads, byName)
	slices.SortStableFunc(v.Peers, byName)
	return v
}

func withoutProcesses(flows []flow.Flow) []flow.Flow {
	flows = slices.Clone(flows)
	for i := range flows {
		flows[i].Process, flows[i].First, flows[i].Named = flow.Process{}, 0, ""
	}
	return flows
}

// RecordingFileName returns the name of a recording's file. test is the name from which the default golden file is
// made.
//
// The base name is unique only for the default golden file of a top-level test. All other names get a hash of golden
// file and test, so that subtests, and tests that share a golden file, do not overwrite each other's recordings.
func RecordingFileName(v recording.File, dir Dir, test string) string {
	pkg := cmp.Or(v.Package, filepath.Base(string(dir)))
	base := strings.TrimSuffix(path.Base(v.Golden), ".yaml")
	name := strings.ReplaceAll(pkg, "/", "_") + "." + base
	if strings.Contains(test, "/") || v.Golden != "testdata/netzero/"+test+".yaml" {
		sum := sha256.Sum256([]byte(v.Golden + "\x00" + test))
		name += "-" + hex.EncodeToString(sum[:4])
	}
	return name + ".json"
}

// workload returns a workload with its place in the cluster.
func (o Options) workload(w policy.Workload) recording.Workload {
	v := recording.Workload{Name: w.Name, Namespace: w.Namespace, Labels: w.PodSelector(), PodLabels: w.PodLabels()}
	if selector := w.SelectorLabels(); !maps.Equal(selector, v.Labels) {
		v.Service = recording.ServicePods{Labels: selector, PodLabels: w.AllLabels()}
	}
	for _, p := range w.Ports {
		v.Ports = append(v.Ports, recording.NamedPort{Name: p.Name, Number: p.Number, Protocol: p.Protocol.String()})
	}
	if o.Placement.Manifests != nil {
		m, err := o.Placement.Manifests.Find(w.Name, w.Namespace)
		v.HostNetwork = err == nil && m.HostNetwork
	}
	return v
}
