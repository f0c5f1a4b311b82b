package netzerotest

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netzero-dev/netzero/internal/policy"
)

func TestResolvers_OptionsAddUp(t *testing.T) {
	labels := map[string]string{"k8s-app": "kube-dns"}
	kube := DNS{Namespace: "kube-system", Labels: labels}
	node := DNS{Addresses: []string{"169.254.20.10", "fd00::/64"}, Ports: []uint16{5353}}
	want := []policy.Resolver{
		{Namespace: "kube-system", Labels: labels},
		{Addresses: netip.MustParsePrefix("169.254.20.10/32"), Ports: []uint16{5353}},
		{Addresses: netip.MustParsePrefix("fd00::/64"), Ports: []uint16{5353}},
	}
	for reason, options := range map[string][]Option{
		"one option": {Resolver(kube, node)}, "two options": {Resolver(kube), Resolver(node)},
	} {
		var c config
		for _, o := range options {
			if err := o.apply(&c); err != nil {
				t.Fatalf("%s: %v", reason, err)
			}
		}
		got := c.placement().Rules.Resolvers
		if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" {
			t.Errorf("%s (-want +got):\n%s", reason, diff)
		}
	}
}

func TestResolvers_WrongPlaces(t *testing.T) {
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
