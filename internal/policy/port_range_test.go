package policy

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// portsWritten returns the ports of each rule of the policy of one subject, in both dialects: "21 30000-30009".
func portsWritten(s Scope, flows []flow.Flow, subject int, d direction) (kubernetes, ciliums []string) {
	for _, r := range rulesOf(s.Generate(flows)[subject], d) {
		var ports []string
		for i := range r.ports {
			ports = append(ports, describePort(&r.ports[i]))
		}
		kubernetes = append(kubernetes, strings.Join(ports, " "))
	}
	for _, r := range ciliumRulesOf(Cilium{s}.Generate(flows)[subject], d) {
		var ports []string
		for _, ref := range r.openTo() {
			ports = append(ports, describeOpen(ref))
		}
		ciliums = append(ciliums, strings.Join(ports, " "))
	}
	return kubernetes, ciliums
}

func TestPortsOfARangeAreWrittenAsTheRange(t *testing.T) {
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
	passive := PortRange{Name: "ftp", First: 30000, Last: 30009, Protocol: flow.TCP}
	for _, row := range []struct {
		reason          string
		ranges          []PortRange
		flows           []flow.Flow
		egress, ingress []string // of checkout, of ftp
	}{
		{"nothing was said", nil, toFTP(21, 30003), []string{"21/TCP 30003/TCP", dns}, []string{"21/TCP 30003/TCP"}},
		{"two ports of it are one range", []PortRange{passive}, toFTP(30008, 21, 30003), []string{"21/TCP 30000-30009/TCP", dns}, []string{"21/TCP 30000-30009/TCP"}},
		{"both ends belong to it, their neighbours do not", []PortRange{passive}, toFTP(29999, 30000, 30009, 30010),
			[]string{"29999/TCP 30000-30009/TCP 30010/TCP", dns}, []string{"29999/TCP 30000-30009/TCP 30010/TCP"}},
		{"of another workload", []PortRange{{Name: "media", First: 30000, Last: 30009, Protocol: flow.TCP}}, toFTP(30003), []string{"30003/TCP", dns}, []string{"30003/TCP"}},
		{"of another namespace", []PortRange{{Name: "ftp", Namespace: "x", First: 30000, Last: 30009, Protocol: flow.TCP}}, toFTP(30003), []string{"30003/TCP", dns}, []string{"30003/TCP"}},
		{"of another protocol", []PortRange{{Name: "ftp", First: 30000, Last: 30009, Protocol: flow.UDP}}, toFTP(30003), []string{"30003/TCP", dns}, []string{"30003/TCP"}},
		{"a single port is one", []PortRange{{Name: "ftp", First: 30003, Last: 30003, Protocol: flow.TCP}}, toFTP(30003), []string{"30003/TCP", dns}, []string{"30003/TCP"}},
		{"who calls one port of it needs no rule beside anyone at another", []PortRange{passive}, append(toFTP(30003), anyone),
			[]string{"30000-30009/TCP", dns}, []string{"30000-30009/TCP"}},
	} {
		scope := Scope{Subjects: []Subject{{Workload: Workload{Name: "checkout"}}, {Workload{Name: "ftp"}, true}}, Ranges: row.ranges}
		for range 2 { // in either order of the flows
			for subject, want := range [][]string{row.egress, row.ingress} {
				d := directions[subject]
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

// What one run wrote of a range stays as it is in the next, which sees another port of it; a port that a person wrote
// stays as long as it does.
func TestRangesAreMerged(t *testing.T) {
	passive := PortRange{Name: "ftp", First: 30000, Last: 30009, Protocol: flow.TCP}
	scope := Scope{Subjects: []Subject{{Workload: Workload{Name: "checkout"}}, {Workload{Name: "ftp"}, true}}, Ranges: []PortRange{passive}}
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
		scope        Scope // that wrote them
		now          []flow.Flow
		want         []flow.Flow
		asWrittenFor Scope
	}{
		{"another port", run(21, 30001), scope, run(21, 30007), run(21, 30007), scope},
		{"the range joins the rule of its peer", run(21), scope, run(21, 30007, 30002), run(21, 30007), scope},
		{"a port from before the range goes", run(21, 30001), plain, run(21, 30007), run(21, 30007), scope},
		{"one that is used stays alone", run(21, 30001), plain, run(21, 30001), run(21, 30001), plain},
	} {
		want := row.asWrittenFor.Generate(row.want)
		if diff := cmp.Diff(want, scope.Merge(row.scope.Generate(row.before), row.now)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", row.reason, diff)
		}
		wantCilium := Cilium{row.asWrittenFor}.Generate(row.want)
		got := Cilium{scope}.Merge(Cilium{row.scope}.Generate(row.before), row.now)
		if diff := cmp.Diff(wantCilium, got); diff != "" {
			t.Errorf("%s: in Cilium (-want +got):\n%s", row.reason, diff)
		}
		for _, f := range row.now {
			if v := (Cilium{scope}).Evaluate(got, f); v.Outcome != Allowed {
				t.Errorf("%s: in Cilium %s is %s: %s", row.reason, arrow(f), v.Outcome, v.Reason)
			}
		}
	}
}

func TestRangesThatOverlap(t *testing.T) {
	r := PortRange{Name: "ftp", First: 30000, Last: 30009, Protocol: flow.TCP}
	for _, row := range []struct {
		other PortRange
		want  bool
	}{
		{r, true},
		{PortRange{Name: "ftp", First: 30009, Last: 30020, Protocol: flow.TCP}, true},
		{PortRange{Name: "ftp", Namespace: "shop", First: 29000, Last: 30000, Protocol: flow.TCP}, true},
		{PortRange{Name: "ftp", First: 30010, Last: 30020, Protocol: flow.TCP}, false},
		{PortRange{Name: "ftp", First: 30000, Last: 30009, Protocol: flow.UDP}, false},
		{PortRange{Name: "media", First: 30000, Last: 30009, Protocol: flow.TCP}, false},
	} {
		if r.Overlaps(row.other) != row.want || row.other.Overlaps(r) != row.want {
			t.Errorf("%s and %s: want %v", r, row.other, row.want)
		}
	}
	if got := fmt.Sprint(r, PortRange{Name: "orders", Namespace: "shop", First: 50051, Last: 50051, Protocol: flow.TCP}); got != "ftp:30000-30009/TCP orders.shop:50051/TCP" {
		t.Error(got)
	}
}
