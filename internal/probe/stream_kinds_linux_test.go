package probe

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/netzero-dev/netzero/netzerotest/flow"
)

func TestStream_OpaqueFromTheStart(t *testing.T) {
	r := newStreamRig(t, Sizes{})
	for _, row := range []struct {
		reason string
		sent   string
		want   StreamOpaque
	}{
		{"a TLS record", "\x16\x03\x01\x02\x00", StreamTLS},
		{"binary", "\x01\x02", StreamOther},
		{"not quite TLS", "\x16\x02", StreamOther},
		{"SSH", "SSH-2.0-OpenSSH_10.0\r\n", StreamOther},
		{"SMTP", "EHLO client\r\n", StreamOther},
		{"Redis", "*1\r\n$4\r\nPING\r\n", StreamOther},
		{"Postgres with TLS", "\x00\x00\x00\x08\x04\xd2\x16\x2f", StreamOther},
		{"a head without end", "GET / HTTP/1.1\r\nX: " + strings.Repeat("x", 2<<20), StreamLimit},
		{"tunnelled bytes", "CONNECT a:443 HTTP/1.1\r\n\r\n\x16\x03" + strings.Repeat("x", 1<<20), StreamOther},
		{"another protocol after an upgrade",
			"GET / HTTP/1.1\r\nUpgrade: websocket\r\n\r\n" + strings.Repeat("\x81\x05", 5000), StreamOther},
		{"a request without HTTP", "POST\n\n\nGET", StreamOther},
	} {
		for _, size := range []int{1 << 20, 1} {
			if len(row.sent)/size > 1000 {
				continue
			}
			s := r.send(sink(t, "tcp", "127.0.0.1:0"), []byte(row.sent), size)
			if s.opaque != row.want || s.after != 0 {
				t.Errorf("%s, segments of %d: opaque %d, want %d; %d events after that",
					row.reason, size, s.opaque, row.want, s.after)
			}
		}
	}
	r.mustLoseNothing()
}

func TestStream_ClientHello(t *testing.T) {
	r := newStreamRig(t, Sizes{})
	l := sink(t, "tcp", "127.0.0.1:0")
	c, err := net.Dial("tcp", l.Addr().String())
	check(t, err)
	cookie := cookieOf(t, c)
	check(t, c.SetDeadline(time.Now().Add(100*time.Millisecond)))
	_ = tls.Client(c, &tls.Config{ServerName: "api.pay.test"}).Handshake() // nobody answers
	check(t, c.Close())
	if s := r.get(cookie); s.opaque != StreamTLS || len(s.bytes) > 2 {
		t.Errorf("opaque %d, %d bytes: want TLS, and at most the first two bytes", s.opaque, len(s.bytes))
	}
}

func TestStream_BigBodyIsCounted(t *testing.T) {
	size := 400 << 20
	if testing.Short() { // on an emulated CPU
		size = 8 << 20
	}
	r := newStreamRig(t, Sizes{})
	l := sink(t, "tcp", "127.0.0.1:0")
	c, err := net.Dial("tcp", l.Addr().String())
	check(t, err)
	cookie := cookieOf(t, c)
	head := fmt.Sprintf("PUT /big HTTP/1.1\r\nContent-Length: %d\r\n\r\n", size)
	_, err = io.WriteString(c, head)
	check(t, err)
	file, err := os.CreateTemp(t.TempDir(), "")
	check(t, err)
	defer file.Close()
	check(t, file.Truncate(int64(size)))
	_, err = io.Copy(c, file) // sendfile
	check(t, err)
	_, err = io.WriteString(c, "GET /next HTTP/1.1\r\n\r\n")
	check(t, err)
	check(t, c.(*net.TCPConn).CloseWrite())
	_, err = io.Copy(io.Discard, c)
	check(t, err)
	check(t, c.Close())
	s := r.get(cookie)
	if s.opaque != 0 || !s.ended || s.skipped != uint64(size) || s.pieces > 3 {
		t.Errorf("opaque %d, ended %v, %d bytes skipped of %d, %d pieces", s.opaque, s.ended, s.skipped, size, s.pieces)
	}
	r.mustLoseNothing()
}

