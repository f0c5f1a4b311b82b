package manifest

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// selectorOf returns the labels with which a policy selects the pods of one workload, across its releases and runs, and
// the workloads with pods that no label distinguishes from them. The basis is the workload's own selector. If that
// matches other workloads' pods too, selectorOf adds distinguishing labels of the template. It uses labels that name a
// release only if no others do, and not because of a Job.
func (s *Set) selectorOf(w *workload) (map[string]string, []*workload) {
	unstable := func(key string) bool { return isRelease(key) || isTool(key) || namesRelease(key) }
	base := without(w.selector, func(key string) bool { return isRelease(key) || isTool(key) })
	if len(base) == 0 {
		base = without(w.labels, unstable)
	}
	selector, others := s.narrow(w, base, without(w.labels, unstable))
	if len(selector) > 0 && len(others) == 0 {
		return selector, nil
	}
	if w.job != "" {
		if selector, others := s.narrow(w, base, map[string]string{jobNameLabel: w.job}); len(others) == 0 {
			return selector, nil
		}
	}
	selector, others = s.narrow(w, selector, without(w.labels, isRelease))
	lasts := func(other *workload) bool { return other.kind != "Job" && other.kind != "CronJob" && !other.hook }
	if len(selector) > 0 && !slices.ContainsFunc(others, lasts) {
		return selector, others
	}
	return s.narrow(w, selector, w.labels)
}

// narrow adds as few labels as possible to a selector of a workload's pods until it matches no others, starting with
// the label that excludes most of the others. It returns the workloads that remain.
func (s *Set) narrow(w *workload, selector, labels map[string]string) (map[string]string, []*workload) {
	selector = maps.Clone(selector)
	if len(selector) == 0 {
		selector = maps.Clone(labels)
	}
	others := s.others(w, selector)
	for len(others) > 0 {
		best, left := "", others
		for _, key := range slices.SortedFunc(maps.Keys(labels), compareKeys) {
			has := func(other *workload) bool { value, ok := other.labels[key]; return ok && value == labels[key] }
			rest := slices.DeleteFunc(slices.Clone(others), func(other *workload) bool { return !has(other) })
			if _, known := selector[key]; !known && len(rest) < len(left) {
				best, left = key, rest
			}
		}
		if best == "" {
			break
		}
		selector[best], others = labels[best], left
	}
	return selector, others
}

// compareKeys puts the labels that Kubernetes recommends for the parts of an application before others.
func compareKeys(a, b string) int {
	rank := func(key string) int {
		order := []string{
			"app.kubernetes.io/component", "app.kubernetes.io/name", "component", "name", "app", "role", "tier",
		}
		if i := slices.Index(order, key); i >= 0 {
			return i
		}
		return len(order)
	}
	return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a, b))
}

// others returns the other workloads with pods that the labels match. The pods of a Helm test do not count, nor do
// those that the same controller made.
func (s *Set) others(w *workload, labels map[string]string) []*workload {
	if len(labels) == 0 {
		return nil
	}
	var all []*workload
	for _, other := range s.workloads {
		siblings := w.owner != (identity{}) && w.owner == other.owner
		if other != w && other.namespace == w.namespace && !siblings && (w.test || !other.test) &&
			contains(other.podLabels(), labels) {
			all = append(all, other)
		}
	}
	return all
}

// jobNameLabel is the Job controller's label for the pods of a Job, with the Job's name. Clusters before Kubernetes
// 1.27 have only the older one.
const (
	jobNameLabel      = "batch.kubernetes.io/job-name"
	olderJobNameLabel = "job-name"
)

// podLabels returns the labels of the pods in every run: those of the template, and for a Job its name.
func (w *workload) podLabels() map[string]string {
	if w.job == "" {
		return w.labels
	}
	all := without(w.labels, func(string) bool { return false })
	all[jobNameLabel], all[olderJobNameLabel] = w.job, w.job
	return all
}

// named returns the workload behind a Service that has the Service's name, otherwise all that serve its ports.
func (svc *service) named(pods []*workload) []*workload {
	for _, w := range pods {
		if w.name == svc.name {
			return []*workload{w}
		}
	}
	return svc.serving(pods)
}

// serving returns the workloads behind a Service that declare one of its target ports, or all if none does. The
// selector of a database's Service often matches its exporter too.
func (svc *service) serving(pods []*workload) []*workload {
	targets := svc.targets(pods)
	serves := func(w *workload) bool {
		return slices.ContainsFunc(w.ports, func(p Port) bool {
			return slices.ContainsFunc(targets, func(t target) bool {
				return t.key.protocol == p.Protocol && slices.Contains(t.numbers, p.Number)
			})
		})
	}
	if !slices.ContainsFunc(pods, serves) {
		return pods
	}
	return slices.DeleteFunc(slices.Clone(pods), func(w *workload) bool { return !serves(w) })
}

// withoutHooks leaves out Helm's tests and the hooks of a deployment, because their pods are short-lived. If there are
// no others, it returns all.
func withoutHooks(workloads []*workload) []*workload {
	kept := slices.DeleteFunc(slices.Clone(workloads), func(w *workload) bool { return w.hook })
	if len(kept) == 0 {
		return workloads
	}
	return kept
}

// selectorOfAll returns the labels with which one policy selects the pods of several workloads behind a Service, and
// the other workloads with pods that it selects.
func (s *Set) selectorOfAll(svc *service, workloads []*workload) (map[string]string, []*workload) {
	if len(workloads) == 1 {
		return s.selectorOf(workloads[0])
	}
	otherPods := func(labels map[string]string) []*workload {
		among := func(w *workload) bool { return slices.Contains(workloads, w) }
		return slices.DeleteFunc(s.others(workloads[0], labels), among)
	}
	selector := s.stableSelector(svc, workloads)
	others := otherPods(selector)
	for _, key := range slices.SortedFunc(maps.Keys(inCommon(workloads)), compareKeys) {
		if len(others) == 0 || isRelease(key) || isTool(key) || namesRelease(key) {
			continue
		}
		narrower := maps.Clone(selector)
		narrower[key] = workloads[0].labels[key]
		if left := otherPods(narrower); len(left) < len(others) {
			selector, others = narrower, left
		}
	}
	return selector, others
}

// stableSelector returns a Service's selector without the labels that name a release or a run, as long as it then
// selects no other pods. It is empty if no label is left.
func (s *Set) stableSelector(svc *service, pods []*workload) map[string]string {
	selector := withoutRunLabels(svc.selector)
	stable := without(selector, func(key string) bool { return isRelease(key) || isTool(key) })
	if len(stable) == 0 {
		return selector
	}
	for _, w := range s.workloads {
		if w.namespace == svc.namespace && !w.hook && !slices.Contains(pods, w) && contains(w.podLabels(), stable) {
			return selector
		}
	}
	return stable
}

// sharing warns that a policy selects other workloads' pods too.
func sharing(m Match, selector map[string]string, others []*workload) string {
	var names []string
	for _, w := range others {
		names = append(names, w.identity.String())
	}
	slices.Sort(names)
	return fmt.Sprintf("%s: no label distinguishes its pods from those of %s, so its policy (%s) selects them too: "+
		"give the pod template a label of its own", m, strings.Join(slices.Compact(names), ", "), labelText(selector))
}

// decides reports whether a Service selects exactly one of several workloads with its name.
func (s *Set) decides(svc *service, workloads []*workload) bool {
	picked := 0
	for _, w := range workloads {
		if svc.selects(w) {
			picked++
		}
	}
	return picked == 1
}
