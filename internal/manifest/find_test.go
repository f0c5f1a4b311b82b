package manifest

import (
	"errors"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/netzero-dev/netzero/netzerotest/flow"
)

var compareMatches = cmp.Options{
	cmpopts.IgnoreUnexported(Match{}),
	cmpopts.IgnoreFields(Match{}, "Own", "OwnLabels"), // they have a separate test
	cmp.Comparer(func(a, b netip.Addr) bool { return a == b }),
}

func mustRead(t *testing.T, patterns ...string) *Set {
	t.Helper()
	s, err := Read("testdata", patterns...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// parsed parses the text of one file.
func parsed(t *testing.T, text string) *Set {
	t.Helper()
	s := new(Set)
	if err := s.add("x.yaml", []byte(text)); err != nil {
		t.Fatal(err)
	}
	s.dropOwned()
	return s
}

type set = map[string]string

func TestFind_Shop(t *testing.T) {
	shop := mustRead(t, "shop/*", "cluster/all.yaml")
	address := func(addr string, port uint16) Address { return Address{netip.MustParseAddr(addr), port, flow.TCP} }
	for _, c := range []struct {
		reason, name, namespace string
		want                    Match
	}{
		{"a Service before the Deployment of its name", "checkout", "",
			Match{Kind: "Service", Name: "checkout", File: "shop/checkout.yaml", Line: 56,
				Selector: set{"app.kubernetes.io/name": "checkout"},
				Labels: set{"app.kubernetes.io/name": "checkout", "app.kubernetes.io/part-of": "shop",
					"app.kubernetes.io/version": "1.4"}}},
		{"what names no namespace is found in any", "checkout", "shop",
			Match{Kind: "Service", Name: "checkout", File: "shop/checkout.yaml", Line: 56,
				Selector: set{"app.kubernetes.io/name": "checkout"},
				Labels: set{"app.kubernetes.io/name": "checkout", "app.kubernetes.io/part-of": "shop",
					"app.kubernetes.io/version": "1.4"}}},
		{"labels by anchor and merge, and a namespace", "orders-db", "",
			Match{Kind: "Service", Name: "orders-db", Namespace: "data", File: "shop/orders-db.yaml", Line: 35,
				Selector: set{"app": "orders-db"}, Labels: set{"app": "orders-db", "tier": "db"}}},
		{"one pod of a StatefulSet, by a label that no policy should contain", "orders-db-primary", "data",
			Match{Kind: "Service", Name: "orders-db-primary", Namespace: "data", File: "shop/orders-db.yaml", Line: 49,
				Selector: set{"app": "orders-db"}, Labels: set{"app": "orders-db", "tier": "db"}}},
		{"a Service that selects two workloads", "reviews", "",
			Match{Kind: "Service", Name: "reviews", File: "shop/reviews.yaml", Line: 1,
				Selector: set{"app": "reviews"}, Labels: set{"app": "reviews", "team": "a"}}},
		{"matchLabels suffice", "reviews-v1", "",
			Match{Kind: "Deployment", Name: "reviews-v1", File: "shop/reviews.yaml", Line: 13,
				Selector: set{"app": "reviews", "version": "v1"},
				Labels:   set{"app": "reviews", "version": "v1", "team": "a"}}},
		{"matchLabels would pick another workload's pods too", "reviews-v2", "",
			Match{Kind: "Deployment", Name: "reviews-v2", File: "shop/reviews.yaml", Line: 28,
				Selector: set{"app": "reviews", "version": "v2"},
				Labels:   set{"app": "reviews", "version": "v2", "team": "a"}}},
		{"a CronJob", "billing", "", Match{Kind: "CronJob", Name: "billing", File: "shop/jobs.yml", Line: 1,
			Selector: set{"job": "billing"}, Labels: set{"job": "billing"}}},
		{"a Job, without labels of one run", "import", "",
			Match{Kind: "Job", Name: "import", File: "shop/jobs.yml", Line: 19,
				Selector: set{"job": "import"}, Labels: set{"job": "import", "job-name": "import",
					"batch.kubernetes.io/job-name": "import"}}},
		{"a selector of expressions only", "log-agent", "logging",
			Match{Kind: "DaemonSet", Name: "log-agent", Namespace: "logging", File: "shop/jobs.yml", Line: 35,
				Selector: set{"app": "log-agent"}, Labels: set{"app": "log-agent"}}},
		{"a ReplicationController", "mailer", "",
			Match{Kind: "ReplicationController", Name: "mailer", File: "shop/jobs.yml", Line: 55,
				Selector: set{"app": "mailer"}, Labels: set{"app": "mailer"}}},
		{"a Pod", "toolbox", "", Match{Kind: "Pod", Name: "toolbox", File: "shop/jobs.yml", Line: 67,
			Selector: set{"run": "toolbox"}, Labels: set{"run": "toolbox"}}},
		{"an external name", "payments", "",
			Match{Kind: "Service", Name: "payments", File: "shop/outside.yaml", Line: 1,
				ExternalName: "api.payments.example"}},
		{"addresses of Endpoints", "ledger", "",
			Match{Kind: "Service", Name: "ledger", File: "shop/outside.yaml", Line: 9,
				Addresses: []Address{address("198.51.100.6", 15432), address("198.51.100.7", 15432),
					address("198.51.100.8", 15432)}}},
		{"addresses of EndpointSlices of both families", "archive", "",
			Match{Kind: "Service", Name: "archive", File: "shop/outside.yaml", Line: 28,
				Addresses: []Address{address("203.0.113.7", 8443), address("2001:db8::7", 8443)}}},
		{"JSON, and a typed list in a list", "search", "",
			Match{Kind: "Service", Name: "search", Namespace: "search", File: "shop/search.json", Line: 21,
				Selector: set{"app": "search"}, Labels: set{"app": "search"}}},
		{"a list from a cluster", "cart", "",
			Match{Kind: "Service", Name: "cart", Namespace: "shop", File: "cluster/all.yaml", Line: 20,
				Selector: set{"app": "cart"}, Labels: set{"app": "cart"}}},
		{"a Job from a cluster", "seed", "",
			Match{Kind: "Job", Name: "seed", Namespace: "shop", File: "cluster/all.yaml", Line: 56,
				Selector: set{"app": "seed"}, Labels: set{"app": "seed", "job-name": "seed",
					"batch.kubernetes.io/job-name": "seed"}}},
	} {
		got, err := shop.Find(c.name, c.namespace)
		if err != nil {
			t.Errorf("%s: %v", c.reason, err)
			continue
		}
		if diff := cmp.Diff(c.want, got, compareMatches); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.reason, diff)
		}
	}
	if _, err := shop.Find("cart-7c9d6b5f4", ""); !errors.As(err, new(*NotFoundError)) {
		t.Errorf("a ReplicaSet that a Deployment made is a workload of its own: %v", err)
	}
	if _, err := shop.Find("thumbnails", ""); !errors.As(err, new(*NotFoundError)) {
		t.Errorf("another group's Service is read as one: %v", err)
	}
}

