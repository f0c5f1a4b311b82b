package networkpolicy

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	networkingv1 "k8s.io/api/networking/v1"

	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/internal/policy/policytest"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

var (
	charge   = policytest.HTTP("POST", "/api/v1/charge")
	invoice  = policytest.HTTP("GET", "/api/v1/invoices/123")
	health   = policytest.HTTP("GET", "/healthz")
	addItem  = flow.Request{Protocol: flow.GRPC, Method: "POST", Path: "/shop.Cart/AddItem"}
	produce  = policytest.Kafka("produce", "alpha-telemetry")
	fetch    = policytest.Kafka("fetch", "payments")
	billing  = workload("billing")
	sends    = policytest.Sends
	toEncode = policytest.HTTP("GET", "/a,b")
)

// reading is checkout alone, in a test that records requests.
var reading = Dialect{policy.Scope{Subjects: alone(checkout).Subjects, Requests: true}}

func charging(requests ...flow.Request) flow.Flow { return sends(tcp(billing, 8080), requests...) }

// listing returns the policy that allows checkout to connect to billing:8080 and kafka:9092, with annotations.
func listing(t *testing.T, annotations string) []*networkingv1.NetworkPolicy {
	t.Helper()
	return egressPolicy(t, annotations,
		"{to: [{podSelector: {matchLabels: {app: billing}}}], ports: [{port: 8080, protocol: TCP}]}, "+
			"{to: [{podSelector: {matchLabels: {app: kafka}}}], ports: [{port: 9092, protocol: TCP}]}")
}

func TestGenerate_ListsRequests(t *testing.T) {
	scope := reading.Scope
	scope.FoldPaths = []string{"/customers/{name}"}
	scope.Fold = []string{"shard-*.db.example"}
	scope.Peers = []policy.Workload{{Name: "cart", Namespace: "shop"}}
	scope.Ranges = []policy.PortRange{{Name: "media", First: 30000, Last: 30009, Protocol: flow.TCP}}
	for _, row := range []struct {
		reason          string
		flows           []flow.Flow
		requests, kafka string
	}{
		{
			"methods and paths, sorted", []flow.Flow{charging(invoice, charge)},
			"billing:8080 GET /api/v1/invoices/{digits},billing:8080 POST /api/v1/charge", "",
		},
		{"gRPC", []flow.Flow{sends(tcp(workloadIn("shop", "cart"), 7070), addItem)},
			"cart.shop.svc:7070 POST /shop.Cart/AddItem", ""},
		{"a comma would separate entries", []flow.Flow{charging(toEncode)}, "billing:8080 GET /a%2Cb", ""},
		{
			"folded paths", []flow.Flow{charging(policytest.HTTP("GET", "/customers/ann"),
				policytest.HTTP("GET", "/customers/bob"))},
			"billing:8080 GET /customers/{name}", "",
		},
		{
			"a host outside, folded",
			[]flow.Flow{sends(tcp(external("shard-1.db.example", "198.51.100.1"), 80), health)},
			"shard-*.db.example:80 GET /healthz", "",
		},
		{"an IPv6 address", []flow.Flow{sends(tcp(at("2001:db8::7"), 80), health)}, "[2001:db8::7]:80 GET /healthz", ""},
		{"a range of ports", []flow.Flow{sends(tcp(workload("media"), 30007), health)},
			"media:30000-30009 GET /healthz", ""},
		{"nothing was sent", []flow.Flow{charging()}, "", ""},
		{"opaque", []flow.Flow{policytest.Opaque(charging(charge), "TLS")}, "", ""},
		{"one of two connections opaque", []flow.Flow{charging(charge), policytest.Opaque(charging(), "TLS")}, "", ""},
		{
			"one of two ports opaque",
			[]flow.Flow{charging(charge), policytest.Opaque(tcp(billing, 8443), "TLS")},
			"billing:8080 POST /api/v1/charge", "",
		},
		{
			"Kafka has a list of its own", []flow.Flow{sends(tcp(workload("kafka"), 9092), produce, fetch), charging(health)},
			"billing:8080 GET /healthz", "fetch payments,produce alpha-telemetry",
		},
		{"Kafka and HTTP at one port", []flow.Flow{charging(produce, health)}, "", "produce alpha-telemetry"},
	} {
		p := Dialect{scope}.Generate(row.flows)[0]
		got := [2]string{oneLine(p.Annotations[policy.RequestsAnnotation]), p.Annotations[policy.KafkaAnnotation]}
		if want := [2]string{row.requests, row.kafka}; got != want {
			t.Errorf("%s: the lists are %q, want %q", row.reason, got, want)
		}
		if err := Validate(p); err != nil {
			t.Errorf("%s: %v", row.reason, err)
		}
		without := scope
		without.Requests = false
		if p := (Dialect{without}).Generate(row.flows)[0]; p.Annotations[policy.RequestsAnnotation] != "" ||
			p.Annotations[policy.KafkaAnnotation] != "" {
			t.Errorf("%s: lists without the option: %v", row.reason, p.Annotations)
		}
	}
}

