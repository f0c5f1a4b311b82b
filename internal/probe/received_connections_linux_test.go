package probe

import (
	"context"
	"io"
	"net"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// No connect in scope reported these connections, and user space did not track them: this process may have received
// them, or duplicated them.
func TestReceivedConnections_BelongToSender(t *testing.T) {
	requireSender(t)
	for _, row := range []struct {
		reason, network, address string
		used                     bool // before the recording
	}{
		{"idle since it was opened", "tcp4", "127.0.0.1:0", false},
		{"used before, IPv6", "tcp6", "[::1]:0", true},
	} {
		t.Run(row.reason, func(t *testing.T) {
			client, server := pair(t, row.network, row.address)
			if row.used {
				transfer(t, client, server)
				transfer(t, server, client)
			}
			r := newRig(t, Sizes{})
			r.clear()
			transfer(t, server, client)
			transfer(t, server, client)
			if got := r.flows(); len(got) > 0 {
				t.Fatalf("an accepted connection or an acknowledgement is a flow: %v", got)
			}
			for range 2 {
				r.clear()
				transfer(t, client, server)
				transfer(t, client, server)
				if diff := cmp.Diff([]string{text(flow.TCP, remoteOf(client), 1)}, r.flows()); diff != "" {
					t.Fatalf("flows (-want +got):\n%s", diff)
				}
				e := seen[*FlowEvent](r)[0]
				if e.Connection() == 0 || e.Opened != 0 || e.PID != r.self.PID || e.Cgroup != r.leaf.ID || e.Netns != r.self.Netns {
					t.Errorf("event %+v is not of a connection of this process (%+v)", e, r.self)
				}
				_, err := r.NextGeneration()
				check(t, err)
			}
			r.mustLoseNothing()
		})
	}
}

// Data in flight and retransmissions count for neither end.
func TestReceivedConnections_BusyInitiatorAndAcceptor(t *testing.T) {
	requireSender(t)
	for i := range 5 {
		t.Run(strconv.Itoa(i), func(t *testing.T) {
			client, server := pair(t, "tcp4", "127.0.0.1:0")
			for _, c := range []net.Conn{client, server} {
				go io.Copy(io.Discard, c)
				go func() {
					for b := make([]byte, 1<<20); ; {
						if _, err := c.Write(b); err != nil { // when the test closes it
							return
						}
					}
				}()
			}
			r := newRig(t, Sizes{})
			want := []string{text(flow.TCP, remoteOf(client), 1)}
			var got []string
			for deadline := time.Now().Add(patience); len(got) == 0 && time.Now().Before(deadline); got = r.flows() {
				time.Sleep(time.Millisecond)
			}
			time.Sleep(50 * time.Millisecond)                                  // for the other end to send too
			if diff := cmp.Diff(want, slices.Compact(r.flows())); diff != "" { // once in a generation
				t.Errorf("flows (-want +got):\n%s", diff)
			}
			client.Close()
			server.Close()
		})
	}
}

// The packets of MPTCP leave through sockets of the kernel, which no connect reports.
func TestMPTCP_EarlierOneReportedWhenItSends(t *testing.T) {
	requireSender(t)
	config := net.ListenConfig{}
	config.SetMultipathTCP(true)
	l, err := config.Listen(context.Background(), "tcp4", "127.0.0.1:0")
	check(t, err)
	defer l.Close()
	dialer := net.Dialer{}
	dialer.SetMultipathTCP(true)
	open := func() (client, server net.Conn) {
		client, err := dialer.Dial("tcp4", l.Addr().String())
		check(t, err)
		t.Cleanup(func() { client.Close() })
		server, err = l.Accept()
		check(t, err)
		t.Cleanup(func() { server.Close() })
		return client, server
	}
	client, server := open()
	if is, err := client.(*net.TCPConn).MultipathTCP(); err != nil || !is {
		t.Skip("the kernel has no MPTCP, or it is switched off")
	}
	r := newRig(t, Sizes{})
	want := []string{text(flow.TCP, remoteOf(client), 1)}
	for range 2 {
		r.clear()
		transfer(t, server, client)
		transfer(t, client, server)
		transfer(t, client, server)
		if diff := cmp.Diff(want, r.flows()); diff != "" {
			t.Errorf("an earlier connection: flows (-want +got):\n%s", diff)
		}
		_, err = r.NextGeneration()
		check(t, err)
	}
	r.clear()
	client, server = open()
	transfer(t, client, server)
	if diff := cmp.Diff(want, r.flows()); diff != "" {
		t.Errorf("a new connection: flows (-want +got):\n%s", diff)
	}
	_, err = r.NextGeneration()
	check(t, err)
	r.clear()
	transfer(t, server, client)
	transfer(t, client, server)
	if diff := cmp.Diff(want, r.flows()); diff != "" {
		t.Errorf("the new connection in the next generation: flows (-want +got):\n%s", diff)
	}
}