// deployment returns a Deployment with pods with the label app=<app>.
func deployment(name, namespace, app string) string {
	return "---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: " + name + ", namespace: " + namespace +
		"}\n" +
		"spec:\n  selector: {matchLabels: {app: " + app + "}}\n  template:\n    metadata: {labels: {app: " + app +
		"}}\n" +
		"    spec: {containers: [{name: main, image: x, ports: [{containerPort: 8080, name: http}]}]}\n"
}

// svc returns a Service; the rest goes into its spec.
func svc(name, namespace, spec string) string {
	return "---\napiVersion: v1\nkind: Service\nmetadata: {name: " + name + ", namespace: " + namespace + "}\nspec: {" +
		spec + "}\n"
}

func TestFind_MissingOrAmbiguous(t *testing.T) {
	port := ", ports: [{port: 80}]"
	for _, c := range []struct{ reason, text, name, namespace, want string }{
		{"no such name", deployment("orders-db", "", "a") + deployment("cart", "shop", "b"), "ordersdb", "",
			`find "ordersdb" in the manifests: no Service and no workload has that name; did you mean "orders-db"? ` +
				`There are cart.shop, orders-db`},
		{"a part of a name", deployment("orders-db", "", "a") + deployment("cart", "shop", "b"), "db", "",
			`find "db" in the manifests: no Service and no workload has that name; did you mean "orders-db"? There ` +
				`are cart.shop, orders-db`},
		{"a part of two names", deployment("orders-db", "", "a") + deployment("users-db", "", "b"), "db", "",
			`find "db" in the manifests: no Service and no workload has that name; use one that exists, or add its ` +
				`manifest. There are orders-db, users-db`},
		{"in another namespace", deployment("cart", "shop", "b"), "cart", "data",
			`find "cart" in the manifests: no Service and no workload has that name in namespace data; did you mean ` +
				`"cart.shop"? There are cart.shop`},
		{"no workloads", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n", "cart", "",
			`find "cart" in the manifests: no Service and no workload has that name: they contain no Service and ` +
				`no workload; name the files that do`},
		{"two namespaces", deployment("cart", "shop", "a") + deployment("cart", "test", "a"), "cart", "",
			`find "cart" in the manifests: that is Deployment cart in namespace shop (x.yaml:2), or Deployment cart ` +
				`in namespace test (x.yaml:11); add the namespace, as in cart.test`},
		{"two kinds", deployment("cart", "", "a") +
			"---\napiVersion: v1\nkind: Pod\nmetadata: {name: cart}\nspec: {containers: [{name: x}]}\n", "cart", "",
			`find "cart" in the manifests: that is Deployment cart (x.yaml:2), or Pod cart (x.yaml:11); rename all ` +
				`but one, or give patterns that match one`},
		{"a Service that selects another workload than its namesake",
			svc("cart", "", "selector: {app: b}"+port) + deployment("cart", "", "a") + deployment("cart-b", "", "b"),
			"cart", "",
			`find "cart" in the manifests: that is Service cart (x.yaml:2), which selects Deployment cart-b, or ` +
				`Deployment cart (x.yaml:7); correct the Service, or rename one of them`},
		{"an external name with a namesake",
			svc("cart", "", "type: ExternalName, externalName: cart.example") + deployment("cart", "", "a"), "cart", "",
			`find "cart" in the manifests: that is Service cart (x.yaml:2), which stands for the host cart.example, ` +
				`or Deployment cart (x.yaml:7); correct the Service, or rename one of them`},
		{"a Service that selects nothing", svc("cart", "", "selector: {app: b, tier: x}"+port) +
			deployment("cart", "", "a"), "cart", "",
			`find "cart" in the manifests: Service cart (x.yaml:2): its selector app=b,tier=x selects the pods of no ` +
				`workload; in its namespace there are Deployment cart (app=a); correct its selector, or the labels ` +
				`of the pod template`},
		{"no selector and no Endpoints", svc("cart", "", "ports: [{port: 80}]"), "cart", "",
			`find "cart" in the manifests: Service cart (x.yaml:2): it has no selector, and no Endpoints or ` +
				`EndpointSlice gives it addresses; give it a selector, or its Endpoints`},
		{"no selector, and an EndpointSlice without an owner", svc("cart", "", "ports: [{port: 80}]") +
			"---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: cart-1}\naddressType: " +
			"IPv4\nendpoints: [{addresses: [203.0.113.7]}]\n", "cart", "",
			`find "cart" in the manifests: Service cart (x.yaml:2): it has no selector, and no Endpoints or ` +
				`EndpointSlice gives it addresses (EndpointSlice cart-1 at x.yaml:7 lacks the label ` +
				`kubernetes.io/service-name); give it a selector, or its Endpoints`},
		{"pods without labels", "apiVersion: v1\nkind: Pod\nmetadata: {name: cart, labels: {pod-template-hash: " +
			"x}}\nspec: {containers: [{name: x}]}\n", "cart", "",
			`find "cart" in the manifests: Pod cart (x.yaml:1): its pods have no labels, so no policy can ` +
				`select them; give the pod template labels`},
	} {
		m, err := parsed(t, c.text).Find(c.name, c.namespace)
		if err == nil {
			t.Errorf("%s: found %+v", c.reason, m)
			continue
		}
		if diff := cmp.Diff(c.want, err.Error()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.reason, diff)
		}
	}
}

