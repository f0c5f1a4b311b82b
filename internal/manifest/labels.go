package manifest

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	utilvalidation "k8s.io/apimachinery/pkg/util/validation"
)

// The labels that select one pod of a StatefulSet. No template contains them.
const (
	podNameLabel  = "statefulset.kubernetes.io/pod-name"
	podIndexLabel = "apps.kubernetes.io/pod-index"
)

// isGenerated reports whether Kubernetes sets a label to a value that no manifest and no policy should contain.
func isGenerated(key string) bool {
	switch key {
	case "pod-template-hash", "controller-revision-hash", "pod-template-generation", "controller-uid",
		olderJobNameLabel,
		podNameLabel, podIndexLabel, "rollouts-pod-template-hash", "leaderworkerset.sigs.k8s.io/template-revision-hash":
		return true
	}
	return strings.HasPrefix(key, "batch.kubernetes.io/") || strings.HasPrefix(key, "topology.kubernetes.io/")
}

// withoutRunLabels returns the labels that are not generated; nil if there are none.
func withoutRunLabels(labels map[string]string) map[string]string {
	var kept map[string]string
	for key, value := range labels {
		if !isGenerated(key) {
			if kept == nil {
				kept = make(map[string]string)
			}
			kept[key] = value
		}
	}
	return kept
}

// contains reports whether a pod has all of the labels.
func contains(pod, labels map[string]string) bool {
	for key, value := range labels {
		if got, ok := pod[key]; !ok || got != value {
			return false
		}
	}
	return true
}

// selects reports whether a Service's selector matches pods of a workload.
func (s *service) selects(w *workload) bool {
	if s.namespace != w.namespace || len(s.selector) == 0 || !contains(w.labels, withoutRunLabels(s.selector)) {
		return false
	}
	for key, value := range s.selector {
		if isGenerated(key) && !w.generates(key, value) {
			return false
		}
	}
	return true
}

// generates reports whether Kubernetes may set a label on pods of a workload.
func (w *workload) generates(key, value string) bool {
	switch {
	case strings.HasSuffix(key, "-hash") || key == "pod-template-generation":
		return w.kind != "Job" && w.kind != "CronJob" // of one of its revisions, which no manifest names
	case key == jobNameLabel || key == olderJobNameLabel:
		return w.job == value && value != ""
	case w.kind != "StatefulSet":
		return false
	case key == podNameLabel:
		ordinal, isPod := strings.CutPrefix(value, w.name+"-")
		_, err := strconv.ParseUint(ordinal, 10, 31)
		return isPod && err == nil
	}
	return key == podIndexLabel
}

// inCommon returns the labels that all workloads' pods share.
func inCommon(workloads []*workload) map[string]string {
	common := maps.Clone(workloads[0].podLabels())
	for _, w := range workloads[1:] {
		of := w.podLabels()
		maps.DeleteFunc(common, func(key, value string) bool {
			got, ok := of[key]
			return !ok || got != value
		})
	}
	return common
}

// checkLabels validates labels like the API server, in the order of their keys.
func (o *object) checkLabels(field string, labels map[string]string) error {
	for _, key := range slices.Sorted(maps.Keys(labels)) {
		at := field + "[" + key + "]"
		if err := o.checkText(at, key, utilvalidation.IsQualifiedName); err != nil {
			return err
		}
		if err := o.checkText(at, labels[key], utilvalidation.IsValidLabelValue); err != nil {
			return err
		}
	}
	return nil
}
