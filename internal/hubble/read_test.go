package hubble

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netzero-dev/netzero/internal/recording"
)

// The ends of events, as Hubble exports them.
const (
	webPod = `{"ID":11,"identity":2001,"namespace":"shop","labels":["k8s:app=web","k8s:pod-template-hash=7848d6c4d5",` +
		`"k8s:io.cilium.k8s.policy.cluster=default","k8s:io.kubernetes.pod.namespace=shop"],` +
		`"pod_name":"web-7848d6c4d5-th9v2","workloads":[{"name":"web","kind":"Deployment"}]}`
	webRemote = `{"identity":2001,"namespace":"shop","labels":["k8s:app=web","k8s:io.kubernetes.pod.namespace=shop"],` +
		`"pod_name":"web-7848d6c4d5-th9v2"}`
	dbPod = `{"ID":12,"identity":2002,"namespace":"shop","labels":["k8s:app=db","k8s:helm.sh/chart=db-1.2.3",` +
		`"k8s:io.kubernetes.pod.namespace=shop"],"pod_name":"db-0","workloads":[{"name":"db","kind":"StatefulSet"}]}`
	dnsPod = `{"identity":2003,"namespace":"kube-system","labels":["k8s:k8s-app=kube-dns",` +
		`"k8s:io.kubernetes.pod.namespace=kube-system"],"pod_name":"coredns-7db6d8ff4d-4xz7k"}`
	worldEnd  = `{"identity":2,"labels":["reserved:world"]}`
	hostEnd   = `{"identity":1,"labels":["reserved:host"]}`
	remoteEnd = `{"identity":6,"labels":["reserved:remote-node"]}`
	ownAPIEnd = `{"identity":1,"labels":["reserved:host","reserved:kube-apiserver"]}`
	apiEnd    = `{"identity":7,"labels":["reserved:kube-apiserver","reserved:remote-node"]}`
	healthEnd = `{"identity":4,"labels":["reserved:health"]}`
)

// at returns an event between two addresses, with further fields.
func at(source, sourceIP, destination, destinationIP, l4, more string) string {
	return fmt.Sprintf(`{"flow":{"time":"2026-01-02T03:04:05.000000006Z","verdict":"FORWARDED","IP":{"source":"%s",`+
		`"destination":"%s","ipVersion":"IPv4"},"l4":%s,"source":%s,"destination":%s,"Type":"L3_L4"%s},`+
		`"node_name":"node-1","time":"2026-01-02T03:04:05.000000006Z"}`,
		sourceIP, destinationIP, l4, source, destination, more)
}

func tcp(source, destination int, flags string) string {
	return fmt.Sprintf(`{"TCP":{"source_port":%d,"destination_port":%d,"flags":{%s}}}`, source, destination, flags)
}

func udp(source, destination int) string {
	return fmt.Sprintf(`{"UDP":{"source_port":%d,"destination_port":%d}}`, source, destination)
}

const (
	syn       = `"SYN":true`
	synAck    = `"SYN":true,"ACK":true`
	ack       = `"ACK":true`
	forth     = `,"is_reply":false,"event_type":{"type":4,"sub_type":3},"traffic_direction":"EGRESS"`
	back      = `,"is_reply":true,"event_type":{"type":4},"traffic_direction":"EGRESS"`
	drops     = `,"event_type":{"type":1,"sub_type":133},"traffic_direction":"EGRESS","verdict":"DROPPED"`
	denyDrop  = drops + `,"drop_reason_desc":"POLICY_DENIED"`
	httpQuery = `,"is_reply":false,"Type":"L7","l7":{"type":"REQUEST","http":{"method":"GET",` +
		`"url":"https://api.example.com:8443/v1"}}`
)

// answerTo returns the DNS answer to the web pod.
func answerTo(query, rest string) string {
	return at(dnsPod, "10.0.0.53", webPod, "10.0.0.1", udp(53, 40000),
		`,"is_reply":true,"Type":"L7","l7":{"type":"RESPONSE","dns":{"query":"`+query+`"`+rest+`}}`)
}