func TestEvaluate_Requests(t *testing.T) {
	const lists = "netzero.dev/requests: 'billing:8080 POST /api/v1/charge'"
	notRecording := Dialect{alone(checkout)}
	for _, row := range []struct {
		reason      string
		dialect     Dialect
		annotations string
		flow        flow.Flow
		want        policy.Verdict // of which only outcome, reason and notices count
	}{
		{"a listed request", reading, lists, charging(charge),
			policy.Verdict{Outcome: policy.Allowed, Reason: "rule 0 (pods app=billing)"}},
		{"an unlisted one", reading, lists, charging(charge, invoice), policy.Verdict{
			Reason: "GET /api/v1/invoices/123 is not in the annotation netzero.dev/requests, which lists " +
				"POST /api/v1/charge for billing:8080",
		}},
		{"the query does not count", reading, lists,
			charging(flow.Request{Protocol: flow.HTTP, Method: "POST", Path: "/api/v1/charge", Query: "?dry=1"}),
			policy.Verdict{Outcome: policy.Allowed, Reason: "rule 0 (pods app=billing)"}},
		{"a dial", reading, lists, charging(),
			policy.Verdict{Outcome: policy.Allowed, Reason: "rule 0 (pods app=billing)"}},
		{"TLS", reading, lists, policytest.Opaque(charging(), "TLS"), policy.Verdict{
			Reason: "TLS: its requests cannot be compared with the annotation netzero.dev/requests, which lists " +
				"POST /api/v1/charge for billing:8080",
		}},
		{"every request", reading, "netzero.dev/requests: 'billing:8080 *'", policytest.Opaque(charging(), "TLS"),
			policy.Verdict{Outcome: policy.Allowed, Reason: "rule 0 (pods app=billing)"}},
		{"every request, beside others", reading, lists[:len(lists)-1] + ",billing:8080 *'", charging(invoice),
			policy.Verdict{Outcome: policy.Allowed, Reason: "rule 0 (pods app=billing)"}},
		{"any method", reading, "netzero.dev/requests: 'billing:8080 * /healthz'", charging(health),
			policy.Verdict{Outcome: policy.Allowed, Reason: "rule 0 (pods app=billing)"}},
		{"a range of ports", reading, "netzero.dev/requests: 'billing:8000-9000 GET /healthz'", charging(charge),
			policy.Verdict{Reason: "POST /api/v1/charge is not in the annotation netzero.dev/requests, which lists " +
				"GET /healthz for billing:8000-9000"}},
		{"no list", reading, "", charging(charge), policy.Verdict{
			Outcome: policy.Allowed, Reason: "rule 0 (pods app=billing)",
			Notices: []string{"policy checkout allows every request to billing:8080/TCP; -update lists the recorded ones, " +
				"and the entry \"billing:8080 *\" of the annotation netzero.dev/requests keeps it so"},
		}},
		{"no list, and an update would add none", reading, "", policytest.Opaque(charging(charge), "TLS"),
			policy.Verdict{Outcome: policy.Allowed, Reason: "rule 0 (pods app=billing)"}},
		{"a list for another port", reading, "netzero.dev/requests: 'billing:80 GET /'",
			policytest.Opaque(charging(), "TLS"),
			policy.Verdict{Outcome: policy.Allowed, Reason: "rule 0 (pods app=billing)"}},
		{"a test that does not record requests", notRecording, lists, charging(), policy.Verdict{
			Outcome: policy.Allowed, Reason: "rule 0 (pods app=billing)",
			Notices: []string{"policy checkout lists requests for billing:8080, which this test does not record: " +
				"add the option Requests"},
		}},
		{"Kafka, listed", reading, "netzero.dev/kafka: 'produce alpha-*'", sends(tcp(workload("kafka"), 9092), produce),
			policy.Verdict{Outcome: policy.Allowed, Reason: "rule 1 (pods app=kafka)"}},
		{"Kafka, everything", reading, "netzero.dev/kafka: '*'", sends(tcp(workload("kafka"), 9092), produce),
			policy.Verdict{Outcome: policy.Allowed, Reason: "rule 1 (pods app=kafka)"}},
		{"Kafka, another topic", reading, "netzero.dev/kafka: 'fetch *,produce beta'",
			sends(tcp(workload("kafka"), 9092), produce, fetch), policy.Verdict{
				Reason: "produce alpha-telemetry is not in the annotation netzero.dev/kafka, which lists fetch *, produce beta",
			}},
		{"Kafka, nothing", reading, "netzero.dev/kafka: ''", sends(tcp(workload("kafka"), 9092), fetch), policy.Verdict{
			Reason: "fetch payments is not in the annotation netzero.dev/kafka, which lists none",
		}},
		{"Kafka, no list", reading, "", sends(tcp(workload("kafka"), 9092), fetch), policy.Verdict{
			Outcome: policy.Allowed, Reason: "rule 1 (pods app=kafka)",
			Notices: []string{"policy checkout has no annotation netzero.dev/kafka and allows every topic; -update adds it, " +
				"and the entry * keeps it so"},
		}},
		{"Kafka, opaque", reading, "netzero.dev/kafka: 'fetch orders'",
			policytest.Opaque(sends(tcp(workload("kafka"), 9092), fetch), "TLS"),
			policy.Verdict{Outcome: policy.Allowed, Reason: "rule 1 (pods app=kafka)"}},
	} {
		policies := listing(t, row.annotations)
		got := row.dialect.Evaluate(policies, row.flow)
		if diff := cmp.Diff(got, row.dialect.Evaluator(policies)(row.flow)); diff != "" {
			t.Errorf("%s (-one +many):\n%s", row.reason, diff)
		}
		got = policy.Verdict{Outcome: got.Outcome, Reason: got.Reason, Notices: got.Notices}
		if diff := cmp.Diff(row.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", row.reason, diff)
		}
	}
}

