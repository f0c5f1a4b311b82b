package placement

import (
	"net/netip"
	"strings"
	"testing"

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

// written returns the policies generated from a recording, as YAML without blanks, and the notices.
func written(t *testing.T, o Options, recorded recording.Recording) (text string, notices []string) {
	t.Helper()
	placed, err := Place(recorded, o)
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
	if o.Cilium {
		for _, p := range (ciliumpolicy.Dialect{Scope: placed.Scope}).Generate(placed.Flows) {
			add(p)
		}
	} else {
		for _, p := range (networkpolicy.Dialect{Scope: placed.Scope}).Generate(placed.Flows) {
			add(p)
		}
	}
	return strings.Join(strings.Fields(b.String()), " "), recording.Texts(placed.Notices)
}

func callOf(destination flow.Endpoint, port uint16) recording.Recording {
	f := flow.Flow{
		Source:      flow.Endpoint{Kind: flow.Workload, Name: "controller", Namespace: "shop"},
		Destination: destination, Protocol: flow.TCP, Port: port, Count: 1,
	}
	return recording.Recording{
		Flows:     []flow.Flow{f},
		Workloads: []recording.Workload{{Name: "controller", Namespace: "shop"}},
	}
}

// The rows have the rules for each way to recognize the API server, in both dialects.
func TestAPIServer_Rules(t *testing.T) {
	server := flow.ClusterAPIServer
	server.Addr = netip.MustParseAddr("127.0.0.1") // as the test dials it
	short := server
	short.Namespace = ""
	alias := flow.Endpoint{Kind: flow.Workload, Name: "kubernetes"} // of a container
	lookup := callOf(server, 0)
	lookup.Flows[0].Lookup, lookup.Flows[0].Protocol = true, 0
	const (
		open  = "- ports: - port: 443 protocol: TCP - port: 6443 protocol: TCP podSelector:"
		entry = "netzero.dev/egress-api-server: 443/TCP,6443/TCP"
		known = "- ports: - port: 6443 protocol: TCP to: - ipBlock: cidr: 172.18.0.2/32 - ports: - port: 6443 protocol: " +
			"TCP to: - ipBlock: cidr: 172.18.0.3/32"
		both = "- toEntities: - kube-apiserver toPorts: - ports: - port: \"443\" protocol: TCP - port: \"6443\" " +
			"protocol: TCP endpointSelector"
		one = "- toEntities: - kube-apiserver toPorts: - ports: - port: \"6443\" protocol: TCP endpointSelector"
	)
	for _, tt := range []struct {
		reason, manifests  string
		recorded           recording.Recording
		kubernetes, cilium []string
		notice             bool
	}{
		{"its address is not known", "", callOf(server, 443), []string{open, entry}, []string{both}, true},
		{"by its short name", "", callOf(short, 443), []string{open, entry}, []string{both}, true},
		{"the Service alone", manifesttest.APIService, callOf(server, 443), []string{open, entry}, []string{both}, true},
		{"a lookup without an answer", "", lookup, []string{open, entry}, []string{both}, true},
		{
			"at the port of the server", "", callOf(server, 6443),
			[]string{"- ports: - port: 6443 protocol: TCP podSelector:", "egress-api-server: 6443/TCP"},
			[]string{one}, true,
		},
		{
			"at minikube's", "", callOf(server, 8443),
			[]string{"- ports: - port: 8443 protocol: TCP podSelector:", "egress-api-server: 8443/TCP"},
			[]string{`toPorts: - ports: - port: "8443" protocol: TCP endpointSelector`},
			true,
		},
		{
			"its Endpoints",
			manifesttest.APIService + manifesttest.APIEndpoints,
			callOf(server, 443), []string{known}, []string{one}, false,
		},
		{
			"its Endpoints without the Service", manifesttest.APIEndpoints, callOf(short, 443), []string{known},
			[]string{one}, false,
		},
		{
			"a container of that name",
			manifesttest.APIService + manifesttest.APIEndpoints,
			callOf(alias, 443), []string{known}, []string{one}, false,
		},
		{
			"a name that is the caller's own Service's", manifesttest.KubernetesInShop, callOf(short, 443),
			[]string{"podSelector: matchLabels: app: kube-ui"},
			[]string{"k8s:app: kube-ui"}, false,
		},
		{
			"another namespace's Service of that name", manifesttest.KubernetesInShop, callOf(server, 443),
			[]string{open, entry}, []string{both}, true,
		},
	} {
		o := Options{Manifests: manifesttest.Read(t, tt.manifests), Workload: "controller"}
		for _, o.Cilium = range []bool{false, true} {
			text, notices := written(t, o, tt.recorded)
			wants := tt.kubernetes
			if o.Cilium {
				wants = tt.cilium
			}
			for _, want := range wants {
				if !strings.Contains(text, want) {
					t.Errorf("%s, cilium %v: %s\nwant %s", tt.reason, o.Cilium, text, want)
				}
			}
			if strings.Contains(text, "app: kubernetes") || o.Cilium && strings.Contains(text, "toCIDR") ||
				!strings.Contains(text, "kube-dns") {
				t.Errorf("%s, cilium %v: %s", tt.reason, o.Cilium, text)
			}
			got := strings.Contains(strings.Join(notices, "\n"), "no pod selector matches the API server")
			if got != (tt.notice && !o.Cilium) || got && len(notices) != 1 {
				t.Errorf("%s, cilium %v: %q", tt.reason, o.Cilium, notices)
			}
		}
	}
}

// The rows have hand-written rules for the API server. An update keeps those that allow the flow.
func TestAPIServer_HandWrittenRules(t *testing.T) {
	const dns = "{to: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: kube-system}}, " +
		"podSelector: {matchLabels: {k8s-app: kube-dns}}}], ports: [{port: 53, protocol: UDP}, {port: 53, protocol: TCP}]}"
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
		{
			"all but that of credentials", "",
			"{to: [{ipBlock: {cidr: 0.0.0.0/0, except: [169.254.169.254/32]}}], ports: [{port: 443}]}",
			policy.Allowed,
		},
		{
			"the internet, where it is not", "",
			"{to: [{ipBlock: {cidr: 0.0.0.0/0, except: [10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16]}}], ports: [{port: 443}]}",
			policy.Denied,
		},
		{"pods", "", "{to: [{namespaceSelector: {}}], ports: [{port: 443}]}", policy.Denied},
		{
			"pods that do not exist", "",
			"{to: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: default}}, " +
				"podSelector: {matchLabels: {app: kubernetes}}}], ports: [{port: 443}]}",
			policy.Denied,
		},
		{
			"its Endpoints", manifesttest.APIEndpoints,
			"{to: [{ipBlock: {cidr: 172.18.0.2/32}}, {ipBlock: {cidr: 172.18.0.3/32}}], ports: [{port: 6443}]}",
			policy.Allowed,
		},
		{
			"at the Service's port", manifesttest.APIEndpoints,
			"{to: [{ipBlock: {cidr: 172.18.0.0/16}}], ports: [{port: 443}]}",
			policy.Allowed,
		},
		{
			"not all of them", manifesttest.APIEndpoints,
			"{to: [{ipBlock: {cidr: 172.18.0.2/32}}], ports: [{port: 6443}]}",
			policy.Denied,
		},
		{
			"another address than theirs", manifesttest.APIEndpoints,
			"{to: [{ipBlock: {cidr: 10.96.0.1/32}}], ports: [{port: 6443}]}",
			policy.Denied,
		},
		{"a port that they do not have", manifesttest.APIEndpoints, "{ports: [{port: 8443}]}", policy.Denied},
		{"a rule without peers, all the same", manifesttest.APIEndpoints, "{ports: [{port: 443}]}", policy.Allowed},
	} {
		o := Options{Manifests: manifesttest.Read(t, tt.manifests), Workload: "controller"}
		placed, err := Place(callOf(flow.ClusterAPIServer, 443), o)
		if err != nil {
			t.Fatal(err)
		}
		p := new(networkingv1.NetworkPolicy)
		text := "metadata: {name: controller, namespace: shop}\n" +
			"spec: {podSelector: {matchLabels: {app: controller}}, policyTypes: [Egress], egress: [" + tt.rule + ", " + dns +
			"]}"
		if err := yaml.UnmarshalStrict([]byte(text), p); err != nil {
			t.Fatal(err)
		}
		dialect := policy.As[golden.Policy](networkpolicy.Dialect{Scope: placed.Scope})
		committed := []golden.Policy{p}
		worst := policy.Allowed
		for _, f := range placed.Flows {
			if v := dialect.Evaluate(committed, f); v.Outcome != policy.Allowed {
				worst = v.Outcome
			}
		}
		merged := dialect.Merge(committed, placed.Flows)
		isKept := golden.Diff(committed, merged) == ""
		if worst != tt.want || isKept != (tt.want == policy.Allowed) {
			t.Errorf("%s: %s, want %s; an update keeps it: %v", tt.reason, worst, tt.want, isKept)
		}
		for _, f := range placed.Flows {
			if v := dialect.Evaluate(merged, f); v.Outcome != policy.Allowed {
				t.Errorf("%s: after an update %s: %s", tt.reason, v.Outcome, v.Reason)
			}
		}
	}
}

