package netzerotest

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	networkingv1 "k8s.io/api/networking/v1"
	"sigs.k8s.io/yaml"

	"github.com/netzero-dev/netzero/golden"
	"github.com/netzero-dev/netzero/internal/manifest"
	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/internal/policy/ciliumpolicy"
	"github.com/netzero-dev/netzero/internal/policy/networkpolicy"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// brokers is what a chart for a broker renders: its Service selects the exporter too, and all objects name the chart.
const brokers = `apiVersion: v1
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
{apiVersion: v1, kind: Pod, metadata: {name: kafka-test, annotations: {helm.sh/hook: test}, labels: {app: kafka, part: broker, helm.sh/chart: kafka-28.0.1}}, spec: {containers: [{name: x}]}}
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
  template: {metadata: {labels: {app: web, track: stable}}, spec: {containers: [{name: x, image: x, ports: [{containerPort: 8080}]}]}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web-canary}
spec:
  selector: {matchLabels: {app: web, track: canary}}
  template: {metadata: {labels: {app: web, track: canary}}, spec: {containers: [{name: x, image: x, ports: [{containerPort: 8080}]}]}}
`

func deployBrokers(t *testing.T) ([]Flow, policy.Scope, []string) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "all.yaml"), []byte(brokers), 0o600); err != nil {
		t.Fatal(err)
	}
	manifests, err := manifest.Read(dir, "all.yaml")
	if err != nil {
		t.Fatal(err)
	}
	named := func(name string) flow.Endpoint { return flow.Endpoint{Kind: flow.Workload, Name: name} }
	to := func(source, destination string, port uint16) Flow {
		return Flow{Source: named(source), Destination: named(destination), Protocol: flow.TCP, Port: port, Count: 1}
	}
	recorded := settlement{
		flows: []Flow{to("shop", "kafka", 30092), to("kafka", "store", 5432), to("kafka-exporter", "kafka", 9092),
			to("shop", "web", 8080), to("web", "store", 5432)},
		workloads: []policy.Subject{
			{Workload: policy.Workload{Name: "shop"}}, {Workload: policy.Workload{Name: "kafka"}, AllTraffic: true},
			{Workload: policy.Workload{Name: "kafka-exporter"}, AllTraffic: true}, {Workload: policy.Workload{Name: "store"}, AllTraffic: true},
			{Workload: policy.Workload{Name: "web"}, AllTraffic: true},
		},
	}
	flows, scope, notices, err := config{manifests: manifests}.deploy(recorded)
	if err != nil || len(flows) != 5 {
		t.Fatalf("%v, %v", flows, err)
	}
	return flows, scope, notices
}

// A policy of its own is selected by the workload's labels, and so is a source; a destination goes by its Service's.
func TestAServiceThatSelectsMoreIsForDestinationsOnly(t *testing.T) {
	flows, scope, notices := deployBrokers(t)
	const broker, exporter, service = "app=kafka,part=broker", "app=kafka,part=metrics", "app=kafka"
	const store = "cnpg.io/cluster=store,cnpg.io/instanceRole=primary"
	want := []string{
		"kafka: " + broker, "kafka egress " + store + " 5432", "kafka ingress " + exporter + " 9092", "kafka ingress app=shop 9092",
		"kafka-exporter: " + exporter, "kafka-exporter egress " + service + " 9092",
		"shop: app=shop", "shop egress " + service + " 9092", "shop egress app=web 8080",
		"store: " + store, "store ingress " + broker + " 5432", "store ingress app=web,track=stable 5432",
		"web: app=web,track=stable", "web egress " + store + " 5432", "web ingress app=shop 8080",
	}
	for dialect, got := range map[string][]string{
		"NetworkPolicy": selectorsOf(t, networkpolicy.Dialect{Scope: scope}.Generate(flows)), "CiliumNetworkPolicy": selectorsOf(t, ciliumpolicy.Dialect{Scope: scope}.Generate(flows)),
	} {
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", dialect, diff)
		}
	}
	if len(notices) == 0 || !slices.ContainsFunc(notices, func(n string) bool { return strings.Contains(n, "Service store (all.yaml:") }) {
		t.Errorf("nobody is told of pods that no manifest has: %q", notices)
	}
}