// Policies are a union: what one of them allows is allowed, whatever another one lists.
func TestEvaluate_RequestsOfAnotherPolicy(t *testing.T) {
	limited := listing(t, "netzero.dev/requests: 'billing:8080 POST /api/v1/charge'")
	wide := listing(t, "")
	wide[0].Name = "by-hand"
	for name, policies := range map[string][]*networkingv1.NetworkPolicy{
		"limited first": slices.Concat(limited, wide), "limited last": slices.Concat(wide, limited),
	} {
		if v := reading.Evaluate(policies, charging(invoice)); v.Outcome != policy.Allowed || v.Policy != "by-hand" {
			t.Errorf("%s: %+v", name, v)
		}
	}
}

func TestMerge_Requests(t *testing.T) {
	const all = "billing:8080 GET /api/v1/invoices/{digits},billing:8080 POST /api/v1/charge"
	toBroker := func(requests ...flow.Request) flow.Flow { return sends(tcp(workload("kafka"), 9092), requests...) }
	folding := reading.Scope
	folding.FoldPaths = []string{"/customers/{name}"}
	for _, row := range []struct {
		reason                string
		dialect               Dialect
		requests, kafka       string // committed
		flows                 []flow.Flow
		merged, extended      string
		mergedKafka, extKafka string
	}{
		{reason: "a missing request", dialect: reading, requests: "billing:8080 POST /api/v1/charge",
			flows: []flow.Flow{charging(charge, invoice)}, merged: all, extended: all},
		{reason: "an unused request", dialect: reading, requests: all, flows: []flow.Flow{charging(charge)},
			merged: "billing:8080 POST /api/v1/charge", extended: all},
		{reason: "no list yet: other tests may send other requests", dialect: reading,
			flows: []flow.Flow{charging(charge)}, merged: "billing:8080 POST /api/v1/charge"},
		{reason: "everything, by hand", dialect: reading, requests: "billing:8080 *", flows: []flow.Flow{charging(charge)},
			merged: "billing:8080 *", extended: "billing:8080 *"},
		{reason: "a pattern by hand", dialect: reading, requests: "billing:8080 * /api/v1/{word}",
			flows: []flow.Flow{charging(charge)}, merged: "billing:8080 * /api/v1/{word}",
			extended: "billing:8080 * /api/v1/{word}"},
		{reason: "opaque", dialect: reading, requests: "billing:8080 GET /,cart:80 GET /",
			flows: []flow.Flow{
				policytest.Opaque(charging(charge), "TLS"), sends(tcp(workload("cart"), 80), policytest.HTTP("GET", "/")),
			},
			merged:   "cart:80 GET /",
			extended: "cart:80 GET /"},
		{reason: "opaque, by hand", dialect: reading, requests: "billing:8080 *",
			flows: []flow.Flow{policytest.Opaque(charging(), "TLS")}, merged: "billing:8080 *", extended: "billing:8080 *"},
		{reason: "a new peer", dialect: reading, requests: "billing:8080 GET /healthz",
			flows:    []flow.Flow{charging(health), sends(tcp(workload("cart"), 7070), addItem)},
			merged:   "billing:8080 GET /healthz,cart:7070 POST /shop.Cart/AddItem",
			extended: "billing:8080 GET /healthz,cart:7070 POST /shop.Cart/AddItem"},
		{reason: "a peer that is gone", dialect: reading, requests: "billing:8080 GET /healthz,old:80 *",
			flows: []flow.Flow{charging(health)}, merged: "billing:8080 GET /healthz",
			extended: "billing:8080 GET /healthz,old:80 *"},
		{reason: "only a dial", dialect: reading, requests: "billing:8080 GET /healthz",
			flows: []flow.Flow{charging()}, extended: "billing:8080 GET /healthz"},
		{reason: "without the option", dialect: Dialect{alone(checkout)},
			requests: "billing:8080 GET /healthz,old:80 GET /", kafka: "fetch old",
			flows: []flow.Flow{charging()}, merged: "billing:8080 GET /healthz",
			extended: "billing:8080 GET /healthz,old:80 GET /", mergedKafka: "fetch old", extKafka: "fetch old"},
		{reason: "committed paths fold", dialect: Dialect{folding},
			requests: "billing:8080 GET /customers/ann,billing:8080 GET /customers/{digits}",
			flows:    []flow.Flow{charging(policytest.HTTP("GET", "/customers/bob"))},
			merged:   "billing:8080 GET /customers/{name}", extended: "billing:8080 GET /customers/{name}"},
		{reason: "topics", dialect: reading, kafka: "fetch old,produce alpha-*", flows: []flow.Flow{toBroker(produce, fetch)},
			mergedKafka: "fetch payments,produce alpha-*", extKafka: "fetch old,fetch payments,produce alpha-*"},
		{reason: "no topics yet", dialect: reading, flows: []flow.Flow{toBroker(produce)},
			mergedKafka: "produce alpha-telemetry"},
		{reason: "every topic, by hand", dialect: reading, kafka: "*", flows: []flow.Flow{toBroker(produce)},
			mergedKafka: "*", extKafka: "*"},
		{reason: "no topic any more", dialect: reading, kafka: "fetch old", flows: []flow.Flow{toBroker()},
			extKafka: "fetch old"},
	} {
		committed := listing(t, "")
		for annotation, entries := range map[string]string{
			policy.RequestsAnnotation: row.requests, policy.KafkaAnnotation: row.kafka,
		} {
			if entries != "" {
				policy.SetEntries(committed[0], annotation, strings.Split(entries, ","))
			}
		}
		check := func(name string, policies []*networkingv1.NetworkPolicy, requests, kafka string) {
			t.Helper()
			got := [2]string{
				oneLine(policies[0].Annotations[policy.RequestsAnnotation]), policies[0].Annotations[policy.KafkaAnnotation],
			}
			if want := [2]string{requests, kafka}; got != want {
				t.Errorf("%s: %s, the lists are %q, want %q", row.reason, name, got, want)
			}
			for _, f := range row.flows {
				if v := row.dialect.Evaluate(policies, f); v.Outcome != policy.Allowed {
					t.Errorf("%s: %s, %s is %s: %s", row.reason, name, f.Target(), v.Outcome, v.Reason)
				}
			}
		}
		check("merged", row.dialect.Merge(committed, row.flows), row.merged, row.mergedKafka)
		check("extended", row.dialect.Extend(committed, row.flows), row.extended, row.extKafka)
	}
}

