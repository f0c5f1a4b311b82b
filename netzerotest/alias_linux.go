package netzerotest

import (
	"github.com/netzero-dev/netzero/internal/docker"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// clusterName returns the workload for which a name with dots stands, and false where it is a host's.
func (c config) clusterName(name string) (flow.Endpoint, bool) {
	return c.placement().ClusterName(name)
}

// hostOf returns the host outside of the cluster for which a container stands, "" for any other container: one that goes by
// a name with dots, such as api.stripe.com, which is none of the cluster's, and that As does not name.
func (m *membership) hostOf(c docker.Container) string {
	name := docker.DNSName(c)
	if claim := m.capture.containers.claims[c.ID]; name == "" || claim != nil && claim.isNamed() {
		return ""
	}
	if _, ours := m.config.clusterName(name); ours {
		return ""
	}
	return name
}

// isNamed reports whether any recording gives the container a name.
func (c *containerClaim) isNamed() bool {
	for _, name := range c.by {
		if name != "" {
			return true
		}
	}
	return false
}
