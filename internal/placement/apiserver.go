package placement

import (
	"slices"

	"github.com/netzero-dev/netzero/internal/manifest"
	"github.com/netzero-dev/netzero/internal/recording"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// apiServerTargets returns the flows in the cluster for a flow to the API server. In a NetworkPolicy the flow goes to
// each of the server's Endpoints, if the manifests have them. In Cilium the server is an entity, and only the port
// counts.
func (p *placer) apiServerTargets(f flow.Flow) []flow.Flow {
	manifests := p.options.Manifests
	if manifests != nil && f.Destination.Namespace == "" {
		// A single label is a Service of the caller's namespace first.
		m, err := manifests.Find(f.Destination.Name, f.Source.Namespace)
		if err == nil && len(m.Selector) > 0 && m.Namespace == f.Source.Namespace {
			f.Destination.Kind = flow.Workload
			return p.targets(f)
		}
	}
	const servicePort = 443
	if f.Lookup { // the name has no address here, and one port in the cluster
		f.Lookup, f.Protocol, f.Port = false, flow.TCP, servicePort
	}
	server := flow.ClusterAPIServer
	server.Evidence = f.Destination.Evidence
	f.Destination = server
	var addresses []manifest.Address
	if manifests != nil && f.Protocol == flow.TCP {
		addresses = manifests.APIServer()
	}
	if len(addresses) == 0 {
		if !p.options.Cilium && f.Protocol.HasPorts() {
			p.notice(recording.CodeAPIServer, "no pod selector matches the API server, and no manifest has its "+
				"addresses: "+
				"unless the policy has an ipBlock for it, a rule opens its port to all addresses. "+
				"To name them, save the output of `kubectl get endpointslices -n default -l %s=%s -o yaml` "+
				"among the Manifests", "kubernetes.io/service-name", server.Name)
		}
		return []flow.Flow{f}
	}
	var flows []flow.Flow
	for _, a := range addresses {
		g := f
		g.Destination.Addr = a.Addr
		if a.Port != 0 && slices.Contains([]uint16{servicePort, 6443, 8443}, f.Port) {
			g.Port = a.Port
		}
		samePort := func(h flow.Flow) bool { return h.Port == g.Port }
		if p.options.Cilium && slices.ContainsFunc(flows, samePort) {
			continue
		}
		flows = append(flows, g)
	}
	return flows
}

// noticeHostNetwork says how policies treat pods that use the network of their nodes.
func (p *placer) noticeHostNetwork(m *manifest.Match, isSubject bool) {
	text := "%s: its pods use the network of their nodes (hostNetwork), where no policy selects them: "
	switch {
	case isSubject:
		text += "its policy has no effect in a cluster, and only this test uses it"
	case p.options.Cilium:
		text += "rules for it are for the entities host and remote-node"
	default:
		text += "unless the policy has an ipBlock for them, a rule opens the port to all addresses, and an annotation " +
			"names them"
	}
	p.notice(recording.CodeHostNetwork, text, m)
}