// A rule that no recording writes is somebody's choice, and stays as wide as it is.
func TestMerge_RequestsOfWideRule(t *testing.T) {
	for _, rules := range []string{"{}", "{to: [{podSelector: {}}], ports: [{port: 8080}]}",
		"{to: [{podSelector: {matchLabels: {app: billing}}}]}"} {
		policies := egressPolicy(t, "", rules)
		f := charging(charge)
		merged := reading.Merge(policies, []flow.Flow{f})
		if list := merged[0].Annotations[policy.RequestsAnnotation]; list != "" {
			t.Errorf("%s: the list is %q", rules, list)
		}
		for _, notice := range reading.Evaluate(policies, f).Notices {
			if strings.Contains(notice, "-update") {
				t.Errorf("%s: %s", rules, notice)
			}
		}
	}
}

// If the only policy that opens the port was written by hand, its list stays, and the subject's own policy gets a rule.
func TestMerge_RequestsBesidePolicyOfOthers(t *testing.T) {
	theirs := listing(t, "netzero.dev/requests: 'billing:8080 POST /api/v1/charge'")
	theirs[0].Name = "by-hand"
	for name, merge := range map[string]func([]*networkingv1.NetworkPolicy, []flow.Flow) []*networkingv1.NetworkPolicy{
		"merged": reading.Merge, "extended": reading.Extend,
	} {
		for _, f := range []flow.Flow{charging(invoice), policytest.Opaque(charging(), "TLS")} {
			policies := merge(theirs, []flow.Flow{f})
			if diff := cmp.Diff(theirs[0], policies[0]); diff != "" {
				t.Errorf("%s: their policy changed:\n%s", name, diff)
			}
			if v := reading.Evaluate(policies, f); v.Outcome != policy.Allowed || v.Policy != "checkout" {
				t.Errorf("%s: %+v", name, v)
			}
		}
	}
}

