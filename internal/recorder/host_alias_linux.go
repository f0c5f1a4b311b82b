package recorder

import (
	"github.com/netzero-dev/netzero/internal/docker"
)

// hostOf returns the external host that a container stands for, or "". It stands for one if it has an alias with dots,
// such as api.stripe.com, that is not a name of the cluster, and if the test gave it no other name.
func (s *snapshot) hostOf(c docker.Container) string {
	return s.options.hostOf(c, s.attachments[c.ID].name)
}

// hostOf is snapshot.hostOf. given is the name from a recording, or "".
func (o Options) hostOf(c docker.Container, given string) string {
	name := docker.DNSName(c)
	if name == "" || given != "" {
		return ""
	}
	if _, ours := o.ClusterName(name); ours {
		return ""
	}
	return name
}
