package manifest

import (
	"maps"
	"slices"
	"strings"
	"unicode"
)

// isTool reports whether a label names the tool that deployed a workload.
func isTool(key string) bool {
	return key == "app.kubernetes.io/managed-by" || key == "app.kubernetes.io/created-by" ||
		key == "heritage" // Helm 2's
}

// isRelease reports whether a label differs between releases or runs of a workload. A selector with such a label no
// longer matches the pods after the next upgrade.
func isRelease(key string) bool {
	switch key {
	case "chart", // Helm 2's, still used by many charts
		"app.kubernetes.io/version", "service.istio.io/canonical-revision", "istio.io/rev", "skaffold.dev/run-id":
		return true
	}
	domain, _, qualified := strings.Cut(key, "/")
	if !qualified {
		return false
	}
	for _, tool := range []string{
		"helm.sh", "argoproj.io", "toolkit.fluxcd.io", "fluxcd.io", "weave.works", "tekton.dev", "kapp.k14s.io",
	} {
		if domain == tool || strings.HasSuffix(domain, "."+tool) {
			return true
		}
	}
	return namesRelease(key) && strings.HasSuffix(domain, "kubernetes.io")
}

// releaseWords are the words in the names of such labels.
var releaseWords = []string{
	"version", "chart", "revision", "rev", "hash", "uid", "uuid", "generation", "checksum", "digest", "commit", "sha",
	"build", "timestamp", "tag",
}

// runWords name a release or a run together with "id": "pipeline-id", "jobId", but not "tenant-id".
var runWords = []string{"run", "job", "pipeline", "workflow", "execution", "release", "deploy", "deployment", "trace"}

// namesRelease reports whether the name of a label suggests a release or a run: "version", "git-sha", "imageTag". It is
// not applied to a workload's own selector, because a selector cannot change.
func namesRelease(key string) bool {
	name := key[strings.LastIndexByte(key, '/')+1:]
	all := words(name)
	isOf := func(list []string) bool {
		return slices.ContainsFunc(all, func(word string) bool { return slices.Contains(list, word) })
	}
	return isOf(releaseWords) || slices.Contains(all, "id") && isOf(runWords)
}

// words returns the words of a name in lower case: "imageTag", "image-tag" and "image_tag" have two.
func words(name string) []string {
	var spaced strings.Builder
	lower := false
	for _, r := range name {
		if lower && unicode.IsUpper(r) {
			spaced.WriteByte(' ')
		}
		lower = unicode.IsLower(r) || unicode.IsDigit(r)
		spaced.WriteRune(unicode.ToLower(r))
	}
	return strings.FieldsFunc(spaced.String(), func(r rune) bool { return strings.ContainsRune(" -_.", r) })
}

// without returns the labels with keys for which drop is false, never nil.
func without(labels map[string]string, drop func(key string) bool) map[string]string {
	kept := maps.Clone(labels)
	if kept == nil {
		kept = make(map[string]string)
	}
	maps.DeleteFunc(kept, func(key, _ string) bool { return drop(key) })
	return kept
}

// PodLabels returns the labels of a live pod that its workload's other pods have too: those that Kubernetes does not
// generate. It is nil if there are none.
func PodLabels(live map[string]string) map[string]string { return withoutRunLabels(live) }

// SelectorLabels returns the labels of a live pod with which a policy selects its workload's pods across releases and
// runs. Labels that name a release or a run, or the tool that deployed it, are among them only if there are no others.
func SelectorLabels(live map[string]string) map[string]string {
	lasting := withoutRunLabels(live)
	stable := without(lasting, func(key string) bool { return isRelease(key) || isTool(key) || namesRelease(key) })
	if len(stable) == 0 {
		return lasting
	}
	return stable
}
