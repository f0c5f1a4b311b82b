package hubble

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/netzero-dev/netzero/internal/cilium"
	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/internal/recording"
	"github.com/netzero-dev/netzero/internal/report"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// NodeName is the node of all flows that [Write] writes, because no node of a cluster saw them.
const NodeName = "netzero"

// Write writes the placed flows of a recording as "hubble observe -o jsonpb" does: a GetFlowsResponse a line, in the
// order of the recording. If it was compared with policies, a denied flow is DROPPED for POLICY_DENIED. So is a flow of
// which the kernel refused each attempt; the summary says how many it refused. The requests of a flow follow it as L7
// flows, without queries. A denied request is DROPPED; if all of a flow's are denied, so is the flow.
//
// A pod has the name of its workload, and all labels that are known. Numbers of identities count the workloads of this
// recording from 256 on. If the recording's start is not known, times count from 1970-01-01. Flow.Count is an
// aggregate. A lookup without an address is a DNS answer. Hubble has no field for processes, programs, evidence,
// refusals, the dialled port, the name of a Service beside an address, and for IP protocols other than TCP, UDP, SCTP
// and ICMP: [Read] of the output lacks these, and the workloads that no flow has. It makes every workload a subject,
// and selects it by all its lasting labels.
//
// All characters that a terminal might interpret are escaped. An error is that of the writer, or says that verdicts
// and flows differ in number or that the recording is invalid.
func Write(w io.Writer, f recording.File) error {
	flows, verdicts, err := evaluated(f)
	if err != nil {
		return err
	}
	out := bufio.NewWriter(w)
	o := newWriter(f.Placed, flows)
	o.start = f.Started
	if o.start.IsZero() {
		o.start = time.Unix(0, 0).UTC()
	}
	for i, one := range flows {
		line, err := encode(o.message(one, verdicts[i]))
		if err != nil {
			return err
		}
		if _, err := out.Write(line); err != nil {
			return err
		}
		requests, at := requestsOf(one)
		for j, r := range requests {
			line, err := encode(o.requestEvent(one, r, verdictOf(verdicts[i], at[j])))
			if err != nil {
				return err
			}
			if _, err := out.Write(line); err != nil {
				return err
			}
		}
	}
	return out.Flush()
}

// evaluated returns the placed flows of a recording, each with its verdict, which is nil if there is none.
func evaluated(f recording.File) ([]flow.Flow, []*recording.Verdict, error) {
	flows, err := recording.ToFlows(f.Placed.Flows)
	if err != nil {
		return nil, nil, fmt.Errorf("placed: %w", err)
	}
	verdicts := make([]*recording.Verdict, len(flows))
	if f.Check == nil {
		return flows, verdicts, nil
	}
	if len(f.Check.Verdicts) < len(flows) { // those on implied flows come last
		return nil, nil, fmt.Errorf("%d flows have %d verdicts", len(flows), len(f.Check.Verdicts))
	}
	for i := range verdicts {
		verdicts[i] = &f.Check.Verdicts[i]
	}
	return flows, verdicts, nil
}

// isFlowDenied reports whether policies drop a flow with this verdict, and not only some of its requests.
func isFlowDenied(v *recording.Verdict) bool {
	return isDenied(v) && !slices.ContainsFunc(v.Requests, func(r recording.Verdict) bool { return !isDenied(&r) })
}

// isDenied reports whether policies drop a flow with this verdict.
func isDenied(v *recording.Verdict) bool {
	return v != nil && (v.Outcome == recording.OutcomeDenied || v.Outcome == recording.OutcomeInexpressible)
}

// isDropped reports whether Hubble would say of a flow that nothing of it passed.
func isDropped(f flow.Flow, v *recording.Verdict) bool {
	return isFlowDenied(v) || f.Refused > 0 && f.Refused >= f.Count
}

// refusal says in a summary how many attempts of a flow the kernel refused; "" for none.
func refusal(f flow.Flow) string {
	if f.Refused == 0 {
		return ""
	}
	return "; refused " + report.Refusal(f)
}