func read(t *testing.T, o Options, lines ...string) recording.File {
	t.Helper()
	f, err := Read(strings.NewReader(strings.Join(lines, "\n")+"\n"), o)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Validate(); err != nil {
		t.Fatal(err)
	}
	return f
}

// arrows returns flows as text.
func arrows(f recording.File) []string {
	var all []string
	for _, one := range f.Recording.Flows {
		all = append(all, one.Source.String()+" -> "+one.Target())
	}
	return all
}

func TestRead_Flows(t *testing.T) {
	for _, row := range []struct {
		reason string
		lines  []string
		want   []string
	}{
		{
			"both nodes report a connection and its reply",
			[]string{
				at(webPod, "10.0.0.1", strings.Replace(dbPod, `,"workloads":[{"name":"db","kind":"StatefulSet"}]`, "", 1),
					"10.0.1.2", tcp(40000, 5432, syn), forth),
				at(webRemote, "10.0.0.1", dbPod, "10.0.1.2", tcp(40000, 5432, syn),
					`,"is_reply":false,"traffic_direction":"INGRESS"`),
				at(dbPod, "10.0.1.2", webRemote, "10.0.0.1", tcp(5432, 40000, synAck), back),
			},
			[]string{"web.shop -> db.shop:5432/TCP"},
		},
		{
			"a reply alone shows its flow",
			[]string{at(dbPod, "10.0.1.2", webRemote, "10.0.0.1", tcp(5432, 40000, ack), back)},
			[]string{"web.shop -> db.shop:5432/TCP"},
		},
		{
			"flags decide where is_reply is missing",
			[]string{at(dbPod, "10.0.1.2", webRemote, "10.0.0.1", tcp(40001, 40000, synAck), "")},
			[]string{"web.shop -> db.shop:40001/TCP"},
		},
		{
			"ports decide where flags are missing",
			[]string{at(dbPod, "10.0.1.2", webRemote, "10.0.0.1", udp(5432, 40000), `,"is_reply":null`)},
			[]string{"web.shop -> db.shop:5432/UDP"},
		},
		{
			"the older field for replies",
			[]string{at(dbPod, "10.0.1.2", webRemote, "10.0.0.1", udp(5432, 6000), `,"reply":true`)},
			[]string{"web.shop -> db.shop:5432/UDP"},
		},
		{
			"chunks of SCTP",
			[]string{at(dbPod, "10.0.1.2", webRemote, "10.0.0.1",
				`{"SCTP":{"source_port":3868,"destination_port":3869,"chunk_type":"INIT_ACK"}}`, "")},
			[]string{"web.shop -> db.shop:3868/SCTP"},
		},
		{
			"an echo and its reply, and no errors",
			[]string{
				at(webPod, "10.0.0.1", dbPod, "10.0.1.2", `{"ICMPv4":{"type":8}}`, forth),
				at(dbPod, "10.0.1.2", webPod, "10.0.0.1", `{"ICMPv4":{}}`, back),
				at(dbPod, "10.0.1.2", webPod, "10.0.0.1", `{"ICMPv4":{"type":3}}`, forth),
			},
			[]string{"web.shop -> db.shop/ICMP echo request"},
		},
		{
			"the cluster's DNS, and its other ports",
			[]string{
				at(webPod, "10.0.0.1", dnsPod, "10.0.0.53", udp(40000, 53), forth),
				at(webPod, "10.0.0.1", dnsPod, "10.0.0.53", tcp(40000, 9153, syn), forth),
				at(webPod, "10.0.0.1", hostEnd, "169.254.20.10", udp(40000, 53), forth),
			},
			[]string{"web.shop -> coredns.kube-system:9153/TCP", "web.shop -> kube-dns.kube-system:53/UDP"},
		},
		{
			"the API server, by label and by Service",
			[]string{
				at(webPod, "10.0.0.1", apiEnd, "172.18.0.2", tcp(40000, 6443, syn), forth),
				at(webPod, "10.0.0.1", worldEnd, "10.96.0.1", tcp(40000, 443, syn),
					forth+`,"destination_service":{"name":"kubernetes","namespace":"default"}`),
				at(webPod, "10.0.0.1", ownAPIEnd, "172.18.0.2", tcp(40000, 6443, syn), forth),
				at(apiEnd, "172.18.0.2", webPod, "10.0.0.1", tcp(40000, 8443, syn), forth),
			},
			[]string{
				"web.shop -> kubernetes.default:443/TCP", "web.shop -> kubernetes.default:6443/TCP",
				"172.18.0.2 -> web.shop:8443/TCP",
			},
		},
		{
			"nodes and callers outside are addresses",
			[]string{
				at(webPod, "10.0.0.1", hostEnd, "172.18.0.3", tcp(40000, 9100, syn), forth),
				at(remoteEnd, "172.18.0.4", webPod, "10.0.0.1", tcp(40000, 80, syn), forth),
				at(worldEnd, "203.0.113.7", webPod, "10.0.0.1", tcp(40000, 80, syn), forth),
			},
			[]string{"web.shop -> 172.18.0.3:9100/TCP", "172.18.0.4 -> web.shop:80/TCP", "203.0.113.7 -> web.shop:80/TCP"},
		},
		{
			"names of the event before those of DNS answers",
			[]string{
				answerTo("api.example.com.", `,"ips":["203.0.113.8","203.0.113.9"],"qtypes":["A"]`),
				at(webPod, "10.0.0.1", worldEnd, "203.0.113.8", tcp(40000, 443, syn), forth),
				at(webPod, "10.0.0.1", worldEnd, "203.0.113.9", tcp(40000, 443, syn),
					forth+`,"destination_names":["Other.example.com."]`),
				at(dbPod, "10.0.1.2", worldEnd, "203.0.113.8", tcp(40000, 443, syn), forth),
			},
			[]string{
				"db.shop -> 203.0.113.8:443/TCP", "web.shop -> api.example.com:443/TCP",
				"web.shop -> other.example.com:443/TCP",
			},
		},
		{
			"every name of an address, unless an HTTP request has one",
			[]string{
				at(webPod, "10.0.0.1", worldEnd, "203.0.113.8", tcp(40000, 443, syn),
					forth+`,"destination_names":["b.example.com","a.example.com"]`),
				at(webPod, "10.0.0.1", worldEnd, "203.0.113.8", tcp(40000, 8443, syn),
					forth+`,"destination_names":["b.example.com","api.example.com"]`),
				at(webPod, "10.0.0.1", worldEnd, "203.0.113.8", tcp(40000, 8443, ""), httpQuery),
			},
			[]string{
				"web.shop -> a.example.com:443/TCP", "web.shop -> api.example.com:8443/TCP",
				"web.shop -> b.example.com:443/TCP",
			},
		},
		{
			"a lookup without an address, but not those of the search path",
			[]string{
				answerTo("gone.example.com.", `,"rcode":3,"qtypes":["A"]`),
				answerTo("gone.example.com.shop.svc.cluster.local.", `,"rcode":3,"qtypes":["A"]`),
				answerTo("api.example.com.", `,"ips":["203.0.113.8"],"qtypes":["A"]`),
				answerTo("api.example.com.", `,"qtypes":["AAAA"]`),
				answerTo("api.example.com.corp.internal.", `,"rcode":3,"qtypes":["A"]`),
				answerTo("_http._tcp.example.com.", `,"rcode":3,"qtypes":["SRV"]`),
				answerTo("broken.example.com.", `,"rcode":2,"qtypes":["A"]`),
			},
			[]string{"web.shop -> gone.example.com:*"},
		},
		{
			"events that repeat others or that no policy decides about",
			[]string{
				at(webPod, "10.0.0.1", worldEnd, "10.96.0.7", tcp(40000, 80, syn),
					forth+`,"destination_service":{"name":"db","namespace":"shop"}`),
				at(webPod, "10.0.0.1", worldEnd, "10.96.0.7", tcp(40000, 80, ""), `,"Type":"SOCK"`),
				at(hostEnd, "172.18.0.3", webPod, "10.0.0.1", tcp(40000, 80, syn), forth),
				at(ownAPIEnd, "172.18.0.2", webPod, "10.0.0.1", tcp(40000, 80, syn), forth),
				at(healthEnd, "10.0.0.9", webPod, "10.0.0.1", tcp(40000, 80, syn), forth),
				at(hostEnd, "172.18.0.3", remoteEnd, "172.18.0.4", tcp(40000, 10250, syn), forth),
				at(webPod, "fe80::1", worldEnd, "ff02::2", `{"ICMPv6":{"type":133}}`, forth),
				at(webPod, "10.0.0.1", worldEnd, "224.0.0.251", udp(5353, 5353), forth),
				at(webPod, "10.0.0.1", dbPod, "10.0.1.2", `{"VRRP":{}}`, forth),
				at(webPod, "10.0.0.1", worldEnd, "", tcp(40000, 80, syn), forth),
				at("{}", "", webPod, "10.0.0.1", tcp(40000, 80, syn), forth),
				`{"agent_event":{"type":"POLICY_UPDATED"},"node_name":"node-1","time":"2026-01-02T03:04:05Z"}`,
			},
			nil,
		},
		{
			"an address without labels is that of a pod that is known",
			[]string{
				at(webPod, "10.0.0.1", `{}`, "10.0.1.2", tcp(40000, 5432, syn), forth),
				at(webPod, "10.0.0.1", dbPod, "10.0.1.2", tcp(40000, 5432, syn), forth),
			},
			[]string{"web.shop -> db.shop:5432/TCP"},
		},
		{
			"a flow alone, and keys in camel case",
			[]string{
				`{"IP":{"source":"10.0.0.1","destination":"10.0.1.2"},"l4":{"TCP":{"sourcePort":40000,"destinationPort":1,` +
					`"flags":{"SYN":true}}},"source":{"namespace":"shop","podName":"web-7848d6c4d5-th9v2"},` +
					`"destination":{"namespace":"shop","podName":"db-0"},"isReply":false,"type":"L3_L4"}`,
			},
			[]string{"web.shop -> db.shop:1/TCP"},
		},
	} {
		for _, order := range []string{"forth", "back"} {
			f := read(t, Options{}, row.lines...)
			if diff := cmp.Diff(row.want, arrows(f)); diff != "" {
				t.Errorf("%s, %s (-want +got):\n%s", row.reason, order, diff)
			}
			slices.Reverse(row.lines)
		}
	}
}

