package policy_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/internal/policy/ciliumpolicy"
	"github.com/netzero-dev/netzero/internal/policy/networkpolicy"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// portsWritten returns the ports of each rule of one subject's policy, in both dialects: "21 30000-30009".
func portsWritten(s policy.Scope, flows []flow.Flow, subject int, d policy.Direction) (kubernetes, ciliums []string) {
	for _, r := range networkpolicy.RulesOf(networkpolicy.Dialect{Scope: s}.Generate(flows)[subject], d) {
		var ports []string
		for i := range r.Ports {
			ports = append(ports, networkpolicy.DescribePort(&r.Ports[i]))
		}
		kubernetes = append(kubernetes, strings.Join(ports, " "))
	}
	for _, r := range ciliumpolicy.RulesOf(ciliumpolicy.Dialect{Scope: s}.Generate(flows)[subject], d) {
		var ports []string
		for _, ref := range r.AllowedPorts() {
			ports = append(ports, ciliumpolicy.DescribeAllowed(ref))
		}
		ciliums = append(ciliums, strings.Join(ports, " "))
	}
	return kubernetes, ciliums
}

func TestPortRange_WrittenAsRange(t *testing.T) {
	const dns, ciliumDNS = "53/TCP 53/UDP", "53/ANY"
	ftp := flow.Endpoint{Kind: flow.Workload, Name: "ftp"}
	toFTP := func(ports ...uint16) []flow.Flow {
		var flows []flow.Flow
		for _, port := range ports {
			flows = append(flows, between(workload("checkout"), ftp, port))
		}
		return flows
	}
	anyone := between(flow.Endpoint{Kind: flow.Anyone}, ftp, 30001)
	passive := policy.PortRange{Name: "ftp", First: 30000, Last: 30009, Protocol: flow.TCP}
	for _, row := range []struct {
		reason          string
		ranges          []policy.PortRange
		flows           []flow.Flow
		egress, ingress []string // egress of checkout, ingress of ftp
	}{
		{"nothing was said", nil, toFTP(21, 30003), []string{"21/TCP 30003/TCP", dns}, []string{"21/TCP 30003/TCP"}},
		{
			"two ports of it are one range", []policy.PortRange{passive}, toFTP(30008, 21, 30003),
			[]string{"21/TCP 30000-30009/TCP", dns}, []string{"21/TCP 30000-30009/TCP"},
		},
		{"both ends belong to it, their neighbours do not", []policy.PortRange{passive}, toFTP(29999, 30000, 30009, 30010),
			[]string{"29999/TCP 30000-30009/TCP 30010/TCP", dns}, []string{"29999/TCP 30000-30009/TCP 30010/TCP"}},
		{
			"of another workload",
			[]policy.PortRange{{Name: "media", First: 30000, Last: 30009, Protocol: flow.TCP}},
			toFTP(30003), []string{"30003/TCP", dns}, []string{"30003/TCP"},
		},
		{
			"of another namespace",
			[]policy.PortRange{{Name: "ftp", Namespace: "x", First: 30000, Last: 30009, Protocol: flow.TCP}},
			toFTP(30003), []string{"30003/TCP", dns}, []string{"30003/TCP"},
		},
		{
			"of another protocol",
			[]policy.PortRange{{Name: "ftp", First: 30000, Last: 30009, Protocol: flow.UDP}},
			toFTP(30003), []string{"30003/TCP", dns}, []string{"30003/TCP"},
		},
		{
			"a single port is one",
			[]policy.PortRange{{Name: "ftp", First: 30003, Last: 30003, Protocol: flow.TCP}},
			toFTP(30003), []string{"30003/TCP", dns}, []string{"30003/TCP"},
		},
		{
			"who calls one port of it needs no rule beside anyone at another",
			[]policy.PortRange{passive}, append(toFTP(30003), anyone), []string{"30000-30009/TCP", dns},
			[]string{"30000-30009/TCP"},
		},
	} {
		scope := policy.Scope{
			Subjects: []policy.Subject{
				{Workload: policy.Workload{Name: "checkout"}},
				{Workload: policy.Workload{Name: "ftp"}, AllTraffic: true},
			},
			Ranges: row.ranges,
		}
		for range 2 { // with the flows in either order
			for subject, want := range [][]string{row.egress, row.ingress} {
				d := policy.Directions[subject]
				kubernetes, ciliums := portsWritten(scope, row.flows, subject, d)
				if diff := cmp.Diff(want, kubernetes); diff != "" {
					t.Errorf("%s: %s (-want +got):\n%s", row.reason, d, diff)
				}
				want = strings.Split(strings.Replace(strings.Join(want, ";"), dns, ciliumDNS, 1), ";")
				if diff := cmp.Diff(want, ciliums); diff != "" {
					t.Errorf("%s: %s in Cilium (-want +got):\n%s", row.reason, d, diff)
				}
			}
			slices.Reverse(row.flows)
		}
	}
}

// A range that one run wrote stays unchanged in the next run, which sees another port of it. A port that a person
// wrote stays while it is needed.
func TestPortRange_Merge(t *testing.T) {
	passive := policy.PortRange{Name: "ftp", First: 30000, Last: 30009, Protocol: flow.TCP}
	scope := policy.Scope{
		Subjects: []policy.Subject{
			{Workload: policy.Workload{Name: "checkout"}},
			{Workload: policy.Workload{Name: "ftp"}, AllTraffic: true},
		},
		Ranges: []policy.PortRange{passive},
	}
	run := func(ports ...uint16) []flow.Flow {
		var flows []flow.Flow
		for _, port := range ports {
			flows = append(flows, between(workload("checkout"), workload("ftp"), port))
		}
		return flows
	}
	plain := scope
	plain.Ranges = nil
	for _, row := range []struct {
		reason       string
		before       []flow.Flow
		scope        policy.Scope // the scope that they were written with
		now          []flow.Flow
		want         []flow.Flow
		asWrittenFor policy.Scope
	}{
		{"another port", run(21, 30001), scope, run(21, 30007), run(21, 30007), scope},
		{"the range joins the rule of its peer", run(21), scope, run(21, 30007, 30002), run(21, 30007), scope},
		{"a port from before the range goes", run(21, 30001), plain, run(21, 30007), run(21, 30007), scope},
		{"one that is used stays alone", run(21, 30001), plain, run(21, 30001), run(21, 30001), plain},
	} {
		want := networkpolicy.Dialect{Scope: row.asWrittenFor}.Generate(row.want)
		if diff := cmp.Diff(
			want,
			(networkpolicy.Dialect{Scope: scope}).Merge(networkpolicy.Dialect{Scope: row.scope}.Generate(row.before), row.now),
		); diff != "" {
			t.Errorf("%s (-want +got):\n%s", row.reason, diff)
		}
		wantCilium := ciliumpolicy.Dialect{Scope: row.asWrittenFor}.Generate(row.want)
		got := ciliumpolicy.Dialect{Scope: scope}.Merge(ciliumpolicy.Dialect{Scope: row.scope}.Generate(row.before), row.now)
		if diff := cmp.Diff(wantCilium, got); diff != "" {
			t.Errorf("%s: in Cilium (-want +got):\n%s", row.reason, diff)
		}
		for _, f := range row.now {
			if v := (ciliumpolicy.Dialect{Scope: scope}).Evaluate(got, f); v.Outcome != policy.Allowed {
				t.Errorf("%s: in Cilium %s is %s: %s", row.reason, arrow(f), v.Outcome, v.Reason)
			}
		}
	}
}
