package recorder

import (
	"github.com/netzero-dev/netzero/internal/docker"
)

// hostOf returns the host outside of the cluster for which a container stands, "" for any other container: one that goes by
// a name with dots, such as api.stripe.com, which is none of the cluster's, and that As does not name.
func (m *Recording) hostOf(c docker.Container) string {
	name := docker.DNSName(c)
	if claim := m.recorder.containers.claims[c.ID]; name == "" || claim != nil && claim.isNamed() {
		return ""
	}
	if _, ours := m.options.ClusterName(name); ours {
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
