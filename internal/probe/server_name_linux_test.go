package probe

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/netzero-dev/netzero/internal/hostname"
	"github.com/netzero-dev/netzero/internal/testenv"
)

// drain returns the address of a TCP listener that reads everything and sends nothing.
func drain(t *testing.T, network, address string) netip.AddrPort {
	t.Helper()
	return sink(t, network, address).Addr().(*net.TCPAddr).AddrPort()
}

// sendPayload connects, writes each piece as a segment of its own, and waits until all are received.
func sendPayload(t *testing.T, to netip.AddrPort, pieces ...[]byte) {
	t.Helper()
	c, err := net.Dial("tcp", to.String())
	check(t, err)
	defer c.Close()
	for _, p := range pieces {
		_, err := c.Write(p)
		check(t, err)
	}
	check(t, c.(*net.TCPConn).CloseWrite())
	c.SetReadDeadline(time.Now().Add(patience))
	if _, err := c.Read(make([]byte, 1)); err != io.EOF {
		t.Fatalf("the server: %v", err)
	}
}

// serverNames returns the name events with their counts, sorted: "tls api.test x3"; with ", match" if a question was
// pending.
func (r *rig) serverNames() []string {
	r.t.Helper()
	events := seen[*NameEvent](r)
	counts, err := r.NameCounts()
	check(r.t, err)
	var lines []string
	for _, e := range events {
		what, name, err := "nothing", "", error(nil)
		switch e.Source {
		case NamesByTLS:
			what = "tls"
			name, err = hostname.FromTLS(e.Text)
		case NamesByTLSOuter:
			what = "tls-outer"
			name, err = hostname.FromTLS(e.Text)
		case NamesByHTTP:
			what = "http"
			name, err = hostname.FromHTTP(e.Text)
		}
		if err != nil {
			name = "refused"
		}
		line := fmt.Sprintf("%s %s x%d", what, name, counts[e.ServerNameKey])
		if e.DNSMatch {
			line += ", match"
		}
		lines = append(lines, line)
	}
	slices.Sort(lines)
	return lines
}

// one splits b into segments of one byte.
func one(b []byte) (pieces [][]byte) { return slices.Collect(slices.Chunk(b, 1)) }

