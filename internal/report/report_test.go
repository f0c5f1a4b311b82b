package report

import (
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/netzero-dev/netzero/internal/recording"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

var update = flag.Bool("update", false, "write testdata")

func addrs(texts ...string) []netip.Addr {
	var all []netip.Addr
	for _, text := range texts {
		all = append(all, netip.MustParseAddr(text))
	}
	return all
}

// stripe is an unexpected flow to an external host.
func stripe() Denied {
	return Denied{
		Flow: flow.Flow{
			Source: flow.Endpoint{Kind: flow.Workload, Name: "checkout"},
			Destination: flow.Endpoint{Kind: flow.External, Name: "api.stripe.com",
				Addr: netip.MustParseAddr("203.0.113.7"), Evidence: flow.ByDNS},
			Protocol: flow.TCP,
			Port:     443,
			Count:    3,
			First:    1234 * time.Millisecond,
			Process: flow.Process{PID: 4711, Name: "payments.test",
				Command: "/tmp/go-build1/payments.test -test.v"},
		},
		Addrs:  addrs("203.0.113.7"),
		Policy: "checkout",
		Reason: "no rule allows api.stripe.com; rule 3 allows the internet on 443/TCP for api.adyen.com only",
	}
}

// ordersDB is an unexpected flow to a workload; lookUps are the lookups that it implies, or that were seen so often
// over UDP.
func ordersDB() Denied {
	d := stripe()
	d.Flow.Destination = flow.Endpoint{Kind: flow.Workload, Name: "orders-db", Addr: netip.MustParseAddr("127.0.0.1"),
		Evidence: flow.ByListener}
	d.Flow.Port, d.Addrs, d.Reason = 5432, addrs("127.0.0.1"), "no rule allows pods app=orders-db"
	return d
}

func lookUps(seen uint64) []Denied {
	tcp := Denied{
		Flow: flow.Flow{Source: stripe().Flow.Source, Destination: flow.ClusterResolver, Protocol: flow.TCP,
			Port: 53},
		Policy: "checkout", Reason: "no rule allows pods k8s-app=kube-dns in namespace kube-system",
	}
	udp := tcp
	udp.Flow.Protocol = flow.UDP
	if seen > 0 {
		udp.Flow.Count, udp.Flow.Process = seen, stripe().Flow.Process
		udp.Flow.Destination.Evidence, udp.Addrs = flow.ByResolvConf, addrs("127.0.0.53")
	}
	return []Denied{tcp, udp}
}

// invoices are unexpected requests of one flow.
func invoices(n int) []Denied {
	var all []Denied
	for i := range n {
		d := ordersDB()
		d.Flow.Destination.Name, d.Flow.Port = "billing", 8080
		d.Flow.Process.Stack = []flow.Frame{
			called("example.com/shop/payments.(*Checkout).Pay", "/src/shop/payments/checkout.go", 31),
		}
		d.Request = flow.Request{
			Protocol: flow.HTTP, Method: "GET", Host: "billing:8080", Path: fmt.Sprintf("/api/v1/invoices/%d", 123+i),
			Query: "?token=secret",
		}
		d.Reason = d.Request.String() + " is not in the annotation netzero.dev/requests, which lists " +
			"POST /api/v1/charge for billing:8080"
		all = append(all, d)
	}
	return all
}

// published is an unexpected flow to a port that a container publishes.
func published() Denied {
	d := ordersDB()
	d.Flow.Destination.Evidence, d.Flow.Named, d.Flow.Dialled = flow.ByContainer,
		"container eager_hopper (image postgres:17)", 49153
	return d
}

// refused is the report of a test that enforced its policy.
func refused() Report {
	return one(func(d *Denied) { d.Flow.Refused, d.WouldRefuse = d.Flow.Count, true }).with(
		func(r *Report) { r.Enforced = true })
}

func one(change func(*Denied)) Report {
	d := stripe()
	change(&d)
	return base(func(r *Report) { r.Denied = []Denied{d} })
}

func (r Report) with(change func(*Report)) Report {
	change(&r)
	return r
}

func called(function, file string, line int) flow.Frame {
	return flow.Frame{Function: function, File: file, Line: line}
}

func base(change func(*Report)) Report {
	r := Report{
		Test:     "TestCheckout",
		Golden:   "testdata/netzero/TestCheckout.yaml",
		Workload: "checkout",
		Module:   "example.com/shop",
		Accept:   "go test example.com/shop/payments -run '^TestCheckout$' -update",
	}
	change(&r)
	return r
}

const (
	diff = `(-golden +recorded)
@@ NetworkPolicy checkout: metadata.annotations @@
 metadata:
   annotations:
-    netzero.dev/egress-names: api.adyen.com:443/TCP
+    netzero.dev/egress-names: api.adyen.com:443/TCP,api.stripe.com:443/TCP
   name: checkout
 spec:
   egress:
`
	proposed = `# Recorded by netzerotest; edit it as you like: what counts is what the policy allows, not its text.
# test: TestCheckout
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: checkout
spec:
  podSelector:
    matchLabels:
      app: checkout
  policyTypes:
  - Egress
`
)

func reports() map[string]Report {
	return map[string]Report{
		"one flow":           base(func(r *Report) { r.Denied, r.Diff = []Denied{stripe()}, diff }),
		"nothing":            base(func(*Report) {}),
		"a difference alone": base(func(r *Report) { r.Diff = diff }),
		"two flows and notices": base(func(r *Report) {
			db := stripe()
			db.Flow.Destination = flow.Endpoint{Kind: flow.Workload, Name: "orders-db", Namespace: "shop",
				Addr: netip.MustParseAddr("127.0.0.1"), Evidence: flow.ByListener}
			db.Flow.Port, db.Flow.Count, db.Flow.First = 5432, 1, 340*time.Millisecond
			db.Addrs = addrs("127.0.0.1", "::1")
			db.Reason = "no rule allows pods app=orders-db"
			r.Denied = []Denied{db, stripe()}
			r.Diff = diff
			r.Notices = []recording.Notice{
				{Text: "overlapped with TestRefund: a flow that could belong to either is given to both"},
				{Text: "1 flow over ICMP to 203.0.113.9: a NetworkPolicy can neither allow nor deny it, and what " +
					"network plugins do with it differs from one to the next"},
			}
			r.Unused = []string{"policy checkout, egress rule 2: pods app=cache on 6379/TCP"}
		}),
		"one request":  base(func(r *Report) { r.Denied = invoices(1) }),
		"two requests": base(func(r *Report) { r.Denied = invoices(2) }),
		"many requests and a flow": base(func(r *Report) {
			r.Denied = append(invoices(500), ordersDB())
		}),
		"requests that differ in queries and hosts": base(func(r *Report) {
			r.Denied = append(invoices(1), invoices(1)...)
			r.Denied[1].Request.Query, r.Denied[1].Request.Host = "?page=2", "billing"
		}),
		"requests to Kafka and over gRPC": base(func(r *Report) {
			r.Denied = invoices(3)[1:]
			r.Denied[0].Flow.Destination.Name, r.Denied[0].Flow.Port = "kafka", 9092
			r.Denied[0].Request = flow.Request{Protocol: flow.Kafka, Method: "fetch", Topic: "payments"}
			r.Denied[1].Request = flow.Request{Protocol: flow.GRPC, Method: "POST", Path: "/shop.Ledger/Balance"}
		}),
		"a request that another test reported": base(func(r *Report) {
			r.Denied = invoices(2)
			r.Denied[0].ReportedBy = "TestRefund"
		}),
		"a long and hostile request": base(func(r *Report) {
			r.Denied = invoices(1)
			r.Denied[0].Request.Path = "/\x1b[31m/\u202e/" + strings.Repeat("segment/", 30)
		}),
		"refused": refused(),
		"refused and judged": refused().with(func(r *Report) {
			judged := ordersDB()
			judged.Flow.Destination.Evidence, judged.Flow.Count = flow.ByContainer, 1
			r.Denied = append(r.Denied, judged)
		}),
		"refused once":    refused().with(func(r *Report) { r.Denied[0].Flow.Count, r.Denied[0].Flow.Refused = 1, 1 }),
		"refused in part": refused().with(func(r *Report) { r.Denied[0].Flow.Refused = 2 }),
		"refused though allowed": base(func(r *Report) {
			f := refused().Denied[0].Flow
			r.Enforced = true
			r.Refused = []Refused{{f, "policy checkout allows it (rule 3), but the kernel saw no DNS answer for it"}}
		}),
		"would be refused": one(func(d *Denied) { d.WouldRefuse = true }),
		"one of two would be refused": base(func(r *Report) {
			d := stripe()
			d.WouldRefuse = true
			r.Denied = []Denied{ordersDB(), d}
		}),
		"both would be refused": base(func(r *Report) {
			d := stripe()
			d.WouldRefuse = true
			r.Denied = []Denied{d, d}
		}),
		"opened before":         one(func(d *Denied) { d.Flow.Before, d.Flow.Count = true, 1 }),
		"several opened before": one(func(d *Denied) { d.Flow.Before = true }),
		"from a container": one(func(d *Denied) {
			d.Flow.Process = flow.Process{PID: 77, Name: "curl", Command: "curl https://api.stripe.com",
				Executable: "/usr/bin/curl",
				Parents:    []string{"sh (pid 76)"}, Container: "shop-api-1", Image: "shop/api:1.2"}
		}),
		"opened by a test of the package": base(func(r *Report) {
			r.Test, r.Golden = "package example.com/shop", "testdata/netzero/package.yaml"
			d := stripe()
			d.Flow.Process.Test = "TestCheckout"
			b := Binary{Flow: stripe().Flow, Reason: "curl is not in the annotation netzero.dev/binaries of policy " +
				"checkout, which lists none"}
			b.Flow.Process.Test = "TestRefund"
			r.Denied, r.Binaries = []Denied{d}, []Binary{b}
		}),
		"left behind": base(func(r *Report) { r.Denied, r.RunningTest = []Denied{stripe()}, "TestRefund" }),
		"unexpected programs": base(func(r *Report) {
			child := stripe().Flow
			child.Process = flow.Process{PID: 77, Name: "curl", Command: "curl https://api.stripe.com",
				Executable: "/usr/bin/curl", Parents: []string{"sh (pid 76)", "payments.test (pid 4711)"}}
			contained := child
			contained.Source.Name = "api"
			contained.Process = flow.Process{PID: 78, Name: "wget\x1b", Executable: "/usr/bin/wget",
				Container: "shop-api-1", Image: "shop/api:1.2"}
			r.Binaries = []Binary{
				{Flow: child, More: 2, Reason: "curl is not in the annotation netzero.dev/binaries of policy " +
					"checkout, which lists none"},
				{Flow: contained, Reason: "wget%1B is not in the annotation netzero.dev/binaries of policy api, " +
					"which lists api, migrate, sh and 2 more"},
			}
		}),
		"a program that is a notice": base(func(r *Report) {
			f := stripe().Flow
			f.Process = flow.Process{PID: 78, Name: "wget", Command: "wget api.stripe.com", Container: "shop-api-1",
				Image: "shop/api:1.2"}
			r.Denied = []Denied{stripe()}
			r.Notices = []recording.Notice{{Text: Binary{Flow: f,
				Reason: "wget is not in the annotation netzero.dev/binaries of policy api, which lists api"}.Notice()}}
		}),
		"many flows": base(func(r *Report) {
			for i := range 27 {
				d := stripe()
				d.Flow.Destination.Name = fmt.Sprintf("host%02d.example.com", i)
				r.Denied = append(r.Denied, d)
			}
		}),
		"missing": base(func(r *Report) { r.Missing, r.Proposed = true, proposed }),
		"missing without proposal": base(func(r *Report) {
			r.Missing = true
			r.Notices = []recording.Notice{{Text: "no policy is proposed, because the test failed"}}
		}),
		"unprotected": base(func(r *Report) {
			r.Unprotected = []string{"no policy in testdata/netzero/TestCheckout.yaml selects pods app=checkout " +
				"with policy type Egress; the nearest is policy check-out, for pods app=check-out"}
			r.Diff = diff
		}),
		"several unprotected": base(func(r *Report) {
			r.Unprotected = []string{
				"no policy isolates checkout for egress: policy check-out selects app=check-out, the pods have " +
					"app=checkout",
				"no policy isolates orders-db for ingress: policy orders-db is not of the type Ingress",
			}
		}),
		"one of several unprotected": base(func(r *Report) {
			r.Unprotected = []string{"no policy isolates orders-db for ingress: policy orders-db is not of the type " +
				"Ingress"}
			r.Protected = true
			r.Denied = []Denied{stripe()}
		}),
		"an implied flow": base(func(r *Report) {
			d := stripe()
			d.Flow = flow.Flow{Source: flow.Endpoint{Kind: flow.Workload, Name: "checkout"},
				Destination: flow.ClusterResolver, Protocol: flow.TCP, Port: 53}
			d.Addrs, d.Reason = nil, "port 53/TCP, rule 0 (pods k8s-app=kube-dns) allows 53/UDP"
			r.Denied = []Denied{d}
		}),
		"one dependency that implies lookups": base(
			func(r *Report) { r.Denied = append([]Denied{ordersDB()}, lookUps(0)...) }),
		"two dependencies and lookups that were seen": base(func(r *Report) {
			r.Denied = slices.Concat([]Denied{ordersDB()}, lookUps(3), []Denied{stripe()})
		}),
		"lookups alone": base(func(r *Report) { r.Denied = lookUps(0) }),
		"lookups of two workloads": base(func(r *Report) {
			r.Denied = append([]Denied{ordersDB()}, lookUps(0)...)
			for _, d := range lookUps(0) {
				d.Flow.Source.Name, d.Policy = "worker", "worker"
				d.Reason = "port " + strings.TrimPrefix(d.Flow.Target(), "kube-dns.kube-system:") +
					", rule 0 allows 5353/UDP"
				r.Denied = append(r.Denied, d)
			}
		}),
		"many dependencies that imply lookups": base(func(r *Report) {
			for i := range maxBlocks {
				d := stripe()
				d.Flow.Destination.Name = fmt.Sprintf("host%02d.example.com", i)
				r.Denied = append(r.Denied, d)
			}
			r.Denied = append(r.Denied, lookUps(0)...)
		}),
		"a published port": base(func(r *Report) { r.Denied = []Denied{published()} }),
		"a container at its own port": base(func(r *Report) {
			d := published()
			d.Flow.Dialled = 0
			d.Addrs = addrs("172.18.0.3")
			r.Denied = []Denied{d}
		}),
		"named by Peer": base(func(r *Report) {
			d := ordersDB()
			d.Flow.Destination.Evidence, d.Flow.Named, d.Flow.Dialled = flow.ByOption, "Peer at svc_test.go:31", 41234
			r.Denied = []Denied{d}
		}),
		"told by another test": base(func(r *Report) {
			r.Denied = append([]Denied{ordersDB(), stripe()}, lookUps(0)...)
			for i := range r.Denied {
				r.Denied[i].ReportedBy = "TestRefund"
			}
			refund := stripe()
			refund.Flow.Destination.Name = "refunds.stripe.com"
			r.Denied = append(r.Denied, refund)
			r.Binaries = []Binary{{Flow: stripe().Flow, ReportedBy: "TestRefund",
				Reason: "payments.test is not in the annotation"}}
		}),
		"several workloads": base(func(r *Report) {
			driven, query := stripe(), stripe()
			db := flow.Endpoint{Kind: flow.Workload, Name: "orders-db", Evidence: flow.ByListener}
			driven.Flow.Source, driven.Flow.Destination, driven.Flow.Port = flow.Endpoint{Kind: flow.Anyone},
				flow.Endpoint{Kind: flow.Workload, Name: "shop"}, 8080
			driven.Addrs, driven.Policy = nil, "shop"
			driven.Reason = "no ingress rule is for callers from anywhere; ingress rule 0 (pods app=gateway) allows " +
				"8080/TCP"
			query.Flow.Source, query.Flow.Destination,
				query.Flow.Port = flow.Endpoint{Kind: flow.Workload, Name: "shop"}, db, 5432
			query.Addrs, query.Policy = nil, "shop"
			query.Reason = "port 5432/TCP, egress rule 1 (pods app=orders-db) allows 5433/TCP; policy orders-db: " +
				"port 5432/TCP, ingress rule 0 (pods app=shop) allows 5433/TCP"
			r.Denied = []Denied{driven, query}
			r.Unused = []string{"policy shop: egress rule 2 (pods app=cache)",
				"policy orders-db: ingress rule 1: peer pods app=cart"}
		}),
		"empty golden": base(func(r *Report) {
			r.Unprotected = []string{"the file holds no policy"}
			r.Denied = []Denied{stripe()}
		}),
		"unused": base(func(r *Report) {
			r.Unused = []string{"policy checkout, egress rule 2: pods app=cache on 6379/TCP"}
		}),
		"unused and strict": base(func(r *Report) {
			r.Strict = true
			r.Unused = []string{"policy checkout, egress rule 2: pods app=cache on 6379/TCP",
				"policy checkout, egress rule 4: 198.51.100.0/24 on 443/TCP"}
			r.Diff = diff
		}),
		"unusable-golden": base(func(r *Report) {
			r.Unusable = "read golden testdata/netzero/TestCheckout.yaml: document 1, line 7: spec.podSelectors: unknown " +
				"field; correct or remove it"
			r.Notices = []recording.Notice{{Text: "the name of a program is not known"}}
		}),
		"lost": base(func(r *Report) {
			r.Lost = "12 events did not fit into the ring buffer"
			r.Denied, r.Diff, r.Strict = []Denied{stripe()}, diff, true
			r.Unused = []string{"policy checkout, egress rule 2: pods app=cache on 6379/TCP"}
		}),
		"lost and missing": base(func(r *Report) {
			r.Lost = "12 events did not fit into the ring buffer\n3 flows did not fit into the map"
			r.Missing, r.Proposed = true, proposed
		}),
		"notices only": base(func(r *Report) {
			r.Notices = []recording.Notice{{Text: "egress rule 1 of policy checkout allows everything"}}
		}),
		"called": one(func(d *Denied) {
			d.Flow.Process.Stack = []flow.Frame{
				called("net.(*sysDialer).dialTCP", "/go/src/net/tcpsock_posix.go", 85),
				called("github.com/lib/pq.(*conn).dial", "/mod/github.com/lib/pq@v1.0.0/conn.go", 12),
				called("database/sql.(*DB).conn", "/go/src/database/sql/sql.go", 1415),
				called("example.com/shop/payments.(*Client).Charge", "/src/shop/payments/client.go", 57),
				called("example.com/shop/payments_test.TestCheckout", "/src/shop/payments/client_test.go", 31),
				called("example.com/shop.run", "/src/shop/run.go", 3),
				called("example.com/shop.tooFarOut", "/src/shop/run.go", 9),
				called("testing.tRunner", "/go/src/testing/testing.go", 1934),
			}
		}),
		"called in another goroutine": one(func(d *Denied) {
			d.Flow.Process.Stack = []flow.Frame{
				called("net.(*Dialer).DialContext", "/go/src/net/dial.go", 1),
				{Function: "net/http.(*Transport).queueForDial", File: "/go/src/net/http/transport.go", Line: 1486,
					Started: true},
				called("net/http.(*Client).Do", "/go/src/net/http/client.go", 585),
				called("example.com/shop/payments.(*Client).Charge", "/src/shop/payments/client.go", 57),
			}
		}),
		"called in another goroutine that has ended": one(func(d *Denied) {
			d.Flow.Process.Stack = []flow.Frame{
				called("net.(*Dialer).DialContext", "/go/src/net/dial.go", 1),
				{Function: "net/http.(*Transport).queueForDial", File: "/go/src/net/http/transport.go", Line: 1486,
					Started: true, Ended: true},
				called("net/http.(*Client).Do", "/go/src/net/http/client.go", 585),
				called("example.com/shop/payments.(*Client).Charge", "/src/shop/payments/client.go", 57),
			}
		}),
		"started and left alone": one(func(d *Denied) {
			d.Flow.Process.Stack = []flow.Frame{
				called("net.(*Dialer).DialContext", "/go/src/net/dial.go", 1),
				{Function: "database/sql.OpenDB", File: "/go/src/database/sql/sql.go", Line: 833, Started: true},
			}
		}),
		"started by the module": one(func(d *Denied) {
			d.Flow.Process.Stack = []flow.Frame{
				called("example.org/agent.run", "/mod/example.org/agent/run.go", 1),
				{Function: "example.com/shop.init.0", File: "/src/shop/agent.go", Line: 8, Started: true},
			}
		}),
		"called by nobody of the module": one(func(d *Denied) {
			d.Flow.Process.Stack = []flow.Frame{
				called("net.(*Dialer).DialContext", "/go/src/net/dial.go", 1),
				called("gopkg.in/agent%2ev3.(*Agent).run", "/mod/gopkg.in/agent.v3@v3.1.0/agent.go", 44),
			}
		}),
		"a child": one(func(d *Denied) {
			d.Flow.Process = flow.Process{PID: 4713, Name: "curl", Command: "curl https://api.stripe.com",
				Executable: "/usr/bin/curl",
				Parents:    []string{"sh (pid 4712)", "payments.test (pid 4711)"}}
		}),
		"a block as long as it gets": one(func(d *Denied) {
			d.Addrs = addrs("198.51.100.1", "198.51.100.2", "203.0.113.7", "2001:db8:1111:2222:3333:4444:5555:6666",
				"2001:db8:1111:2222:3333:4444:5555:7777")
			d.Flow.Process.Command += strings.Repeat(" argument", 20)
			var stack []flow.Frame
			for range 9 {
				stack = append(stack, called("example.com/shop/payments.(*Client).Charge"+strings.Repeat("Again", 20),
					"/src/shop/payments/client.go", 57))
			}
			d.Flow.Process.Stack = stack
			d.Reason = strings.Repeat("a reason that does not end ", 30)
		}),
		"process gone":    one(func(d *Denied) { d.Flow.Process.Command = "" }),
		"process unknown": one(func(d *Denied) { d.Flow.Process = flow.Process{} }),
		"process without name": one(func(d *Denied) {
			d.Flow.Process.Name, d.Flow.Process.Command = "", ""
		}),
		"process without number": one(func(d *Denied) { d.Flow.Process.PID = 0 }),
		"IPv6": one(func(d *Denied) {
			d.Flow.Destination = flow.Endpoint{Kind: flow.Address, Addr: netip.MustParseAddr("2001:db8::7")}
			d.Addrs = addrs("2001:db8::7")
		}),
		"name with many addresses": one(func(d *Denied) {
			d.Addrs = addrs("198.51.100.1", "198.51.100.2", "203.0.113.7", "2001:db8:1111:2222:3333:4444:5555:6666",
				"2001:db8:1111:2222:3333:4444:5555:7777", "2001:db8::1")
		}),
		"one datagram to the metadata service": one(func(d *Denied) {
			d.Flow.Destination = flow.Endpoint{Kind: flow.Address, Addr: flow.MetadataService}
			d.Flow.Protocol, d.Flow.Port, d.Flow.Count = flow.UDP, 80, 1
			d.Addrs = []netip.Addr{flow.MetadataService}
			d.Policy, d.Reason = "", ""
		}),
		"address with a name by its owner": one(func(d *Denied) {
			d.Flow.Destination = flow.Endpoint{Kind: flow.Address, Addr: netip.MustParseAddr("203.0.113.7")}
			d.ReverseDNS, d.Reason = "db.partner.example\x1b[31m", "no rule is for 203.0.113.7"
		}),
		"unanswered attempts": base(func(r *Report) {
			r.Unanswered = []string{`127.0.0.1:5432/TCP is this machine, where no process listened: no rule can be ` +
				`written. Peer("127.0.0.1:5432", "name") names what it stands for, Ignore("127.0.0.1:5432") leaves ` +
				`it out`}
		}),
		"an unanswered attempt and a flow": one(func(*Denied) {}).with(
			func(r *Report) { r.Unanswered = []string{"[::1]:9/UDP is this machine, where no process listened"} }),
		"a lookup without an answer": one(func(d *Denied) {
			d.Flow.Destination = flow.Endpoint{Kind: flow.External, Name: "telemetry.vendor.example"}
			d.Flow.Protocol, d.Flow.Port, d.Flow.Lookup, d.Addrs = 0, 0, true, nil
			d.Reason = `its lookup returned no address, and neither a rule nor the annotation ` +
				`netzero.dev/egress-names is for telemetry.vendor.example; -update adds telemetry.vendor.example:*, ` +
				`Ignore("telemetry.vendor.example") leaves it out`
		}),
		"ICMP": one(func(d *Denied) { d.Flow.Protocol, d.Flow.Port = flow.ICMP, 0 }),
		"source without a name": one(func(d *Denied) {
			d.Flow.Source = flow.Endpoint{Kind: flow.Workload}
		}),
		"long texts": one(func(d *Denied) {
			d.Flow.Process.Command = "curl --header 'Authorization: Bearer " + strings.Repeat("s3cret", 40) +
				"' https://api.stripe.com"
			d.Reason = strings.Repeat("a reason that does not end ", 30)
			d.Flow.Process.Name = strings.Repeat("long-name-", 10)
		}),
		"hostile texts": base(func(r *Report) {
			d := stripe()
			d.Flow.Destination.Name = "evil\x1b[31m.\u202eexample.com\n"
			d.Flow.Process = flow.Process{PID: 1, Name: "a\nb\x00", Command: "sh -c \x1b]0;title\x07 \xff\xfe\ttab"}
			d.Policy, d.Reason = "p\n", "r\n\n  FAIL: no"
			r.Test, r.Golden = "Test/a\x1b[0m", "a\nb.yaml"
			r.Denied = []Denied{d}
			r.Diff = "(-golden +recorded)\n-a\x1b[1m\n"
			r.Notices = []recording.Notice{{Text: "n\r"}}
			r.Accept = "go test\n-update"
		}),
		"long command": base(func(r *Report) {
			r.Denied = []Denied{stripe()}
			r.Accept = "go test -exec 'sudo --preserve-env=PATH,HOME,GOCACHE' -tags integration " +
				"example.com/shop/payments -run '^TestCheckout$/^refund$' -update"
		}),
		"long diff": base(func(r *Report) {
			r.Denied = []Denied{stripe()}
			r.Diff = "(-golden +recorded)\n" + strings.Repeat("+  - ports:\n", 130)
		}),
	}
}

func TestReport_Texts(t *testing.T) {
	known := make(map[string]bool)
	for name, r := range reports() {
		file := filepath.Join("testdata", strings.ReplaceAll(name, " ", "-")+".txt")
		known[file] = true
		got := fmt.Sprintf("failed: %v\n-- String --\n%s\n-- Notes --\n%s\n", r.Failed(), r.String(), r.Notes())
		compareFile(t, file, got)
	}
	onlyFiles(t, "testdata/*.txt", known)
}

// compareFile compares a text with a file, or writes the file with -update.
func compareFile(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", file, diff)
	}
}

