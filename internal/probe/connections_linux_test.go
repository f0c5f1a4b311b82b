package probe

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/netzero-dev/netzero/internal/goroutine"
	"github.com/netzero-dev/netzero/internal/testenv"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// pair returns both ends of a TCP connection over loopback.
func pair(t *testing.T, network, address string) (client, server net.Conn) {
	t.Helper()
	l, err := net.Listen(network, address)
	check(t, err)
	defer l.Close()
	client, err = net.Dial(network, l.Addr().String())
	check(t, err)
	t.Cleanup(func() { client.Close() })
	server, err = l.Accept()
	check(t, err)
	t.Cleanup(func() { server.Close() })
	return client, server
}

// transfer sends from one end of a connection to the other, and waits for the data to arrive.
func transfer(t *testing.T, from, to net.Conn) {
	t.Helper()
	_, err := from.Write([]byte("hello"))
	check(t, err)
	_, err = io.ReadFull(to, make([]byte, 5))
	check(t, err)
}

func remoteOf(c net.Conn) netip.AddrPort { return c.RemoteAddr().(*net.TCPAddr).AddrPort() }

func (r *rig) trackOwnSockets() {
	r.t.Helper()
	check(r.t, r.TrackSockets(os.Getpid(), r.leaf.ID, r.self.Netns, Initiator{PID: r.self.PID}))
	_, err := r.NextGeneration()
	check(r.t, err)
	r.clear()
}

func TestConnections_EarlierOneReportedWhenItSends(t *testing.T) {
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
			r.trackOwnSockets()
			transfer(t, server, client)
			if got := r.flows(); len(got) > 0 {
				t.Fatalf("an accepted connection or an acknowledgement is a flow: %v", got)
			}
			want := []string{text(flow.TCP, remoteOf(client), 1)}
			for range 2 {
				r.clear()
				transfer(t, client, server)
				transfer(t, client, server)
				if diff := cmp.Diff(want, r.flows()); diff != "" {
					t.Fatalf("flows (-want +got):\n%s", diff)
				}
				e := seen[*FlowEvent](r)[0]
				if e.Connection() == 0 || e.Opened != 0 || e.PID != r.self.PID || e.Cgroup != r.leaf.ID || e.Netns != r.self.Netns {
					t.Errorf("event %+v is not of an earlier connection of this process (%+v)", e, r.self)
				}
				_, err := r.NextGeneration()
				check(t, err)
			}
			r.clear()
			client.Close()
			if _, err := server.Read(make([]byte, 1)); err != io.EOF {
				t.Fatal(err)
			}
			if got := r.flows(); len(got) > 0 {
				t.Errorf("the end of a connection is a flow: %v", got)
			}
			r.mustLoseNothing()
		})
	}
}

func TestConnections_ReportedAgainInNextGeneration(t *testing.T) {
	r := newRig(t, Sizes{})
	client, server := pair(t, "tcp4", "127.0.0.1:0")
	transfer(t, client, server)
	opened := seen[*FlowEvent](r)
	r.clear()
	generation, err := r.NextGeneration()
	check(t, err)
	transfer(t, client, server)
	transfer(t, client, server)
	events := seen[*FlowEvent](r)
	if len(opened) != 1 || opened[0].Connection() != 0 || len(events) != 1 {
		t.Fatalf("got %d events, then %d, want 1 each", len(opened), len(events))
	}
	e := events[0]
	if e.Connection() == 0 || e.Opened != opened[0].Generation || e.Generation != generation || e.PID != r.self.PID {
		t.Errorf("event %+v is not of the connection opened in generation %d", e, opened[0].Generation)
	}
	connections, err := r.Connections(os.Getpid())
	check(t, err)
	if len(connections) != 1 || connections[0].ID != events[0].Connection() || connections[0].Key != opened[0].Key {
		t.Errorf("the connections of this process are %+v", connections)
	}
}

func TestConnections_EarlierServerNameHash(t *testing.T) {
	enterNetns(t) // names of servers on loopback are not read
	r := newRig(t, Sizes{})
	l, err := net.Listen("tcp4", netnsAddr4)
	check(t, err)
	defer l.Close()
	client, err := net.Dial("tcp4", l.Addr().String())
	check(t, err)
	defer client.Close()
	server, err := l.Accept()
	check(t, err)
	defer server.Close()
	request := "GET / HTTP/1.1\r\nHost: shop.test\r\n\r\n"
	_, err = io.WriteString(client, request)
	check(t, err)
	_, err = io.ReadFull(server, make([]byte, len(request)))
	check(t, err)
	names := seen[*NameEvent](r)
	_, err = r.NextGeneration()
	check(t, err)
	r.clear()
	transfer(t, client, server)
	events := seen[*FlowEvent](r)
	if len(names) != 1 || len(events) != 1 || events[0].Hint == 0 || events[0].Hint != names[0].Hash {
		t.Errorf("names %+v, then %+v", names, events)
	}
}

