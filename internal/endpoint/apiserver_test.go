package endpoint

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/netzero-dev/netzero/netzerotest/flow"
)

func TestAPIServer_Names(t *testing.T) {
	for name, want := range map[string]bool{
		"kubernetes":                             true,
		"Kubernetes.Default.":                    true,
		"kubernetes.default.svc":                 true,
		"kubernetes.default.svc.cluster.local":   true,
		"kubernetes.default.svc.corp.example":    true,
		"_https._tcp.kubernetes.default.svc":     true,
		"kubernetes.shop":                        false,
		"kubernetes.default.example.com":         false,
		"kubernetes.io":                          false,
		"api.kubernetes.default.svc":             false,
		"my-kubernetes.default.svc":              false,
		"kubernetes.shop.svc.cluster.local":      false,
		"":                                       false,
		"kubernetes-dashboard.default.svc.local": false,
	} {
		if got := IsAPIServerName(name); got != want {
			t.Errorf("%q: %v, want %v", name, got, want)
		}
		e := byName(name, netip.Addr{})
		if (e.Kind == flow.APIServer) != want {
			t.Errorf("%q is %s %+v", name, e.Kind, e)
		}
	}
}

func TestAPIServer_Peers(t *testing.T) {
	addr, id := netip.MustParseAddr("127.0.0.1"), New(Config{})
	for _, tt := range []struct {
		name string
		port uint16
	}{{"kubernetes", 0}, {"kubernetes.default", 0}, {"kubernetes.default.svc:443", 443},
		{"kubernetes.default.svc.corp.example:6443", 6443}} {
		p, err := ParsePeer("127.0.0.1:33333", tt.name)
		want := flow.ClusterAPIServer
		want.Addr, want.Evidence = addr, flow.ByOption
		if diff := cmp.Diff(want, id.OfPeer(p, addr), cmpopts.EquateComparable(netip.Addr{})); err != nil ||
			p.PodPort != tt.port || diff != "" {
			t.Errorf("%s: %+v, %v (-want +got):\n%s", tt.name, p, err, diff)
		}
	}
	for name, says := range map[string]string{"kubernetes.default.svc:": "no port",
		"kubernetes.default:0": "the port 0", "kubernetes:https": "number"} {
		if _, err := ParsePeer("127.0.0.1:33333", name); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want %q", name, err, says)
		}
	}
	if p, err := ParsePeer("127.0.0.1:33333", "search:8080"); err != nil || id.OfPeer(p, addr).Kind != flow.Workload {
		t.Errorf("%+v, %v, want pods", p, err)
	}
}

func TestAPIServer_Environment(t *testing.T) {
	for _, tt := range []struct{ reason, host, port, want string }{
		{"as kubelet writes it", "10.96.0.1", "443", "10.96.0.1:443"},
		{"without a port", "10.96.0.1", "", "10.96.0.1:443"},
		{"IPv6", "fd00::1", "6443", "[fd00::1]:6443"},
		{"mapped", "::ffff:10.96.0.1", "443", "10.96.0.1:443"},
		{"none", "", "443", "invalid AddrPort"},
		{"a name, which DNS knows", "api.internal.example", "443", "invalid AddrPort"},
		{"a port that is none", "10.96.0.1", "https", "invalid AddrPort"},
	} {
		if got := parseConfigured(tt.host, tt.port).String(); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.reason, got, tt.want)
		}
	}
}
