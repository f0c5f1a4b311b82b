package conformance

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	flowpb "github.com/cilium/cilium/api/v1/flow"
	observerpb "github.com/cilium/cilium/api/v1/observer"
	relaypb "github.com/cilium/cilium/api/v1/relay"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/timestamppb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/netzero-dev/netzero/internal/hubble"
	"github.com/netzero-dev/netzero/internal/hubble/hubbletest"
	"github.com/netzero-dev/netzero/internal/recording"
)

// Cilium's own code reads what hubble.Write writes, without an unknown field, and writes the same message again.
func TestHubble_CiliumReadsWhatWeWrite(t *testing.T) {
	f := hubbletest.Recording()
	check := &recording.Check{Verdicts: make([]recording.Verdict, len(f.Placed.Flows))}
	for i := range check.Verdicts {
		outcome := []recording.Outcome{recording.OutcomeDenied, recording.OutcomeAllowed}[i%2]
		check.Verdicts[i] = recording.Verdict{Outcome: outcome, Ingress: i%3 == 0, Policy: "cart", Reason: "no rule"}
	}
	for _, c := range []*recording.Check{nil, check} {
		f.Check = c
		var out bytes.Buffer
		if err := hubble.Write(&out, f); err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimSpace(out.String()), "\n")
		requests := 0
		for _, one := range f.Placed.Flows {
			requests += len(one.Requests)
		}
		if len(lines) != len(f.Placed.Flows)+requests {
			t.Fatalf("%d lines for %d flows with %d requests", len(lines), len(f.Placed.Flows), requests)
		}
		i := -1 // of the flow
		for _, line := range lines {
			var m observerpb.GetFlowsResponse
			if err := protojson.Unmarshal([]byte(line), &m); err != nil { // refuses unknown fields
				t.Fatalf("%v in %s", err, line)
			}
			again, err := json.Marshal(&m)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(object(t, line), object(t, string(again))); diff != "" {
				t.Errorf("(-netzero +Cilium):\n%s", diff)
			}
			if m.GetFlow().GetL7().GetType() != flowpb.L7FlowType_REQUEST {
				i++
			} else if m.GetFlow().GetType() != flowpb.FlowType_L7 || m.GetFlow().GetL7().GetRecord() == nil {
				t.Errorf("no request in %s", line)
			}
			denied := c != nil && i%2 == 0
			if denied && m.GetFlow().GetL7().GetType() == flowpb.L7FlowType_REQUEST {
				if m.GetFlow().GetVerdict() != flowpb.Verdict_DROPPED { // by the proxy, which gives no reason
					t.Errorf("%s, want it dropped", line)
				}
				continue
			}
			if got := m.GetFlow().GetDropReasonDesc() == flowpb.DropReason_POLICY_DENIED; got != denied ||
				denied != (m.GetFlow().GetVerdict() == flowpb.Verdict_DROPPED) {
				t.Errorf("%s, want denied: %v", line, denied)
			}
		}
	}
}

