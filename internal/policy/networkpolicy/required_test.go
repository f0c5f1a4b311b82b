package networkpolicy

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netzero-dev/netzero/netzerotest/flow"
)

func TestRequired_AddsLookups(t *testing.T) {
	source := flow.Endpoint{Kind: flow.Workload, Name: "checkout"}
	implied := func(source flow.Endpoint, protocol flow.Protocol) flow.Flow {
		return flow.Flow{
			Source:      source,
			Destination: flow.Endpoint{Kind: flow.Resolver, Name: "kube-dns", Namespace: "kube-system"},
			Protocol:    protocol, Port: 53,
		}
	}
	both := []flow.Flow{implied(source, flow.UDP), implied(source, flow.TCP)}
	cart := flow.Endpoint{Kind: flow.Workload, Name: "cart"}
	ofCart := tcp(workload("cache"), 6379)
	ofCart.Source = cart
	calls := func(source flow.Endpoint) flow.Flow { return between(source, workload("cache"), 6379) }
	known := udp(resolver(), 53)
	known.Source.Evidence = flow.ByOption
	for _, row := range []struct {
		reason string
		flows  []flow.Flow
		want   []flow.Flow // the implied flows, after the flows themselves
	}{
		{"nothing implies nothing", nil, nil},
		{"a bare address is not looked up", []flow.Flow{tcp(at("203.0.113.9"), 443)}, nil},
		{"an address that a Service stands for is", []flow.Flow{tcp(flow.Endpoint{Kind: flow.Address, Name: "legacy",
			Addr: netip.MustParseAddr("10.20.0.7")}, 8080)}, both},
		{
			"a name that no policy can contain is still looked up",
			[]flow.Flow{tcp(external("a b.test", "203.0.113.9"), 443)},
			both,
		},
		{"a ping is in no policy, so it must not open one", []flow.Flow{ping(workload("cache"))}, nil},
		{"a workload is looked up", []flow.Flow{tcp(workload("cache"), 6379)}, both},
		{"a name is looked up", []flow.Flow{udp(external("time.example", "203.0.113.9"), 123)}, both},
		{"an answer may not fit UDP", []flow.Flow{udp(resolver(), 53)}, both[1:]},
		{
			"a recorded lookup is not implied again",
			[]flow.Flow{tcp(workload("cache"), 6379), udp(resolver(), 53), tcp(resolver(), 53)},
			nil,
		},
		{"how a source is known does not make it another", []flow.Flow{tcp(workload("cache"), 6379), known}, both[1:]},
		{"DNS over TLS does not replace port 53", []flow.Flow{tcp(resolver(), 853)}, both},
		{
			"only workloads have policies that allow lookups",
			[]flow.Flow{
				calls(flow.Endpoint{Kind: flow.Anyone}), calls(at("203.0.113.9")),
				calls(external("lb.example", "203.0.113.9")),
			},
			nil,
		},
		{"every source looks up for itself", []flow.Flow{tcp(workload("cache"), 6379), ofCart, udp(resolver(), 53)},
			[]flow.Flow{implied(cart, flow.UDP), implied(cart, flow.TCP), both[1]}},
	} {
		got := (Dialect{}).Required(row.flows)
		if diff := cmp.Diff(append(slices.Clone(row.flows), row.want...), got, sameAddr); diff != "" {
			t.Errorf("%s (-want +got):\n%s", row.reason, diff)
		}
		if diff := cmp.Diff(got, (Dialect{}).Required(got), sameAddr); diff != "" {
			t.Errorf("%s: required flows require more (-once +twice):\n%s", row.reason, diff)
		}
	}
}
