package recorder

import (
	"github.com/netzero-dev/netzero/internal/docker"
)

// AttachPeer attaches a container to this recording that gets no policy.
func (m *Recording) AttachPeer(id, name string) {
	m.Attach(id, name)
	m.recorder.mu.Lock()
	defer m.recorder.mu.Unlock()
	attached := m.recorder.containers.attachments[id]
	if attached.peers == nil {
		attached.peers = make(map[*Recording]bool)
	}
	attached.peers[m] = true
}

// AttachedAs returns the name that the test gave a container of this recording, or "".
func (m *Recording) AttachedAs(id string) string {
	m.recorder.mu.Lock()
	defer m.recorder.mu.Unlock()
	if attached := m.recorder.containers.attachments[id]; attached != nil {
		return attached.names[m]
	}
	return ""
}

// AttachRunning records an attached container that runs already, from now on.
func (m *Recording) AttachRunning(id string) { m.recorder.watchRunning(id) }

// fromPeer reports whether the initiator of a flow is a container without a policy.
func (r *resolution) fromPeer(f attributedFlow) bool { return f.from != nil && r.isPeer(*f.from) }

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