func TestServerNames_FirstPayload(t *testing.T) {
	testenv.Recorded(t, "TLS server names, if DNS returned no name")
	testenv.Recorded(t, "HTTP Host headers, if DNS returned no name")
	hello := clientHello(t, "api.pay.test")
	small := handshake(serverName("api.pay.test"))
	request := []byte("GET /v1?a=b HTTP/1.1\r\nUser-Agent: x\r\nHostile: y\r\nhOsT:  API.pay.test:8080\r\n\r\n")
	enterNetns(t)
	r := newRig(t, Sizes{})
	for _, row := range []struct {
		reason string
		pieces [][]byte
		want   string // empty: no event
	}{
		{"a hello in one segment", [][]byte{hello}, "tls api.pay.test"},
		{"a hello in two", [][]byte{hello[:700], hello[700:]}, "tls api.pay.test"},
		{"a hello with a split record header", [][]byte{hello[:3], hello[3:]}, "tls api.pay.test"},
		{"one byte a segment", one(records(small, 1<<14)), "tls api.pay.test"},
		{"a hello in records of one byte", [][]byte{records(small, 1)}, "tls api.pay.test"},
		{"a hello in records of 50 bytes, in segments of 33",
			slices.Collect(slices.Chunk(records(small, 50), 33)), "tls api.pay.test"},
		{"the name in the last extension",
			[][]byte{records(handshake(ext{51, make([]byte, 9000)}, serverName("api.pay.test")), 5000)}, "tls api.pay.test"},
		{"a hello with an encrypted one",
			[][]byte{records(handshake(serverName("front.test"), ext{0xfe0d, make([]byte, 200)}), 1<<14)},
			"tls-outer front.test"},
		{"the same, in the other order",
			[][]byte{records(handshake(ext{0xfe0d, make([]byte, 200)}, serverName("front.test")), 1<<14)},
			"tls-outer front.test"},
		{"data after the hello", [][]byte{append(records(small, 1<<14), make([]byte, 60000)...)}, "tls api.pay.test"},
		{"a hello without a name", [][]byte{records(handshake(ext{43, []byte{2, 3, 4}}), 1<<14)}, "nothing "},
		{"a hello without extensions",
			[][]byte{records(append([]byte{1, 0, 0, 41, 3, 3}, append(make([]byte, 33), 0, 2, 0x13, 1, 1, 0)...), 1<<14)},
			"nothing "},
		{"an address instead of a name", [][]byte{records(handshake(serverName("203.0.113.9")), 1<<14)}, "tls refused"},

		{"a request", [][]byte{request}, "http api.pay.test"},
		{"a request, one byte a segment", one(request), "http api.pay.test"},
		{"a long line before the header",
			[][]byte{[]byte("POST / HTTP/1.0\nCookie: " + strings.Repeat("x", 8000) + "\nHost: a.test\n\n")}, "http a.test"},
		{"a request without the header",
			[][]byte{[]byte("GET / HTTP/1.0\r\nHostile: a.test\r\n\r\nHost: b.test\r\n")}, "nothing "},
		{"a request to a proxy", [][]byte{[]byte("GET http://a.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n")}, "nothing "},
		{"a tunnel through a proxy",
			[][]byte{[]byte("CONNECT a.test:443 HTTP/1.1\r\nHost: a.test:443\r\n\r\n")}, "nothing "},
		{"HTTP/2 without TLS", [][]byte{[]byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")}, "nothing "},
		{"another text protocol", [][]byte{[]byte("EHLO a.test\r\nHost: b.test\r\n")}, "nothing "},
		{"another binary protocol", [][]byte{{0, 0, 0, 8, 4, 0xd2, 0x16, 0x2f}}, "nothing "},
		{"no payload", nil, ""},

		{"an alert instead of a handshake", [][]byte{{21, 3, 1, 0, 2, 2, 80}}, "nothing "},
		{"another handshake message", [][]byte{records(append([]byte{2}, small[1:]...), 1<<14)}, "nothing "},
		{"an empty record", [][]byte{{22, 3, 1, 0, 0}}, "nothing "},
		{"a record over the length limit", [][]byte{{22, 3, 1, 0xff, 0xff, 1}}, "nothing "},
		{"a hello that ends early", [][]byte{hello[:40]}, "nothing "},
		{"a request that ends early", [][]byte{request[:30]}, "nothing "},
		{"extensions longer than the hello",
			[][]byte{records(slices.Replace(slices.Clone(small), 77, 79, 0xff, 0xff), 1<<14)}, "nothing "},
		{"a hello that never ends",
			[][]byte{records(append([]byte{1, 0xff, 0xff, 0xff}, make([]byte, 70000)...), 1<<14)}, "nothing "},
		{"a name over the length limit",
			[][]byte{records(handshake(serverName(strings.Repeat("a", 600))), 1<<14)}, "nothing "},
		{"the longest name within the limit",
			[][]byte{records(handshake(serverName(strings.Repeat("a", 507))), 1<<14)}, "tls refused"},
		{"two extensions: the first one counts",
			[][]byte{records(handshake(serverName("a.test"), serverName("b.test")), 1<<14)}, "tls a.test"},
		{"a header that never ends",
			[][]byte{[]byte("GET / HTTP/1.1\r\nHost: " + strings.Repeat("a", 600) + "\r\n\r\n")}, "nothing "},
		{"a head that never ends", [][]byte{[]byte("GET / HTTP/1.1\r\n" + strings.Repeat("A: b\r\n", 20000))}, "nothing "},
	} {
		for _, address := range []string{netnsAddr4, netnsAddr6} {
			to := drain(t, "tcp", address)
			r.clear()
			sendPayload(t, to, row.pieces...)
			var want []string
			if row.want != "" {
				want = []string{row.want + " x1"}
			}
			if diff := cmp.Diff(want, r.serverNames()); diff != "" {
				t.Errorf("%s, to %s: names (-want +got):\n%s", row.reason, to, diff)
			}
			if flows := seen[*FlowEvent](r); len(flows) != 1 {
				t.Errorf("%s: %d flows, want 1", row.reason, len(flows))
			}
		}
	}
	r.mustLoseNothing()
}

func TestServerNames_RepeatsFold(t *testing.T) {
	testenv.Recorded(t, "server names with the same address are distinguished")
	enterNetns(t)
	r := newRig(t, Sizes{})
	to := drain(t, "tcp", netnsAddr4)
	r.clear()
	edge := records(handshake(serverName("edge.cdn.test")), 1<<14)
	other := records(handshake(serverName("OTHER.on-cdn.test")), 1<<14)
	for range 1000 {
		sendPayload(t, to, edge)
	}
	if diff := cmp.Diff([]string{"tls edge.cdn.test x1000"}, r.serverNames()); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
	r.clear()
	// The flow is known, the name is new.
	sendPayload(t, to, other)
	sendPayload(t, to, records(handshake(serverName("other.on-cdn.test")), 1<<14))
	sendPayload(t, to)
	if diff := cmp.Diff([]string{"tls other.on-cdn.test x2"}, r.serverNames()); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
	if flows := seen[*FlowEvent](r); len(flows) != 0 {
		t.Errorf("the flow was reported %d more times", len(flows))
	}
	r.clear()
	sendPayload(t, to, []byte("neither"))
	if diff := cmp.Diff([]string{"nothing  x1"}, r.serverNames()); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
	r.mustLoseNothing()
}

func TestServerNames_FastOpen(t *testing.T) {
	enterNetns(t)
	r := newRig(t, Sizes{})
	to := drain(t, "tcp4", netnsAddr4)
	r.clear()
	hello := records(handshake(serverName("fast.test")), 1<<14)
	for range 2 { // the first one gets the cookie, if the server has one
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		check(t, err)
		check(t, unix.Sendto(fd, hello, unix.MSG_FASTOPEN, &unix.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().As4()}))
		check(t, unix.Shutdown(fd, unix.SHUT_WR))
		unix.Read(fd, make([]byte, 1))
		unix.Close(fd)
	}
	if diff := cmp.Diff([]string{"tls fast.test x2"}, r.serverNames()); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
}

func TestLoss_ServerNameTableFull(t *testing.T) {
	testenv.Recorded(t, "server names are counted as lost if their table is full")
	enterNetns(t)
	r := newRig(t, Sizes{MaxFlows: 16})
	to := drain(t, "tcp", netnsAddr4)
	r.clear()
	const names = 100
	for i := range names {
		sendPayload(t, to, records(handshake(serverName(fmt.Sprintf("host%d.test", i))), 1<<14))
	}
	lost, err := r.Lost()
	check(t, err)
	if got := len(r.serverNames()); lost.NameSlots < names-16-8 || got+int(lost.NameSlots) != names {
		t.Errorf("%d names and %d lost are not %d, most of them lost", got, lost.NameSlots, names)
	}
}

func TestLoss_RingFullForServerName(t *testing.T) {
	enterNetns(t)
	r := newRig(t, Sizes{RingBytes: 4096})
	to := drain(t, "tcp", netnsAddr4)
	r.clear()
	r.queue.mu.Lock() // the reader waits for it
	const names = 100
	for i := range names {
		sendPayload(t, to, records(handshake(serverName(fmt.Sprintf("host%d.test", i))), 1<<14))
	}
	r.queue.mu.Unlock()
	lost, err := r.Lost()
	check(t, err)
	if got := len(r.serverNames()); lost.NameEvents == 0 || got+int(lost.NameEvents) != names {
		t.Errorf("%d names and %d lost are not %d, some of them lost", got, lost.NameEvents, names)
	}
}

// Some kernels show the socket that sends the payload. Others show only the MPTCP socket above it, and no name can be
// read.
func TestServerNames_MPTCP(t *testing.T) {
	const mptcp = 262
	enterNetns(t)
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, mptcp)
	if err != nil {
		t.Logf("no MPTCP, see TestMPTCP_IsTCP: %v", err)
		return
	}
	defer unix.Close(fd)
	r := newRig(t, Sizes{})
	to := drain(t, "tcp4", netnsAddr4)
	sendPayload(t, to, records(handshake(serverName("api.pay.test")), 1<<14))
	r.clear()
	check(t, unix.Connect(fd, &unix.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().As4()}))
	_, err = unix.Write(fd, records(handshake(serverName("other.test")), 1<<14))
	check(t, err)
	check(t, unix.Shutdown(fd, unix.SHUT_WR))
	unix.Read(fd, make([]byte, 1))
	if got := strings.Join(r.serverNames(), ", "); got != "tls other.test x1" && got != "nothing  x1" {
		t.Errorf("server names are %q", got)
	}
}

