package netzerotest

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	networkingv1 "k8s.io/api/networking/v1"
	"sigs.k8s.io/yaml"

	"github.com/netzero-dev/netzero/golden"
	"github.com/netzero-dev/netzero/internal/manifest"
	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/internal/policy/networkpolicy"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

const (
	apiService   = "---\napiVersion: v1\nkind: Service\nmetadata: {name: kubernetes, namespace: default}\nspec: {ports: [{name: https, port: 443, targetPort: 6443}]}\n"
	apiEndpoints = "---\napiVersion: v1\nkind: Endpoints\nmetadata: {name: kubernetes, namespace: default}\nsubsets: [{addresses: [{ip: 172.18.0.2}, {ip: 172.18.0.3}], ports: [{name: https, port: 6443}]}]\n"
	ownService   = "---\napiVersion: v1\nkind: Service\nmetadata: {name: kubernetes, namespace: shop}\nspec: {selector: {app: kube-ui}, ports: [{port: 443}]}\n" +
		"---\napiVersion: v1\nkind: Pod\nmetadata: {name: kube-ui, namespace: shop, labels: {app: kube-ui}}\nspec: {containers: [{name: x, ports: [{containerPort: 443}]}]}\n"
	agent = "---\napiVersion: apps/v1\nkind: DaemonSet\nmetadata: {name: agent, namespace: monitoring}\n" +
		"spec: {selector: {matchLabels: {app: agent}}, template: {metadata: {labels: {app: agent}}, spec: {hostNetwork: true, containers: [{name: x, ports: [{containerPort: 9100}]}]}}}\n"
	orders = "---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: orders-db, namespace: shop}\n" +
		"spec: {selector: {matchLabels: {app: orders-db}}, template: {metadata: {labels: {app: orders-db}}, spec: {containers: [{name: pg, ports: [{containerPort: 5432}]}]}}}\n"
)