func TestFind_Namespace(t *testing.T) {
	s := parsed(t, deployment("cart", "shop", "a")+deployment("cart", "test", "b")+deployment("cart", "", "c"))
	for _, c := range []struct{ reason, name, namespace, app string }{
		{"one that is written", "cart", "shop", "a"},
		{"another", "cart", "test", "b"},
		{"none is written", "cart", "other", "c"},
		{"in the name", "cart.shop", "", "a"},
		{"in a name of the cluster's DNS", "cart.test.svc", "", "b"},
		{"in the whole name, where none is written", "cart.other.svc.cluster.local.", "", "c"},
	} {
		m, err := s.Find(c.name, c.namespace)
		if err != nil || m.Selector["app"] != c.app {
			t.Errorf("%s: %v, %v, want app=%s", c.reason, m.Selector, err, c.app)
		}
	}
	for _, host := range []string{"cart.example", "cart.shop.example", "cart.svc", "svc.cluster.local", "."} {
		if m, err := s.Find(host, ""); !errors.As(err, new(*NotFoundError)) {
			t.Errorf("the host %s is taken for %s (%v)", host, m, err)
		}
	}
}

func TestFind_MatchIsACopy(t *testing.T) {
	s := parsed(t, deployment("cart", "", "a")+svc("basket", "", "selector: {app: a}, ports: [{port: 80}]"))
	for _, name := range []string{"cart", "basket"} {
		for range 2 {
			m, err := s.Find(name, "")
			if err != nil || m.Selector["app"] != "a" || m.Labels["app"] != "a" {
				t.Fatalf("%s: %v, %v, %v", name, m.Selector, m.Labels, err)
			}
			m.Selector["app"], m.Labels["app"] = "changed", "changed"
		}
	}
}

func TestErrors_Classes(t *testing.T) {
	s := parsed(t, deployment("cart", "shop", "a")+deployment("cart", "test", "a")+
		svc("none", "", "ports: [{port: 80}]"))
	for name, want := range map[string]any{"cart": new(*AmbiguousError), "none": new(*UnusableError),
		"": new(*NotFoundError)} {
		if _, err := s.Find(name, ""); !errors.As(err, want) {
			t.Errorf("%q: %T, want %T", name, err, want)
		}
	}
	m, err := s.Find("cart", "shop")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.TargetPorts(1, flow.TCP); !errors.As(err, new(*PortError)) {
		t.Errorf("a port that is not there: %v", err)
	}
	if _, err := Read("testdata", "none/*"); !errors.As(err, new(*PatternError)) {
		t.Errorf("a pattern that matches nothing: %v", err)
	}
}
