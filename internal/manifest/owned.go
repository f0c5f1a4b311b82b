package manifest

import (
	"cmp"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// dropOwned removes objects that a controller made from another workload in the set: kubectl get prints a Deployment
// together with its ReplicaSets and Pods. A Deployment without a written namespace may be in any.
func (s *Set) dropOwned() {
	have := make(map[identity]bool)
	for _, w := range s.workloads {
		have[w.identity] = true
	}
	isThere := func(i identity) bool { return have[i] || have[identity{kind: i.kind, name: i.name}] }
	s.workloads = slices.DeleteFunc(s.workloads, func(w *workload) bool {
		return isThere(w.owner) || slices.ContainsFunc(w.possibleOwners, isThere)
	})
}

// addRun records the run to which an object belongs, and its purpose.
func (w *workload) addRun(meta *metav1.ObjectMeta, labels map[string]string) {
	if w.kind == "Pod" || w.kind == "Job" {
		for hook := range strings.SplitSeq(meta.Annotations["helm.sh/hook"], ",") {
			hook = strings.TrimSpace(hook)
			w.test = w.test || hook == "test" || hook == "test-success" || hook == "test-failure"
			w.hook = w.hook || hook != ""
		}
		w.hook = w.hook || meta.Annotations["argocd.argoproj.io/hook"] != ""
	}
	switch w.kind {
	case "Job":
		w.job = w.name
	case "Pod":
		w.job = cmp.Or(labels[jobNameLabel], labels[olderJobNameLabel])
	}
	w.possibleOwners = possibleOwners(w, meta, labels)
}

// possibleOwners returns the possible makers of a live object, or of its owner, according to the naming of controllers:
// a Deployment's ReplicaSet is <name>-<hash>, a CronJob's Job <name>-<minutes>, a DeploymentConfig's
// ReplicationController <name>-<number>, and a Pod <owner>-<anything>.
func possibleOwners(w *workload, meta *metav1.ObjectMeta, labels map[string]string) []identity {
	owner := w.owner
	if owner == (identity{}) && w.kind == "Pod" {
		if i := strings.LastIndexByte(w.name, '-'); i > 0 {
			owner = identity{"", w.name[:i], meta.Namespace}
		}
	}
	var all []identity
	is := func(kind, name string) { all = append(all, identity{kind, name, meta.Namespace}) }
	hash := cmp.Or(labels["pod-template-hash"], labels["rollouts-pod-template-hash"])
	switch name, cut := strings.CutSuffix(owner.name, "-"+hash); {
	case hash != "" && cut:
		is("ReplicaSet", owner.name)
		is("Deployment", name)
		is("Rollout", name)
	case owner.kind == "" && labels[podNameLabel] == w.name && w.kind == "Pod":
		is("StatefulSet", owner.name)
	case owner.kind == "" && labels["controller-revision-hash"] != "":
		is("DaemonSet", owner.name)
	}
	if i := strings.LastIndexByte(owner.name, '-'); i > 0 && strings.Trim(owner.name[i+1:], "0123456789") == "" {
		switch owner.kind {
		case "Job":
			is("CronJob", owner.name[:i])
		case "ReplicationController":
			is("DeploymentConfig", owner.name[:i])
		}
	}
	return all
}