// Requests that Cilium's proxy saw may not be all, and those that it denied are none of the flow's.
func TestRead_Requests(t *testing.T) {
	event := func(l7, more string) string {
		return at(webPod, "10.0.0.1", dbPod, "10.0.0.2", `{"TCP":{"source_port":40000,"destination_port":8080}}`,
			`,"is_reply":false,"event_type":{"type":129},"l7":{`+l7+`}`+more)
	}
	http := func(method, url string) string {
		return fmt.Sprintf(`"type":"REQUEST","http":{"method":"%s","url":"%s","protocol":"HTTP/1.1"}`, method, url)
	}
	f := read(t, Options{},
		at(webPod, "10.0.0.1", dbPod, "10.0.0.2", tcp(40000, 8080, syn), forth),
		event(http("GET", "http://db:8080/invoices/17?token=secret"), ""),
		event(http("GET", "http://db:8080/invoices/17?page=2"), ""),
		event(http("POST", "http://db:8080"), ""),
		event(http("DELETE", "http://db:8080/invoices/17"), `,"verdict":"DROPPED"`),
		event(`"type":"RESPONSE","http":{"code":200,"method":"PUT","url":"http://db:8080/"}`, ""),
		event(`"type":"REQUEST","http":{"method":"POST","url":"http://db:8080/shop.Ledger/Enter","protocol":"HTTP/2",`+
			`"headers":[{"key":"Content-Type","value":"application/grpc+proto"}]}`, ""),
		event(`"type":"REQUEST","kafka":{"api_version":5,"api_key":"fetch","topic":"payments"}`, ""),
		event(`"type":"REQUEST","kafka":{"api_version":5,"api_key":"heartbeat"}`, ""),
		at(webPod, "10.0.0.1", dbPod, "10.0.0.2", tcp(40000, 9090, syn), forth))
	asked, silent := f.Recording.Flows[0], f.Recording.Flows[1]
	var got []string
	for _, r := range asked.Requests {
		got = append(got, r.Protocol.String()+" "+r.Method+" "+r.Host+r.URI()+r.Topic)
	}
	want := []string{
		"HTTP POST db:8080/", "HTTP GET db:8080/invoices/17", "gRPC POST db:8080/shop.Ledger/Enter", "Kafka fetch payments",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if asked.Opaque != "Hubble may not have seen every request" || asked.Count != 1 {
		t.Errorf("opaque: %q, count %d", asked.Opaque, asked.Count)
	}
	if silent.Opaque != "" || silent.Requests != nil {
		t.Errorf("a flow without requests: %+v", silent)
	}
}

func TestRead_Workloads(t *testing.T) {
	canary := strings.NewReplacer("th9v2", "x2k4z", "app=web", "app=web\",\"k8s:track=canary").Replace(webPod)
	f := read(t, Options{},
		at(webPod, "10.0.0.1", dbPod, "10.0.1.2", tcp(40000, 5432, syn), forth),
		at(canary, "10.0.0.3", dbPod, "10.0.1.2", tcp(40000, 5432, syn), forth),
	)
	want := []recording.Workload{
		{
			Name: "db", Namespace: "shop", AllTraffic: true,
			Labels: map[string]string{"app": "db"}, PodLabels: map[string]string{"app": "db", "helm.sh/chart": "db-1.2.3"},
		},
		{
			Name: "web", Namespace: "shop", AllTraffic: true,
			Labels: map[string]string{"app": "web"}, PodLabels: map[string]string{"app": "web"},
		},
	}
	if diff := cmp.Diff(want, f.Placed.Workloads); diff != "" {
		t.Errorf("placed (-want +got):\n%s", diff)
	}
	for i := range want {
		want[i].PodLabels = nil
	}
	if diff := cmp.Diff(want, f.Recording.Workloads); diff != "" {
		t.Errorf("recorded (-want +got):\n%s", diff)
	}
	flows, err := recording.ToFlows(f.Placed.Flows)
	if err != nil || len(flows) != 1 || flows[0].Source.Addr != netip.MustParseAddr("10.0.0.1") || flows[0].Count != 2 {
		t.Errorf("%+v, %v; want one flow with count 2 and the lowest address", flows, err)
	}
}

func TestRead_CountsOneObservation(t *testing.T) {
	other := strings.Replace(forth, `"sub_type":3`, `"sub_type":0`, 1)
	f := read(t, Options{},
		at(webPod, "10.0.0.1", dbPod, "10.0.1.2", tcp(40000, 5432, syn), forth),
		at(webPod, "10.0.0.1", dbPod, "10.0.1.2", tcp(40000, 5432, syn), other),
		at(webPod, "10.0.0.1", dbPod, "10.0.1.2", tcp(40000, 5432, ack), other),
		at(webPod, "10.0.0.1", dbPod, "10.0.1.2", tcp(40001, 5432, syn), other+`,"aggregate":{"egress_flow_count":4}`),
		at(webPod, "10.0.0.1", dbPod, "10.0.1.2", tcp(40001, 9187, ack), forth),
	)
	if got := f.Recording.Flows; len(got) != 2 || got[0].Count != 5 || got[0].Before || !got[1].Before {
		t.Errorf("%+v, want 5 connections, and one from before", got)
	}
}

func TestRead_Dropped(t *testing.T) {
	lines := []string{
		at(webPod, "10.0.0.1", dbPod, "10.0.1.2", tcp(40000, 5432, syn), denyDrop),
		at(webPod, "10.0.0.1", dbPod, "10.0.1.2", tcp(40000, 5433, syn), denyDrop),
		at(strings.Replace(webPod, "th9v2", "x2k4z", 1), "10.0.0.3", dbPod, "10.0.1.2", tcp(40000, 5433, syn), forth),
		at(webPod, "10.0.0.1", dbPod, "10.0.1.2", tcp(40000, 5434, syn), drops+`,"drop_reason":181`),
	}
	for _, row := range []struct {
		dropped Dropped
		want    []string
		fate    string
	}{
		{OmitDropped, []string{"web.shop -> db.shop:5433/TCP"}, "which are left out"},
		{
			IncludeDropped,
			[]string{"web.shop -> db.shop:5432/TCP", "web.shop -> db.shop:5433/TCP", "web.shop -> db.shop:5434/TCP"},
			"which are recorded, because they were attempted",
		},
	} {
		f := read(t, Options{Dropped: row.dropped}, lines...)
		if diff := cmp.Diff(row.want, arrows(f)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", row.fate, diff)
		}
		want := []recording.Notice{
			recording.Noticef(recording.CodeDroppedFlows, "the cluster dropped all packets of 1 flow (POLICY_DENIED), %s: "+
				"web.shop -> db.shop:5432/TCP", row.fate),
			recording.Noticef(recording.CodeDroppedFlows, "the cluster dropped all packets of 1 flow (drop reason 181), %s: "+
				"web.shop -> db.shop:5434/TCP", row.fate),
		}
		if diff := cmp.Diff(want, f.Recording.Notices); diff != "" {
			t.Errorf("%s (-want +got):\n%s", row.fate, diff)
		}
	}
}

func TestRead_LostEventsAreIncomplete(t *testing.T) {
	f := read(t, Options{},
		at(webPod, "10.0.0.1", dbPod, "10.0.1.2", tcp(40000, 5432, syn), forth),
		`{"lost_events":{"source":"HUBBLE_RING_BUFFER","num_events_lost":"3","cpu":5},"time":"2026-01-02T03:04:05Z"}`,
		`{"lostEvents":{"source":"HUBBLE_RING_BUFFER","numEventsLost":"4"}}`,
		`{"node_status":{"state_change":"NODE_CONNECTED","node_names":["node-1"]}}`,
		`{"node_status":{"state_change":"NODE_UNAVAILABLE","node_names":["node-2"]}}`,
	)
	losses := []recording.Loss{{
		What: "events of Hubble (HUBBLE_RING_BUFFER)", Count: 7,
		Remedy: "raise hubble.eventBufferCapacity of Cilium, or give hubble observe filters",
	}}
	if diff := cmp.Diff(losses, f.Recording.Losses); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	want := "7 events of Hubble (HUBBLE_RING_BUFFER) were lost: raise hubble.eventBufferCapacity of Cilium, or give " +
		"hubble observe filters; Hubble could not observe nodes node-2"
	if f.Incomplete != want {
		t.Errorf("incomplete: %q, want %q", f.Incomplete, want)
	}
}

func TestRead_Notices(t *testing.T) {
	twin := strings.NewReplacer(`"name":"web"`, `"name":"web-twin"`, "web-7848", "web-twin-7848").Replace(webPod)
	bare := `{"namespace":"shop","pod_name":"bare"}`
	var lines []string
	for i := range maxCallers + 1 {
		lines = append(lines, at(worldEnd, fmt.Sprintf("203.0.113.%d", i), webPod, "10.0.0.1", tcp(40000, 80, syn), forth))
	}
	f := read(t, Options{}, append(lines,
		at(bare, "10.0.0.4", webPod, "10.0.0.1", udp(40000, 80), ""),
		at(twin, "10.0.0.5", webPod, "10.0.0.1", udp(40000, 80), forth),
		at(hostEnd, "172.18.0.3", webPod, "10.0.0.1", tcp(40000, 80, syn), forth),
		at(hostEnd, "172.18.0.3", remoteEnd, "172.18.0.4", tcp(40000, 10250, syn), forth),
	)...)
	want := []recording.Notice{
		recording.Noticef(recording.CodePublicCallers, "17 public addresses call web.shop:80/TCP, and a policy lists each "+
			"of them: if any address may call, write a rule for the port by hand"),
		recording.Noticef(recording.CodeUnknownDirection, "Hubble does not know the direction of 1 event: the side with the "+
			"port below 32768 is taken for the server"),
		recording.Noticef(recording.CodeLeftOut, "events of Hubble that are in no flow: 1 are from a pod's own node, which "+
			"Kubernetes always allows; 1 have no workload at either end"),
	}
	if diff := cmp.Diff(want, f.Recording.Notices); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	shared := "no label distinguishes the pods of %s from those of %s, so its policy selects them too: give its pods a " +
		"label of their own"
	want = []recording.Notice{
		recording.Noticef(recording.CodeNoLabels, "Hubble had no labels for the pods of bare.shop: its label is taken to be "+
			"app=bare"),
		recording.Noticef(recording.CodeSharedSelector, shared, "web-twin.shop", "web"),
		recording.Noticef(recording.CodeSharedSelector, shared, "web.shop", "web-twin"),
	}
	if diff := cmp.Diff(want, f.Placed.Notices); diff != "" {
		t.Errorf("placed (-want +got):\n%s", diff)
	}
}

func TestRead_Refuses(t *testing.T) {
	good := at(webPod, "10.0.0.1", dbPod, "10.0.1.2", tcp(40000, 5432, syn), forth)
	for _, row := range []struct{ text, want string }{
		{"", "it is empty, want the output of hubble observe -o jsonpb"},
		{"\n \n", "it is empty, want the output of hubble observe -o jsonpb"},
		{good + "\nNov 29 10:00:00 web -> db\n", "line 2: no flow of Hubble as JSON: invalid character 'N' looking for " +
			"beginning of value"},
		{good + "\n\n" + good[:100], "line 3: no flow of Hubble as JSON: unexpected end of JSON input"},
		{`{"version": 3, "test": "TestQuote"}`, "line 1: no flow of Hubble: want the output of hubble observe -o jsonpb"},
		{strings.Replace(good, "10.0.0.1", "web", 1), `line 1: IP: ParseAddr("web"): unable to parse IP`},
		{strings.Replace(good, "5432", "70000", 1), "line 1: l4.TCP: 70000 is no port"},
	} {
		if _, err := Read(strings.NewReader(row.text), Options{}); err == nil || err.Error() != row.want {
			t.Errorf("%.60q: %v, want %s", row.text, err, row.want)
		}
	}
}

func compress(t *testing.T, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestRead_GzipCutOff(t *testing.T) {
	line := at(webPod, "10.0.0.1", dbPod, "10.0.1.2", tcp(40000, 5432, syn), forth) + "\n"
	packed := compress(t, line)
	_, err := Read(bytes.NewReader(packed[:len(packed)-12]), Options{})
	if err == nil || !strings.Contains(err.Error(), "line 2: the end of the compressed file is missing") {
		t.Errorf("error %v", err)
	}
}

func TestRead_Gzip(t *testing.T) {
	line := at(webPod, "10.0.0.1", dbPod, "10.0.1.2", tcp(40000, 5432, syn), forth) + "\n"
	f, err := Read(bytes.NewReader(compress(t, strings.Repeat(line, 300))), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"web.shop -> db.shop:5432/TCP"}, arrows(f)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestIsExport_Heads(t *testing.T) {
	line := at(webPod, "10.0.0.1", dbPod, "10.0.1.2", tcp(40000, 5432, syn), forth) + "\n"
	recorded := filepath.Join(t.TempDir(), "recording.json")
	if err := (recording.File{Test: "TestQuote"}).Write(recorded); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(recorded)
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		head []byte
		want bool
	}{
		{[]byte(line), true},
		{[]byte(line[:40]), true},
		{[]byte("\n" + line), true},
		{compress(t, strings.Repeat(line, 300))[:120], true},
		{[]byte(`{"nodeStatus":{}}`), true},
		{[]byte(`{"extensions":{"a":[1]},"verdict":"DROPPED"}`), true},
		{text, false},
		{compress(t, string(text)), false},
		{[]byte(`{"version":3,"test":"x"}`), false},
		{[]byte("apiVersion: networking.k8s.io/v1\n"), false},
		{[]byte{0x1f, 0x8b, 1}, false},
		{nil, false},
	} {
		if got := IsExport(row.head); got != row.want {
			t.Errorf("%.60q: %v, want %v", row.head, got, row.want)
		}
	}
}

func TestWorkloadOf_PodNames(t *testing.T) {
	for name, want := range map[string]string{
		"deathstar-7848d6c4d5-th9v2": "deathstar", "node-exporter-x2k4z": "node-exporter", "db-0": "db",
		"backup-28374650-x2k4z": "backup", "web": "web", "tie-fighter": "tie-fighter", "kube-proxy": "kube-proxy",
		"etcd-kind-control-plane": "etcd-kind-control-plane",
	} {
		if got := workloadOf(name); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}

func TestOwner_Kinds(t *testing.T) {
	for w, want := range map[workload]string{
		{"web-6c965d68c9", "ReplicaSet"}: "web", {"backup-28374650", "Job"}: "backup", {"migrate", "Job"}: "migrate",
		{"web-6c965d68c9", "Deployment"}: "web-6c965d68c9",
	} {
		if got := w.owner(); got != want {
			t.Errorf("%v: %s, want %s", w, got, want)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(at(webPod, "10.0.0.1", dbPod, "10.0.1.2", tcp(40000, 5432, syn), forth)))
	f.Add([]byte(at(webPod, "10.0.0.1", worldEnd, "203.0.113.8", tcp(40000, 8443, ""), httpQuery)))
	f.Add([]byte(answerTo("gone.example.com.", `,"rcode":3`)))
	f.Add([]byte(at(dbPod, "10.0.1.2", webPod, "10.0.0.1", `{"ICMPv4":{}}`, denyDrop)))
	f.Add([]byte(`{"lost_events":{"num_events_lost":"3"}}`))
	f.Add([]byte(`{"IP":{"source":"::1"},"l4":{"UDP":{"sourcePort":1}},"source":{"labels":["k8s:","reserved:host"]}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		f, err := Read(bytes.NewReader(text), Options{Dropped: IncludeDropped})
		if err != nil || len(f.Placed.Flows) == 0 {
			return
		}
		// The first time, Read and Write drop what the other lacks.
		once := write(t, read(t, Options{}, strings.TrimSpace(write(t, f))))
		if twice := write(t, read(t, Options{}, strings.TrimSpace(once))); twice != once {
			t.Errorf("read and written once:\n%s\ntwice:\n%s", once, twice)
		}
	})
}

var compareAddrs = cmp.Comparer(func(a, b netip.Addr) bool { return a == b })
