package recorder

import (
	"github.com/netzero-dev/netzero/internal/docker"
)

// AttachPeer attaches a container to this recording that gets no policy.
func (m *Recording) AttachPeer(id, name string) {
	m.Attach(id, name)
	m.recorder.mu.Lock()
	defer m.recorder.mu.Unlock()
	c := m.recorder.containers.attachments[id]
	if c.peers == nil {
		c.peers = make(map[*Recording]bool)
	}
	c.peers[m] = true
}

// AttachedAs returns the name that the test gave a container of this recording, or "".
func (m *Recording) AttachedAs(id string) string {
	m.recorder.mu.Lock()
	defer m.recorder.mu.Unlock()
	if c := m.recorder.containers.attachments[id]; c != nil {
		return c.names[m]
	}
	return ""
}

// AttachRunning records an attached container that runs already, from now on.
func (m *Recording) AttachRunning(id string) { m.recorder.watchRunning(id) }

// fromPeer reports whether the initiator of a flow is a container without a policy.
func (r *resolution) fromPeer(l attributedFlow) bool { return l.from != nil && r.isPeer(*l.from) }

// isPeer reports whether a container of this recording gets no policy: it, or its network owner, was passed to AsPeer,
// or the user labelled it as a peer. If another recording labelled a reused container, the label does not count here.
func (r *resolution) isPeer(c docker.Container) bool {
	c = networkOwner(r.engine, c)
	if r.attachments[c.ID].peer {
		return true
	}
	by := c.Labels[docker.LabelRecording]
	return docker.IsPeer(c.Labels) && (by == "" || by == r.id)
}
