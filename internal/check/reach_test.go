package check

import (
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/netzero-dev/netzero/internal/endpoint"
	"github.com/netzero-dev/netzero/internal/enforce"
	"github.com/netzero-dev/netzero/internal/enforce/enforcetest"
	"github.com/netzero-dev/netzero/internal/manifest/manifesttest"
	"github.com/netzero-dev/netzero/internal/placement"
	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/internal/recording"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

const (
	enforcedKubernetes = `apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: checkout
  namespace: web
  annotations:
    netzero.dev/egress-names: "*.stripe.com:443/TCP,telemetry.example:*"
spec:
  podSelector: {matchLabels: {app: checkout}}
  policyTypes: [Egress]
  egress:
  - to:
    - ipBlock: {cidr: 0.0.0.0/0, except: [10.0.0.0/8]}
    ports: [{port: 443}]
  - to: [{ipBlock: {cidr: 10.20.0.7/32}}]
    ports: [{port: 8080}]
  - to: [{podSelector: {matchLabels: {app: db}}, namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: shop}}}]
    ports: [{port: pg}]
  - to: [{podSelector: {matchLabels: {app: web}}}]
    ports: [{port: 8080}]
  - ports: [{port: 9100}]
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: worker}
spec: {podSelector: {matchLabels: {app: worker}}, policyTypes: [Egress]}
`
	enforcedCilium = `apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata:
  name: checkout
  namespace: web
  annotations:
    netzero.dev/egress-names: "telemetry.example:*"
spec:
  endpointSelector: {matchLabels: {app: checkout}}
  egress:
  - toEndpoints: [{matchLabels: {'k8s:k8s-app': kube-dns, 'k8s:io.kubernetes.pod.namespace': kube-system}}]
    toPorts: [{ports: [{port: "53"}], rules: {dns: [{matchPattern: "*"}]}}]
  - toFQDNs:
    - matchPattern: "**.stripe.com"
    toPorts: [{ports: [{port: "443", protocol: TCP}]}]
  - toCIDR: [10.20.0.7/32]
    toPorts: [{ports: [{port: "8080", protocol: TCP}]}]
  - toEndpoints: [{matchLabels: {'k8s:app': db, 'k8s:io.kubernetes.pod.namespace': shop}}]
    toPorts: [{ports: [{port: pg, protocol: TCP}]}]
  - toEndpoints: [{matchLabels: {'k8s:app': web}}]
    toPorts: [{ports: [{port: "8080", protocol: TCP}]}]
  - toEntities: [host, remote-node]
    toPorts: [{ports: [{port: "9100", protocol: TCP}]}]
---
apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: {name: worker}
spec: {endpointSelector: {matchLabels: {app: worker}}, egress: [{}]}
`
	// translated is a Service whose port is not that of its pods, and a DaemonSet on the network of its nodes.
	translated = `---
{apiVersion: v1, kind: Service, metadata: {name: web, namespace: web},
  spec: {selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}}
---
{apiVersion: apps/v1, kind: Deployment, metadata: {name: web, namespace: web}, spec: {
  selector: {matchLabels: {app: web}}, template: {metadata: {labels: {app: web}},
  spec: {containers: [{name: web, image: web, ports: [{containerPort: 8080}]}]}}}}
---
{apiVersion: apps/v1, kind: DaemonSet, metadata: {name: node-exporter, namespace: web}, spec: {
  selector: {matchLabels: {app: node-exporter}}, template: {metadata: {labels: {app: node-exporter}},
  spec: {hostNetwork: true, containers: [{name: main, image: x, ports: [{containerPort: 9100}]}]}}}}
`
)

// reachOf reads a golden file with a text.
func reachOf(t *testing.T, text string, o placement.Options, labels map[string]string) *Reach {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "golden.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	reach, err := ReadReach(Options{Golden: path, Package: Package{Dir: Dir(dir)}, Placement: o}, labels)
	if err != nil {
		t.Fatal(err)
	}
	return reach
}

// inShop are options with manifests, for a test of the workload checkout.
func inShop(t *testing.T) placement.Options {
	return placement.Options{
		Workload: "checkout", Namespace: "web", Manifests: manifesttest.Read(t, manifesttest.Shop+translated),
	}
}

func TestReach_Tables(t *testing.T) {
	for kind, text := range map[string]string{"Kubernetes": enforcedKubernetes, "Cilium": enforcedCilium} {
		t.Run(kind, func(t *testing.T) {
			o := inShop(t)
			o.Cilium = kind == "Cilium"
			ignore, err := endpoint.ParseIgnore("metrics")
			if err != nil {
				t.Fatal(err)
			}
			o.Ignored.Destinations = append(o.Ignored.Destinations, ignore)
			reach := reachOf(t, text, o, nil)
			table, err := reach.Test()
			if err != nil {
				t.Fatal(err)
			}
			checkShopTable(t, table)
			if worker, err := reach.Container("worker", ""); err != nil || worker.Unrestricted ||
				enforcetest.Named(worker, "api.stripe.com", flow.TCP, 443) || len(worker.Workload("orders-db", "shop")) > 0 {
				t.Errorf("worker: %+v, %v", worker, err)
			}
			if other, err := reach.Container("other", ""); err != nil || !other.Unrestricted {
				t.Errorf("a workload without a policy: %+v, %v", other, err)
			}
		})
	}
}

func checkShopTable(t *testing.T, table enforce.Table) {
	t.Helper()
	workload := func(name, namespace string, port uint16) bool {
		return enforcetest.Holds(table.Workload(name, namespace), flow.TCP, port)
	}
	address := func(text string, port uint16) bool {
		return enforcetest.Address(table, netip.MustParseAddr(text), flow.TCP, port)
	}
	named := func(name string, port uint16) bool { return enforcetest.Named(table, name, flow.TCP, port) }
	for _, c := range []struct {
		reason    string
		got, want bool
	}{
		{"a listed name", named("api.stripe.com", 443), true},
		{"another port of it", named("api.stripe.com", 80), false},
		{"another name", named("example.com", 443), false},
		{"a name that is only looked up", enforcetest.Lookup(table, "telemetry.example"), true},
		{"a port of that", named("telemetry.example", 443), false},
		{"an address of the internet", address("203.0.113.9", 443), false},
		{"an address in a rule", address("10.20.0.7", 8080), true},
		{"its neighbour", address("10.20.0.8", 8080), false},
		{"a workload that is ignored", workload("metrics", "", 80), true},
		{"a named port", workload("orders-db", "shop", 5432), true},
		{"another workload", workload("redis", "shop", 5432), false},
		{"a Service's port", workload("web", "web", 80), true},
		{"its pods' port", workload("web", "", 8080), true},
		{"another port of it", workload("web", "web", 443), false},
		{"a host behind a Service", workload("payments", "web", 443), true},
		{"another port of that", workload("payments", "web", 80), false},
		{"an address behind a Service", workload("legacy", "web", 80), true},
		{"its port", enforcetest.Holds(table.Workloads, flow.TCP, 80), true},
		{"pods on the network of their nodes", workload("node-exporter", "web", 9100), true},
		{"any workload's port", enforcetest.Holds(table.Workloads, flow.TCP, 9100), true},
		{"any workload's named port", enforcetest.Holds(table.Workloads, flow.TCP, 5432), true},
		{"no workload's port", enforcetest.Holds(table.Workloads, flow.TCP, 22), false},
	} {
		if c.got != c.want {
			t.Errorf("%s is allowed: %v", c.reason, c.got)
		}
	}
}

func TestReach_APIServer(t *testing.T) {
	const text = `apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: checkout}
spec:
  podSelector: {matchLabels: {app: checkout}}
  policyTypes: [Egress]
  egress: [{to: [{ipBlock: {cidr: 10.0.0.1/32}}], ports: [{port: 6443}]}]
`
	const endpoints = `{apiVersion: v1, kind: Endpoints, metadata: {name: kubernetes, namespace: default},
  subsets: [{addresses: [{ip: ADDRESS}], ports: [{name: https, port: 6443}]}]}
`
	for address, want := range map[string]bool{"10.0.0.1": true, "10.0.0.2": false} {
		o := placement.Options{
			Workload:  "checkout",
			Manifests: manifesttest.Read(t, strings.ReplaceAll(endpoints, "ADDRESS", address)),
		}
		table, err := reachOf(t, text, o, nil).Test()
		if err != nil {
			t.Fatal(err)
		}
		if got := enforcetest.Holds(table.APIServer, flow.TCP, 443); got != want {
			t.Errorf("the API server at %s is allowed: %v", address, got)
		}
	}
}

func TestReach_Labels(t *testing.T) {
	text := strings.Replace(enforcedKubernetes, "matchLabels: {app: checkout}", "matchLabels: {tier: front}", 1)
	for tier, isolated := range map[string]bool{"front": true, "back": false} {
		o := placement.Options{Workload: "checkout", Namespace: "web"}
		table, err := reachOf(t, text, o, map[string]string{"tier": tier}).Test()
		if err != nil || table.Unrestricted == isolated {
			t.Errorf("tier %s is unrestricted: %v, error %v", tier, table.Unrestricted, err)
		}
	}
}

func TestReach_Driver(t *testing.T) {
	driver := placement.Options{Workload: "checkout", Ignored: endpoint.Ignored{Driver: true}}
	reach := reachOf(t, enforcedKubernetes, driver, nil)
	if table, err := reach.Test(); err != nil || !table.Unrestricted {
		t.Errorf("a driver has no policy: %+v, %v", table, err)
	}
	if table, err := reach.Container("checkout", "web"); err != nil || table.Unrestricted {
		t.Errorf("its containers have: %+v, %v", table, err)
	}
}

func TestReach_NotExact(t *testing.T) {
	for _, c := range []struct{ kind, text, want string }{
		{
			"Kubernetes", strings.Replace(enforcedKubernetes, `"*.stripe.com`, `"api-*.stripe.com`, 1),
			`golden.yaml:7: policy checkout, metadata.annotations[netzero.dev/egress-names]: ` +
				`"api-*.stripe.com" has an asterisk`,
		},
		{
			"Kubernetes", strings.Replace(enforcedKubernetes, "except: [10.0.0.0/8]", "except: [203.0.113.0/24]", 1),
			`golden.yaml:13: policy checkout, spec.egress[0].to[0].ipBlock.except[0]: 203.0.113.0/24 is a part`,
		},
		{
			"Cilium", strings.Replace(enforcedCilium, `"**.stripe.com"`, `"api-*.stripe.com"`, 1),
			`golden.yaml:14: policy checkout, spec.egress[1].toFQDNs[0].matchPattern: ` +
				`"api-*.stripe.com" has an asterisk`,
		},
		{
			"Cilium",
			strings.Replace(enforcedCilium, "  egress:\n", "  egressDeny: [{toCIDR: [203.0.113.0/24]}]\n  egress:\n", 1),
			`golden.yaml:10: policy checkout, spec.egressDeny[0]: it denies 203.0.113.0/24`,
		},
		{
			"Kubernetes", strings.Replace(enforcedKubernetes, "ports: [{port: 8080}]\n", "ports: ["+manyPorts()+"]\n", 1),
			`golden.yaml: policy checkout: 10.20.0.7/32 has 34 ranges of ports`,
		},
	} {
		_, err := reachOf(t, c.text, placement.Options{
			Workload: "checkout", Namespace: "web", Cilium: c.kind == "Cilium",
		}, nil).Test()
		if err == nil || !strings.HasPrefix(err.Error(), c.want) || !strings.HasSuffix(err.Error(), "or leave Enforce out") {
			t.Errorf("error %v, want %s", err, c.want)
		}
	}
}

// manyPorts returns more ports of a rule than the kernel holds, apart from each other.
func manyPorts() string {
	var ports []string
	for port := range enforce.MaxPorts + 1 {
		ports = append(ports, "{port: "+string(rune('1'+port/10))+string(rune('0'+port%10))+"00}")
	}
	return strings.Join(ports, ", ")
}

func TestReadReach_Errors(t *testing.T) {
	dir := t.TempDir()
	o := Options{Golden: filepath.Join(dir, "golden.yaml"), Package: Package{Dir: Dir(dir)}}
	if _, err := ReadReach(o, nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without a file: %v", err)
	}
	if err := os.WriteFile(o.Golden, []byte(enforcedCilium), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadReach(o, nil); err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file of the other kind: %v", err)
	}
	o.Placement = placement.Options{Workload: "redis", Cilium: true, Manifests: manifesttest.Read(t, manifesttest.Shop)}
	reach, err := ReadReach(o, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := reach.Test(); err == nil || !strings.Contains(err.Error(), "redis") {
		t.Errorf("an ambiguous name: %v", err)
	}
}

// TestReach_SameAsEvaluate compares the ports of every workload in the manifests with the verdicts of flows to them.
func TestReach_SameAsEvaluate(t *testing.T) {
	for kind, text := range map[string]string{"Kubernetes": enforcedKubernetes, "Cilium": enforcedCilium} {
		o := inShop(t)
		o.Cilium = kind == "Cilium"
		reach := reachOf(t, text, o, nil)
		table, err := reach.Test()
		if err != nil {
			t.Fatal(err)
		}
		p := reachable{options: o, subject: recording.Workload{Name: o.Workload, Namespace: o.Namespace}}
		outcomes := make(map[bool]int)
		for _, e := range append(p.objects(), flow.Endpoint{Kind: flow.Workload, Name: "unknown", Namespace: "web"}) {
			for _, port := range []uint16{79, 80, 81, 443, 5431, 5432, 5433, 6379, 8079, 8080, 8081, 9100, 9101} {
				f := p.flow(e, enforce.PortRange{Protocol: flow.TCP, First: port})
				placed, err := p.place(f)
				if err != nil {
					t.Fatal(err)
				}
				evaluate := dialectFor(reach.options.dialect(), placed.Scope).Evaluator(reach.file.Policies)
				isDenied := func(f flow.Flow) bool { return evaluate(f).Outcome != policy.Allowed }
				want := !slices.ContainsFunc(placed.Flows, isDenied)
				outcomes[want]++
				if got := enforcetest.Holds(table.Workload(e.Name, e.Namespace), flow.TCP, port); got != want {
					t.Errorf("%s: %s is allowed: %v, evaluated: %v", kind, f.Target(), got, want)
				}
			}
		}
		if outcomes[true] == 0 || outcomes[false] == 0 {
			t.Errorf("%s: outcomes %v", kind, outcomes)
		}
	}
}
