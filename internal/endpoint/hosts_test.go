package endpoint

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestHosts_Parse(t *testing.T) {
	got := parseHosts("# 192.0.2.9 comment\n192.0.2.1\tAPI.example.test. api # 192.0.2.8\n\n192.0.2.2 api\n" +
		"wrong name\n192.0.2.3\n::ffff:192.0.2.4 mapped\nfe80::1%eth0 link")
	addr := netip.MustParseAddr
	want := map[string][]netip.Addr{
		"api.example.test": {addr("192.0.2.1")},
		"api":              {addr("192.0.2.1"), addr("192.0.2.2")},
		"mapped":           {addr("192.0.2.4")},
		"link":             {addr("fe80::1")},
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Addr{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
