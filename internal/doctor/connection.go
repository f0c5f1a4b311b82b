package doctor

import (
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/netzero-dev/netzero/internal/probe"
)

// connection is a connection that is recorded to prove that recording works.
type connection struct {
	seen chan netip.AddrPort // destinations of flows
}

func newConnection() *connection { return &connection{make(chan netip.AddrPort, 1024)} }

// handle is the function of a probe.Handler.
func (c *connection) handle(events []probe.Event) {
	for _, e := range events {
		if e, is := e.(*probe.FlowEvent); is {
			select {
			case c.seen <- netip.AddrPortFrom(e.Addr.Unmap(), e.Port):
			default: // the channel is full: check needs one of its events
			}
		}
	}
}

// eventTime is how long an event may take on an overloaded machine.
const eventTime = 10 * time.Second

// check opens a connection to this process and waits until it is recorded.
func (c *connection) check() Check {
	server, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return failed(Recording, err)
	}
	defer server.Close()
	want := server.Addr().(*net.TCPAddr).AddrPort()
	client, err := net.Dial("tcp", want.String())
	if err != nil {
		return failed(Recording, err)
	}
	defer client.Close()
	for deadline := time.After(eventTime); ; {
		select {
		case got := <-c.seen:
			if got == want {
				return Check{Name: Recording, Status: OK, Detail: fmt.Sprintf("saw a connection to %s", got)}
			}
		case <-deadline:
			return failed(Recording, fmt.Errorf("a connection to %s is not recorded", want))
		}
	}
}
