package probe

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
	"golang.org/x/net/http2"
)

// FuzzStream sends bytes over a connection, in segments whose lengths are 1 + each byte of cuts; the last segment is
// the rest. What is delivered must be what was sent, and only bodies may be skipped: where the parsers of net/http,
// golang.org/x/net/http2 and kmsg understand what was sent, they understand the same with zeros for what was skipped.
func FuzzStream(f *testing.F) {
	r := newStreamRig(f, Sizes{})
	l := sink(f, "tcp", "127.0.0.1:0")
	for _, seed := range streamSeeds(f) {
		for _, cuts := range []string{"", "\x00\x00\x00\x00\x00\x00\x00\x00", "\x06\x1f\x03\x50\x00\x28"} {
			f.Add(seed, []byte(cuts))
		}
	}
	f.Fuzz(func(t *testing.T, sent, cuts []byte) {
		if len(sent) == 0 || len(sent) > 64<<10 || len(cuts) > 200 {
			t.Skip()
		}
		var segments [][]byte
		rest := sent
		for _, cut := range cuts {
			n := min(1+int(cut), len(rest))
			segments, rest = append(segments, rest[:n]), rest[n:]
		}
		s := exchange(t, r, l, append(segments, rest))
		if s.opaque == StreamReadable && (len(s.bytes) != len(sent) || !s.ended) {
			t.Fatalf("%d of %d bytes were rebuilt, ended: %t", len(s.bytes), len(sent), s.ended)
		}
		if len(s.bytes) > len(sent) || s.after > 0 {
			t.Fatalf("%d of %d bytes were rebuilt, %d events after an opaque one", len(s.bytes), len(sent), s.after)
		}
		for i, b := range s.bytes {
			if !s.isBody[i] && b != sent[i] {
				t.Fatalf("byte %d is %#x, want %#x", i, b, sent[i])
			}
		}
		switch {
		case bytes.HasPrefix(sent, []byte(http2.ClientPreface)):
			checkHTTP2(t, s, sent)
		case sent[0] == 0:
			checkKafka(t, s, sent)
		default:
			checkHTTP1(t, s, sent)
		}
	})
}

// exchange sends segments over a connection of its own and takes what was delivered out of the rig.
func exchange(t *testing.T, r *streamRig, l *net.TCPListener, segments [][]byte) stream {
	t.Helper()
	c, err := net.Dial("tcp", l.Addr().String())
	check(t, err)
	defer c.Close()
	cookie := cookieOf(t, c)
	for _, segment := range segments {
		_, err := c.Write(segment)
		check(t, err)
	}
	finish(t, c)
	check(t, r.Sync())
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, id := range r.order {
		if s := r.streams[id]; s.cookie == cookie {
			delete(r.streams, id)
			r.order = slices.Delete(r.order, i, i+1)
			return *s
		}
	}
	t.Fatal("the connection has no stream")
	return stream{}
}

// checkHTTP2 fails the test unless exactly the payloads of DATA frames are skipped.
func checkHTTP2(t *testing.T, s stream, sent []byte) {
	t.Helper()
	if s.opaque != StreamReadable {
		t.Fatalf("opaque: %d", s.opaque)
	}
	want := make([]bool, len(sent))
	at := len(http2.ClientPreface)
	for {
		head, err := http2.ReadFrameHeader(bytes.NewReader(sent[at:]))
		if err != nil {
			break
		}
		end := min(at+9+int(head.Length), len(sent))
		for i := at + 9; i < end; i++ {
			want[i] = head.Type == http2.FrameData
		}
		at = end
	}
	if !slices.Equal(s.isBody, want) {
		t.Fatal("other bytes than those of DATA are skipped")
	}
}

// checkHTTP1 fails the test if bytes of a request's head are skipped, or framing of its body.
func checkHTTP1(t *testing.T, s stream, sent []byte) {
	t.Helper()
	was, complete := http1Requests(sent)
	if s.opaque != StreamReadable {
		if complete && sent[0] >= 'A' && sent[0] <= 'Z' && !leavesHTTP1(was) {
			t.Fatalf("%q are requests, but the stream is opaque: %d", was, s.opaque)
		}
		return
	}
	rebuilt, _ := http1Requests(s.bytes)
	for _, request := range was {
		for i := request.start; i < request.body; i++ {
			if s.isBody[i] {
				t.Fatalf("byte %d of the head of %s is skipped", i, request)
			}
		}
	}
	if !slices.Equal(was, rebuilt) {
		t.Fatalf("%v were sent, but read are %v", was, rebuilt)
	}
}

// http1Request is a request, with the offsets of its head, its body, and what follows.
type http1Request struct {
	text             string
	start, body, end int
	leaves           bool
}

func (r http1Request) String() string {
	return fmt.Sprintf("%q at %d, %d, %d", r.text, r.start, r.body, r.end)
}