// object returns JSON as a value.
func object(t *testing.T, text string) any {
	t.Helper()
	var v any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// hubble.Read reads what Cilium's own code writes, with the names of Hubble's output and with those of protobuf.
func TestHubble_WeReadWhatCiliumWrites(t *testing.T) {
	when := timestamppb.New(time.Unix(1700000000, 1))
	event := func(
		source, destination *flowpb.Endpoint, l4 *flowpb.Layer4, change func(*flowpb.Flow),
	) *observerpb.GetFlowsResponse {
		f := &flowpb.Flow{
			Time: when, Verdict: flowpb.Verdict_FORWARDED, Type: flowpb.FlowType_L3_L4, L4: l4,
			IP:     &flowpb.IP{Source: "10.0.0.1", Destination: "203.0.113.7", IpVersion: flowpb.IPVersion_IPv4},
			Source: source, Destination: destination, IsReply: wrapperspb.Bool(false), NodeName: "node-1",
			EventType: &flowpb.CiliumEventType{Type: 4, SubType: 3}, TrafficDirection: flowpb.TrafficDirection_EGRESS,
			TraceReason: flowpb.TraceReason_NEW, TraceObservationPoint: flowpb.TraceObservationPoint_TO_STACK,
			SocketCookie: 1 << 60,
		}
		change(f)
		return &observerpb.GetFlowsResponse{
			ResponseTypes: &observerpb.GetFlowsResponse_Flow{Flow: f}, NodeName: "node-1", Time: when,
		}
	}
	web := &flowpb.Endpoint{
		ID: 11, Identity: 2001, Namespace: "shop", PodName: "web-7848d6c4d5-th9v2",
		Labels:    []string{"k8s:app=web", "k8s:io.kubernetes.pod.namespace=shop"},
		Workloads: []*flowpb.Workload{{Name: "web", Kind: "Deployment"}},
	}
	db := &flowpb.Endpoint{
		Identity: 2002, Namespace: "shop", PodName: "db-0",
		Labels: []string{"k8s:app=db", "k8s:io.kubernetes.pod.namespace=shop"},
	}
	outside := &flowpb.Endpoint{Identity: 2, Labels: []string{"reserved:world"}}
	tcp := func(from, to uint32, flags *flowpb.TCPFlags) *flowpb.Layer4 {
		return &flowpb.Layer4{Protocol: &flowpb.Layer4_TCP{
			TCP: &flowpb.TCP{SourcePort: from, DestinationPort: to, Flags: flags},
		}}
	}
	udp := func(from, to uint32) *flowpb.Layer4 {
		return &flowpb.Layer4{Protocol: &flowpb.Layer4_UDP{UDP: &flowpb.UDP{SourcePort: from, DestinationPort: to}}}
	}
	same := func(*flowpb.Flow) {}
	messages := []*observerpb.GetFlowsResponse{
		event(web, db, tcp(40000, 5432, &flowpb.TCPFlags{SYN: true}), same),
		event(db, web, tcp(6379, 40000, &flowpb.TCPFlags{SYN: true, ACK: true}), func(f *flowpb.Flow) {
			f.IsReply = wrapperspb.Bool(true)
		}),
		event(db, web, tcp(6380, 40000, &flowpb.TCPFlags{SYN: true, ACK: true}), func(f *flowpb.Flow) { f.IsReply = nil }),
		event(web, outside, tcp(40000, 443, &flowpb.TCPFlags{SYN: true}), func(f *flowpb.Flow) {
			f.DestinationNames = []string{"api.example.com"}
		}),
		event(web, db, &flowpb.Layer4{Protocol: &flowpb.Layer4_SCTP{
			SCTP: &flowpb.SCTP{SourcePort: 1, DestinationPort: 3868, ChunkType: flowpb.SCTPChunkType_INIT},
		}}, func(f *flowpb.Flow) { f.IsReply = nil }),
		event(web, db, &flowpb.Layer4{Protocol: &flowpb.Layer4_ICMPv4{ICMPv4: &flowpb.ICMPv4{Type: 8}}}, same),
		event(web, db, udp(40000, 8125), func(f *flowpb.Flow) {
			f.Aggregate = &flowpb.Aggregate{EgressFlowCount: 9}
		}),
		event(web, db, tcp(40000, 9999, &flowpb.TCPFlags{SYN: true}), func(f *flowpb.Flow) {
			f.Verdict, f.IsReply = flowpb.Verdict_DROPPED, nil
			//lint:ignore SA1019 Hubble still writes the number beside its name
			f.DropReason, f.DropReasonDesc = 133, flowpb.DropReason_POLICY_DENIED
			f.EventType = &flowpb.CiliumEventType{Type: 1, SubType: 133}
		}),
		event(db, web, udp(53, 40000), func(f *flowpb.Flow) {
			f.Type, f.IsReply = flowpb.FlowType_L7, wrapperspb.Bool(true)
			f.L7 = &flowpb.Layer7{Type: flowpb.L7FlowType_RESPONSE, Record: &flowpb.Layer7_Dns{
				Dns: &flowpb.DNS{Query: "gone.example.com.", Rcode: 3, Qtypes: []string{"A"}, ObservationSource: "proxy"},
			}}
		}),
		event(web, outside, tcp(40000, 8443, nil), func(f *flowpb.Flow) {
			f.Type = flowpb.FlowType_L7
			f.L7 = &flowpb.Layer7{Type: flowpb.L7FlowType_REQUEST, LatencyNs: 5, Record: &flowpb.Layer7_Http{
				Http: &flowpb.HTTP{Method: "GET", Url: "http://hooks.example.com/x"},
			}}
		}),
		{ResponseTypes: &observerpb.GetFlowsResponse_LostEvents{LostEvents: &flowpb.LostEvent{
			Source: flowpb.LostEventSource_OBSERVER_EVENTS_QUEUE, NumEventsLost: 4, Cpu: wrapperspb.Int32(1), First: when,
		}}},
		{ResponseTypes: &observerpb.GetFlowsResponse_NodeStatus{NodeStatus: &relaypb.NodeStatusEvent{
			StateChange: relaypb.NodeState_NODE_UNAVAILABLE, NodeNames: []string{"node-2"}, Message: "refused",
		}}},
	}
	want := []string{
		"web.shop -> api.example.com:443/TCP 1", "web.shop -> db.shop/ICMP echo request 1",
		"web.shop -> db.shop:3868/SCTP 1", "web.shop -> db.shop:5432/TCP 1", "web.shop -> db.shop:6379/TCP 1",
		"web.shop -> db.shop:6380/TCP 1", "web.shop -> db.shop:8125/UDP 9", "web.shop -> gone.example.com:* 1",
		"web.shop -> hooks.example.com:8443/TCP 1",
	}
	for name, options := range map[string]protojson.MarshalOptions{
		"as Hubble prints": {UseProtoNames: true},
		"as protobuf does": {},
	} {
		var in strings.Builder
		for _, m := range messages {
			line, err := options.Marshal(m)
			if err != nil {
				t.Fatal(err)
			}
			in.WriteString(string(line) + "\n")
		}
		f, err := hubble.Read(strings.NewReader(in.String()), hubble.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, described(f)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		losses := []recording.Loss{{
			What: "events of Hubble (OBSERVER_EVENTS_QUEUE)", Count: 4, Remedy: "raise hubble.eventQueueSize of Cilium",
		}}
		if diff := cmp.Diff(losses, f.Recording.Losses); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if !strings.Contains(f.Incomplete, "node-2") || !strings.Contains(f.Recording.Notices[0].Text, "POLICY_DENIED") {
			t.Errorf("%s: incomplete: %s; notices: %v", name, f.Incomplete, f.Recording.Notices)
		}
	}
}

// described returns flows as text, with their counts, sorted.
func described(f recording.File) []string {
	var all []string
	for _, one := range f.Recording.Flows {
		all = append(all, fmt.Sprintf("%s -> %s %d", one.Source, one.Target(), one.Count))
	}
	slices.Sort(all)
	return all
}
