package netzerotest

import (
	"slices"
	"strings"
	"testing"

	"github.com/netzero-dev/netzero/netzerotest/flow"
)

func TestResolversAreWrittenWhereTheUserHasThem(t *testing.T) {
	addressOf := func(port string) [2]string {
		return [2]string{"[{ipBlock:{cidr:169.254.20.10/32}}] " + port, "[{cidr:169.254.20.10/32}] " + port}
	}
	usual := [2]string{kubernetesDNS, ciliumDNS}
	openshift := [2]string{
		"[{podSelector:{matchLabels:{dns.operator.openshift.io/daemonset-dns:default}}," +
			"namespaceSelector:{matchLabels:{kubernetes.io/metadata.name:openshift-dns}}}] 5353",
		"[{matchLabels:{k8s:dns.operator.openshift.io/daemonset-dns:default,k8s:io.kubernetes.pod.namespace:openshift-dns}}] 5353",
	}
	kube := DNS{Namespace: "kube-system", Labels: map[string]string{"k8s-app": "kube-dns"}}
	for _, tt := range []struct {
		reason  string
		options []Option
		want    [][2]string
	}{
		{"the usual one", nil, [][2]string{usual}},
		{"GKE Autopilot", []Option{Resolver(kube, DNS{Addresses: []string{"169.254.20.10/32"}})}, [][2]string{usual, addressOf("53")}},
		{"the same by two options", []Option{Resolver(kube), Resolver(DNS{Addresses: []string{"169.254.20.10"}})}, [][2]string{usual, addressOf("53")}},
		{"OpenShift", []Option{Resolver(DNS{Namespace: "openshift-dns", Ports: []uint16{5353},
			Labels: map[string]string{"dns.operator.openshift.io/daemonset-dns": "default"}})}, [][2]string{openshift}},
	} {
		var c config
		for _, o := range tt.options {
			if err := o.apply(&c); err != nil {
				t.Fatalf("%s: %v", tt.reason, err)
			}
		}
		kubernetes, ciliums, _ := peersOf(t, c, Flow{Destination: flow.Endpoint{Kind: flow.Workload, Name: "search"}, Protocol: flow.TCP, Port: 9200})
		for i, got := range [][]string{kubernetes, ciliums} {
			if len(got) != len(tt.want)+1 {
				t.Errorf("%s: the rules are\n%s\nwant %d for DNS and one more", tt.reason, strings.Join(got, "\n"), len(tt.want))
			}
			for _, want := range tt.want {
				if !slices.Contains(got, want[i]) {
					t.Errorf("%s: the rules are\n%s\nwant one that is\n%s", tt.reason, strings.Join(got, "\n"), want[i])
				}
			}
		}
	}
}

func TestWrongPlacesOfTheClusterSayWhatToWrite(t *testing.T) {
	app := map[string]string{"k8s-app": "kube-dns"}
	for _, tt := range []struct {
		option Option
		want   string
	}{
		{Resolver(), "Resolver: no place: give the labels and the namespace of the pods, or addresses"},
		{Resolver(DNS{}), "Resolver: a place has neither labels nor addresses: say which pods, or which addresses"},
		{Resolver(DNS{Labels: app}), "the namespace of pods map[k8s-app:kube-dns]: name is empty"},
		{Resolver(DNS{Namespace: "kube-system", Labels: app, Addresses: []string{"169.254.20.10"}}), "a place has labels and addresses: make two of it"},
		{Resolver(DNS{Namespace: "kube-system", Addresses: []string{"169.254.20.10"}}), `addresses 169.254.20.10 have namespace "kube-system": leave it out`},
		{Resolver(DNS{Namespace: "kube-system", Labels: map[string]string{"a b": "x"}}), `Resolver: label "a b": `},
		{Resolver(DNS{Addresses: []string{"dns.example"}}), `address "dns.example" is no IP address: write one, or a CIDR such as "169.254.20.10/32"`},
		{Resolver(DNS{Addresses: []string{"169.254.20.10:53"}}), `address "169.254.20.10:53" has a port: write "169.254.20.10/32", and the port beside it`},
		{Resolver(DNS{Addresses: []string{"169.254.20.10/16"}}), "host bits set: write 169.254.0.0/16 for the network"},
		{Resolver(DNS{Addresses: []string{"169.254.20.10"}, Ports: []uint16{0}}), "a place has port 0"},
		{ClusterDomain("*.acme.io"), `ClusterDomain("*.acme.io"): domain "*.acme.io" is no DNS name`},
		{ClusterDomain(""), `ClusterDomain(""): domain has`},
	} {
		if err := tt.option.apply(new(config)); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%v, want %s", err, tt.want)
		}
	}
	var c config
	for _, domain := range []string{"K8s.Acme.io.", "k8s.acme.io"} {
		if err := ClusterDomain(domain).apply(&c); err != nil || !slices.Equal(c.clusterDomains, []string{"k8s.acme.io"}) {
			t.Errorf("%q: %q, %v", domain, c.clusterDomains, err)
		}
	}
}