// http1Requests returns the requests in a stream up to the first error, and whether there is none.
func http1Requests(stream []byte) (requests []http1Request, complete bool) {
	source := bytes.NewReader(stream)
	from := bufio.NewReader(source)
	at := func() int { return len(stream) - source.Len() - from.Buffered() }
	for {
		start := at()
		request, err := http.ReadRequest(from)
		if err != nil {
			return requests, err == io.EOF
		}
		_, upgrades := request.Header["Upgrade"]
		leaves := upgrades || request.Method == "CONNECT" || request.ProtoMajor != 1
		r := http1Request{start: start, body: at(), leaves: leaves}
		_, err = io.Copy(io.Discard, request.Body)
		r.end = at()
		r.text = fmt.Sprintf("%s %s %d %q", request.Method, request.RequestURI, request.ContentLength,
			request.TransferEncoding)
		requests = append(requests, r)
		if err != nil {
			return requests, false
		}
	}
}

// leavesHTTP1 reports whether another protocol may follow a request.
func leavesHTTP1(requests []http1Request) bool {
	return slices.ContainsFunc(requests, func(r http1Request) bool { return r.leaves })
}

// checkKafka fails the test if bytes are skipped that are no record batches of Produce.
func checkKafka(t *testing.T, s stream, sent []byte) {
	t.Helper()
	const header = 14 // length, key, version, correlation, length of the client's name
	for at := 0; at+header <= len(s.bytes); {
		length := int(binary.BigEndian.Uint32(sent[at:]))
		end := at + 4 + length
		key, version := binary.BigEndian.Uint16(sent[at+4:]), binary.BigEndian.Uint16(sent[at+6:])
		if length < 8 || end > len(s.bytes) {
			break
		}
		if slices.Contains(s.isBody[at:end], true) && (key != 0 || version < 3) {
			t.Fatalf("bytes of a request with key %d, version %d are skipped", key, version)
		}
		was, rebuilt := produceOf(sent[at:end]), produceOf(s.bytes[at:end])
		if was != nil && !reflect.DeepEqual(was, rebuilt) {
			t.Fatalf("%+v was sent, but read is %+v", was, rebuilt)
		}
		at = end
	}
}

// produceOf returns a Produce request with zeros for its record batches, or nil if it is none or malformed.
func produceOf(frame []byte) *kmsg.ProduceRequest {
	r := kmsg.NewPtrProduceRequest()
	key, version := binary.BigEndian.Uint16(frame[4:]), binary.BigEndian.Uint16(frame[6:])
	if key != 0 || version < 3 || version > uint16(r.MaxVersion()) {
		return nil
	}
	r.SetVersion(int16(version))
	name := int(int16(binary.BigEndian.Uint16(frame[12:])))
	body := frame[14:]
	if name = max(name, 0); name > len(body) {
		return nil
	}
	body = body[name:]
	if r.IsFlexible() {
		if len(body) == 0 || body[0] != 0 { // tags
			return nil
		}
		body = body[1:]
	}
	if r.ReadFrom(body) != nil {
		return nil
	}
	for i := range r.Topics {
		for j := range r.Topics[i].Partitions {
			clear(r.Topics[i].Partitions[j].Records)
		}
	}
	return r
}

// streamSeeds returns streams whose framing is easily misread.
func streamSeeds(f *testing.F) [][]byte {
	f.Helper()
	heads := []string{
		"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET / HTTP/1.0\n\n",
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n12345",
		"POST / HTTP/1.1\r\nHost: a\r\ncontent-LENGTH :5\r\n\r\n12345",
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n12345",
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n12345",
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5, 5\r\n\r\n12345",
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x5\r\n\r\n12345",
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\n12345",
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5 \t\r\nX: Content-Length: 9\r\n\r\n12345",
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n 5\r\n\r\n12345",
		"POST / HTTP/1.1\r\nHost: a\r\nX: y\r\n Content-Length: 5\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n12345",
		"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n0\r\n\r\n",
		"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n0\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n" +
			"5;a=\"b\n\"\r\n12345\r\n00;x\r\nT: u\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\nContent-Length: 3\r\n\r\n123",
		"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n1\r\n1\r\n0\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n 5\r\n12345\r\n0x0\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\n\r\n", "CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n\x81\x85", "GET /\r\n\r\n", "get / HTTP/1.1\r\n\r\n",
		"PRI / HTTP/1.1\r\nHost: a\r\n\r\n", "A\rB / HTTP/1.1\r\nHost\r: a\r\n\r\n", "\x16\x03\x01", "\x16", "\x00", "A",
	}
	var seeds [][]byte
	for _, head := range heads {
		seeds = append(seeds, []byte(head), []byte(strings.Repeat(head, 3)), []byte(heads[0]+head+heads[0]))
	}
	h2 := http2Stream(f, 0, 1, 20_000, 0)
	padded := http2.ClientPreface + "\x00\x00\x05\x00\x08\x00\x00\x00\x01\x02ab\x00\x00" + frame(9, "x") + frame(0, "")
	seeds = append(seeds, h2, h2[:len(h2)-5], []byte(padded), []byte(http2.ClientPreface[:20]),
		[]byte(http2.ClientPreface+"\xff\xff\xff\x01"), append([]byte(heads[0]), h2...))
	for _, version := range []int16{2, 3, 9, 13} {
		one := produce(version, 2, 2, 100)
		seeds = append(seeds, one, slices.Concat(kafkaRequest(1, 12, kmsg.NewPtrMetadataRequest()), one, one), one[:40])
	}
	return seeds
}
