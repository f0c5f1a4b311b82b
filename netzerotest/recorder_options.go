package netzerotest

import (
	"github.com/netzero-dev/netzero/internal/recorder"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// recorderOptions is what the recorder needs to know of the options.
func (r *Recording) recorderOptions() recorder.Options {
	c := r.config
	return recorder.Options{
		Test: r.tb.Name(), Package: isPackage(r.tb),
		Workload: c.workload, Namespace: c.namespace, Labels: c.labels,
		Driver: c.driver, Binaries: c.binaries,
		Peers: c.peers, ClusterDomains: c.clusterDomains, Ignored: c.ignored(),
		ClusterName: c.clusterName, FixedPort: c.fixes, Announce: announce,
	}
}

// clusterName returns the workload that a DNS name with dots stands for, and false for the name of a host.
func (c config) clusterName(name string) (flow.Endpoint, bool) {
	if e := c.alias(name); e.Kind == flow.Workload {
		return e, true
	}
	if c.manifests == nil {
		return flow.Endpoint{}, false
	}
	object, namespace, known := c.manifests.Resolve(name, c.namespace)
	return flow.Endpoint{Kind: flow.Workload, Name: object, Namespace: namespace}, known
}