// selectorsOf returns what policies of either dialect select, without the resolver.
func selectorsOf[P any](t *testing.T, policies []P) []string {
	t.Helper()
	type m = map[string]any
	text := func(selector any) string {
		var pairs []string
		labels, _ := selector.(m)["matchLabels"].(m)
		for key, value := range labels {
			pairs = append(pairs, strings.TrimPrefix(key, "k8s:")+"="+value.(string))
		}
		slices.Sort(pairs)
		return strings.Join(pairs, ",")
	}
	var all []string
	for _, p := range policies {
		encoded, err := yaml.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		var o m
		if err := yaml.Unmarshal(encoded, &o); err != nil {
			t.Fatal(err)
		}
		name, spec := o["metadata"].(m)["name"].(string), o["spec"].(m)
		own := spec["podSelector"]
		if own == nil {
			own = spec["endpointSelector"]
		}
		all = append(all, name+": "+text(own))
		var rules []string
		for _, direction := range []string{"egress", "ingress"} {
			list, _ := spec[direction].([]any)
			for _, rule := range list {
				for _, side := range []string{"to", "from", "toEndpoints", "fromEndpoints"} {
					peers, _ := rule.(m)[side].([]any)
					for _, peer := range peers {
						if pods := peer.(m)["podSelector"]; pods != nil {
							peer = pods
						}
						selected := text(peer)
						if strings.Contains(selected, "k8s-app=kube-dns") {
							continue
						}
						ports, _ := rule.(m)["ports"].([]any)
						if ports == nil {
							ports, _ = rule.(m)["toPorts"].([]any)[0].(m)["ports"].([]any)
						}
						for _, port := range ports {
							number, _ := yaml.Marshal(port.(m)["port"])
							rules = append(rules, name+" "+direction+" "+selected+" "+strings.Trim(string(number), "\"\n"))
						}
					}
				}
			}
		}
		slices.Sort(rules)
		all = append(all, rules...)
	}
	return all
}

// What people write for such pods, and works in a cluster, is accepted; what selects other pods is not.
func TestPoliciesBySelectorsOfTheirOwnAreJudgedByThePods(t *testing.T) {
	flows, scope, _ := deployBrokers(t)
	between := func(source, destination string) Flow {
		return flows[slices.IndexFunc(flows, func(f Flow) bool { return f.Source.Name == source && f.Destination.Name == destination })]
	}
	// own is a policy with the labels; egress and ingress are rules for them, and everything else passes.
	own := map[string]string{
		"NetworkPolicy":       "metadata: {name: x}\nspec: {podSelector: {matchLabels: {%}}, policyTypes: [Egress], egress: [{}]}",
		"CiliumNetworkPolicy": "metadata: {name: x}\nspec: {endpointSelector: {matchLabels: {%}}, egress: [{toEntities: [all]}]}",
	}
	egress := map[string]string{
		"NetworkPolicy":       "metadata: {name: x}\nspec: {podSelector: {matchLabels: {app: shop}}, policyTypes: [Egress], egress: [{to: [{podSelector: {matchLabels: {%}}}]}]}",
		"CiliumNetworkPolicy": "metadata: {name: x}\nspec: {endpointSelector: {matchLabels: {app: shop}}, egress: [{toEndpoints: [{matchLabels: {%}}]}]}",
	}
	ingress := map[string]string{
		"NetworkPolicy":       "metadata: {name: x}\nspec: {podSelector: {}, policyTypes: [Egress, Ingress], egress: [{}], ingress: [{from: [{podSelector: {matchLabels: {%}}}]}]}",
		"CiliumNetworkPolicy": "metadata: {name: x}\nspec: {endpointSelector: {}, egress: [{toEntities: [all]}], ingress: [{fromEndpoints: [{matchLabels: {%}}]}]}",
	}
	for _, row := range []struct {
		reason string
		text   map[string]string
		labels string
		flow   Flow
		want   policy.Outcome
	}{
		{"the workload's own labels", own, "part: broker", between("kafka", "store"), policy.Allowed},
		{"a release's", own, "helm.sh/chart: kafka-28.0.1", between("kafka", "store"), policy.Allowed},
		{"another workload's", own, "part: metrics", between("kafka", "store"), policy.Unprotected},
		{"the Service's, as a destination", egress, "app: kafka", between("shop", "kafka"), policy.Allowed},
		{"those of the pods that serve, as a destination", egress, "app: kafka, part: broker", between("shop", "kafka"), policy.Allowed},
		{"those of pods that do not", egress, "part: metrics", between("shop", "kafka"), policy.Denied},
		{"those of some of the pods that serve", egress, "track: stable", between("shop", "web"), policy.Denied},
		{"those of all of them", egress, "app: web", between("shop", "web"), policy.Allowed},
		{"of several that serve, the one of the name has its own", own, "track: stable", between("web", "store"), policy.Allowed},
		{"and is the source", ingress, "track: stable", between("web", "store"), policy.Allowed},
		{"as a source", ingress, "part: broker", between("kafka", "store"), policy.Allowed},
		{"another source", ingress, "part: metrics", between("kafka", "store"), policy.Denied},
	} {
		np, cnp := new(networkingv1.NetworkPolicy), new(golden.CiliumNetworkPolicy)
		for dialect, p := range map[string]any{"NetworkPolicy": np, "CiliumNetworkPolicy": cnp} {
			if err := yaml.UnmarshalStrict([]byte(strings.Replace(row.text[dialect], "%", row.labels, 1)), p); err != nil {
				t.Fatal(err)
			}
		}
		for dialect, v := range map[string]policy.Verdict{
			"NetworkPolicy":       networkpolicy.Dialect{Scope: scope}.Evaluate([]*networkingv1.NetworkPolicy{np}, row.flow),
			"CiliumNetworkPolicy": ciliumpolicy.Dialect{Scope: scope}.Evaluate([]*golden.CiliumNetworkPolicy{cnp}, row.flow),
		} {
			if v.Outcome != row.want {
				t.Errorf("%s, %s: %s: %s, want %s", row.reason, dialect, v.Outcome, v.Reason, row.want)
			}
		}
	}
}