func TestConnections_ConnectingDuringStart(t *testing.T) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	check(t, err)
	defer unix.Close(fd)
	check(t, unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	check(t, unix.Listen(fd, 0)) // a backlog of one
	name, err := unix.Getsockname(fd)
	check(t, err)
	to, _ := addrPort(name)
	first, err := net.Dial("tcp4", to.String())
	check(t, err)
	defer first.Close()
	second, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	check(t, err)
	defer unix.Close(second)
	if err := unix.Connect(second, name); err != unix.EINPROGRESS {
		t.Fatalf("the connection is not in progress: %v", err)
	}
	r := newRig(t, Sizes{})
	r.trackOwnSockets()
	accepted, _, err := unix.Accept(fd)
	check(t, err)
	defer unix.Close(accepted)
	_, err = unix.Poll([]unix.PollFd{{Fd: int32(second), Events: unix.POLLOUT}}, 30_000)
	check(t, err)
	if got := r.flows(); len(got) > 0 {
		t.Errorf("a connection without payload is a flow: %v", got)
	}
	_, err = unix.Write(second, []byte("hello"))
	check(t, err)
	if diff := cmp.Diff([]string{text(flow.TCP, to, 1)}, r.flows()); diff != "" {
		t.Errorf("flows (-want +got):\n%s", diff)
	}
}

// A busy connection has data in flight and retransmissions. The kernel counts both.
func TestConnections_BusyInitiatorAndAcceptor(t *testing.T) {
	client, server := pair(t, "tcp4", "127.0.0.1:0")
	stop := make(chan struct{})
	for _, c := range []net.Conn{client, server} {
		go io.Copy(io.Discard, c)
		go func() {
			for b := make([]byte, 1<<20); ; {
				if _, err := c.Write(b); err != nil {
					return
				}
				select {
				case <-stop:
					return
				default:
				}
			}
		}()
	}
	defer close(stop)
	for range 1000 {
		for c, want := range map[net.Conn]bool{client: true, server: false} {
			raw, err := c.(*net.TCPConn).SyscallConn()
			check(t, err)
			raw.Control(func(fd uintptr) {
				if got := isInitiator(int(fd)); got != want {
					t.Fatalf("initiator: %t, want %t", got, want)
				}
			})
		}
	}
}

func TestConnections_RetransmissionIsNoFlow(t *testing.T) {
	testenv.RequireCommand(t, "iptables", "iptables")
	enterNetns(t)
	r := newRig(t, Sizes{})
	iptables := func(args ...string) {
		t.Helper()
		if out, err := exec.Command("iptables", append([]string{"-w"}, args...)...).CombinedOutput(); err != nil {
			t.Fatalf("iptables %q: %v\n%s", args, err, out)
		}
	}
	client, server := pair(t, "tcp4", "127.0.0.1:0")
	transfer(t, client, server)
	rule := []string{"INPUT", "-p", "tcp", "--dport", fmt.Sprint(remoteOf(client).Port()), "-j", "DROP"}
	iptables(append([]string{"-A"}, rule...)...)
	_, err := client.Write([]byte("lost!"))
	check(t, err)
	_, err = r.NextGeneration()
	check(t, err)
	r.clear()
	iptables(append([]string{"-D"}, rule...)...)
	_, err = io.ReadFull(server, make([]byte, 5))
	check(t, err)
	if got := r.flows(); len(got) > 0 {
		t.Errorf("a retransmission is a flow: %v", got)
	}
	transfer(t, client, server)
	if diff := cmp.Diff([]string{text(flow.TCP, remoteOf(client), 1)}, r.flows()); diff != "" {
		t.Errorf("flows (-want +got):\n%s", diff)
	}
}

