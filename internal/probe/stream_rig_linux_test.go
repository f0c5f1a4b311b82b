package probe

import (
	"bytes"
	"io"
	"net"
	"slices"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// streamRig is a rig that keeps what clients send.
type streamRig struct {
	*rig
	mu      sync.Mutex
	streams map[uint64]*stream
	order   []uint64 // their identifiers, in the order in which they were opened
}

// stream is what was delivered of a connection.
type stream struct {
	cookie  uint64
	opened  []Key
	hint    uint64
	bytes   []byte // with zeros for what was skipped
	isBody  []bool // of each byte: it was skipped
	length  uint64
	skipped uint64
	pieces  int
	reply   []byte // what the server sent
	ended   bool
	opaque  StreamOpaque
	after   int // events with bytes after an opaque one
}

// maxRebuilt limits the bytes that are kept of a stream: of a longer one only the lengths are.
const maxRebuilt = 32 << 20

func newStreamRig(t testing.TB, sizes Sizes) *streamRig {
	t.Helper()
	r := openStreamRig(t, sizes)
	check(t, r.EnableRequests())
	return r
}

// openStreamRig returns a rig that does not read requests yet.
func openStreamRig(t testing.TB, sizes Sizes) *streamRig {
	t.Helper()
	r := &streamRig{streams: make(map[uint64]*stream)}
	r.rig = newRigWith(t, sizes, r.add)
	return r
}

func (r *streamRig) add(e *StreamEvent) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.streams[e.Stream]
	if s == nil {
		s = &stream{cookie: e.Cookie}
		r.streams[e.Stream] = s
		r.order = append(r.order, e.Stream)
	}
	if s.opaque != 0 && len(e.Data) > 0 && !e.Reply {
		s.after++
	}
	if e.Opened != nil {
		s.opened = append(s.opened, *e.Opened)
	}
	if e.Reply {
		s.reply = append(s.reply, e.Data...)
		return
	}
	s.hint, s.ended, s.opaque = max(s.hint, e.Hint), s.ended || e.Ended, max(s.opaque, e.Opaque)
	s.skipped += e.Skipped
	s.length += e.Skipped + uint64(len(e.Data))
	if len(e.Data) > 0 {
		s.pieces++
	}
	if s.length > maxRebuilt {
		return
	}
	s.bytes = append(append(s.bytes, make([]byte, e.Skipped)...), e.Data...)
	s.isBody = append(append(s.isBody, slices.Repeat([]bool{true}, int(e.Skipped))...), make([]bool, len(e.Data))...)
}

// find returns the streams for which a function holds, in the order in which they were opened.
func (r *streamRig) find(is func(*stream) bool) []stream {
	r.t.Helper()
	check(r.t, r.Sync())
	r.mu.Lock()
	defer r.mu.Unlock()
	var found []stream
	for _, id := range r.order {
		if s := r.streams[id]; is(s) {
			found = append(found, *s)
		}
	}
	return found
}

// of returns the streams of a socket.
func (r *streamRig) of(cookie uint64) []stream {
	r.t.Helper()
	return r.find(func(s *stream) bool { return s.cookie == cookie })
}

// to returns the streams to a port.
func (r *streamRig) to(port uint16) []stream {
	r.t.Helper()
	return r.find(func(s *stream) bool { return len(s.opened) > 0 && s.opened[0].Port == port })
}

// get returns the only stream of a socket.
func (r *streamRig) get(cookie uint64) stream {
	r.t.Helper()
	all := r.of(cookie)
	if len(all) != 1 {
		r.t.Fatalf("the socket has %d streams, want one", len(all))
	}
	return all[0]
}

// sink returns a listener whose connections are read to their end.
func sink(t testing.TB, network, address string) *net.TCPListener {
	t.Helper()
	l, err := net.Listen(network, address)
	check(t, err)
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				io.Copy(io.Discard, c)
				c.Close()
			}()
		}
	}()
	return l.(*net.TCPListener)
}

// cookieOf returns the cookie of a connection's socket.
func cookieOf(t testing.TB, c net.Conn) (cookie uint64) {
	t.Helper()
	raw, err := c.(*net.TCPConn).SyscallConn()
	check(t, err)
	var failed error
	check(t, raw.Control(func(fd uintptr) {
		cookie, failed = unix.GetsockoptUint64(int(fd), unix.SOL_SOCKET, unix.SO_COOKIE)
	}))
	check(t, failed)
	return cookie
}

// send opens a connection to a sink, writes in segments of at most size bytes, closes it and returns the stream.
func (r *streamRig) send(l *net.TCPListener, sent []byte, size int) stream {
	r.t.Helper()
	return r.sendSegments(l, slices.Collect(slices.Chunk(sent, size))...)
}

func (r *streamRig) sendSegments(l *net.TCPListener, segments ...[]byte) stream {
	r.t.Helper()
	c, err := net.Dial("tcp", l.Addr().String())
	check(r.t, err)
	defer c.Close()
	cookie := cookieOf(r.t, c)
	for _, segment := range segments {
		_, err := c.Write(segment)
		check(r.t, err)
	}
	finish(r.t, c)
	return r.get(cookie)
}

// finish ends a connection to a sink, and waits until the peer has ended it too.
func finish(t testing.TB, c net.Conn) {
	t.Helper()
	check(t, c.(*net.TCPConn).CloseWrite())
	_, err := io.Copy(io.Discard, c)
	check(t, err)
	check(t, c.Close())
}

// mustBe fails the test unless the stream is what was sent, with zeros for the bodies.
func (s stream) mustBe(t testing.TB, sent []byte) {
	t.Helper()
	switch {
	case s.opaque != StreamReadable:
		t.Errorf("the stream is opaque: %d", s.opaque)
	case len(s.opened) != 1:
		t.Errorf("opened %d times", len(s.opened))
	case !s.ended:
		t.Error("the stream does not end")
	case !bytes.Equal(s.bytes, sent):
		at := 0
		for at < min(len(s.bytes), len(sent)) && s.bytes[at] == sent[at] {
			at++
		}
		t.Errorf("%d bytes were rebuilt, %d sent; they differ at %d", len(s.bytes), len(sent), at)
	}
}
