package recorder

import (
	"github.com/netzero-dev/netzero/internal/docker"
)

// hostOf returns the host outside of the cluster for which a container stands, "" for any other container: one that goes by
// a name with dots, such as api.stripe.com, which is none of the cluster's, and that As does not name.
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
