package recorder

import (
	"github.com/netzero-dev/netzero/internal/docker"
	"github.com/netzero-dev/netzero/internal/recorder/containers"
)

// AttachPeer attaches a container to this recording that gets no policy.
func (rec *Recording) AttachPeer(id, name string) {
	rec.Attach(id, name)
	rec.recorder.mu.Lock()
	defer rec.recorder.mu.Unlock()
	attached := rec.recorder.containers.attachments[id]
	if attached.peers == nil {
		attached.peers = make(map[*Recording]bool)
	}
	attached.peers[rec] = true
}

// AttachedAs returns the name that the test gave a container of this recording, or "".
func (rec *Recording) AttachedAs(id string) string {
	rec.recorder.mu.Lock()
	defer rec.recorder.mu.Unlock()
	if attached := rec.recorder.containers.attachments[id]; attached != nil {
		return attached.names[rec]
	}
	return ""
}

// AttachRunning records an attached container that runs already, from now on.
func (rec *Recording) AttachRunning(id string) { rec.recorder.watchRunning(id) }

// fromPeer reports whether the initiator of a flow is a container without a policy.
func (s *resolution) fromPeer(f resolvedFlow) bool { return f.from != nil && s.isPeer(*f.from) }

// isPeer reports whether a container of this recording gets no policy: it, or its network owner, was passed to AsPeer,
// or the user labelled it as a peer. If another recording labelled a reused container, the label does not count here.
func (s *resolution) isPeer(c docker.Container) bool {
	c = containers.NetworkOwner(s.engine, c)
	if s.attachments[c.ID].peer {
		return true
	}
	by := c.Labels[docker.LabelRecording]
	return docker.IsPeer(c.Labels) && (by == "" || by == s.id)
}
