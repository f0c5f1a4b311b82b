// Package manifesttest has manifests for the tests of several packages.
package manifesttest

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/netzero-dev/netzero/internal/manifest"
)

// Read reads manifests from a text. It returns nil for an empty text, and fails the test for one that is not valid.
func Read(t testing.TB, text string) *manifest.Set {
	t.Helper()
	if text == "" {
		return nil
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "all.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	set, err := manifest.Read(dir, "all.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// Shop has Services of every kind in the namespaces shop and web, and the workload checkout, which is a client of them.
const Shop = `{apiVersion: v1, kind: Service, metadata: {name: orders-db, namespace: shop},
  spec: {clusterIP: None, selector: {app: db}, ports: [{port: 5432, targetPort: pg}]}}
---
{apiVersion: apps/v1, kind: StatefulSet, metadata: {name: orders-db, namespace: shop}, spec: {
  selector: {matchLabels: {app: db}}, template: {metadata: {labels: {app: db}},
  spec: {containers: [{name: pg, image: pg, ports: [{name: pg, containerPort: 5432}]}]}}}}
---
{apiVersion: v1, kind: Service, metadata: {name: redis, namespace: shop},
  spec: {selector: {app: redis}, ports: [{port: 6379}]}}
---
{apiVersion: apps/v1, kind: Deployment, metadata: {name: redis, namespace: shop}, spec: {
  selector: {matchLabels: {app: redis}}, template: {metadata: {labels: {app: redis}},
  spec: {containers: [{name: redis, image: redis, ports: [{containerPort: 6379}]}]}}}}
---
{apiVersion: v1, kind: Service, metadata: {name: redis, namespace: web},
  spec: {selector: {app: cache}, ports: [{port: 6379}]}}
---
{apiVersion: apps/v1, kind: Deployment, metadata: {name: redis, namespace: web}, spec: {
  selector: {matchLabels: {app: cache}}, template: {metadata: {labels: {app: cache}},
  spec: {containers: [{name: redis, image: redis, ports: [{containerPort: 6379}]}]}}}}
---
{apiVersion: v1, kind: Service, metadata: {name: basket, namespace: web},
  spec: {type: ExternalName, externalName: redis.shop.svc.cluster.local}}
---
{apiVersion: v1, kind: Service, metadata: {name: payments, namespace: web},
  spec: {type: ExternalName, externalName: api.stripe.com}}
---
{apiVersion: v1, kind: Service, metadata: {name: search, namespace: web},
  spec: {type: ExternalName, externalName: search.other.svc.k8s.acme.io}}
---
{apiVersion: v1, kind: Service, metadata: {name: legacy, namespace: web}, spec: {ports: [{port: 80, targetPort: 8080}]}}
---
{apiVersion: v1, kind: Endpoints, metadata: {name: legacy, namespace: web},
  subsets: [{addresses: [{ip: 10.20.0.7}], ports: [{port: 8080}]}]}
---
{apiVersion: apps/v1, kind: Deployment, metadata: {name: checkout, namespace: web}, spec: {
  selector: {matchLabels: {app: checkout}}, template: {metadata: {labels: {app: checkout}},
  spec: {containers: [{name: main, image: checkout}]}}}}
`

// OrdersDB has the workload orders-db with a named port, in a namespace with a label of its own.
const OrdersDB = `{apiVersion: v1, kind: Namespace, metadata: {name: data, labels: {team: storage}}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: orders-db, namespace: data}
spec:
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec: {containers: [{name: pg, image: pg, ports: [{name: pg, containerPort: 5432}]}]}
`

// Brokers is what a chart for a broker renders. Its Service selects the exporter too, and all objects name the chart.
const Brokers = `apiVersion: v1
kind: Service
metadata: {name: kafka}
spec:
  type: NodePort
  selector: {app: kafka, helm.sh/chart: kafka-28.0.1}
  ports: [{port: 80, targetPort: client, nodePort: 30092}]
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: kafka}
spec:
  selector: {matchLabels: {app: kafka, part: broker, helm.sh/chart: kafka-28.0.1}}
  template:
    metadata: {labels: {app: kafka, part: broker, helm.sh/chart: kafka-28.0.1}}
    spec: {containers: [{name: x, image: x, ports: [{name: client, containerPort: 9092}]}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: kafka-exporter}
spec:
  selector: {matchLabels: {app: kafka, part: metrics}}
  template:
    metadata: {labels: {app: kafka, part: metrics, helm.sh/chart: kafka-28.0.1}}
    spec: {containers: [{name: x, image: x, ports: [{name: metrics, containerPort: 9308}]}]}
---
apiVersion: v1
kind: Pod
metadata:
  name: kafka-test
  annotations: {helm.sh/hook: test}
  labels: {app: kafka, part: broker, helm.sh/chart: kafka-28.0.1}
spec: {containers: [{name: x}]}
---
apiVersion: v1
kind: Service
metadata: {name: store}
spec: {selector: {cnpg.io/cluster: store, cnpg.io/instanceRole: primary}, ports: [{port: 5432}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 8080}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web, track: stable}}
  template:
    metadata: {labels: {app: web, track: stable}}
    spec: {containers: [{name: x, image: x, ports: [{containerPort: 8080}]}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web-canary}
spec:
  selector: {matchLabels: {app: web, track: canary}}
  template:
    metadata: {labels: {app: web, track: canary}}
    spec: {containers: [{name: x, image: x, ports: [{containerPort: 8080}]}]}
`

// Manifests of single objects, which begin with the separator of documents.
const (
	// APIService is the Service of the API server, and APIEndpoints has two addresses of it.
	APIService = "---\napiVersion: v1\nkind: Service\nmetadata: {name: kubernetes, namespace: default}\nspec: " +
		"{ports: [{name: https, port: 443, targetPort: 6443}]}\n"
	APIEndpoints = "---\napiVersion: v1\nkind: Endpoints\nmetadata: {name: kubernetes, namespace: " +
		"default}\nsubsets: [{addresses: [{ip: 172.18.0.2}, {ip: 172.18.0.3}], ports: [{name: https, port: 6443}]}]\n"
	// KubernetesInShop is a Service of the name kubernetes, with pods, in namespace shop.
	KubernetesInShop = "---\napiVersion: v1\nkind: Service\nmetadata: {name: kubernetes, namespace: shop}\nspec: " +
		"{selector: {app: kube-ui}, ports: [{port: 443}]}\n" +
		"---\napiVersion: v1\nkind: Pod\nmetadata: {name: kube-ui, namespace: shop, labels: {app: kube-ui}}\nspec: " +
		"{containers: [{name: x, ports: [{containerPort: 443}]}]}\n"
	// Agent is a DaemonSet with hostNetwork.
	Agent = "---\napiVersion: apps/v1\nkind: DaemonSet\nmetadata: {name: agent, namespace: monitoring}\n" +
		"spec: {selector: {matchLabels: {app: agent}}, template: {metadata: {labels: {app: agent}}, spec: " +
		"{hostNetwork: true, containers: [{name: x, ports: [{containerPort: 9100}]}]}}}\n"
	// Orders has the Deployment orders-db in namespace shop.
	Orders = "---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: orders-db, namespace: shop}\n" +
		"spec: {selector: {matchLabels: {app: orders-db}}, template: {metadata: {labels: {app: orders-db}}, spec: " +
		"{containers: [{name: pg, ports: [{containerPort: 5432}]}]}}}\n"
)
