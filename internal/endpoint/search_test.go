package endpoint

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netzero-dev/netzero/netzerotest/flow"
)

func TestResolvConf_SearchList(t *testing.T) {
	for _, tt := range []struct {
		text   string
		want   Search
		reason string
	}{
		{"search corp.test Shop.test.\noptions ndots:5 edns0\n", Search{[]string{"corp.test", "shop.test"}, 5},
			"a list and dots"},
		{"domain corp.test\nsearch shop.test\n", Search{[]string{"shop.test"}, 1}, "the last line counts"},
		{"search a.test\ndomain corp.test\n", Search{[]string{"corp.test"}, 1}, "of whichever kind"},
		{"#search corp.test\nsearch .\noptions ndots:many\n", Search{nil, 1}, "none"},
	} {
		if diff := cmp.Diff(tt.want, parseSearch(tt.text)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.reason, diff)
		}
	}
	name, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	if _, domain, ok := strings.Cut(name, "."); ok {
		want = []string{domain}
	}
	if got := parseSearch("nameserver 127.0.0.1\n").Domains; !slices.Equal(got, want) {
		t.Errorf("of a file without a list: %q, want %q", got, want)
	}
}

func TestSearch_CutLongestDomain(t *testing.T) {
	s := Search{[]string{"cluster.test", "svc.cluster.test", "corp.test"}, 2}
	for name, want := range map[string]string{
		"db.svc.cluster.test": "db", "db.cluster.test": "db", "api.pay.corp.test": "api.pay", "corp.test": "",
		"xcorp.test": "", "db.test": "",
	} {
		if got, ok := s.Cut(name); got != want || ok != (want != "") {
			t.Errorf("%s was %q (%t), want %q", name, got, ok, want)
		}
	}
	if !s.First("db.shop") || s.First("db.shop.test") {
		t.Error("the dots do not count")
	}
}

func TestNamed_WithoutAddress(t *testing.T) {
	peer, err := ParsePeer("pay.test:443", "pay")
	if err != nil {
		t.Fatal(err)
	}
	peers, err := NewPeers(peer)
	if err != nil {
		t.Fatal(err)
	}
	id := New(Config{Peers: peers})
	for name, want := range map[string]flow.Endpoint{
		"pay.test":    {Kind: flow.Workload, Name: "pay", Evidence: flow.ByOption},
		"db.shop.svc": {Kind: flow.Workload, Name: "db", Namespace: "shop", Evidence: flow.ByDNS},
		"a.test":      {Kind: flow.External, Name: "a.test", Evidence: flow.ByDNS},
	} {
		if got := id.Named(name); got.Endpoint != want || got.Relation != Other {
			t.Errorf("%s is %+v, want %+v", name, got, want)
		}
	}
}
