package hubble

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netzero-dev/netzero/internal/hubble/hubbletest"
	"github.com/netzero-dev/netzero/internal/placement"
	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/internal/policy/ciliumpolicy"
	"github.com/netzero-dev/netzero/internal/policy/networkpolicy"
	"github.com/netzero-dev/netzero/internal/recording"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// What uses recordings of tests can use those of clusters: the placement keeps the flows, and policies allow them.
func TestRead_PoliciesAllowTheFlows(t *testing.T) {
	f := read(t, Options{Dropped: IncludeDropped}, write(t, hubbletest.Recording()),
		at(webPod, "10.0.0.1", dbPod, "10.0.1.2", tcp(40000, 5432, syn), forth),
		at(webPod, "10.0.0.1", worldEnd, "203.0.113.8", tcp(40000, 443, syn),
			forth+`,"destination_names":["api.example.com"]`),
		at(webPod, "10.0.0.1", hostEnd, "172.18.0.3", tcp(40000, 9100, syn), forth),
		at(worldEnd, "203.0.113.7", webPod, "10.0.0.1", tcp(40000, 80, syn), denyDrop),
	)
	placed, err := placement.Place(f.Recording, placement.Options{})
	if err != nil {
		t.Fatal(err)
	}
	flows, err := recording.ToFlows(f.Placed.Flows)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(asPolicies(flows), asPolicies(placed.Flows), compareAddrs); diff != "" {
		t.Errorf("placed by Read and by the placement (-Read +placement):\n%s", diff)
	}
	network := networkpolicy.Dialect{Scope: placed.Scope}
	ciliums := ciliumpolicy.Dialect{Scope: placed.Scope}
	networkPolicies, ciliumPolicies := network.Generate(flows), ciliums.Generate(flows)
	for _, one := range flows {
		for dialect, v := range map[string]policy.Verdict{
			"NetworkPolicy":       network.Evaluate(networkPolicies, one),
			"CiliumNetworkPolicy": ciliums.Evaluate(ciliumPolicies, one),
		} {
			if v.Outcome != policy.Allowed {
				t.Errorf("%s: %s -> %s: %v, %s", dialect, one.Source, one.Target(), v.Outcome, v.Reason)
			}
		}
	}
}

// asPolicies returns flows as policies see them. A placement takes the address of the API server from manifests only.
func asPolicies(flows []flow.Flow) []flow.Flow {
	flows = slices.Clone(flows)
	for i := range flows {
		f := &flows[i]
		f.First, f.Source, f.Destination = 0, f.Source.Identity(), f.Destination.Identity()
		if f.Destination.Kind == flow.APIServer {
			f.Destination.Addr = netip.Addr{}
		}
	}
	return flows
}