// encode returns a message as one line.
func encode(m message) ([]byte, error) {
	text, err := json.Marshal(m)
	if err != nil {
		return nil, err
	}
	var line bytes.Buffer
	for len(text) > 0 {
		r, n := utf8.DecodeRune(text)
		if strconv.IsPrint(r) {
			line.Write(text[:n])
		} else {
			for _, unit := range utf16.Encode([]rune{r}) {
				fmt.Fprintf(&line, `\u%04x`, unit)
			}
		}
		text = text[n:]
	}
	line.WriteByte('\n')
	return line.Bytes(), nil
}

// writer is the state of one call of Write.
type writer struct {
	start      time.Time                  // of the recording
	labels     map[flow.Endpoint][]string // of workloads, by identity
	identities map[flow.Endpoint]number
}

// firstIdentity is the lowest number that Cilium gives to a set of labels.
const firstIdentity = 256

func newWriter(p recording.Placed, flows []flow.Flow) *writer {
	o := &writer{labels: make(map[flow.Endpoint][]string), identities: make(map[flow.Endpoint]number)}
	for _, w := range slices.Concat(p.Peers, p.Workloads) {
		labels := maps.Clone(w.PodLabels)
		if labels == nil {
			labels = make(map[string]string)
		}
		maps.Copy(labels, w.Labels)
		o.labels[flow.Endpoint{Kind: flow.Workload, Name: w.Name, Namespace: w.Namespace}] = labelList(labels)
	}
	known := make(map[flow.Endpoint]bool)
	for _, f := range flows {
		for _, e := range []flow.Endpoint{f.Source.Identity(), f.Destination.Identity()} {
			if e.Kind == flow.Workload && !e.Node && !e.HostNetwork || e.Kind == flow.Resolver {
				known[e] = true
			}
		}
	}
	for i, e := range slices.SortedFunc(maps.Keys(known), flow.Endpoint.Compare) {
		o.identities[e] = firstIdentity + number(i)
	}
	return o
}

// labelList returns labels in Cilium's form, sorted.
func labelList(labels map[string]string) []string {
	var all []string
	for key, value := range labels {
		all = append(all, kubernetes+key+"="+value)
	}
	slices.Sort(all)
	return all
}

func (o *writer) message(f flow.Flow, v *recording.Verdict) message {
	e := event{
		Time: o.start.Add(f.First).Format(time.RFC3339Nano), Verdict: forwarded, NodeName: NodeName,
		IP: addresses(f), Source: o.endpoint(f.Source), Destination: o.endpoint(f.Destination), Type: layer34,
		Direction: egress, IsReply: new(bool),
	}
	e.L4, e.Summary = layer4Of(f)
	e.SourceNames, e.Names = names(f.Source), names(f.Destination)
	if f.Destination.Kind == flow.APIServer {
		e.Service = &service{f.Destination.Name, f.Destination.Namespace}
	}
	n := number(min(f.Count, math.MaxUint32))
	e.Aggregate = &aggregate{Egress: n}
	if f.Source.Kind != flow.Workload || v != nil && v.Ingress {
		e.Direction, e.Aggregate = ingress, &aggregate{Ingress: n}
	}
	if n <= 1 {
		e.Aggregate = nil
	}
	e.EventType = &eventType{Type: traceEvent}
	e.Point, e.Reason = "TO_ENDPOINT", "NEW"
	if v != nil || isDropped(f, v) {
		e.EventType.Type, e.Point, e.Reason = verdictEvent, "", ""
	}
	if isDropped(f, v) {
		e.Verdict, e.DropReason, e.DropReasonDesc = dropped, policyDenied, denied
	}
	if v != nil {
		e.decide(v)
	}
	e.Summary += refusal(f)
	if f.Lookup {
		e.lookUp(o, f)
	}
	return message{Flow: &e, event: event{NodeName: e.NodeName, Time: e.Time}}
}

// decide adds the policy of a verdict, and the reason.
func (e *event) decide(v *recording.Verdict) {
	if v.Reason != "" && isDenied(v) == isFlowDenied(v) {
		e.Summary += "; " + v.Reason
	}
	if v.Policy == "" || isDenied(v) != isFlowDenied(v) {
		return // the verdict on some request
	}
	by := []policyRef{{v.Policy}}
	switch {
	case isFlowDenied(v) && v.Ingress:
		e.IngressDeniedBy = by
	case isFlowDenied(v):
		e.EgressDeniedBy = by
	case v.Ingress:
		e.IngressAllowedBy = by
	default:
		e.EgressAllowedBy = by
	}
}