// A DaemonSet with hostNetwork is a peer, a caller and a subject.
func TestHostNetwork_Rules(t *testing.T) {
	daemon := flow.Endpoint{Kind: flow.Workload, Name: "agent"}
	caller := callOf(flow.Endpoint{Kind: flow.Workload, Name: "orders-db"}, 5432)
	caller.Flows[0].Source = daemon
	caller.Workloads = []recording.Workload{{Name: "agent", AllTraffic: true}, {Name: "orders-db", AllTraffic: true}}
	for _, tt := range []struct {
		reason             string
		recorded           recording.Recording
		kubernetes, cilium []string
		notice             string
	}{
		{
			"as a peer", callOf(daemon, 9100),
			[]string{
				"netzero.dev/egress-host-network: agent.monitoring.svc:9100/TCP",
				"- ports: - port: 9100 protocol: TCP podSelector:",
			},
			[]string{"- toEntities: - host - remote-node toPorts: - ports: - port: \"9100\" protocol: TCP"},
			"DaemonSet agent in namespace monitoring",
		},
		{
			"as a subject that calls another", caller,
			[]string{
				"netzero.dev/ingress-host-network: agent.monitoring.svc:5432/TCP",
				"ingress: - ports: - port: 5432 protocol: TCP podSelector:",
			},
			[]string{"- fromEntities: - host - remote-node toPorts: - ports: - port: \"5432\" protocol: TCP"},
			"has no effect in a cluster",
		},
	} {
		o := Options{Manifests: manifesttest.Read(t, manifesttest.Agent+manifesttest.Orders), Workload: "controller"}
		for _, o.Cilium = range []bool{false, true} {
			text, notices := written(t, o, tt.recorded)
			wants := tt.kubernetes
			if o.Cilium {
				wants = tt.cilium
			}
			for _, want := range wants {
				if !strings.Contains(text, want) {
					t.Errorf("%s, cilium %v: %s\nwant %s", tt.reason, o.Cilium, text, want)
				}
			}
			if !strings.Contains(strings.Join(notices, "\n"), tt.notice) {
				t.Errorf("%s, cilium %v: %q, want %q", tt.reason, o.Cilium, notices, tt.notice)
			}
		}
	}
}
