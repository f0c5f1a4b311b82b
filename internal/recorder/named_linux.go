package recorder

import (
	"fmt"

	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// nameContainer notes which container a flow goes to, and at which published port it was dialled.
func (f *attributed) nameContainer(l located) {
	f.flow.Named, f.flow.Dialled = fmt.Sprintf("container %s (image %s)", l.to.Name, l.to.Image), 0
	if l.published {
		f.flow.Dialled = l.event.Port
	}
}

// namePeer notes which Peer named the destination of a flow, and the port that was dialled where the Peer has another.
func (f *attributed) namePeer(l located) {
	peer := f.identity.Peer
	if f.flow.Destination.Evidence != flow.ByOption || peer.At == "" {
		return
	}
	f.flow.Named = "Peer at " + peer.At
	if peer.PodPort != 0 && peer.PodPort != l.event.Port {
		f.flow.Dialled = l.event.Port
	}
}
