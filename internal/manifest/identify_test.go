package manifest

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// helm is the labels of "helm create" for all objects of a release.
const helm = "app.kubernetes.io/name: kafka, app.kubernetes.io/instance: events, app.kubernetes.io/version: \"3.7\", " +
	"app.kubernetes.io/managed-by: Helm, helm.sh/chart: kafka-28.0.1"

// pair is the subset of helm that selectors contain.
const pair = "app.kubernetes.io/name: kafka, app.kubernetes.io/instance: events"

var pairSet = set{"app.kubernetes.io/name": "kafka", "app.kubernetes.io/instance": "events"}

// with returns a set with another label.
func with(labels set, key, value string) set {
	all := set{key: value}
	for k, v := range labels {
		all[k] = v
	}
	return all
}

// controller returns a workload with a selector, which may be empty, and the labels of its template. The image's port
// is 9092 for a StatefulSet, otherwise 9308.
func controller(kind, name, matchLabels, labels string) string {
	port := map[bool]string{true: "9092", false: "9308"}[kind == "StatefulSet"]
	pods := "metadata: {labels: {" + labels +
		"}}, spec: {containers: [{name: x, image: x, ports: [{name: main, containerPort: " + port + "}]}]}"
	selector := ""
	if matchLabels != "" {
		selector = "selector: {matchLabels: {" + matchLabels + "}}, "
	}
	switch kind {
	case "Job":
		return "---\n{apiVersion: batch/v1, kind: Job, metadata: {name: " + name + "}, spec: {" + selector +
			"template: {" + pods + "}}}\n"
	case "CronJob":
		return "---\n{apiVersion: batch/v1, kind: CronJob, metadata: {name: " + name +
			"}, spec: {jobTemplate: {spec: {template: {" + pods + "}}}}}\n"
	}
	return "---\n{apiVersion: apps/v1, kind: " + kind + ", metadata: {name: " + name + "}, spec: {" + selector +
		"template: {" + pods + "}}}\n"
}

// pod returns a Pod; metadata is additional metadata, with a trailing comma.
func pod(name, metadata, labels string) string {
	return "---\n{apiVersion: v1, kind: Pod, metadata: {name: " + name + ", " + metadata + " labels: {" + labels +
		"}}, spec: {containers: [{name: x, image: x}]}}\n"
}

