package recorder

import (
	"github.com/netzero-dev/netzero/internal/docker"
)

// AttachPeer says that a container is this recording's, and gets no policy.
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

// AttachRunning records a container that was claimed and runs already, from now on.
func (m *Recording) AttachRunning(id string) { m.recorder.watchRunning(id) }

// fromPeer reports whether a container opened a flow that has no policy which could allow it.
func (r *resolution) fromPeer(l attributedFlow) bool { return l.from != nil && r.isPeer(*l.from) }

// isPeer reports whether a container of this recording gets no policy: it, or the one whose network it uses, was
// passed to AsPeer, or has the label of a peer from the user. The label that another recording gave a reused
// container says nothing about this one.
func (r *resolution) isPeer(c docker.Container) bool {
	c = networkOwner(r.engine, c)
	if r.attachments[c.ID].peer {
		return true
	}
	by := c.Labels[docker.LabelRecording]
	return docker.IsPeer(c.Labels) && (by == "" || by == r.id)
}
