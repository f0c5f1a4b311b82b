package placement

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/netzero-dev/netzero/internal/endpoint"
	"github.com/netzero-dev/netzero/internal/manifest"
	"github.com/netzero-dev/netzero/internal/recording"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// ClusterName returns the workload that a DNS name with dots stands for, or false for the name of a host.
func (o Options) ClusterName(name string) (flow.Endpoint, bool) {
	if e := o.byName(name); e.Kind == flow.Workload {
		return e, true
	}
	if o.Manifests == nil {
		return flow.Endpoint{}, false
	}
	object, namespace, known := o.Manifests.Resolve(name, o.Namespace)
	return flow.Endpoint{Kind: flow.Workload, Name: object, Namespace: namespace}, known
}

// byName returns the endpoint that a DNS name with dots stands for by its form alone: pods if only a cluster can
// resolve the name, otherwise a host.
func (o Options) byName(name string) flow.Endpoint {
	if workload, namespace, ok := endpoint.ServiceName(name, o.ClusterDomains...); ok {
		return flow.Endpoint{Kind: flow.Workload, Name: workload, Namespace: namespace}
	}
	return flow.Endpoint{Kind: flow.External, Name: name}
}

// resolve returns a destination as the cluster's DNS resolves its name for pods in the caller's namespace. A host is a
// workload if the manifests have its name. A name of one label is looked up in the caller's namespace first.
func (p *placer) resolve(e flow.Endpoint, caller string) flow.Endpoint {
	switch {
	case p.options.Manifests == nil || e.Node:
	case e.Kind == flow.External:
		if name, namespace, known := p.options.Manifests.Resolve(e.Name, caller); known {
			e.Kind, e.Name, e.Namespace = flow.Workload, name, namespace
		}
	case e.Kind == flow.Workload && e.Namespace == "" && caller != "":
		return p.resolveLabel(e, caller)
	}
	return e
}

// resolveLabel is resolve for a workload without a namespace.
func (p *placer) resolveLabel(e flow.Endpoint, caller string) flow.Endpoint {
	m, err := p.options.Manifests.Find(e.Name, caller)
	if err == nil && m.Namespace == caller {
		e.Namespace = caller
		return e
	}
	if err == nil && m.Namespace == "" {
		// The object gets the namespace to which it is applied. Objects of the same name with other namespaces are
		// different.
		var several *manifest.AmbiguousError
		if _, err := p.options.Manifests.Find(e.Name, ""); errors.As(err, &several) {
			e.Namespace = caller
			return e
		}
	}
	found := p.find(e.Identity(), true)
	if found != nil && e.Evidence == flow.ByDNS && found.Namespace != "" && found.Namespace != caller && err != nil {
		p.notice(recording.CodeOtherNamespace, "%s was looked up as a single label, which in a pod means namespace "+
			"%s, but %s is in another one: look up %s.%s", e.Name, caller, found, e.Name, found.Namespace)
	}
	return e
}

// noticeServiceLikeHost notes a host that only a Peer names, if its name has the form service.namespace.
func (p *placer) noticeServiceLikeHost(f flow.Flow) {
	e := f.Destination
	isLikeService := e.Kind == flow.External && strings.Count(e.Name, ".") == 1
	if !isLikeService || e.Evidence != flow.ByOption || f.Port == 443 || f.Port == 80 {
		return
	}
	p.notice(recording.CodeLikeService, "%s, which a Peer names, is treated as a host outside the cluster: for pods "+
		"write %q, or add their manifests to Manifests", e.Name, fmt.Sprintf("%s.svc:%d", e.Name, f.Port))
}

// behind returns an address of a Service without a selector. The endpoint keeps the Service's name, because pods look
// it up.
func behind(service flow.Endpoint, addr netip.Addr) flow.Endpoint {
	return flow.Endpoint{
		Kind: flow.Address, Name: service.Name, Namespace: service.Namespace, Addr: addr, Evidence: service.Evidence,
	}
}
