package flow

import (
	"cmp"
	"slices"
)

// Request is one kind of request that clients sent over the connections of a flow. Requests are comparable with ==.
type Request struct {
	Protocol RequestProtocol

	// Method is that of HTTP ("POST"). Of Kafka it is what the client does with the topic: "produce", "fetch", "create",
	// "alter" or "delete".
	Method string

	Host  string // of HTTP: the Host header or :authority, as sent
	Path  string // of HTTP: the path of the URL, as sent, or "*"
	Query string // of HTTP: the rest of the URL, from the question mark on, as sent; empty without one

	Topic string // of Kafka
}

// RequestProtocol is the protocol of a request. The zero value is none of them.
type RequestProtocol uint8

// The protocols whose requests are read.
const (
	HTTP  RequestProtocol = iota + 1 // HTTP/1 and HTTP/2, but gRPC
	GRPC                             // over HTTP/2: the path is /package.Service/Method
	Kafka                            // of the requests that name a topic
)

// String returns the name of the protocol: "HTTP", "gRPC", "Kafka"; "unknown" for the zero value.
func (p RequestProtocol) String() string {
	switch p {
	case HTTP:
		return "HTTP"
	case GRPC:
		return "gRPC"
	case Kafka:
		return "Kafka"
	}
	return "unknown"
}

// IsHTTP reports whether the request has a method, a host and a path: gRPC is HTTP too.
func (r Request) IsHTTP() bool { return r.Protocol == HTTP || r.Protocol == GRPC }

// URI returns the path with its query, as :path of HTTP/2 has it.
func (r Request) URI() string { return r.Path + r.Query }

// String returns the request without its host and query: "POST /api/v1/charge", "produce alpha-telemetry".
func (r Request) String() string {
	if r.IsHTTP() {
		return r.Method + " " + r.Path
	}
	return r.Method + " " + r.Topic
}

// Compare orders requests by protocol, path or topic, method, host and query. It returns -1, 0 or +1.
func (r Request) Compare(s Request) int {
	return cmp.Or(
		cmp.Compare(r.Protocol, s.Protocol), cmp.Compare(r.Path, s.Path), cmp.Compare(r.Topic, s.Topic),
		cmp.Compare(r.Method, s.Method), cmp.Compare(r.Host, s.Host), cmp.Compare(r.Query, s.Query),
	)
}

// PerRequest returns the flow once for each of its requests, each with only that request. A flow without requests, or
// one that is opaque, is returned as it is.
func (f Flow) PerRequest() []Flow {
	if f.Opaque != "" || len(f.Requests) < 2 {
		return []Flow{f}
	}
	all := make([]Flow, len(f.Requests))
	for i := range all {
		all[i] = f
		all[i].Requests = f.Requests[i : i+1 : i+1]
	}
	return all
}

// AddRequests adds the requests of another connection, which are sorted, and why there may be more of them, or "".
func (f *Flow) AddRequests(requests []Request, opaque string) {
	f.uniteRequests(Flow{Requests: requests, Opaque: opaque})
}

// uniteRequests sets the requests of f to the union of both flows'. It is opaque if one of them is.
func (f *Flow) uniteRequests(g Flow) {
	f.Requests = union(f.Requests, g.Requests, Request.Compare)
	if f.Opaque == "" || g.Opaque != "" && g.Opaque < f.Opaque {
		f.Opaque = g.Opaque
	}
}

// union returns the union of two sorted lists. It changes neither of them.
func union[T comparable](a, b []T, compare func(T, T) int) []T {
	if len(b) == 0 || slices.Equal(a, b) {
		return a
	}
	if len(a) == 0 {
		return b
	}
	all := slices.Concat(a, b)
	slices.SortFunc(all, compare)
	return slices.Compact(all)
}
