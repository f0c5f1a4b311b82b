package browser

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/netzero-dev/netzero/internal/page"
	"github.com/netzero-dev/netzero/internal/recording"
	"github.com/netzero-dev/netzero/internal/report"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

const module = "example.com/shop"

// started is when the first recording of each run began.
var started = time.Date(2026, 3, 4, 9, 0, 0, 0, time.UTC)

// dialed returns a flow of a workload that its test opened at a line of Go.
func dialed(source string, to flow.Endpoint, port uint16, line int) flow.Flow {
	f := flow.Flow{
		Source:      flow.Endpoint{Kind: flow.Workload, Name: source, Evidence: flow.ByOption},
		Destination: to, Protocol: flow.TCP, Port: port, Count: 1, First: time.Duration(line) * time.Millisecond,
		Process: flow.Process{
			PID: 4711, Name: source + ".test", Command: "/tmp/" + source + ".test -test.v",
			Executable: "/tmp/" + source + ".test",
			Stack: []flow.Frame{
				{Function: "net/http.(*Client).Do", File: "/go/src/net/http/client.go", Line: 590},
				{Function: module + "/" + source + ".(*Client).Do", File: "/src/client.go", Line: line},
			},
		},
	}
	if to == flow.ClusterResolver {
		f.Protocol = flow.UDP
	}
	return f
}

func service(name string) flow.Endpoint {
	return flow.Endpoint{Kind: flow.Workload, Name: name, Evidence: flow.ByDNS}
}

func outside(name, address string) flow.Endpoint {
	return flow.Endpoint{Kind: flow.External, Name: name, Addr: netip.MustParseAddr(address), Evidence: flow.ByTLS}
}

// recorded returns the result of a test of a workload. Its policy allows all flows but those to change.
func recorded(workload, test string, flows []flow.Flow, change func(*page.Result)) page.Result {
	r := page.Result{Result: report.Result{
		Report: report.Report{
			Test: test, Golden: "testdata/netzero/" + test + ".yaml", Workload: workload, Module: module,
			Accept: fmt.Sprintf("go test %s/%s -run '^%s$' -update", module, workload, test),
		},
		Package: module + "/" + workload, Flows: flows,
	}}
	r.File = recording.File{Version: recording.Version, Test: test, Package: r.Package, Golden: r.Golden, Started: started}
	r.File.Placed.Flows = recording.FromFlows(flows)
	check := &recording.Check{Dialect: "NetworkPolicy"}
	for i, f := range flows {
		check.Verdicts = append(check.Verdicts, recording.Verdict{
			Outcome: recording.OutcomeAllowed, Policy: workload,
			Reason: fmt.Sprintf("rule %d (pods app=%s)", i+1, f.Destination.Name),
		})
	}
	r.File.Check = check
	if change != nil {
		change(&r)
	}
	return r
}

// deny lets the policy deny one of the flows.
func deny(r *page.Result, i int) {
	v := &r.File.Check.Verdicts[i]
	v.Outcome = recording.OutcomeDenied
	v.Reason = "no rule allows " + r.Flows[i].Destination.Name + "; the nearest is rule 2 (pods app=currency)"
	r.Denied = append(r.Denied, report.Denied{Flow: r.Flows[i], Policy: v.Policy, Reason: v.Reason})
}

// shop returns a run with results of each kind: a denied flow, a test without a policy, an incomplete recording, an
// unused rule, an unprotected flow, containers, and notices.
func shop() page.Run {
	checkout := []flow.Flow{
		dialed("checkout", flow.ClusterResolver, 53, 11),
		dialed("checkout", service("cart"), 7070, 12),
		dialed("checkout", service("currency"), 7000, 13),
		dialed("checkout", service("payment"), 50051, 14),
		dialed("checkout", outside("api.stripe.com", "203.0.113.7"), 443, 57),
	}
	checkout[4].Refused = 1
	checkout[1].Count, checkout[2].Count, checkout[3].Count = 1200, 5, 25 // each shade of the matrix
	frontend := []flow.Flow{
		dialed("frontend", flow.ClusterResolver, 53, 20),
		dialed("frontend", service("cart"), 7070, 21),
		dialed("frontend", service("checkout"), 5050, 22),
		dialed("frontend", flow.ClusterAPIServer, 443, 23),
	}
	frontend[1].Count = 150
	cart := dialed("cart", service("redis"), 6379, 31)
	cart.Process = flow.Process{
		PID: 12, Name: "cart", Command: "/cart -port 7070", Executable: "/cart", Container: "cart-1", Image: "shop/cart:1.2",
	}
	return page.Run{Results: []page.Result{
		recorded("checkout", "TestCheckout", checkout, func(r *page.Result) {
			deny(r, 4)
			r.Enforced, r.Denied[0].WouldRefuse = true, true
			r.Unused = []string{"rule 7 of policy checkout: pods app=legacy on 9200/TCP"}
			r.Diff = "(-golden +recorded)\n@@ NetworkPolicy checkout: spec.egress @@\n   egress:\n-  - port: 1\n+  - port: 2\n"
			r.Notices = []recording.Notice{{Code: "dns-failed", Text: "checkout looked up api.old.test, which has no address"}}
		}),
		recorded("frontend", "TestFrontend", frontend, func(r *page.Result) {
			r.File.Started = started.Add(2 * time.Second)
			r.File.Check.Verdicts[3] = recording.Verdict{Outcome: recording.OutcomeUnprotected}
			r.Unprotected = []string{"no policy isolates frontend for ingress"}
		}),
		recorded("cart", "TestCart", []flow.Flow{cart}, func(r *page.Result) { r.Missing, r.File.Check = true, nil }),
		recorded("search", "TestSearch", []flow.Flow{dialed("search", service("catalog"), 3550, 41)}, func(r *page.Result) {
			r.Lost, r.File.Check = "3 new flows were lost", nil
			r.Losses = []recording.Loss{{What: "new flows", Count: 3, Remedy: "raise NETZERO_RING_BYTES"}}
		}),
	}}
}

// large returns a run with so many different flows, between 30 workloads and 40 external names. The last flow of each
// test is denied.
func large(flows int) page.Run {
	const perTest = 50
	var run page.Run
	for i := 0; i < flows; i += perTest {
		n := i / perTest
		workload := fmt.Sprintf("service-%02d", n%30)
		var all []flow.Flow
		for j := range min(perTest, flows-i) {
			to := service(fmt.Sprintf("service-%02d", (n+j%4+1)%30))
			if j%5 == 4 {
				to = outside(fmt.Sprintf("host-%02d.example.com", (n+j%2*7)%40), "203.0.113.7")
			}
			all = append(all, dialed(workload, to, uint16(1024+i+j), 10+j))
		}
		run.Results = append(run.Results, recorded(workload, fmt.Sprintf("Test%03d", n), all, func(r *page.Result) {
			deny(r, len(all)-1)
		}))
	}
	return run
}
