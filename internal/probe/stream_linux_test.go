package probe

import (
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
)

// streamRig is a rig that keeps what clients send.
type streamRig struct {
	*rig
	mu      sync.Mutex
	streams map[uint64]*rebuilt
	order   []uint64
}

// rebuilt is what a client sent, with zeros for what was left out.
type rebuilt struct {
	opened  *Key
	bytes   []byte // of the client; nil once there are more than can be kept
	length  uint64
	skipped uint64
	pieces  int
	reply   []byte
	ended   bool
	opaque  StreamOpaque
}

// mostRebuilt limits what is kept of a stream.
const mostRebuilt = 8 << 20

func newStreamRig(t *testing.T, sizes Sizes) *streamRig {
	t.Helper()
	s := &streamRig{streams: make(map[uint64]*rebuilt)}
	s.rig = newRigWith(t, sizes, s.add)
	check(t, s.EnableRequests())
	return s
}

func (s *streamRig) add(e *StreamEvent) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.streams[e.Stream]
	if r == nil {
		r = &rebuilt{}
		s.streams[e.Stream] = r
		s.order = append(s.order, e.Stream)
	}
	if e.Opened != nil {
		r.opened = e.Opened
	}
	if e.Reply {
		r.reply = append(r.reply, e.Data...)
		return
	}
	r.length += e.Skipped + uint64(len(e.Data))
	r.skipped += e.Skipped
	if r.length <= mostRebuilt {
		r.bytes = append(append(r.bytes, make([]byte, e.Skipped)...), e.Data...)
	}
	if len(e.Data) > 0 {
		r.pieces++
	}
	r.ended = r.ended || e.Ended
	if e.Opaque != StreamReadable {
		r.opaque = e.Opaque
	}
}

// all returns the streams in the order in which they were opened.
func (s *streamRig) all() []*rebuilt {
	s.t.Helper()
	check(s.t, s.Sync())
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []*rebuilt
	for _, id := range s.order {
		all = append(all, s.streams[id])
	}
	return all
}

// sink is a server that reads everything, and closes a connection when its client does.
type sink struct{ net.Listener }

func newSink(t *testing.T, address string) sink {
	t.Helper()
	l, err := net.Listen("tcp", address)
	check(t, err)
	s := sink{l}
	t.Cleanup(func() { s.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				_, _ = io.Copy(io.Discard, conn)
			}()
		}
	}()
	return s
}

// send sends bytes over a new connection, at most size in a segment, and closes it.
func (s sink) send(t *testing.T, what []byte, size int) {
	t.Helper()
	conn, err := net.Dial("tcp", s.Addr().String())
	check(t, err)
	defer conn.Close()
	for len(what) > 0 {
		n := min(size, len(what))
		_, err := conn.Write(what[:n])
		check(t, err)
		what = what[n:]
	}
	check(t, conn.(*net.TCPConn).CloseWrite())
	_, err = io.Copy(io.Discard, conn)
	check(t, err)
}

const whole = 1 << 30

// Streams in which bodies are zeros are delivered as they are sent, however they are cut into segments.
func TestStream_DeliversWhatIsSent(t *testing.T) {
	s := newStreamRig(t, Sizes{})
	zeros := func(n int) string { return strings.Repeat("\x00", n) }
	frame := func(kind byte, payload string) string {
		n := len(payload)
		return string([]byte{byte(n >> 16), byte(n >> 8), byte(n), kind, 0, 0, 0, 0, 1}) + payload
	}
	const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
	get := func(path string) string { return "GET " + path + " HTTP/1.1\r\nHost: a\r\n\r\n" }
	post := func(n int) string {
		return fmt.Sprintf("POST /b HTTP/1.1\r\nhost: a\r\ncontent-LENGTH:  %d\r\n\r\n", n) + zeros(n)
	}
	for _, c := range []struct {
		reason, sent string
		skipped      uint64
	}{
		{"one request", get("/"), 0},
		{"several at once", get("/a") + get("/b") + "\r\n" + get("/c"), 0},
		{"a body between", get("/a") + post(100000) + get("/b"), 100000},
		{"no body", post(0) + get("/b"), 0},
		{"chunks", "POST /c HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\n" + zeros(5) + "\r\n1a00\r\n" +
			zeros(0x1a00) + "\r\n0\r\nTrailer: x\r\n\r\n" + get("/d"), 5 + 0x1a00},
		{"a long path", get("/" + strings.Repeat("p", 40<<10)), 0},
		{"line feeds alone", "GET / HTTP/1.1\nHost: a\n\n" + get("/b"), 0},
		{"a request that is not HTTP", "POST\n\n\nGET", 0},
		{"HTTP/2", preface + frame(4, "") + frame(1, "headers") + frame(0, zeros(16384)) + frame(0, zeros(70000)) +
			frame(1, "more") + frame(0, "") + frame(8, "1234"), 86384},
		{"an upgrade to HTTP/2", "GET / HTTP/1.1\r\nUpgrade: h2c\r\n\r\n" + preface + frame(4, "") + frame(0, zeros(9)), 9},
		{"tiny frames", preface + strings.Repeat(frame(0, "\x00")+frame(1, "h"), 5000), 5000},
		{"a body that never ends", "PUT /a HTTP/1.1\r\nContent-Length: 5000000\r\n\r\n" + zeros(300000), 300000},
	} {
		for _, size := range []int{whole, 1000, 7} {
			if size == 7 && len(c.sent) > 20000 {
				continue
			}
			before := len(s.all())
			newSink(t, "127.0.0.1:0").send(t, []byte(c.sent), size)
			all := s.all()[before:]
			if len(all) != 1 {
				t.Fatalf("%s, in segments of %d: %d streams", c.reason, size, len(all))
			}
			got := all[0]
			if got.opaque != StreamReadable || !got.ended || got.opened == nil {
				t.Errorf("%s, in segments of %d: opaque %d, ended %t, opened %v", c.reason, size, got.opaque, got.ended, got.opened)
			}
			if got.skipped != c.skipped {
				t.Errorf("%s, in segments of %d: %d bytes are skipped, want %d", c.reason, size, got.skipped, c.skipped)
			}
			if string(got.bytes) != c.sent && got.length != uint64(len(c.sent)) {
				t.Errorf("%s, in segments of %d: %d bytes, want %d", c.reason, size, got.length, len(c.sent))
			}
			if i := differs(got.bytes, []byte(c.sent)); i >= 0 {
				t.Errorf("%s, in segments of %d: byte %d differs", c.reason, size, i)
			}
		}
	}
	lost, err := s.Lost()
	check(t, err)
	if lost.StreamEvents+lost.Streams > 0 {
		t.Errorf("lost %d events, %d streams", lost.StreamEvents, lost.Streams)
	}
}

// differs returns the first index at which bytes differ, or -1.
func differs(a, b []byte) int {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return i
		}
	}
	if len(a) != len(b) {
		return min(len(a), len(b))
	}
	return -1
}