// onlyFiles fails the test for each file of a pattern that is not known.
func onlyFiles(t *testing.T, pattern string, known map[string]bool) {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if !known[file] {
			t.Errorf("%s belongs to no test", file)
		}
	}
}

func TestReport_WidthAndEscapes(t *testing.T) {
	for name, r := range reports() {
		for _, text := range []string{r.String(), r.Notes()} {
			if strings.HasSuffix(text, "\n") || strings.Contains(text, "\n\n\n") {
				t.Errorf("%s: empty lines too many:\n%s", name, text)
			}
			block := 0
			for i, line := range strings.Split(text, "\n") {
				if n := utf8.RuneCountInString(line); n > width && i > 0 && !isOneWord(line) &&
					!strings.Contains(line, "go test") && !strings.Contains(line, "# Recorded") {
					t.Errorf("%s: a line of %d columns: %s", name, n, line)
				}
				if strings.ContainsFunc(line, func(r rune) bool { return !unicode.IsPrint(r) }) ||
					strings.TrimRight(line, " ") != line {
					t.Errorf("%s: line %q", name, line)
				}
				switch block++; {
				case line == "" || strings.HasPrefix(line, "  policy "):
					block = -1000 // a diff or a file may be longer
				case strings.Contains(line, " -> "):
					block = 1
				case strings.HasPrefix(line, "      also "):
					block -= maxRequests
				case block > 12:
					t.Errorf("%s: a block of %d lines: %s", name, block, line)
				}
			}
		}
		if r.Failed() != (r.String() != "") {
			t.Errorf("%s: failed is %v, and the text: %s", name, r.Failed(), r.String())
		}
	}
}

