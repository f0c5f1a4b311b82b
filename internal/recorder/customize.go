package recorder

import (
	"fmt"

	"github.com/netzero-dev/netzero/internal/docker"
	"github.com/netzero-dev/netzero/internal/endpoint"
)

// Role is what a container is to a recording.
type Role struct {
	Name string // in the policy; empty for a name from its compose service, alias or image
	Peer bool   // another team operates it: it gets no policy of its own
}

// Check returns an error if the name is invalid or empty, or if the labels of a container request give it the other
// role.
func (r Role) Check(labels map[string]string) error {
	if err := endpoint.CheckName(r.Name); err != nil {
		return err
	}
	isPeer, workload := docker.IsPeer(labels), labels[docker.LabelWorkload]
	switch {
	case isPeer && !r.Peer:
		return fmt.Errorf("the request is for a peer, which has no policy (AsPeer, or label %s): keep one of the two",
			docker.LabelPeer)
	case workload != "" && !isPeer && r.Peer:
		return fmt.Errorf("the request was passed to As(%q), which gives it a policy: keep one of the two", workload)
	}
	return nil
}
