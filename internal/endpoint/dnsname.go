package endpoint

import (
	"net/netip"
	"strings"

	"github.com/netzero-dev/netzero/internal/flow"
)

// byName returns the endpoint that a DNS name means: a workload for a name that only the cluster (or a Docker network)
// can answer, else an external host.
func byName(name string, addr netip.Addr) flow.Endpoint {
	name = canonicalName(name)
	if IsAPIServerName(name) {
		return apiServer(name, addr, flow.ByDNS)
	}
	if service, namespace, ok := clusterService(name); ok {
		return flow.Endpoint{Kind: flow.Workload, Name: service, Namespace: namespace, Addr: addr, Evidence: flow.ByDNS}
	}
	return flow.Endpoint{Kind: flow.External, Name: name, Addr: addr, Evidence: flow.ByDNS}
}

// clusterService splits the names of Kubernetes' DNS specification: "db", "db.shop.svc", "db.shop.svc.cluster.local",
// and with what stands before the service: "db-0.db.shop.svc" (a StatefulSet's pod), "_pg._tcp.db.shop.svc" (SRV).
// "db.shop" is none of them: it cannot be told from "example.com".
func clusterService(name string) (service, namespace string, ok bool) {
	if !strings.Contains(name, ".") {
		service = Label(name)
		return service, "", service != ""
	}
	qualified, ok := strings.CutSuffix(strings.TrimSuffix(name, ".cluster.local"), ".svc")
	if !ok {
		return "", "", false
	}
	labels := strings.Split(qualified, ".")
	if len(labels) < 2 {
		return "", "", false
	}
	service, namespace = labels[len(labels)-2], labels[len(labels)-1]
	return service, namespace, CheckLabel(service) == nil && CheckLabel(namespace) == nil
}
