package netzerotest

import "github.com/netzero-dev/netzero/internal/recorder"

// recorderOptions returns the options that the recorder needs.
func (r *Recording) recorderOptions() recorder.Options {
	c := r.config
	return recorder.Options{
		Test: r.tb.Name(), Package: isPackage(r.tb),
		Workload: c.workload, Namespace: c.namespace, Labels: c.labels,
		Driver: c.driver, Binaries: c.binaries,
		Peers: c.peers, ClusterDomains: c.clusterDomains, Ignored: c.ignored(),
		ClusterName: c.placement().ClusterName, FixedPort: c.fixes, Announce: announce,
	}
}