func readManifests(t *testing.T, text string) *manifest.Set {
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

// written returns what is generated of a recording, as YAML without blanks, and the notices.
func written(t *testing.T, c config, recorded settlement) (text string, notices []string) {
	t.Helper()
	flows, scope, notices, err := c.deploy(recorded)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	add := func(p any) {
		out, err := yaml.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		b.Write(out)
	}
	if c.cilium {
		for _, p := range ciliums(scope).rules.Generate(flows) {
			add(p)
		}
	} else {
		for _, p := range kubernetes(scope).rules.Generate(flows) {
			add(p)
		}
	}
	return strings.Join(strings.Fields(b.String()), " "), notices
}

func callOf(destination flow.Endpoint, port uint16) settlement {
	f := Flow{Source: flow.Endpoint{Kind: flow.Workload, Name: "controller", Namespace: "shop"}, Destination: destination, Protocol: flow.TCP, Port: port, Count: 1}
	return settlement{flows: []Flow{f}, workloads: []policy.Subject{{Workload: policy.Workload{Name: "controller", Namespace: "shop"}}}}
}

// TestTheAPIServerIsNoPods holds what is written for each way in which the API server is known, in both dialects.
func TestTheAPIServerIsNoPods(t *testing.T) {
	server := flow.ClusterAPIServer
	server.Addr = netip.MustParseAddr("127.0.0.1") // as the test dials it
	short := server
	short.Namespace = ""
	alias := flow.Endpoint{Kind: flow.Workload, Name: "kubernetes"} // of a container
	lookup := callOf(server, 0)
	lookup.flows[0].Lookup, lookup.flows[0].Protocol = true, 0
	const (
		open  = "- ports: - port: 443 protocol: TCP - port: 6443 protocol: TCP podSelector:"
		entry = "netzero.dev/egress-api-server: 443/TCP,6443/TCP"
		known = "- ports: - port: 6443 protocol: TCP to: - ipBlock: cidr: 172.18.0.2/32 - ports: - port: 6443 protocol: TCP to: - ipBlock: cidr: 172.18.0.3/32"
		both  = "- toEntities: - kube-apiserver toPorts: - ports: - port: \"443\" protocol: TCP - port: \"6443\" protocol: TCP endpointSelector"
		one   = "- toEntities: - kube-apiserver toPorts: - ports: - port: \"6443\" protocol: TCP endpointSelector"
	)
	for _, tt := range []struct {
		reason, manifests  string
		recorded           settlement
		kubernetes, cilium []string
		notice             bool
	}{
		{"nobody says where it is", "", callOf(server, 443), []string{open, entry}, []string{both}, true},
		{"by its short name", "", callOf(short, 443), []string{open, entry}, []string{both}, true},
		{"the Service alone", apiService, callOf(server, 443), []string{open, entry}, []string{both}, true},
		{"a look-up without an answer", "", lookup, []string{open, entry}, []string{both}, true},
		{"at the port of the server", "", callOf(server, 6443), []string{"- ports: - port: 6443 protocol: TCP podSelector:", "egress-api-server: 6443/TCP"}, []string{one}, true},
		{"at minikube's", "", callOf(server, 8443), []string{"- ports: - port: 8443 protocol: TCP podSelector:", "egress-api-server: 8443/TCP"}, []string{`toPorts: - ports: - port: "8443" protocol: TCP endpointSelector`}, true},
		{"its Endpoints", apiService + apiEndpoints, callOf(server, 443), []string{known}, []string{one}, false},
		{"its Endpoints without the Service", apiEndpoints, callOf(short, 443), []string{known}, []string{one}, false},
		{"a container of that name", apiService + apiEndpoints, callOf(alias, 443), []string{known}, []string{one}, false},
		{"a name that is the caller's own Service's", ownService, callOf(short, 443), []string{"podSelector: matchLabels: app: kube-ui"}, []string{"k8s:app: kube-ui"}, false},
		{"another namespace's Service of that name", ownService, callOf(server, 443), []string{open, entry}, []string{both}, true},
	} {
		c := config{manifests: readManifests(t, tt.manifests), workload: "controller"}
		for _, c.cilium = range []bool{false, true} {
			text, notices := written(t, c, tt.recorded)
			wants := tt.kubernetes
			if c.cilium {
				wants = tt.cilium
			}
			for _, want := range wants {
				if !strings.Contains(text, want) {
					t.Errorf("%s, cilium %v: %s\nwant %s", tt.reason, c.cilium, text, want)
				}
			}
			if strings.Contains(text, "app: kubernetes") || c.cilium && strings.Contains(text, "toCIDR") || !strings.Contains(text, "kube-dns") {
				t.Errorf("%s, cilium %v: %s", tt.reason, c.cilium, text)
			}
			if got := strings.Contains(strings.Join(notices, "\n"), "the API server is in no pods"); got != (tt.notice && !c.cilium) || got && len(notices) != 1 {
				t.Errorf("%s, cilium %v: %q", tt.reason, c.cilium, notices)
			}
		}
	}
}

// TestFormsThatReachTheAPIServer holds what people write for it against the flow, and what an update makes of it.
func TestFormsThatReachTheAPIServer(t *testing.T) {
	const dns = "{to: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: kube-system}}, podSelector: {matchLabels: {k8s-app: kube-dns}}}], ports: [{port: 53, protocol: UDP}, {port: 53, protocol: TCP}]}"
	for _, tt := range []struct {
		reason, manifests, rule string
		want                    policy.Outcome
	}{
		{"a rule without peers", "", "{ports: [{port: 443}]}", policy.Allowed},
		{"at the server's port", "", "{ports: [{port: 6443}]}", policy.Allowed},
		{"at minikube's", "", "{ports: [{port: 8443}]}", policy.Allowed},
		{"at another", "", "{ports: [{port: 8080}]}", policy.Denied},
		{"over UDP", "", "{ports: [{port: 443, protocol: UDP}]}", policy.Denied},
		{"everything", "", "{}", policy.Allowed},
		{"an address", "", "{to: [{ipBlock: {cidr: 172.18.0.2/32}}], ports: [{port: 6443}]}", policy.Allowed},
		{"a range", "", "{to: [{ipBlock: {cidr: 172.16.0.0/12}}], ports: [{port: 443}, {port: 6443}]}", policy.Allowed},
		{"all addresses", "", "{to: [{ipBlock: {cidr: 0.0.0.0/0}}], ports: [{port: 443}]}", policy.Allowed},
		{"all but that of credentials", "", "{to: [{ipBlock: {cidr: 0.0.0.0/0, except: [169.254.169.254/32]}}], ports: [{port: 443}]}", policy.Allowed},
		{"the internet, where it is not", "", "{to: [{ipBlock: {cidr: 0.0.0.0/0, except: [10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16]}}], ports: [{port: 443}]}", policy.Denied},
		{"pods", "", "{to: [{namespaceSelector: {}}], ports: [{port: 443}]}", policy.Denied},
		{"pods that nobody has", "", "{to: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: default}}, podSelector: {matchLabels: {app: kubernetes}}}], ports: [{port: 443}]}", policy.Denied},
		{"its Endpoints", apiEndpoints, "{to: [{ipBlock: {cidr: 172.18.0.2/32}}, {ipBlock: {cidr: 172.18.0.3/32}}], ports: [{port: 6443}]}", policy.Allowed},
		{"at the Service's port", apiEndpoints, "{to: [{ipBlock: {cidr: 172.18.0.0/16}}], ports: [{port: 443}]}", policy.Allowed},
		{"not all of them", apiEndpoints, "{to: [{ipBlock: {cidr: 172.18.0.2/32}}], ports: [{port: 6443}]}", policy.Denied},
		{"another address than theirs", apiEndpoints, "{to: [{ipBlock: {cidr: 10.96.0.1/32}}], ports: [{port: 6443}]}", policy.Denied},
		{"a port that they do not have", apiEndpoints, "{ports: [{port: 8443}]}", policy.Denied},
		{"a rule without peers, all the same", apiEndpoints, "{ports: [{port: 443}]}", policy.Allowed},
	} {
		c := config{manifests: readManifests(t, tt.manifests), workload: "controller"}
		flows, scope, _, err := c.deploy(callOf(flow.ClusterAPIServer, 443))
		if err != nil {
			t.Fatal(err)
		}
		p := new(networkingv1.NetworkPolicy)
		text := "metadata: {name: controller, namespace: shop}\nspec: {podSelector: {matchLabels: {app: controller}}, policyTypes: [Egress], egress: [" + tt.rule + ", " + dns + "]}"
		if err := yaml.UnmarshalStrict([]byte(text), p); err != nil {
			t.Fatal(err)
		}
		committed := []*networkingv1.NetworkPolicy{p}
		worst := policy.Allowed
		for _, f := range flows {
			if v := (networkpolicy.Dialect{Scope: scope}).Evaluate(committed, f); v.Outcome != policy.Allowed {
				worst = v.Outcome
			}
		}
		merged := networkpolicy.Dialect{Scope: scope}.Merge(committed, flows)
		isKept := golden.Diff(committed, merged) == ""
		if worst != tt.want || isKept != (tt.want == policy.Allowed) {
			t.Errorf("%s: %s, want %s; an update keeps it: %v", tt.reason, worst, tt.want, isKept)
		}
		for _, f := range flows {
			if v := (networkpolicy.Dialect{Scope: scope}).Evaluate(merged, f); v.Outcome != policy.Allowed {
				t.Errorf("%s: after an update %s: %s", tt.reason, v.Outcome, v.Reason)
			}
		}
	}
}

// TestPodsOnTheHostNetworkAreNoPods is about a DaemonSet with hostNetwork, as a peer, a caller and a subject.
func TestPodsOnTheHostNetworkAreNoPods(t *testing.T) {
	daemon := flow.Endpoint{Kind: flow.Workload, Name: "agent"}
	caller := callOf(flow.Endpoint{Kind: flow.Workload, Name: "orders-db"}, 5432)
	caller.flows[0].Source = daemon
	caller.workloads = []policy.Subject{{Workload: policy.Workload{Name: "agent"}, AllTraffic: true}, {Workload: policy.Workload{Name: "orders-db"}, AllTraffic: true}}
	for _, tt := range []struct {
		reason             string
		recorded           settlement
		kubernetes, cilium []string
		notice             string
	}{
		{
			"as a peer", callOf(daemon, 9100),
			[]string{"netzero.dev/egress-host-network: agent.monitoring.svc:9100/TCP", "- ports: - port: 9100 protocol: TCP podSelector:"},
			[]string{"- toEntities: - host - remote-node toPorts: - ports: - port: \"9100\" protocol: TCP"}, "DaemonSet agent in namespace monitoring",
		},
		{
			"as a subject that calls another", caller,
			[]string{"netzero.dev/ingress-host-network: agent.monitoring.svc:5432/TCP", "ingress: - ports: - port: 5432 protocol: TCP podSelector:"},
			[]string{"- fromEntities: - host - remote-node toPorts: - ports: - port: \"5432\" protocol: TCP"}, "has no effect in a cluster",
		},
	} {
		c := config{manifests: readManifests(t, agent+orders), workload: "controller"}
		for _, c.cilium = range []bool{false, true} {
			text, notices := written(t, c, tt.recorded)
			wants := tt.kubernetes
			if c.cilium {
				wants = tt.cilium
			}
			for _, want := range wants {
				if !strings.Contains(text, want) {
					t.Errorf("%s, cilium %v: %s\nwant %s", tt.reason, c.cilium, text, want)
				}
			}
			if !strings.Contains(strings.Join(notices, "\n"), tt.notice) {
				t.Errorf("%s, cilium %v: %q, want %q", tt.reason, c.cilium, notices, tt.notice)
			}
		}
	}
}