// isOneWord reports whether a line of a block is too long because of a word longer than any line.
func isOneWord(line string) bool {
	const label = 15
	return len(line) > label && !strings.Contains(line[label:], " ")
}

func TestReport_LongWords(t *testing.T) {
	long := "/" + strings.Repeat("directory/", 12) + "payments.test"
	for _, row := range []struct {
		reason, text string
		columns      int
		want         string
	}{
		{"a text that fits", "curl -v https://a.test", 22, "curl -v https://a.test"},
		{"the last word does not fit", "curl -v https://a.test", 21, "curl -v ..."},
		{"nor does the mark behind the one before", "curl -v https://a.test", 10, "curl ..."},
		{"only the first word, which is too long itself", long + " -test.v", 60, long + " ..."},
		{"one word", long, 60, long},
		{"a word that is no name", strings.Repeat("a", 1000), 60, strings.Repeat("a", 252) + "..."},
		{"columns are not bytes", "żółw żółw żółw", 13, "żółw żółw ..."},
	} {
		if got := shorten(row.text, row.columns); got != row.want {
			t.Errorf("%s: %q, want %q", row.reason, got, row.want)
		}
	}
	text := one(func(d *Denied) {
		d.Flow.Process.Command = long + " -test.v"
		d.Flow.Process.Stack = []flow.Frame{
			called("net.(*Dialer).DialContext", "/go/src/net/dial.go", 1),
			called("example.com/shop/payments.(*ClientWithALongName).ChargeTheCardOfACustomerWhoHasOne",
				"/src/shop/payments/client.go", 57),
			called("example.com/shop/payments_test.TestChargingTheCardOfACustomerWhoHasMoreThanOne",
				"/src/shop/payments/client_test.go", 31),
		}
	}).String()
	for _, word := range []string{long, "(*ClientWithALongName).ChargeTheCardOfACustomerWhoHasOne", "through net"} {
		if !strings.Contains(text, word) {
			t.Errorf("%s is cut:\n%s", word, text)
		}
	}
	if strings.Contains(text, "client_test.go:31 ...") {
		t.Errorf("a call has a place, and no function:\n%s", text)
	}
}

