package netzerotest

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"

	"github.com/netzero-dev/netzero/internal/endpoint"
	"github.com/netzero-dev/netzero/internal/manifest"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// identification says how destinations are identified.
func (c config) identification(peers endpoint.Peers) endpoint.Config {
	return endpoint.Config{Self: os.Getpid(), Peers: peers, Workload: c.workload, ClusterDomains: c.clusterDomains}
}

// resolve returns the destination of a flow as the cluster's DNS resolves its name for pods of the caller's namespace: a
// host whose name the manifests know is a workload, and a name of one label is that of the caller's namespace first.
func (d *deployment) resolve(e flow.Endpoint, caller string) flow.Endpoint {
	switch {
	case d.config.manifests == nil || e.Node:
	case e.Kind == flow.External:
		if name, namespace, known := d.config.manifests.Resolve(e.Name, caller); known {
			e.Kind, e.Name, e.Namespace = flow.Workload, name, namespace
		}
	case e.Kind == flow.Workload && e.Namespace == "" && caller != "":
		m, err := d.config.manifests.Find(e.Name, caller)
		if err == nil && m.Namespace == caller {
			e.Namespace = caller
			return e
		}
		var several *manifest.AmbiguousError
		if err == nil && m.Namespace == "" { // it goes where it is applied; others of its name have namespaces
			if _, err := d.config.manifests.Find(e.Name, ""); errors.As(err, &several) {
				e.Namespace = caller
				return e
			}
		}
		if m := d.find(e.Identity(), true); m != nil && e.Evidence == flow.ByDNS && m.Namespace != "" && m.Namespace != caller && err != nil {
			d.notices = append(d.notices, fmt.Sprintf("%s was looked up by one label, which in a pod means namespace %s, and %s is in another one: look up %s.%s",
				e.Name, caller, m, e.Name, m.Namespace))
		}
	}
	return e
}

// mistakable tells of a host that only a Peer names, and whose name has the form of a Service's in a namespace.
func (d *deployment) mistakable(f Flow) {
	e := f.Destination
	if e.Kind != flow.External || e.Evidence != flow.ByOption || strings.Count(e.Name, ".") != 1 || f.Port == 443 || f.Port == 80 {
		return
	}
	d.notices = append(d.notices, fmt.Sprintf("%s, which a Peer names, is taken for a host outside the cluster: for pods write %q, "+
		"or let Manifests say that there are such", e.Name, fmt.Sprintf("%s.svc:%d", e.Name, f.Port)))
}

// alias returns what a name with dots stands for that the manifests do not know: pods where only a cluster can answer it,
// else a host.
func (c config) alias(host string) flow.Endpoint {
	if name, namespace, ok := endpoint.ServiceName(host, c.clusterDomains...); ok {
		return flow.Endpoint{Kind: flow.Workload, Name: name, Namespace: namespace}
	}
	return flow.Endpoint{Kind: flow.External, Name: host}
}

// standsFor returns an address that a Service without a selector stands for. It keeps the name: pods look it up.
func standsFor(e flow.Endpoint, addr netip.Addr) flow.Endpoint {
	return flow.Endpoint{Kind: flow.Address, Name: e.Name, Namespace: e.Namespace, Addr: addr, Evidence: e.Evidence}
}