func TestServerNames_LoopbackIsNotRead(t *testing.T) {
	enterNetns(t)
	r := newRig(t, Sizes{})
	hello := records(handshake(serverName("api.pay.test")), 1<<14)
	for address, want := range map[string][]string{
		"127.0.0.1:0":     nil,
		"127.7.0.1:0":     nil,
		"[::1]:0":         nil,
		"198.19.127.1:0":  {"tls api.pay.test x1"},
		"[2001:db8::1]:0": {"tls api.pay.test x1"},
	} {
		to := drain(t, "tcp", address)
		r.clear()
		sendPayload(t, to, hello)
		if diff := cmp.Diff(want, r.serverNames()); diff != "" {
			t.Errorf("%s: names (-want +got):\n%s", address, diff)
		}
		if flows := seen[*FlowEvent](r); len(flows) != 1 {
			t.Errorf("%s: %d flows, want 1", address, len(flows))
		}
	}
	r.mustLoseNothing()
}

// A socket may connect again after a failure. Its payload then does not name the first address.
func TestServerNames_ReconnectToLoopback(t *testing.T) {
	enterNetns(t)
	r := newRig(t, Sizes{})
	to := drain(t, "tcp4", "127.0.0.1:0")
	r.clear()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	check(t, err)
	defer unix.Close(fd)
	if err := unix.Connect(fd, &unix.SockaddrInet4{Port: 9, Addr: [4]byte{198, 18, 0, 1}}); err != unix.ECONNREFUSED {
		t.Fatalf("connect to a closed port: %v", err)
	}
	check(t, unix.Connect(fd, &unix.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().As4()}))
	_, err = unix.Write(fd, records(handshake(serverName("api.pay.test")), 1<<14))
	check(t, err)
	check(t, unix.Shutdown(fd, unix.SHUT_WR))
	unix.Read(fd, make([]byte, 1))
	if got := r.serverNames(); len(got) > 0 {
		t.Errorf("server names are %q", got)
	}
	r.mustLoseNothing()
}

