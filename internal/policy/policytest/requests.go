package policytest

import (
	"math/rand/v2"
	"slices"

	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// DrawRequests draws up to three requests, as a flow has them: of HTTP, of gRPC, or seldom of Kafka.
func DrawRequests(r *rand.Rand) []flow.Request {
	d := Draw{r}
	var all []flow.Request
	of := Pick(d, flow.HTTP, flow.HTTP, flow.HTTP, flow.GRPC, flow.Kafka)
	for range d.IntN(4) {
		switch of {
		case flow.HTTP:
			all = append(all, HTTP(Pick(d, "GET", "POST", "M-SEARCH"), Pick(d, "/", "/api/v1/charge", "/api/v1/invoices/1",
				"/api/v1/invoices/2", "/a.b", "/a+b", "/customers/ann", "/customers/bob", "/healthz", "*")))
		case flow.GRPC:
			all = append(all, flow.Request{
				Protocol: flow.GRPC, Method: "POST", Path: Pick(d, "/shop.Cart/Add", "/shop.Cart/Get", "/shop.v1.Ads/Get"),
			})
		default:
			all = append(all, Kafka(Pick(d, "produce", "fetch"), Pick(d, "orders", "payments", "alpha-telemetry")))
		}
	}
	slices.SortFunc(all, flow.Request.Compare)
	return slices.Compact(all)
}

// WithRequests returns copies of flows in which those over TCP have requests, or are opaque.
func (r Draw) WithRequests(flows []flow.Flow) []flow.Flow {
	flows = slices.Clone(flows)
	for i := range flows {
		f := &flows[i]
		if f.Protocol != flow.TCP || f.Lookup || f.Port == 0 || f.Destination.Kind == flow.Resolver {
			continue
		}
		f.Requests = DrawRequests(r.Rand)
		if r.IntN(8) == 0 {
			f.Opaque = Pick(r, "TLS", "opened before the recording")
		}
	}
	return flows
}

// HTTP returns a request of HTTP.
func HTTP(method, path string) flow.Request {
	return flow.Request{Protocol: flow.HTTP, Method: method, Path: path}
}

// Kafka returns a request of Kafka.
func Kafka(method, topic string) flow.Request {
	return flow.Request{Protocol: flow.Kafka, Method: method, Topic: topic}
}

// Sends returns a flow with requests.
func Sends(f flow.Flow, requests ...flow.Request) flow.Flow {
	f.Requests = slices.Clone(requests)
	slices.SortFunc(f.Requests, flow.Request.Compare)
	return f
}

// Opaque returns a flow that is opaque.
func Opaque(f flow.Flow, why string) flow.Flow {
	f.Opaque = why
	return f
}
