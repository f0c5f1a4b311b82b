package placement

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	networkingv1 "k8s.io/api/networking/v1"
	"sigs.k8s.io/yaml"

	"github.com/netzero-dev/netzero/golden"
	"github.com/netzero-dev/netzero/internal/manifest/manifesttest"
	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/internal/policy/ciliumpolicy"
	"github.com/netzero-dev/netzero/internal/policy/networkpolicy"
	"github.com/netzero-dev/netzero/internal/recording"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

func placeBrokers(t *testing.T) Placement {
	t.Helper()
	named := func(name string) flow.Endpoint { return flow.Endpoint{Kind: flow.Workload, Name: name} }
	to := func(source, destination string, port uint16) flow.Flow {
		return flow.Flow{Source: named(source), Destination: named(destination), Protocol: flow.TCP, Port: port, Count: 1}
	}
	recorded := recording.Recording{
		Flows: []flow.Flow{to("shop", "kafka", 30092), to("kafka", "store", 5432), to("kafka-exporter", "kafka", 9092),
			to("shop", "web", 8080), to("web", "store", 5432)},
		Workloads: []recording.Workload{
			{Name: "shop"}, {Name: "kafka", AllTraffic: true},
			{Name: "kafka-exporter", AllTraffic: true}, {Name: "store", AllTraffic: true},
			{Name: "web", AllTraffic: true},
		},
	}
	placed, err := Place(recorded, Options{Manifests: manifesttest.Read(t, manifesttest.Brokers)})
	if err != nil || len(placed.Flows) != 5 {
		t.Fatalf("%v, %v", placed.Flows, err)
	}
	return placed
}

// The workload's labels select the workload in its own policy and as a source. The selector of its Service selects it
// as a destination.
func TestSelectors_ServiceOnlyForDestinations(t *testing.T) {
	placed := placeBrokers(t)
	flows, scope, notices := placed.Flows, placed.Scope, recording.Texts(placed.Notices)
	const broker, exporter, service = "app=kafka,part=broker", "app=kafka,part=metrics", "app=kafka"
	const store = "cnpg.io/cluster=store,cnpg.io/instanceRole=primary"
	want := []string{
		"kafka: " + broker, "kafka egress " + store + " 5432", "kafka ingress " + exporter + " 9092",
		"kafka ingress app=shop 9092",
		"kafka-exporter: " + exporter, "kafka-exporter egress " + service + " 9092",
		"shop: app=shop", "shop egress " + service + " 9092", "shop egress app=web 8080",
		"store: " + store, "store ingress " + broker + " 5432", "store ingress app=web,track=stable 5432",
		"web: app=web,track=stable", "web egress " + store + " 5432", "web ingress app=shop 8080",
	}
	for dialect, got := range map[string][]string{
		"NetworkPolicy":       selectorsOf(t, networkpolicy.Dialect{Scope: scope}.Generate(flows)),
		"CiliumNetworkPolicy": selectorsOf(t, ciliumpolicy.Dialect{Scope: scope}.Generate(flows)),
	} {
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", dialect, diff)
		}
	}
	if len(notices) == 0 || !slices.ContainsFunc(notices, func(n string) bool {
		return strings.Contains(
			n, "Service store (all.yaml:",
		)
	}) {
		t.Errorf("no notice about pods without a manifest: %q", notices)
	}
}

// selectorsOf returns the selectors in policies of either dialect, without the resolver's.
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

// A hand-written policy passes if it selects the pods in a cluster.
func TestSelectors_HandWrittenPolicies(t *testing.T) {
	placed := placeBrokers(t)
	flows, scope := placed.Flows, placed.Scope
	between := func(source, destination string) flow.Flow {
		return flows[slices.IndexFunc(flows, func(f flow.Flow) bool {
			return f.Source.Name == source && f.Destination.Name == destination
		})]
	}
	// own is a policy for the pods with the labels. egress and ingress have a rule for these pods. All of them allow
	// everything else.
	own := map[string]string{
		"NetworkPolicy": "metadata: {name: x}\nspec: {podSelector: {matchLabels: {%}}, policyTypes: [Egress], " +
			"egress: [{}]}",
		"CiliumNetworkPolicy": "metadata: {name: x}\nspec: {endpointSelector: {matchLabels: {%}}, " +
			"egress: [{toEntities: [all]}]}",
	}
	egress := map[string]string{
		"NetworkPolicy": "metadata: {name: x}\nspec: {podSelector: {matchLabels: {app: shop}}, " +
			"policyTypes: [Egress], egress: [{to: [{podSelector: {matchLabels: {%}}}]}]}",
		"CiliumNetworkPolicy": "metadata: {name: x}\nspec: {endpointSelector: {matchLabels: {app: shop}}, " +
			"egress: [{toEndpoints: [{matchLabels: {%}}]}]}",
	}
	ingress := map[string]string{
		"NetworkPolicy": "metadata: {name: x}\nspec: {podSelector: {}, policyTypes: [Egress, Ingress], " +
			"egress: [{}], ingress: [{from: [{podSelector: {matchLabels: {%}}}]}]}",
		"CiliumNetworkPolicy": "metadata: {name: x}\nspec: {endpointSelector: {}, egress: [{toEntities: [all]}], " +
			"ingress: [{fromEndpoints: [{matchLabels: {%}}]}]}",
	}
	for _, row := range []struct {
		reason string
		text   map[string]string
		labels string
		flow   flow.Flow
		want   policy.Outcome
	}{
		{"the workload's own labels", own, "part: broker", between("kafka", "store"), policy.Allowed},
		{"a release's", own, "helm.sh/chart: kafka-28.0.1", between("kafka", "store"), policy.Allowed},
		{"another workload's", own, "part: metrics", between("kafka", "store"), policy.Unprotected},
		{"the Service's, as a destination", egress, "app: kafka", between("shop", "kafka"), policy.Allowed},
		{
			"those of the pods that serve, as a destination",
			egress, "app: kafka, part: broker", between("shop", "kafka"), policy.Allowed,
		},
		{"those of pods that do not", egress, "part: metrics", between("shop", "kafka"), policy.Denied},
		{"those of some of the pods that serve", egress, "track: stable", between("shop", "web"), policy.Denied},
		{"those of all of them", egress, "app: web", between("shop", "web"), policy.Allowed},
		{
			"of several that serve, the one of the name has its own",
			own, "track: stable", between("web", "store"), policy.Allowed,
		},
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

// Its own policy selects a pod with all PodLabels. The rules of other policies select it by the Service's selector.
func TestSelectors_MatchPodLabels(t *testing.T) {
	for _, s := range placeBrokers(t).Scope.Subjects {
		got := s.PodLabels()
		all := maps.Clone(got)
		maps.Copy(all, s.Selector)
		maps.Copy(all, s.PodSelector())
		if diff := cmp.Diff(all, got); diff != "" {
			t.Errorf("%s: labels are missing from the pods (-want +got)\n%s", s.Name, diff)
		}
		want := map[string]string{"app": "kafka", "part": "broker"}
		if s.Name == "kafka" && !maps.Equal(s.PodSelector(), want) {
			t.Errorf("kafka's policy selects %v, want %v", s.PodSelector(), want)
		}
	}
}
