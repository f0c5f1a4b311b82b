package manifest

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netzero-dev/netzero/netzerotest/flow"
)

func TestTargetPorts_Services(t *testing.T) {
	shop := mustRead(t, "shop/*", "cluster/all.yaml")
	for _, c := range []struct {
		reason, name string
		port         uint16
		protocol     flow.Protocol
		want         []uint16
		err          string
	}{
		{"a Service's port becomes the port of that name", "checkout", 80, flow.TCP, []uint16{8080}, ""},
		{"a container's port stays", "checkout", 8080, flow.TCP, []uint16{8080}, ""},
		{"a container's port that its Service does not have stays", "checkout", 9090, flow.TCP, []uint16{9090}, ""},
		{"a sidecar's port", "checkout", 15001, flow.TCP, []uint16{15001}, ""},
		{"a container that is gone when the pod serves", "checkout", 9999, flow.TCP, nil,
			"find port 9999/TCP: Service checkout (shop/checkout.yaml:56): there is no such port; there are 80/TCP " +
				"(http) to 8080, 8080/TCP (http) of container server, 9090/TCP (metrics) of container server, " +
				"15001/TCP (proxy) of container proxy; add it to the manifest, or use one of these"},
		{"another protocol", "checkout", 80, flow.UDP, nil,
			"find port 80/UDP: Service checkout (shop/checkout.yaml:56): there is no such port; there are 80/TCP " +
				"(http) to 8080, 8080/TCP (http) of container server, 9090/TCP (metrics) of container server, " +
				"15001/TCP (proxy) of container proxy; add it to the manifest, or use one of these"},
		{"a protocol without ports", "checkout", 0, flow.ICMP, nil, ""},
		{"a name that two workloads give to different ports", "reviews", 80, flow.TCP, []uint16{8080, 9080}, ""},
		{"a name that one of two workloads has", "reviews", 53, flow.UDP, []uint16{5353}, ""},
		{"no targetPort, and no container declares it", "reviews", 9000, flow.TCP, []uint16{9000}, ""},
		{"an unknown name", "reviews", 81, flow.TCP, nil,
			`find port 81/TCP: Service reviews (shop/reviews.yaml:1): its target port "nobody" is not a port of ` +
				`Deployment reviews-v1, Deployment reviews-v2; correct targetPort, or give a containerPort that name`},
		{"a headless Service translates nothing", "orders-db", 5433, flow.TCP, []uint16{5433}, ""},
		{"a port of the pods behind a headless Service", "orders-db", 9187, flow.TCP, []uint16{9187}, ""},
		{"a number, in JSON", "search", 80, flow.TCP, []uint16{9200}, ""},
		{"a node's port becomes the pods' port", "cart", 30080, flow.TCP, []uint16{8080}, ""},
		{"a node's port of another protocol", "cart", 30080, flow.UDP, nil,
			"find port 30080/UDP: Service cart in namespace shop (cluster/all.yaml:20): there is no such port; " +
				"there are 80/TCP to 8080, 8080/TCP of container cart; add it to the manifest, or use one of these"},
		{"a workload's port, to which a Service of another name sends", "reviews-v1", 9000, flow.TCP, []uint16{9000},
			""},
		{"a workload is not behind the Service that selects it", "reviews-v1", 80, flow.TCP, nil,
			"find port 80/TCP: Deployment reviews-v1 (shop/reviews.yaml:13): there is no such port; there are " +
				"5353/UDP (dns) of container reviews, 9080/TCP (web) of container reviews, 9000/TCP; add it to the " +
				"manifest, or use one of these"},
		{"one number for two protocols", "log-agent", 24224, flow.UDP, []uint16{24224}, ""},
		{"pods that declare nothing may listen anywhere", "mailer", 25, flow.TCP, []uint16{25}, ""},
		{"an external name", "payments", 443, flow.TCP, []uint16{443}, ""},
		{"the port of Endpoints, by the name of the Service's", "ledger", 5432, flow.TCP, []uint16{15432}, ""},
		{"the Endpoints' own port", "ledger", 15432, flow.TCP, []uint16{15432}, ""},
		{"a name that the Endpoints lack", "ledger", 8443, flow.TCP, nil,
			`find port 8443/TCP: Service ledger (shop/outside.yaml:9): its Endpoints have no TCP port with the name ` +
				`"admin" of the Service's; give them one`},
		{"a port without a name", "archive", 443, flow.TCP, []uint16{8443}, ""},
	} {
		m, err := shop.Find(c.name, "")
		if err != nil {
			t.Fatal(err)
		}
		got, err := m.TargetPorts(c.port, c.protocol)
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.reason, diff)
		}
		text := ""
		if err != nil {
			text = err.Error()
		}
		if diff := cmp.Diff(c.err, text); diff != "" {
			t.Errorf("%s: error (-want +got):\n%s", c.reason, diff)
		}
	}
}

func TestPorts_Containers(t *testing.T) {
	m, err := mustRead(t, "shop/*").Find("checkout", "")
	if err != nil {
		t.Fatal(err)
	}
	want := []Port{{"server", "http", 8080, flow.TCP}, {"server", "metrics", 9090, flow.TCP},
		{"proxy", "proxy", 15001, flow.TCP}}
	if diff := cmp.Diff(want, m.Ports()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	m.Ports()[0].Number = 1
	if m.Ports()[0].Number != 8080 {
		t.Error("who changes the list that Ports returns changes the match")
	}
}

func TestTranslated_HoldsChangedPorts(t *testing.T) {
	set := mustRead(t, "shop/*", "cluster/all.yaml")
	changed := 0
	for _, o := range set.Objects() {
		m, err := set.Find(o.Name, o.Namespace)
		if err != nil {
			continue
		}
		translated := m.Translated()
		for port := 1; port <= 65535; port++ {
			key := Port{Number: uint16(port), Protocol: flow.TCP}
			targets, err := m.TargetPorts(key.Number, key.Protocol)
			if err != nil || len(targets) == 1 && targets[0] == key.Number || m.Addresses != nil {
				continue
			}
			changed++
			if !slices.Contains(translated, key) {
				t.Errorf("%s has %d for port %d, which is not translated", m, targets, port)
			}
		}
	}
	if changed == 0 {
		t.Error("no manifest changes a port")
	}
}
