package manifest

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// strimzi is a chart's output for a broker: the operator makes the pods, and more of these Services.
const strimzi = `apiVersion: kafka.strimzi.io/v1beta2
kind: Kafka
metadata: {name: events, namespace: data}
spec: {kafka: {replicas: 3}}
---
apiVersion: v1
kind: Service
metadata: {name: events-kafka-bootstrap, namespace: data}
spec:
  selector:
    strimzi.io/cluster: events
    strimzi.io/kind: Kafka
    strimzi.io/name: events-kafka
    helm.sh/chart: kafka-1.2.3
  ports:
  - {name: tcp-clients, port: 9092, targetPort: 9093, nodePort: 31092}
  - {name: tcp-rest, port: 8080, targetPort: rest-api}
---
apiVersion: v1
kind: Service
metadata: {name: events-kafka-0, namespace: data}
spec: {selector: {statefulset.kubernetes.io/pod-name: events-kafka-0}, ports: [{port: 9092}]}
`

const taken = ": policies use it for pods that an operator may create; if no operator does, correct it, or add the " +
	"workload's manifest"

// A Service with an operator's pods is a peer: its selector suffices.
func TestFind_OperatorPods(t *testing.T) {
	port := ", ports: [{port: 80}]"
	events := set{"strimzi.io/cluster": "events", "strimzi.io/kind": "Kafka", "strimzi.io/name": "events-kafka"}
	for _, row := range []struct {
		reason, text, name string
		want               set
		notice             string
	}{
		{"by its selector, without what names a release", strimzi, "events-kafka-bootstrap", events,
			"Service events-kafka-bootstrap in namespace data (x.yaml:6): no workload in the manifests has the " +
				"labels of its selector, " +
				"helm.sh/chart=kafka-1.2.3,strimzi.io/cluster=events,strimzi.io/kind=Kafka,strimzi.io/name=events-kafka" + taken},
		{"one pod, by the only label that there is", strimzi, "events-kafka-0",
			set{"statefulset.kubernetes.io/pod-name": "events-kafka-0"},
			"Service events-kafka-0 in namespace data (x.yaml:19): no workload in the manifests has the labels of " +
				"its selector, statefulset.kubernetes.io/pod-name=events-kafka-0" + taken},
		{"without a release's label it would select others",
			svc("cart", "", "selector: {app: a, helm.sh/chart: x-1}"+port) + deployment("basket", "", "a"), "cart",
			set{"app": "a", "helm.sh/chart": "x-1"},
			"Service cart (x.yaml:2): no workload in the manifests has the labels of its selector, " +
				"app=a,helm.sh/chart=x-1" + taken},
		{"the pods may have been left in another namespace",
			svc("carts", "", "selector: {app: a}"+port) + deployment("cart", "shop", "a"), "carts", set{"app": "a"},
			"Service carts (x.yaml:2): no workload in the manifests has the labels of its selector, app=a, but for " +
				"another namespace's Deployment cart in namespace shop" + taken},
	} {
		m, err := parsed(t, row.text).Find(row.name, "")
		if err != nil {
			t.Errorf("%s: %v", row.reason, err)
			continue
		}
		got := []any{m.Selector, m.Labels, m.Own, m.OwnLabels, m.Notice}
		if diff := cmp.Diff([]any{row.want, row.want, row.want, row.want, row.notice}, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", row.reason, diff)
		}
	}
}

func TestTargetPorts_OperatorPods(t *testing.T) {
	m, err := parsed(t, strimzi).Find("events-kafka-bootstrap", "")
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		reason string
		port   uint16
		want   []uint16
		err    string
	}{
		{"the Service's becomes the pods'", 9092, []uint16{9093}, ""},
		{"the pods' own", 9093, []uint16{9093}, ""},
		{"a node's", 31092, []uint16{9093}, ""},
		{"one of which nothing is known", 9404, []uint16{9404}, ""},
		{"one that only the pods know", 8080, nil,
			`find port 8080/TCP: Service events-kafka-bootstrap in namespace data (x.yaml:6): its target port ` +
				`"rest-api" belongs to pods that no manifest describes; name the pods' port with Peer, or give the Service ` +
				`its number as targetPort`},
	} {
		got, err := m.TargetPorts(row.port, flow.TCP)
		text := ""
		if err != nil {
			text = err.Error()
		}
		if diff := cmp.Diff([]any{row.want, row.err}, []any{got, text}); diff != "" {
			t.Errorf("%s (-want +got):\n%s", row.reason, diff)
		}
	}
}

const operated = `apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: {name: cart}
spec:
  selector: {matchLabels: {app: cart, helm.sh/chart: cart-1.0}}
  strategy: {canary: {canaryService: cart-canary, analysis: {templates: [{templateName: x}]}}}
  template:
    metadata: {labels: {app: cart, helm.sh/chart: cart-1.0}}
    spec: {containers: [{name: x, image: x, ports: [{name: web, containerPort: 8080}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: cart-canary}
spec: {selector: {app: cart, rollouts-pod-template-hash: 7c9d6b5f4}, ports: [{port: 80, targetPort: web}]}
---
apiVersion: apps/v1
kind: ReplicaSet
metadata:
  name: cart-7c9d6b5f4
  ownerReferences: [{apiVersion: argoproj.io/v1alpha1, controller: true, kind: Rollout, name: cart, uid: a}]
spec:
  selector: {matchLabels: {app: cart, rollouts-pod-template-hash: 7c9d6b5f4}}
  template:
    metadata: {labels: {app: cart, rollouts-pod-template-hash: 7c9d6b5f4}}
    spec: {containers: [{name: x, image: x}]}
---
apiVersion: apps.openshift.io/v1
kind: DeploymentConfig
metadata: {name: db}
spec:
  selector: {deploymentconfig: db}
  triggers: [{type: ConfigChange}]
  template:
    metadata: {labels: {deploymentconfig: db, app: shop}}
    spec: {containers: [{name: x, image: x, ports: [{name: pg, containerPort: 5432}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: db}
spec: {selector: {deploymentconfig: db}, ports: [{port: 6432, targetPort: pg}]}
---
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: {name: by-reference}
spec: {workloadRef: {apiVersion: apps/v1, kind: Deployment, name: cart}}
---
apiVersion: apps.kruise.io/v1alpha1
kind: CloneSet
metadata: {name: odd}
spec: {selector: {matchLabels: {app: odd}}, template: {metadata: {labels: {app: other}}, spec: {containers: []}}}
`

func TestRead_DeploymentLikeKinds(t *testing.T) {
	s := parsed(t, operated)
	for _, row := range []struct {
		name      string
		own       set
		dial, get uint16
	}{
		{"cart", set{"app": "cart"}, 8080, 8080},
		{"cart-canary", set{"app": "cart"}, 80, 8080},
		{"db", set{"deploymentconfig": "db"}, 6432, 5432},
	} {
		m, err := s.Find(row.name, "")
		if err != nil {
			t.Errorf("%s: %v", row.name, err)
			continue
		}
		ports, err := m.TargetPorts(row.dial, flow.TCP)
		if diff := cmp.Diff([]any{row.own, row.own, []uint16{row.get}, ""},
			[]any{m.Own, m.Selector, ports, m.Notice}); diff != "" || err != nil {
			t.Errorf("%s: %v (-want +got):\n%s", row.name, err, diff)
		}
	}
	for _, name := range []string{"by-reference", "odd", "cart-7c9d6b5f4"} {
		if m, err := s.Find(name, ""); err == nil {
			t.Errorf("%s is %s", name, m)
		}
	}
}