func TestReport_SingularRest(t *testing.T) {
	many := base(func(r *Report) { r.Denied = slices.Repeat([]Denied{stripe()}, maxBlocks+1) })
	if text := many.String(); !strings.Contains(text, "\n  ... and 1 more unexpected flow\n") {
		t.Errorf("the text does not end as expected: %s", text)
	}
	all := base(func(r *Report) { r.Denied = slices.Repeat([]Denied{stripe()}, maxBlocks) })
	if text := all.String(); strings.Contains(text, "more") {
		t.Errorf("flows are left out: %s", text)
	}
}

func TestReport_Failed(t *testing.T) {
	for _, c := range []struct {
		reason string
		report Report
		want   bool
	}{
		{"nothing", Report{}, false},
		{"a notice", Report{Notices: []recording.Notice{{Text: "x"}}}, false},
		{"another text", Report{Diff: "x"}, false},
		{"an unused rule", Report{Unused: []string{"x"}}, false},
		{"an unused rule with Strict", Report{Unused: []string{"x"}, Strict: true}, true},
		{"Strict alone", Report{Strict: true}, false},
		{"an unexpected flow", Report{Denied: []Denied{{}}}, true},
		{"an allowed flow that was refused", Report{Refused: []Refused{{}}}, true},
		{"no golden file", Report{Missing: true}, true},
		{"a golden file that protects nothing", Report{Unprotected: []string{"x"}}, true},
		{"one that protects some", Report{Unprotected: []string{"x"}, Protected: true}, true},
		{"a loss", Report{Lost: "x"}, true},
	} {
		if got := c.report.Failed(); got != c.want {
			t.Errorf("%s: %v", c.reason, got)
		}
	}
}

