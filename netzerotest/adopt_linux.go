package netzerotest

import (
	"github.com/netzero-dev/netzero/internal/docker"
)

// claimPeer says that a container is this recording's, and gets no policy.
func (m *membership) claimPeer(id, name string) {
	m.claim(id, name)
	m.capture.mu.Lock()
	defer m.capture.mu.Unlock()
	c := m.capture.containers.claims[id]
	if c.peers == nil {
		c.peers = make(map[*membership]bool)
	}
	c.peers[m] = true
}

// claimedAs returns the name that the test gave a container of this recording, or "".
func (m *membership) claimedAs(id string) string {
	m.capture.mu.Lock()
	defer m.capture.mu.Unlock()
	if c := m.capture.containers.claims[id]; c != nil {
		return c.by[m]
	}
	return ""
}

// adopt records a container that was claimed and runs already, from now on.
func (m *membership) adopt(id string) { m.capture.watchOlder(id) }

// fromPeer reports whether a container opened a flow that has no policy which could allow it.
func (s *settling) fromPeer(l located) bool { return l.from != nil && s.isPeer(*l.from) }

// isPeer reports whether a container of this recording gets no policy: it, or the one whose network it uses, was
// passed to AsPeer, or has the label of a peer from the user. The label that another recording gave a reused
// container says nothing about this one.
func (s *settling) isPeer(c docker.Container) bool {
	c = home(s.engine, c)
	if claim := s.capture.containers.claims[c.ID]; claim != nil && claim.peers[s.membership] {
		return true
	}
	by := c.Labels[docker.LabelRecording]
	return docker.IsPeer(c.Labels) && (by == "" || by == s.id)
}
