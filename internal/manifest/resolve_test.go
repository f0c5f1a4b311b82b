package manifest

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/netzero-dev/netzero/netzerotest/flow"
)

func statefulSet(name, namespace, app string) string {
	return strings.Replace(deployment(name, namespace, app), "kind: Deployment", "kind: StatefulSet", 1)
}

const cluster = "---\napiVersion: v1\nkind: Namespace\nmetadata: {name: web}\n"

func TestResolve_ClusterDNS(t *testing.T) {
	ports := ", ports: [{port: 5432, name: pg}]"
	shop := parsed(t, cluster+
		svc("orders-db", "shop", "selector: {app: orders-db}, clusterIP: None"+ports)+
		statefulSet("orders-db", "shop", "orders-db")+
		svc("redis", "shop", "selector: {app: redis}"+ports)+deployment("redis", "shop", "redis")+
		svc("redis", "web", "selector: {app: redis}"+ports)+deployment("redis", "web", "redis"))
	bare := parsed(t, svc("orders-db", "", "selector: {app: orders-db}, clusterIP: None"+ports)+
		statefulSet("pg", "", "orders-db"))
	for _, c := range []struct {
		reason            string
		set               *Set
		name, caller      string
		object, namespace string
		known             bool
	}{
		{"the caller's namespace", shop, "redis", "web", "redis", "web", true},
		{"no other than the caller's", shop, "orders-db", "web", "", "", false},
		{"a caller of whom no namespace is known", shop, "orders-db", "", "orders-db", "", true},
		{"a Service in a namespace", shop, "orders-db.shop", "web", "orders-db", "shop", true},
		{"as DNS has it: letters of any case, and the root's dot", shop, "Orders-DB.Shop.", "", "orders-db", "shop",
			true},
		{"a name with .svc", shop, "orders-db.shop.svc", "web", "orders-db", "shop", true},
		{"the usual domain", shop, "orders-db.shop.svc.cluster.local", "", "orders-db", "shop", true},
		{"a domain like those of the internet", shop, "orders-db.shop.svc.k8s.acme.io", "", "orders-db", "shop", true},
		{"a host of the internet with .svc in it", shop, "api.eu.svc.acme.io", "", "", "", false},
		{"a pod of a StatefulSet, in the caller's namespace", shop, "orders-db-0.orders-db", "shop", "orders-db",
			"shop", true},
		{"none in another one", shop, "orders-db-0.orders-db", "web", "", "", false},
		{"a pod with its namespace", shop, "orders-db-0.orders-db.shop", "web", "orders-db", "shop", true},
		{"a pod with all of its name", shop, "orders-db-0.orders-db.shop.svc.k8s.acme.io", "web", "orders-db", "shop",
			true},
		{"a pod with a hostname of its own, behind a headless Service", shop, "primary.orders-db", "shop", "orders-db",
			"shop", true},
		{"a Service with an address has no names of pods", shop, "www.redis", "web", "", "", false},
		{"a Service's port", shop, "_pg._tcp.orders-db.shop", "", "orders-db", "shop", true},
		{"a host that is called as a Service", shop, "redis.io", "web", "", "", false},
		{"a namespace without such a Service", shop, "orders-db.web", "", "", "", false},
		{"nothing at all", shop, "", "", "", "", false},
		{"an object goes where it is applied: the caller's namespace", bare, "orders-db.shop", "shop", "orders-db",
			"shop", true},
		{"and not to an unmentioned one", bare, "orders-db.shop", "", "", "", false},
		{"unless the name can be nothing else", bare, "orders-db.shop.svc.cluster.local", "", "orders-db", "shop",
			true},
		{"a pod of a StatefulSet of another name than the Service's", bare, "pg-2.orders-db", "shop", "orders-db",
			"shop", true},
	} {
		object, namespace, known := c.set.Resolve(c.name, c.caller)
		if !known {
			object, namespace = "", ""
		}
		if object != c.object || namespace != c.namespace || known != c.known {
			t.Errorf("%s: Resolve(%q, %q) = %q, %q, %v, want %q, %q, %v", c.reason, c.name, c.caller, object, namespace,
				known, c.object, c.namespace, c.known)
		}
	}
}