func TestStream_FullRingIsALoss(t *testing.T) {
	r := newStreamRig(t, Sizes{RequestRingBytes: 64 << 10})
	r.mu.Lock()
	sent := bytes.Repeat(request("GET", "/"+strings.Repeat("a", 4000), 0), 200)
	l := sink(t, "tcp", "127.0.0.1:0")
	c, err := net.Dial("tcp", l.Addr().String())
	check(t, err)
	cookie := cookieOf(t, c)
	_, err = c.Write(sent)
	r.mu.Unlock()
	check(t, err)
	check(t, r.Sync())
	_, err = c.Write(sent) // this packet has room for the event that was not sent
	check(t, err)
	check(t, c.Close())
	if s := r.get(cookie); s.opaque != StreamLost || s.after != 0 {
		t.Errorf("opaque %d, %d events after that: want a loss", s.opaque, s.after)
	}
	lost, err := r.Lost()
	check(t, err)
	if lost.StreamEvents == 0 || lost != (Loss{StreamEvents: lost.StreamEvents}) {
		t.Errorf("lost %+v, want stream events only", lost)
	}
	if text := (&LossError{lost}).Error(); !strings.Contains(text, "raise NETZERO_REQUEST_RING_BYTES") {
		t.Errorf("%q has no remedy", text)
	}
}

func TestStream_EarlierConnectionIsNone(t *testing.T) {
	r := openStreamRig(t, Sizes{})
	l := sink(t, "tcp", "127.0.0.1:0")
	c, err := net.Dial("tcp", l.Addr().String())
	check(t, err)
	defer c.Close()
	check(t, r.EnableRequests())
	check(t, r.EnableRequests())
	_, err = io.WriteString(c, "GET / HTTP/1.1\r\n\r\n")
	check(t, err)
	if s := r.of(cookieOf(t, c)); len(s) != 0 {
		t.Errorf("a connection from before is read: %+v", s)
	}
	sent := []byte("GET / HTTP/1.1\r\n\r\n")
	s := r.send(l, sent, 100)
	s.mustBe(t, sent)
	key := s.opened[0]
	if _, err := r.Invalidate(key); err != nil || key.Port != l.Addr().(*net.TCPAddr).AddrPort().Port() {
		t.Errorf("the key %+v is no flow's: %v", key, err)
	}
}

func TestStream_ServerHasNone(t *testing.T) {
	r := newStreamRig(t, Sizes{})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	defer l.Close()
	c, err := net.Dial("tcp", l.Addr().String())
	check(t, err)
	defer c.Close()
	accepted, err := l.Accept()
	check(t, err)
	defer accepted.Close()
	_, err = io.WriteString(accepted, "GET / HTTP/1.1\r\n\r\n")
	check(t, err)
	if s := r.of(cookieOf(t, accepted)); len(s) != 0 {
		t.Errorf("an accepted connection is read: %+v", s)
	}
}

// A socket may connect again after a failure, to another server.
func TestStream_SecondConnectOfASocket(t *testing.T) {
	r := newStreamRig(t, Sizes{})
	closed := listen(t, "tcp4", "127.0.0.1:0")
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	check(t, err)
	refused := l.Addr().(*net.TCPAddr).AddrPort()
	check(t, l.Close())
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	check(t, err)
	defer unix.Close(fd)
	err = unix.Connect(fd, &unix.SockaddrInet4{Addr: refused.Addr().As4(), Port: int(refused.Port())})
	if !errors.Is(err, unix.ECONNREFUSED) {
		t.Fatalf("connect to a closed port: %v", err)
	}
	check(t, unix.Connect(fd, &unix.SockaddrInet4{Addr: closed.Addr().As4(), Port: int(closed.Port())}))
	sent := "GET / HTTP/1.1\r\n\r\n"
	_, err = unix.Write(fd, []byte(sent))
	check(t, err)
	cookie, err := unix.GetsockoptUint64(fd, unix.SOL_SOCKET, unix.SO_COOKIE)
	check(t, err)
	s := r.of(cookie)
	if len(s) != 2 || s[0].opened[0].Port != refused.Port() || s[1].opened[0].Port != closed.Port() ||
		len(s[0].bytes) != 0 || string(s[1].bytes) != sent {
		t.Errorf("streams %+v, want one without bytes and one with %q", s, sent)
	}
}

