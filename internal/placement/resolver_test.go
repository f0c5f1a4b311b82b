package placement

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netzero-dev/netzero/internal/policy"
)

func TestResolvers_PodsAndAddresses(t *testing.T) {
	labels := map[string]string{"k8s-app": "kube-dns"}
	var got []policy.Resolver
	for _, place := range []DNS{
		{Namespace: "kube-system", Labels: labels},
		{Addresses: []string{"169.254.20.10", "fd00::/64"}, Ports: []uint16{5353}},
	} {
		resolvers, err := place.Resolvers()
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, resolvers...)
	}
	want := []policy.Resolver{
		{Namespace: "kube-system", Labels: labels},
		{Addresses: netip.MustParsePrefix("169.254.20.10/32"), Ports: []uint16{5353}},
		{Addresses: netip.MustParsePrefix("fd00::/64"), Ports: []uint16{5353}},
	}
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestResolvers_InvalidPlaces(t *testing.T) {
	app := map[string]string{"k8s-app": "kube-dns"}
	node := []string{"169.254.20.10"}
	for _, row := range []struct {
		place DNS
		want  string
	}{
		{DNS{}, "a place has neither labels nor addresses: say which pods, or which addresses"},
		{DNS{Labels: app}, "the namespace of pods map[k8s-app:kube-dns]: name is empty"},
		{
			DNS{Namespace: "kube-system", Labels: app, Addresses: node},
			"a place has labels and addresses: write two places",
		},
		{
			DNS{Namespace: "kube-system", Addresses: node},
			`addresses 169.254.20.10 have namespace "kube-system": leave it out`,
		},
		{DNS{Namespace: "kube-system", Labels: map[string]string{"a b": "x"}}, `label "a b": `},
		{
			DNS{Addresses: []string{"dns.example"}},
			`address "dns.example" is not an IP address: write one, or a CIDR such as "169.254.20.10/32"`,
		},
		{
			DNS{Addresses: []string{"169.254.20.10:53"}},
			`address "169.254.20.10:53" has a port: write "169.254.20.10/32", and the port beside it`,
		},
		{DNS{Addresses: []string{"169.254.20.10/16"}}, "host bits set: write 169.254.0.0/16 for the network"},
		{DNS{Addresses: node, Ports: []uint16{0}}, "a place has port 0"},
	} {
		if _, err := row.place.Resolvers(); err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%+v: %v, want %s", row.place, err, row.want)
		}
	}
}