func TestFind_ExternalName(t *testing.T) {
	port := ", ports: [{port: 80, targetPort: http}]"
	alias := func(name, namespace, to string) string {
		return svc(name, namespace, "type: ExternalName, externalName: "+to)
	}
	target := svc("cart", "shop", "selector: {app: cart}"+port) + deployment("cart", "shop", "cart")
	for _, c := range []struct{ reason, text, name, namespace, want, external string }{
		{"to a Service of the cluster", alias("basket", "web", "cart.shop.svc.cluster.local") + target, "basket", "web",
			"Service cart in namespace shop", ""},
		{"in a cluster of another domain", alias("basket", "web", "cart.shop.svc.k8s.acme.io") + target, "basket",
			"web", "Service cart in namespace shop", ""},
		{"to another alias", alias("basket", "web", "trolley.web.svc.cluster.local") +
			alias("trolley", "web", "cart.shop.svc.cluster.local") + target, "basket", "",
			"Service cart in namespace shop", ""},
		{"of the target's own name", alias("cart", "web", "cart.shop.svc.cluster.local") + target, "cart", "",
			"Service cart in namespace shop", ""},
		{"the same, asked for in its namespace", alias("cart", "web", "cart.shop.svc.cluster.local") + target, "cart",
			"web", "Service cart in namespace shop", ""},
		{"to a host", alias("basket", "web", "basket.acme.io") + target, "basket", "web",
			"Service basket in namespace web", "basket.acme.io"},
		{"to a Service that the manifests do not have", alias("basket", "web", "cart.other.svc.cluster.local") + target,
			"basket", "web", "Service basket in namespace web", "cart.other.svc.cluster.local"},
		{"a CNAME has no search list", alias("basket", "web", "cart.shop") + target, "basket", "web",
			"Service basket in namespace web", "cart.shop"},
	} {
		m, err := parsed(t, c.text).Find(c.name, c.namespace)
		got, _, _ := strings.Cut(m.String(), " (")
		if err != nil || got != c.want || m.ExternalName != c.external {
			t.Errorf("%s: Find(%q, %q) = %s, %q, %v, want %s, %q", c.reason, c.name, c.namespace, got, m.ExternalName,
				err, c.want, c.external)
		}
		if c.external != "" {
			continue
		}
		if ports, err := m.TargetPorts(80, flow.TCP); err != nil || len(ports) != 1 || ports[0] != 8080 {
			t.Errorf("%s: port 80 ends at %v, %v, want 8080", c.reason, ports, err)
		}
	}
	circle := alias("a", "web", "b.web.svc.cluster.local") + alias("b", "web", "a.web.svc.cluster.local")
	var unusable *UnusableError
	if _, err := parsed(t, circle).Find("a", "web"); !errors.As(err, &unusable) ||
		!strings.Contains(err.Error(), "back to itself") {
		t.Errorf("a circle: %v, want that it leads back to itself", err)
	}
	legacy := alias("basket", "web", "legacy.web.svc.cluster.local") + svc("legacy", "web", "ports: [{port: 80}]") +
		"---\napiVersion: v1\nkind: Endpoints\nmetadata: {name: legacy, namespace: web}\nsubsets: [{addresses: " +
		"[{ip: 10.0.0.7}], ports: [{port: 8080}]}]\n"
	m, err := parsed(t, legacy).Find("basket", "web")
	if want := (Address{netip.MustParseAddr("10.0.0.7"), 8080, flow.TCP}); err != nil || len(m.Addresses) != 1 ||
		m.Addresses[0] != want {
		t.Errorf("to a Service without a selector: %v, %v, want %v", m.Addresses, err, want)
	}
}
