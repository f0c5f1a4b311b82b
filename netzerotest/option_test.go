package netzerotest

import (
	"net/netip"
	"regexp"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestOptions_Invalid(t *testing.T) {
	node := DNS{Addresses: []string{"169.254.20.10"}}
	for _, row := range []struct {
		options []Option
		want    string // the start of the error
	}{
		{[]Option{nil}, "option 1 is nil"},
		{[]Option{Workload("Shop")}, `Workload("Shop"): name "Shop" has 'S' at byte 0`},
		{[]Option{Workload("shop"), Workload("store")}, `Workload("store"): was "shop" already: keep one`},
		{[]Option{Namespace("")}, `Namespace(""): name is empty`},
		{[]Option{Golden("")}, `Golden(""): is empty`},
		{
			[]Option{Golden("a.yaml"), Shared("b.yaml")},
			`Golden("a.yaml") and Shared("b.yaml"): a test has one golden file: keep one`,
		},
		{[]Option{Labels(nil)}, "Labels: no label: a policy without one selects every pod of the namespace"},
		{
			[]Option{Labels(map[string]string{"tier": "web"}), Labels(map[string]string{"tier": "api"})},
			`Labels: tier is "web" and "api": keep one`,
		},
		{[]Option{Labels(map[string]string{"a b": "x"})}, "Labels: "},
		{
			[]Option{Driver(), Workload("shop")},
			"Driver cannot be combined with Workload or Labels: the test process has no policy: leave them out",
		},
		{[]Option{Ignore("a:b:c")}, `parse Ignore("a:b:c"): address `},
		{[]Option{FoldNames()}, `FoldNames: no pattern: give one, such as "shard-*.db.example.net"`},
		{[]Option{FoldNames("*")}, `FoldNames("*"): `},
		{[]Option{FoldPaths()}, `FoldPaths: no pattern: give one, such as "/customers/{name}"`},
		{[]Option{Requests(), FoldPaths("/customers")}, `FoldPaths("/customers"): `},
		{[]Option{FoldPaths("/customers/{name}")}, "FoldPaths needs Requests: without it no path is recorded"},
		{[]Option{Ports()}, `Ports: no port: give one, such as "ftp:30000-30009"`},
		{[]Option{Ports("ftp")}, `Ports("ftp"): has no port: write workload:port or workload:first-last`},
		{[]Option{Manifests()}, `Manifests: no pattern: name files, such as "deploy/*.yaml"`},
		{[]Option{Manifests("none/*.yaml")}, "Manifests: "},
		{
			[]Option{ClusterDomain("*.acme.io")},
			`ClusterDomain("*.acme.io"): domain "*.acme.io" is not a DNS name`,
		},
		{[]Option{ClusterDomain("")}, `ClusterDomain(""): domain has`},
		{[]Option{Resolver()}, "Resolver: no place: give the labels and the namespace of the pods, or addresses"},
		{[]Option{Resolver(node, DNS{})}, "Resolver: a place has neither labels nor addresses"},
	} {
		_, err := newConfig(row.options)
		if err == nil || !regexp.MustCompile(`^`+regexp.QuoteMeta(row.want)).MatchString(err.Error()) {
			t.Errorf("%v, want %s", err, row.want)
		}
	}
}

func TestOptions_AddUp(t *testing.T) {
	kube := DNS{Namespace: "kube-system", Labels: map[string]string{"k8s-app": "kube-dns"}}
	node := DNS{Addresses: []string{"169.254.20.10"}}
	one, err := newConfig([]Option{
		Resolver(kube, node), FoldNames("a-*.example.net", "b-*.example.net"), ClusterDomain("k8s.acme.io"),
		Ports("ftp:30000-30009", "orders:50051"), Labels(map[string]string{"app": "shop", "tier": "web"}),
	})
	if err != nil {
		t.Fatal(err)
	}
	several, err := newConfig([]Option{
		Resolver(kube), Resolver(node), FoldNames("a-*.example.net"), FoldNames("b-*.example.net"),
		ClusterDomain("K8s.Acme.io."), ClusterDomain("k8s.acme.io"), Ports("ftp:30000-30009"), Ports("orders:50051"),
		Labels(map[string]string{"app": "shop"}), Labels(map[string]string{"tier": "web", "app": "shop"}),
	})
	if err != nil {
		t.Fatal(err)
	}
	// lists returns what the options add to.
	lists := func(c config) []any {
		rules := c.placement.Rules
		return []any{rules.Resolvers, rules.Fold, rules.Ranges, c.labels, c.placement.ClusterDomains}
	}
	samePrefix := cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })
	if diff := cmp.Diff(lists(one), lists(several), samePrefix); diff != "" {
		t.Errorf("(-once +repeated):\n%s", diff)
	}
	if got := len(one.placement.Rules.Resolvers); got != 2 {
		t.Errorf("%d resolvers, want 2", got)
	}
}

func TestPeer_Place(t *testing.T) {
	options := []Option{
		Peer("localhost:8080", "search"),
		Peer("localhost:8080", "search"), // a repetition
	}
	c, err := newConfig(options)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range c.peers {
		if !regexp.MustCompile(`^option_test\.go:\d+$`).MatchString(p.At) {
			t.Errorf("Peer is said to be at %q", p.At)
		}
	}
	_, err = newConfig(append(options, Peer("localhost:8080", "find")))
	places := regexp.MustCompile(`"search" at option_test\.go:\d+ and "find" at option_test\.go:\d+`)
	if err == nil || !places.MatchString(err.Error()) {
		t.Errorf("an address has two names, and the error is: %v", err)
	}
}