func TestReport_Durations(t *testing.T) {
	for _, c := range []struct {
		d    time.Duration
		want string
	}{
		{-time.Second, "under 1ms"},
		{0, "under 1ms"},
		{999 * time.Microsecond, "under 1ms"},
		{time.Millisecond, "1ms"},
		{340*time.Millisecond + 400*time.Microsecond, "340ms"},
		{999600 * time.Microsecond, "1s"},
		{1234 * time.Millisecond, "1.2s"},
		{9960 * time.Millisecond, "10s"},
		{12400 * time.Millisecond, "12s"},
		{59900 * time.Millisecond, "1m0s"},
		{125 * time.Second, "2m5s"},
		{63*time.Minute + 20*time.Second, "1h3m"},
		{2 * time.Hour, "2h0m"},
	} {
		if got := Elapsed(c.d); got != c.want {
			t.Errorf("%d: %s, want %s", c.d, got, c.want)
		}
	}
}

// A wrapped line that begins with "::" would be a workflow command in a log of GitHub.
func TestReport_NoWorkflowCommands(t *testing.T) {
	text := one(func(d *Denied) {
		d.Reason = strings.Repeat("word ", 10) + "::error::" + strings.Repeat("x", 80) + " and ::stop-commands::x " +
			strings.Repeat("fd00::1, ", 30)
	}).String()
	for line := range strings.Lines(text) {
		if command := strings.TrimLeft(line, " "); strings.HasPrefix(command, "::") && strings.Count(command, "::") > 1 {
			t.Errorf("GitHub runs the line %q", line)
		}
	}
	if !strings.Contains(text, `\x3a:error::x`) {
		t.Errorf("the text is gone:\n%s", text)
	}
}

func TestReport_CommandLineCut(t *testing.T) {
	secret := strings.Repeat("s3cret", 100)
	text := one(func(d *Denied) { d.Flow.Process.Command = "psql postgres://user:" + secret }).String()
	if n := strings.Count(text, "s3cret") * len("s3cret"); n > maxCommand {
		t.Errorf("%d bytes of the command line are printed", n)
	}
}
