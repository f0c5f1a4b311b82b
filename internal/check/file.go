package check

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/internal/recording"
)

// File returns a recording with its place in the cluster, in the form that is written to a file. incomplete is the
// error of the recording.
func File(recorded recording.Recording, incomplete error, o Options) recording.File {
	placed, err := Place(recorded, o)
	v := recording.File{
		Version: recording.Version, Test: o.Test, Golden: o.Package.Dir.slash(o.Golden),
		Flows: recording.FromFlows(placed.Flows), Recorded: recording.FromFlows(recorded.Flows),
		Notices: slices.Concat(recorded.Notices, placed.Notices, recorded.Unserved),
	}
	if o.Package.Path != "." {
		v.Package = o.Package.Path
	}
	for _, s := range placed.Scope.Subjects {
		w := o.workload(s.Workload)
		w.AllTraffic = s.AllTraffic
		v.Workloads = append(v.Workloads, w)
	}
	for _, w := range placed.Scope.Peers {
		v.Peers = append(v.Peers, o.workload(w))
	}
	byName := func(a, b recording.Workload) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	}
	slices.SortStableFunc(v.Workloads, byName)
	slices.SortStableFunc(v.Peers, byName)
	for _, line := range recorded.Announced {
		line = strings.TrimPrefix(line, o.Test+": ")
		if !slices.Contains(v.Notices, line) {
			v.Notices = append(v.Notices, line)
		}
	}
	if err := errors.Join(incomplete, err); err != nil {
		v.Incomplete = err.Error()
	}
	return v
}

// FileName returns the name of a recording's file. test is the name from which the default golden file is made.
//
// The base name is unique only for the default golden file of a top-level test. All other names get a hash of golden
// file and test, so that subtests, and tests that share a golden file, do not overwrite each other's recordings.
func FileName(v recording.File, dir Dir, test string) string {
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
	if o.Placement.Manifests != nil {
		m, err := o.Placement.Manifests.Find(w.Name, w.Namespace)
		v.HostNetwork = err == nil && m.HostNetwork
	}
	return v
}
