package netzerotest

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/internal/recording"
)

// recordingsDirectory returns the directory of NETZERO_RECORDINGS, "" where the variable is not set. A relative one is
// relative to the package's directory.
func recordingsDirectory() (string, error) {
	dir := os.Getenv("NETZERO_RECORDINGS")
	if dir == "" {
		return "", nil
	}
	full := dir
	if !filepath.IsAbs(full) {
		full = filepath.Join(packageDir, full)
	}
	if info, err := os.Stat(full); err != nil || !info.IsDir() {
		return "", fmt.Errorf("NETZERO_RECORDINGS=%q: is not an existing directory: make it first", dir)
	}
	return full, nil
}

// writeRecording writes what was recorded into the directory of NETZERO_RECORDINGS, if that is set. incomplete is the
// error of the capture.
func (r *Recording) writeRecording(recorded settlement, incomplete error) {
	r.tb.Helper()
	if r.env.recordings == "" {
		return
	}
	v := r.value(recorded, incomplete)
	file := filepath.Join(r.env.recordings, recordingFile(v, fileOf(r.tb)))
	if err := v.Write(file); err != nil {
		r.tb.Errorf("netzero: %s: NETZERO_RECORDINGS: %v", r.tb.Name(), err)
	}
}

// recordingFile returns the name of a recording's file. test is the name by which a golden file is found.
//
// Only for the default golden file of a top-level test is the base name unique. All other names get a hash of golden
// file and test, so that subtests, and tests that share a golden file, do not overwrite each other's recordings.
func recordingFile(v recording.Recording, test string) string {
	pkg := cmp.Or(v.Package, filepath.Base(packageDir))
	base := strings.TrimSuffix(path.Base(v.Golden), ".yaml")
	name := strings.ReplaceAll(pkg, "/", "_") + "." + base
	if strings.Contains(test, "/") || v.Golden != "testdata/netzero/"+test+".yaml" {
		sum := sha256.Sum256([]byte(v.Golden + "\x00" + test))
		name += "-" + hex.EncodeToString(sum[:4])
	}
	return name + ".json"
}

// value returns what was recorded as a value. incomplete is the error of the capture.
func (r *Recording) value(recorded settlement, incomplete error) recording.Recording {
	flows, scope, notices, err := r.config.deploy(recorded)
	if err == nil {
		err = r.refuseChanging(recorded, scope)
	}
	v := recording.Recording{
		Version: recording.Version, Test: r.tb.Name(), Golden: fromPackage(r.golden),
		Flows: recording.FromFlows(flows), Recorded: recording.FromFlows(recorded.flows),
		Notices: slices.Concat(recorded.notices, notices, recorded.unanswered),
	}
	if pkg := packagePath(); pkg != "." {
		v.Package = pkg
	}
	for _, s := range scope.Subjects {
		w := r.config.workloadValue(s.Workload)
		w.AllTraffic = s.AllTraffic
		v.Workloads = append(v.Workloads, w)
	}
	for _, w := range scope.Peers {
		v.Peers = append(v.Peers, r.config.workloadValue(w))
	}
	byName := func(a, b recording.Workload) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	}
	slices.SortStableFunc(v.Workloads, byName)
	slices.SortStableFunc(v.Peers, byName)
	for _, line := range recorded.printed {
		line = strings.TrimPrefix(line, r.tb.Name()+": ")
		if !slices.Contains(v.Notices, line) {
			v.Notices = append(v.Notices, line)
		}
	}
	if err := errors.Join(incomplete, err); err != nil {
		v.Incomplete = err.Error()
	}
	return v
}

// workloadValue returns a workload that has its place in the cluster as a value.
func (c config) workloadValue(w policy.Workload) recording.Workload {
	v := recording.Workload{Name: w.Name, Namespace: w.Namespace, Labels: w.PodSelector(), PodLabels: w.PodLabels()}
	if c.manifests != nil {
		m, err := c.manifests.Find(w.Name, w.Namespace)
		v.HostNetwork = err == nil && m.HostNetwork
	}
	return v
}

// fromPackage returns a path relative to the package's directory, with slashes, as far as there is such a path.
func fromPackage(file string) string {
	if rel, err := filepath.Rel(packageDir, file); err == nil {
		return filepath.ToSlash(rel)
	}
	return filepath.ToSlash(file)
}