func TestStream_MPTCP(t *testing.T) {
	r := newStreamRig(t, Sizes{})
	l := sink(t, "tcp4", "127.0.0.1:0")
	to := l.Addr().(*net.TCPAddr).AddrPort()
	dialer := net.Dialer{}
	dialer.SetMultipathTCP(true)
	c, err := dialer.DialContext(context.Background(), "tcp4", to.String())
	check(t, err)
	defer c.Close()
	raw, err := c.(*net.TCPConn).SyscallConn()
	check(t, err)
	protocol := 0
	check(t, raw.Control(func(fd uintptr) {
		protocol, err = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_PROTOCOL)
	}))
	check(t, err)
	if protocol != ipprotoMPTCP {
		t.Skip("the kernel has no MPTCP, or it is switched off")
	}
	for want, port := range map[StreamOpaque]uint16{StreamMPTCP: to.Port(), StreamReadable: 1} {
		if got, err := r.Unread(netip.MustParseAddr("127.0.0.1"), port); err != nil || got != want {
			t.Errorf("port %d: unread because of %d, %v; want %d", port, got, err, want)
		}
	}
	if s := r.to(to.Port()); len(s) != 0 {
		t.Errorf("a connection by MPTCP is read: %+v", s)
	}
}

// A process out of scope connects a socket of this process, which sends: its flow has no connect that opens a stream.
func TestStream_ReceivedSocketIsUnread(t *testing.T) {
	r := newStreamRig(t, Sizes{})
	r.untrackDescendants()
	to := sink(t, "tcp4", "127.0.0.1:0").Addr().(*net.TCPAddr).AddrPort()
	fd := r.connectedByOthers(to)
	_, err := unix.Write(fd, []byte("GET / HTTP/1.1\r\nHost: a\r\n\r\n"))
	check(t, err)
	if diff := cmp.Diff([]string{text(flow.TCP, to, 1)}, r.flows()); diff != "" {
		t.Fatalf("flows (-want +got):\n%s", diff)
	}
	if s := r.to(to.Port()); len(s) != 0 {
		t.Errorf("its stream is read: %+v", s)
	}
	if why, err := r.Unread(to.Addr(), to.Port()); err != nil || why != StreamReceived {
		t.Errorf("unread because of %d, %v; want %d", why, err, StreamReceived)
	}
}

// A client that sends with the SYN: the bytes may be sent again without it.
func TestStream_FastOpen(t *testing.T) {
	r := newStreamRig(t, Sizes{})
	to := sink(t, "tcp4", "127.0.0.1:0").Addr().(*net.TCPAddr).AddrPort()
	sent := "GET / HTTP/1.1\r\n\r\n"
	for range 3 { // the first one gets the cookie
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		check(t, err)
		remote := &unix.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().As4()}
		check(t, unix.Sendto(fd, []byte(sent), unix.MSG_FASTOPEN, remote))
		cookie, err := unix.GetsockoptUint64(fd, unix.SOL_SOCKET, unix.SO_COOKIE)
		check(t, err)
		check(t, unix.Shutdown(fd, unix.SHUT_WR))
		_, err = unix.Read(fd, make([]byte, 1)) // the peer's end
		check(t, err)
		check(t, unix.Close(fd))
		s := r.get(cookie)
		s.mustBe(t, []byte(sent))
	}
}

// After a failure nothing is attached, and the next call tries again.
func TestStream_EnableAfterFailure(t *testing.T) {
	r := openStreamRig(t, Sizes{})
	root := r.root
	r.root = "/nowhere"
	for range 2 {
		if err := r.EnableRequests(); err == nil {
			t.Fatal("requests are read at no place")
		}
	}
	r.root = root
	check(t, r.EnableRequests())
	sent := request("GET", "/", 0)
	r.send(sink(t, "tcp", "127.0.0.1:0"), sent, len(sent)).mustBe(t, sent)
}