func TestUnused_Requests(t *testing.T) {
	policies := listing(t, "netzero.dev/requests: 'billing:8080 GET /old,billing:8080 POST /api/v1/charge,gone:80 *', "+
		"netzero.dev/kafka: 'fetch old,produce *'")
	flows := []flow.Flow{charging(charge), sends(tcp(workload("kafka"), 9092), produce), tcp(resolver(), 53)}
	var requests []string
	for _, line := range reading.Unused(policies, flows) {
		if strings.Contains(line, "request ") || strings.Contains(line, "Kafka") {
			requests = append(requests, line)
		}
	}
	want := []string{
		"policy checkout: request billing:8080 GET /old", "policy checkout: request gone:80 *",
		"policy checkout: Kafka fetch old",
	}
	if diff := cmp.Diff(want, requests); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestUnite_Requests(t *testing.T) {
	const limited = "netzero.dev/requests: 'billing:8080 GET /a', netzero.dev/kafka: 'fetch a'"
	for _, row := range []struct {
		reason                string
		a, b, requests, kafka string
	}{
		{"both limit the port", limited, "netzero.dev/requests: 'billing:8080 GET /b', netzero.dev/kafka: 'fetch b'",
			"billing:8080 GET /a,billing:8080 GET /b", "fetch a,fetch b"},
		{"one allows every request", limited, "", "", ""},
		{"one says so", limited, "netzero.dev/requests: 'billing:8080 *'", "billing:8080 *,billing:8080 GET /a", ""},
	} {
		for range 2 {
			united, err := Unite(listing(t, row.a), listing(t, row.b))
			if err != nil {
				t.Fatal(err)
			}
			got := [2]string{
				oneLine(united[0].Annotations[policy.RequestsAnnotation]), united[0].Annotations[policy.KafkaAnnotation],
			}
			if want := [2]string{row.requests, row.kafka}; got != want {
				t.Errorf("%s: the lists are %q, want %q", row.reason, got, want)
			}
			row.a, row.b = row.b, row.a
		}
	}
}

func TestValidate_Requests(t *testing.T) {
	p := listing(t, "netzero.dev/requests: 'billing:8080 GET', netzero.dev/kafka: 'consume x'")[0]
	err := Validate(p)
	for _, want := range []string{
		"metadata.annotations[netzero.dev/requests]", "want a peer with its port, a method and a path",
		"metadata.annotations[netzero.dev/kafka]", "want produce, fetch, create, alter or delete",
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want: %s", err, want)
		}
	}
}

// oneLine returns a list that has a line for each entry.
func oneLine(list string) string { return strings.ReplaceAll(list, ",\n", ",") }
