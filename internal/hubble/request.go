package hubble

import (
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/netzero-dev/netzero/internal/recording"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// unseen is why requests that Hubble observed may not be all: it sees those that pass Cilium's proxy.
const unseen = "Hubble may not have seen every request"

// maxRequests is the number of different requests of a flow that are read. Their paths may hold ids.
const maxRequests = 1000

// kafkaKeys are Cilium's names of Kafka's APIs, by what a client does with a topic.
var kafkaKeys = map[string]string{
	"produce": "produce", "fetch": "fetch", "create": "createtopics", "delete": "deletetopics", "alter": "alterconfigs",
}

// grpcType is the header by which requests of gRPC differ from others.
var grpcType = header{"content-type", "application/grpc"}

// requestsOf returns the requests of a flow as [Write] writes them: without queries, which may hold secrets. at has for
// each the index of its verdict.
func requestsOf(f flow.Flow) (all []flow.Request, at []int) {
	for i, r := range f.Requests {
		r.Query = ""
		if n := len(all); n == 0 || all[n-1] != r { // they are sorted, by their queries last
			all, at = append(all, r), append(at, i)
		}
	}
	return all, at
}

// verdictOf returns the verdict on a request of a flow with a verdict, which may be nil.
func verdictOf(v *recording.Verdict, i int) *recording.Verdict {
	if v == nil || i >= len(v.Requests) {
		return v
	}
	return &v.Requests[i]
}

// requestEvent returns the event of a request over a flow.
func (o *writer) requestEvent(f flow.Flow, r flow.Request, v *recording.Verdict) message {
	m := o.message(f, nil)
	e := m.Flow
	e.Type, e.EventType, e.Point, e.Reason, e.Aggregate = l7, &eventType{Type: l7Event}, "", "", nil
	e.L4 = &layer4{TCP: &ports{Destination: number(f.Port)}}
	e.Verdict, e.DropReason, e.DropReasonDesc = forwarded, 0, ""
	e.L7, e.Summary = layer7Of(f, r)
	if isDenied(v) {
		e.Verdict = dropped
	}
	if v != nil {
		if v.Ingress {
			e.Direction = ingress
		}
		e.decide(v)
	}
	return m
}

// layer7Of returns a request in Hubble's form, and Hubble's summary of it.
func layer7Of(f flow.Flow, r flow.Request) (*layer7, string) {
	if !r.IsHTTP() {
		key := kafkaKeys[r.Method]
		return &layer7{Type: request, Kafka: &kafka{Key: key, Topic: r.Topic}}, "Kafka request " + key + " " + r.Topic
	}
	h := &http{Method: r.Method, URL: urlOf(f, r)}
	if r.Protocol == flow.GRPC {
		h.Protocol, h.Headers = "HTTP/2", []header{grpcType}
	}
	summary := strings.TrimSpace(h.Protocol + " " + h.Method + " " + h.URL)
	return &layer7{Type: request, HTTP: h}, summary
}

// urlOf returns the URL of a request, without its query.
func urlOf(f flow.Flow, r flow.Request) string {
	if r.Path == "*" {
		return r.Path
	}
	host := r.Host
	if host == "" {
		host = net.JoinHostPort(f.Destination.String(), strconv.Itoa(int(f.Port)))
	}
	return "http://" + host + r.Path
}

// request returns the request of an event, false if it has none that is recorded. The query is left out.
func (l *layer7) request() (flow.Request, bool) {
	switch {
	case l == nil || l.Type != request:
	case l.HTTP != nil && l.HTTP.Method != "":
		u, err := url.Parse(l.HTTP.URL)
		if err != nil {
			return flow.Request{}, false
		}
		r := flow.Request{Protocol: flow.HTTP, Method: l.HTTP.Method, Host: u.Host, Path: u.EscapedPath()}
		if r.Path == "" {
			r.Path = "/"
		}
		isGRPC := func(h header) bool {
			return strings.EqualFold(h.Key, grpcType.Key) && strings.HasPrefix(h.Value, grpcType.Value)
		}
		if slices.ContainsFunc(l.HTTP.Headers, isGRPC) {
			r.Protocol = flow.GRPC
		}
		return r, true
	case l.Kafka != nil && l.Kafka.Topic != "":
		for method, key := range kafkaKeys {
			if key == strings.ToLower(l.Kafka.Key) {
				return flow.Request{Protocol: flow.Kafka, Method: method, Topic: l.Kafka.Topic}, true
			}
		}
	}
	return flow.Request{}, false
}

// addRequest remembers the request of an event, if it has one that was not dropped.
func (s *seen) addRequest(e *event) {
	r, isRequest := e.L7.request()
	if !isRequest || e.Verdict == dropped || e.Verdict == "ERROR" || len(s.requests) == maxRequests {
		return
	}
	if i, found := slices.BinarySearchFunc(s.requests, r, flow.Request.Compare); !found {
		s.requests = slices.Insert(s.requests, i, r)
	}
}

// kindOf returns the kind of an L7 event in Hubble's compact form.
func kindOf(r flow.Request) string {
	if r.IsHTTP() {
		return "http-request"
	}
	return "kafka-request"
}