// A lookup without a connection leaves its question pending: the next connection consumes it, even for another name.
func TestServerNames_DifferFromQuestion(t *testing.T) {
	enterNetns(t)
	r, s := newRig(t, Sizes{}), newResolver(t)
	to := drain(t, "tcp4", netnsAddr4)
	elsewhere := drain(t, "tcp4", netnsAddr4)
	hello := func(name string) []byte { return records(handshake(serverName(name)), 1<<14) }
	for i, step := range []struct {
		reason string
		query  bool
		to     netip.AddrPort
		name   string
		want   []string
	}{
		{"the name of the question", true, to, "asked.test", []string{"tls asked.test x1, match"}},
		{"the same question and name again", true, to, "asked.test", nil},
		{"another name than the question's", true, to, "other.test", []string{"tls other.test x1, match"}},
		{"a name without a question", false, to, "third.test", []string{"tls third.test x1"}},
		{"another name than the question's, at another port", true, elsewhere, "other.test",
			[]string{"tls other.test x1, match"}},
	} {
		r.clear()
		if step.query {
			s.answer(message(t, "asked.test.", "asked.test. A "+to.Addr().String()))
		}
		sendPayload(t, step.to, hello(step.name))
		if diff := cmp.Diff(step.want, r.serverNames()); diff != "" {
			t.Errorf("step %d, %s: names (-want +got):\n%s", i, step.reason, diff)
		}
	}
	r.mustLoseNothing()
}
