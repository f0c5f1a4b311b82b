package recorder

import (
	"github.com/netzero-dev/netzero/internal/docker"
)

// hostOf returns the external host that a container stands for, or "". It stands for one if it has an alias with dots,
// such as api.stripe.com, that is not a name of the cluster, and if the test gave it no other name.
func (s *snapshot) hostOf(c docker.Container) string {
	name := docker.DNSName(c)
	if name == "" || s.attachments[c.ID].name != "" {
		return ""
	}
	if _, ours := s.options.ClusterName(name); ours {
		return ""
	}
	return name
}