// lookUp makes an event the DNS answer of a lookup without an address.
func (e *event) lookUp(o *writer, f flow.Flow) {
	query := f.Destination.Name + "."
	e.Type, e.EventType, e.Point, e.Reason = l7, &eventType{Type: l7Event}, "", ""
	e.L7 = &layer7{Type: response, DNS: &dns{Query: query, RCode: nameError}}
	e.L4 = &layer4{UDP: &ports{Source: dnsPort}}
	e.Source, e.Destination = o.endpoint(flow.ClusterResolver), e.Source
	e.Names = nil
	*e.IsReply = true
	e.Summary = "DNS Answer NXDOMAIN for " + query + e.Summary
}

// addresses returns the addresses of a flow that are known.
func addresses(f flow.Flow) *ip {
	a := &ip{Version: "IPv4"}
	if f.Source.Addr.IsValid() {
		a.Source = f.Source.Addr.String()
	}
	if f.Destination.Addr.IsValid() {
		a.Destination = f.Destination.Addr.String()
	}
	if f.Source.Addr.Is6() || f.Destination.Addr.Is6() || f.Protocol == flow.ICMPv6 {
		a.Version = "IPv6"
	}
	return a
}

// layer4Of returns the packet that opens a flow, and Hubble's summary of it.
func layer4Of(f flow.Flow) (*layer4, string) {
	to := &ports{Destination: number(f.Port)}
	switch f.Protocol {
	case flow.TCP:
		to.Flags = &flags{SYN: !f.Before, ACK: f.Before}
		if f.Before {
			return &layer4{TCP: to}, "TCP Flags: ACK"
		}
		return &layer4{TCP: to}, "TCP Flags: SYN"
	case flow.UDP:
		return &layer4{UDP: to}, "UDP"
	case flow.SCTP:
		return &layer4{SCTP: to}, "SCTP"
	case flow.ICMP:
		return &layer4{ICMPv4: &icmp{number(f.ICMPType)}}, f.Message()
	case flow.ICMPv6:
		return &layer4{ICMPv6: &icmp{number(f.ICMPType)}}, f.Message()
	case 0:
		return nil, "" // a lookup
	}
	return nil, f.Protocol.String()
}

// names returns the DNS name of an end.
func names(e flow.Endpoint) []string {
	if e.Kind == flow.External {
		return []string{e.Name}
	}
	return nil
}

// endpoint returns an end in Hubble's form.
func (o *writer) endpoint(e flow.Endpoint) *endpoint {
	switch e.Kind {
	case flow.APIServer:
		return &endpoint{Identity: 7, Labels: []string{reserved + cilium.APIServer, reserved + cilium.RemoteNode}}
	case flow.Resolver:
		p := o.pods(e)
		p.Labels = append(labelList(policy.ResolverLabels), p.Labels...)
		return p
	case flow.Workload:
		if e.Node {
			return &endpoint{
				Identity: 1, Namespace: e.Namespace, Labels: []string{reserved + cilium.Host},
				Workloads: []workload{{Name: e.Name}},
			}
		}
		labels, known := o.labels[flow.Endpoint{Kind: flow.Workload, Name: e.Name, Namespace: e.Namespace}]
		if !known {
			labels = []string{kubernetes + "app=" + e.Name}
		}
		p := o.pods(e)
		p.Labels = slices.Concat(labels, p.Labels)
		return p
	}
	return &endpoint{Identity: 2, Labels: []string{reserved + cilium.World}}
}

// pods returns pods without the labels of their own.
func (o *writer) pods(e flow.Endpoint) *endpoint {
	p := &endpoint{
		Identity: o.identities[e.Identity()], Namespace: e.Namespace, PodName: e.Name, Workloads: []workload{{Name: e.Name}},
	}
	if e.Namespace != "" {
		p.Labels = []string{kubernetes + cilium.NamespaceLabel + "=" + e.Namespace}
	}
	if e.HostNetwork {
		p.Identity, p.Labels = 6, append(p.Labels, reserved+cilium.RemoteNode)
	}
	return p
}
