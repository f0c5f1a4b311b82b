package recorder

import (
	"fmt"

	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// nameContainer adds the container that a flow goes to, and the published port that was dialled.
func (f *attributedFlow) nameContainer() {
	f.flow.Named, f.flow.Dialled = fmt.Sprintf("container %s (image %s)", f.to.Name, f.to.Image), 0
	if f.published {
		f.flow.Dialled = f.event.Port
	}
}

// namePeer adds the Peer that named the destination of a flow, and the port that was dialled if the Peer has another.
func (f *attributedFlow) namePeer() {
	peer := f.identity.Peer
	if f.flow.Destination.Evidence != flow.ByOption || peer.At == "" {
		return
	}
	f.flow.Named = "Peer at " + peer.At
	if peer.PodPort != 0 && peer.PodPort != f.event.Port {
		f.flow.Dialled = f.event.Port
	}
}