func TestConnections_ReportedPerSendingRecording(t *testing.T) {
	const sender = "probe.TestConnections_ReportedPerSendingRecording.func1.1"
	r := newAttributionRig(t)
	client, server := pair(t, "tcp4", "127.0.0.1:0")
	check(t, r.SetConcurrent(true))
	sendAs := func(id goroutine.ID) {
		t.Helper()
		done := make(chan struct{})
		go func() {
			defer close(done)
			if id != 0 {
				defer goroutine.Mark(id)()
			}
			if _, err := client.Write([]byte("hello")); err != nil {
				t.Error(err)
			}
		}()
		<-done
		_, err := io.ReadFull(server, make([]byte, 5))
		check(t, err)
	}
	first, second := goroutine.NewID(), goroutine.NewID()
	for _, row := range []struct {
		reason string
		by     []goroutine.ID
		want   []goroutine.ID
	}{
		{"in the generation of the connect", []goroutine.ID{0, first, second, first}, []goroutine.ID{first, second}},
		{"in the next one", []goroutine.ID{second, second, first}, []goroutine.ID{second, first}},
		{"first by no recording", []goroutine.ID{0, 0, second}, []goroutine.ID{0, second}},
	} {
		r.clear()
		for _, id := range row.by {
			sendAs(id)
		}
		var got []goroutine.ID
		for _, e := range seen[*FlowEvent](r) {
			got = append(got, e.Recording)
			if e.Connection() == 0 || e.Recording != 0 && !hasFrame(e.Stack, sender) {
				t.Errorf("%s: event %+v is not of the connection, or not of the sending goroutine", row.reason, e)
			}
		}
		if diff := cmp.Diff(row.want, got); diff != "" {
			t.Errorf("%s: reported for (-want +got):\n%s", row.reason, diff)
		}
		_, err := r.NextGeneration()
		check(t, err)
	}
	check(t, r.SetConcurrent(false))
	r.clear()
	sendAs(first)
	sendAs(second)
	if events := seen[*FlowEvent](r); len(events) != 1 || events[0].Recording != first {
		t.Errorf("with one recording, the connection is reported as %+v", events)
	}
}

// Data that a full window held back leaves when the other end reads. Here that happens on the thread of another
// recording's goroutine, which does not send.
func TestConnections_DelayedPayloadIsNotTheReaders(t *testing.T) {
	r := newAttributionRig(t)
	client, server := pair(t, "tcp4", "127.0.0.1:0")
	check(t, r.SetConcurrent(true))
	as := func(id goroutine.ID, f func()) {
		done := make(chan struct{})
		go func() {
			defer close(done)
			defer goroutine.Mark(id)()
			f()
		}()
		<-done
	}
	raw, err := client.(*net.TCPConn).SyscallConn()
	check(t, err)
	written, unsent := 0, 0
	as(goroutine.NewID(), func() {
		err = raw.Write(func(fd uintptr) bool {
			for b := make([]byte, 1<<16); ; {
				n, err := unix.Write(int(fd), b)
				if err != nil {
					break
				}
				written += n
			}
			unsent, _ = unix.IoctlGetInt(int(fd), unix.SIOCOUTQNSD)
			return true
		})
	})
	check(t, err)
	if unsent == 0 {
		t.Fatalf("all %d bytes left at once", written)
	}
	r.clear()
	as(goroutine.NewID(), func() { _, err = io.CopyN(io.Discard, server, int64(written)) })
	check(t, err)
	for _, e := range seen[*FlowEvent](r) {
		t.Errorf("reported for recording %q: %+v", e.Recording, e)
	}
	r.mustLoseNothing()
}

// The labels of a child's goroutines do not count, although it is the same program. It belongs to the recording that
// started it.
func TestConnections_ChildBelongsToStarter(t *testing.T) {
	r := newAttributionRig(t)
	check(t, r.SetConcurrent(true))
	to := listenForever(t)
	id := goroutine.NewID()
	var goOn func()
	r.runLabelled(id, func() {
		goOn = group{t: t, dir: r.leaf.Path, id: r.leaf.ID}.start("stream "+to, "wait", "stream "+to, "wait")
	})
	_, err := r.NextGeneration()
	check(t, err)
	r.clear()
	goOn()
	r.mustBeAttributed("TCP "+to, id)
	goOn()
}

// A child sends on a connection of this process. No goroutine of this process sends, and the recording that opened the
// connection is not the sender.
func TestConnections_ChildSendsOnInheritedSocket(t *testing.T) {
	r := newAttributionRig(t)
	check(t, r.SetConcurrent(true))
	id := goroutine.NewID()
	var client, server net.Conn
	r.runLabelled(id, func() { client, server = pair(t, "tcp4", "127.0.0.1:0") })
	_, err := r.NextGeneration()
	check(t, err)
	file, err := client.(*net.TCPConn).File()
	check(t, err)
	defer file.Close()
	cmd := descendant("write")
	cmd.ExtraFiles = []*os.File{file}
	r.clear()
	check(t, cmd.Run())
	_, err = io.ReadFull(server, make([]byte, 5))
	check(t, err)
	events := seen[*FlowEvent](r)
	// Where the programs cannot read senders, it is the recording that opened the connection.
	if len(events) != 1 || events[0].Recording != goroutine.Unread && events[0].Recording != id {
		t.Errorf("reported as %+v, want one flow of an unknown recording", events)
	}
}

// listenForever returns the address of a TCP listener that keeps the connections that it accepts.
func listenForever(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	check(t, err)
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			defer c.Close() // when the listener is closed
		}
	}()
	return l.Addr().String()
}
