package cilium

import (
	"strings"
	"testing"
)

func TestFQDN_MatchesLikeCilium(t *testing.T) {
	for _, c := range []struct {
		reason, pattern, name string
		want                  bool
	}{
		{"a leading *. is one label", "*.cilium.io", "www.cilium.io", true},
		{"and not two", "*.cilium.io", "a.b.cilium.io", false},
		{"nor none", "*.cilium.io", "cilium.io", false},
		{"**. is one or more labels", "**.cilium.io", "a.b.cilium.io", true},
		{"but one at least", "**.cilium.io", "cilium.io", false},
		{"an asterisk within a label may stand for nothing", "sub*.cilium.io", "sub.cilium.io", true},
		{"or for more", "sub*.cilium.io", "subdomain.cilium.io", true},
		{"and not for a dot", "*cilium.io", "www.cilium.io", false},
		{"alone it is every name", "*", "a.b.c", true},
		{"a dot is a dot", "a.b", "axb", false},
		{"case and a trailing dot mean nothing", "API.Example.", "api.example", true},
		{"numbered hosts", "shard-*.db.example", "shard-17.db.example", true},
	} {
		if got := (FQDN{MatchPattern: c.pattern}).Matches(c.name); got != c.want {
			t.Errorf("%s: %s matches %s: %v", c.reason, c.pattern, c.name, got)
		}
		if strings.Contains(c.pattern, "*") {
			continue
		}
		if got := (FQDN{MatchName: c.pattern}).Matches(c.name); got != c.want {
			t.Errorf("%s: the name %s is %s: %v", c.reason, c.pattern, c.name, got)
		}
	}
	if (FQDN{}).Matches("a") {
		t.Error("no name and no pattern match something")
	}
}