// The workload's own labels select its policy, across all of its releases and runs.
func TestFind_OwnSelector(t *testing.T) {
	ports := ", ports: [{name: x, port: 9092}]"
	broker := controller("StatefulSet", "kafka", pair+", app.kubernetes.io/component: broker",
		helm+", app.kubernetes.io/component: broker")
	exporter := controller("Deployment", "kafka-exporter", pair+", app.kubernetes.io/component: metrics",
		helm+", app.kubernetes.io/component: metrics")
	component := func(name string) set { return with(pairSet, "app.kubernetes.io/component", name) }
	const test = "annotations: {helm.sh/hook: test-success},"
	const replica = "namespace: shop, ownerReferences: [{apiVersion: apps/v1, controller: true, kind: ReplicaSet, " +
		"name: kafka-7c9d6b5f4, uid: a}],"
	for _, row := range []struct {
		reason, text, name string
		own, selector      set // nil where it is the former
		notice             string
	}{
		{"a Service that selects the exporter too", svc("kafka", "", "selector: {"+pair+"}"+ports) + broker + exporter,
			"kafka", component("broker"), pairSet, ""},
		{"the exporter has its own", svc("kafka", "", "selector: {"+pair+"}"+ports) + broker + exporter,
			"kafka-exporter", component("metrics"), nil, ""},
		{"a Service of another name: who declares its port",
			svc("events", "", "selector: {"+pair+"}"+ports) + broker + exporter, "events", component("broker"), pairSet,
			""},
		{"by the port's name", svc("events", "", "selector: {"+pair+"}, ports: [{port: 80, targetPort: main}]") +
			broker +
			strings.Replace(exporter, "name: main", "name: metrics", 1), "events", component("broker"), pairSet, ""},
		{"the workload's selector is as wide", svc("kafka", "", "selector: {"+pair+"}"+ports) +
			controller("StatefulSet", "kafka", pair, helm+", app.kubernetes.io/component: broker") + exporter, "kafka",
			component("broker"), pairSet, ""},
		{"the fewest distinguishing labels",
			controller("StatefulSet", "kafka", pair, helm+", logging: enabled, role: broker") +
				controller("Deployment", "ui", "app: ui", helm+", app: ui, role: ui"), "kafka",
			with(pairSet, "role", "broker"), nil, ""},
		{"two versions behind one Service", svc("reviews", "", "selector: {app: reviews}, ports: [{port: 9308}]") +
			controller("Deployment", "reviews-v1", "app: reviews, version: v1", "app: reviews, version: v1") +
			controller("Deployment", "reviews-v2", "app: reviews, version: v2", "app: reviews, version: v2"), "reviews",
			set{"app": "reviews"}, nil, ""},
		{"one of them", controller("Deployment", "reviews-v1", "app: reviews, version: v1",
			"app: reviews, version: v1"), "reviews-v1",
			set{"app": "reviews", "version": "v1"}, nil, ""},
		{"only the version differs",
			controller("Deployment", "a", "app: a, app.kubernetes.io/version: \"1\"",
				"app: a, app.kubernetes.io/version: \"1\"") +
				controller("Deployment", "b", "app: a, app.kubernetes.io/version: \"2\"",
					"app: a, app.kubernetes.io/version: \"2\""), "a",
			set{"app": "a", "app.kubernetes.io/version": "1"}, nil, ""},
		{"several that serve, and one that does not", svc("kafka", "", "selector: {app: kafka}"+ports) +
			controller("StatefulSet", "kafka-a", "app: kafka, pool: a", "app: kafka, tier: broker, pool: a") +
			controller("StatefulSet", "kafka-b", "app: kafka, pool: b", "app: kafka, tier: broker, pool: b") +
			controller("Deployment", "kafka-exporter", "app: kafka, tier: metrics", "app: kafka, tier: metrics"),
			"kafka", set{"app": "kafka", "tier": "broker"}, set{"app": "kafka"}, ""},

		{"a selector with the chart's version", controller("Deployment", "kafka", helm, helm), "kafka", pairSet, nil,
			""},
		{"a Service with it", svc("kafka", "", "selector: {"+helm+"}"+ports) +
			controller("Deployment", "kafka", helm, helm), "kafka", pairSet, nil, ""},
		{"Helm 2", controller("Job", "topics", "", "app: kafka, release: events, chart: kafka-0.2, heritage: Tiller"),
			"topics",
			set{"app": "kafka", "release": "events"}, nil, ""},
		{"a Job", controller("Job", "topics", "",
			helm+", controller-uid: 5a1c, batch.kubernetes.io/controller-uid: 5a1c, job-name: topics"), "topics",
			pairSet, nil, ""},
		{"a CronJob", controller("CronJob", "topics", "", helm+", git-sha: 0a1b2c, imageTag: v3"), "topics", pairSet,
			nil, ""},
		{"a bare Pod", pod("topics", "", helm+", version: v3, pod-template-hash: 7c9d6b5f4"), "topics", pairSet, nil,
			""},
		{"Argo's and Flux's", controller("Job", "topics", "",
			pair+", argocd.argoproj.io/instance: x, workflows.argoproj.io/workflow: run-1, "+
				"rollouts-pod-template-hash: a1, "+
				"kustomize.toolkit.fluxcd.io/name: x, helm.toolkit.fluxcd.io/namespace: z"), "topics", pairSet, nil,
			""},
		{"Tekton's and Knative's", pod("topics", "",
			pair+", tekton.dev/taskRun: a-1, serving.knative.dev/revisionUID: b, "+
				"serving.knative.dev/configurationGeneration: \"3\""), "topics", pairSet, nil, ""},
		{"a pipeline's", controller("Job", "topics", "",
			pair+", pipeline-id: \"1234\", ci.example.com/jobId: a-7, run_id: b"), "topics", pairSet, nil, ""},
		{"not what only ends as a run's labels do",
			controller("Job", "topics", "", "tenant-id: a, pipeline: b, run: c"), "topics",
			set{"tenant-id": "a", "pipeline": "b", "run": "c"}, nil, ""},
		{"nothing but a release's labels", controller("Job", "topics", "", "helm.sh/chart: kafka-28.0.1"), "topics",
			set{"batch.kubernetes.io/job-name": "topics"}, nil, ""},
		{"the same for what has no name that stays", controller("CronJob", "topics", "", "helm.sh/chart: kafka-28.0.1"),
			"topics", set{"helm.sh/chart": "kafka-28.0.1"}, nil, ""},
		{"a Job without labels", controller("Job", "topics", "", ""), "topics",
			set{"batch.kubernetes.io/job-name": "topics"}, nil, ""},
		{"a Job with another workload's labels",
			controller("Job", "topics", "", helm) + controller("Deployment", "kafka", pair, helm), "topics",
			with(pairSet, "batch.kubernetes.io/job-name", "topics"), nil, ""},
		{"a Service for a Job's pods", svc("topics", "", "selector: {job-name: topics}"+ports) +
			controller("Job", "topics", "", helm), "topics", pairSet, nil, ""},

		{"with a Helm test", svc("kafka", "", "selector: {"+pair+"}"+ports) +
			controller("Deployment", "kafka", pair, helm) + pod("kafka-test-connection", test, helm), "kafka", pairSet,
			nil, ""},
		{"the same without a Service", controller("Deployment", "kafka", pair, helm) +
			pod("kafka-test-connection", test, helm), "kafka", pairSet, nil, ""},
		{"a Helm test with a label of its own",
			controller("Deployment", "kafka", pair, helm) +
				pod("kafka-test", test, helm+", app.kubernetes.io/component: test"), "kafka", pairSet, nil, ""},
		{"with its live Pod", controller("Deployment", "kafka", pair, helm) +
			pod("kafka-7c9d6b5f4-x2x9q", replica, helm+", pod-template-hash: 7c9d6b5f4"), "kafka", pairSet, nil, ""},
		{"with its live Pods without owners",
			controller("Deployment", "kafka", pair, helm) +
				pod("kafka-7c9d6b5f4-x2x9q", "", helm+", pod-template-hash: 7c9d6b5f4"), "kafka", pairSet, nil, ""},
		{"a StatefulSet's", controller("StatefulSet", "kafka", pair, helm) +
			pod("kafka-0", "", helm+", statefulset.kubernetes.io/pod-name: kafka-0"), "kafka", pairSet, nil, ""},
		{"a DaemonSet's", controller("DaemonSet", "kafka", pair, helm) +
			pod("kafka-x2x9q", "", helm+", controller-revision-hash: a1, pod-template-generation: \"1\""), "kafka",
			pairSet, nil, ""},
		{"a CronJob's", controller("CronJob", "topics", "", helm) + pod("topics-29105280-abcde",
			"ownerReferences: [{apiVersion: batch/v1, controller: true, kind: Job, name: topics-29105280, uid: a}],",
			helm+", job-name: topics-29105280"), "topics", pairSet, nil, ""},
		{"live Pods of one owner alone", svc("kafka", "shop", "selector: {"+pair+"}"+ports) +
			pod("kafka-7c9d6b5f4-a", replica, helm) + pod("kafka-7c9d6b5f4-b", replica, helm), "kafka", pairSet, nil,
			""},

		{"the tool differs", controller("Deployment", "kafka", pair, helm) +
			controller("Job", "migrate", "", pair), "kafka",
			with(pairSet, "app.kubernetes.io/managed-by", "Helm"), nil, ""},
		{"no label differs", controller("Deployment", "kafka", pair, helm) +
			controller("Deployment", "worker", pair, helm), "kafka", pairSet, nil,
			"Deployment kafka (x.yaml:2): no label distinguishes its pods from those of Deployment worker, so its policy " +
				"(app.kubernetes.io/instance=events,app.kubernetes.io/name=kafka) selects them too: give the " +
				"pod template a label of its own"},
		{"nor from a migration's", controller("Deployment", "kafka", pair, helm) +
			controller("Job", "migrate", "", pair+", app.kubernetes.io/managed-by: Helm"), "kafka", pairSet, nil,
			"Deployment kafka (x.yaml:2): no label distinguishes its pods from those of Job migrate, so its policy " +
				"(app.kubernetes.io/instance=events,app.kubernetes.io/name=kafka) selects them too: give the " +
				"pod template a label of its own"},
	} {
		m, err := parsed(t, row.text).Find(row.name, "")
		if err != nil {
			t.Errorf("%s: %v", row.reason, err)
			continue
		}
		if row.selector == nil {
			row.selector = row.own
		}
		if diff := cmp.Diff([]any{row.own, row.selector, row.notice, ""},
			[]any{m.Own, m.Selector, m.OwnNotice, m.Notice}); diff != "" {
			t.Errorf("%s: own, selector, notices (-want +got):\n%s", row.reason, diff)
		}
		if !contains(m.OwnLabels, m.Own) || !contains(m.Labels, m.Own) && len(m.pods) == 1 {
			t.Errorf("%s: the pods have %v and %v, and are selected by %v", row.reason, m.OwnLabels, m.Labels, m.Own)
		}
	}
}
