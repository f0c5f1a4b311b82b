package requests_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/netzero-dev/netzero/internal/requests"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// send gives pieces of one connection to Streams, and returns the result.
func send(pieces ...requests.Piece) requests.Result {
	var s requests.Streams
	defer s.Close()
	for _, p := range pieces {
		p.Connection = 7
		s.Add(p)
	}
	s.Wait()
	return s.Result(7)
}

// cut returns the pieces of a connection's bytes, each of at most n bytes.
func cut(text string, n int) []requests.Piece {
	var pieces []requests.Piece
	for len(text) > 0 {
		n := min(n, len(text))
		pieces = append(pieces, requests.Piece{Data: []byte(text[:n])})
		text = text[n:]
	}
	return pieces
}

// lines joins lines as HTTP/1 does.
func lines(l ...string) string { return strings.Join(l, "\r\n") + "\r\n" }

// summary returns the requests as text, and why there may be more.
func summary(r requests.Result) string {
	var all []string
	for _, q := range r.Requests {
		all = append(all, fmt.Sprintf("%s %s%s @%s", q.Protocol, q, q.Query, q.Host))
	}
	if r.Opaque != "" {
		all = append(all, "opaque: "+r.Opaque)
	}
	return strings.Join(all, "\n")
}

const get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"

func TestHTTP1_Requests(t *testing.T) {
	for _, c := range []struct{ reason, text, want string }{
		{"one", get, "HTTP GET / @a"},
		{"nothing", "", ""},
		{"the same twice", get + get, "HTTP GET / @a"},
		{"pipelined", lines("GET /b HTTP/1.1", "Host: x", "", "DELETE /a HTTP/1.1", "Host: x", ""),
			"HTTP DELETE /a @x\nHTTP GET /b @x"},
		{"a path and query as sent", "GET /a%2fb//../{}?x=%31&y HTTP/1.1\r\nHost: a\r\n\r\n",
			"HTTP GET /a%2fb//../{}?x=%31&y @a"},
		{"two question marks", "GET /?? HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP GET /?? @a"},
		{"OPTIONS of the server", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP OPTIONS * @a"},
		{"a method of WebDAV", "M-SEARCH /x HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP M-SEARCH /x @a"},
		{"HTTP/1.0 without a host", "GET /x HTTP/1.0\r\n\r\n", "HTTP GET /x @"},
		{"bare line feeds", "GET /x HTTP/1.1\nHost: a\n\n" + get, "HTTP GET / @a\nHTTP GET /x @a"},
		{"a body", "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nGET /" + get, "HTTP GET / @a\nHTTP POST /x @a"},
		{"a body in flight", "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nGE", "HTTP POST /x @a"},
		{"chunks with extensions and trailers", "POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" +
			"5;a=b\r\nGET /\r\n00A;c\r\n0123456789\r\n0\r\nT: 1\r\n\r\n" + get, "HTTP GET / @a\nHTTP POST /x @a"},
		{"chunks in flight", "POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: CHUNKED\r\n\r\n5\r\nGET", "HTTP POST /x @a"},
		{"an offer of h2c that is refused", "GET /x HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n" + get,
			"HTTP GET / @a\nHTTP GET /x @a"},
		{"an offer of h2c, then PUT", "GET /x HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\n\r\n" +
			"PUT / HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP PUT / @a\nHTTP GET /x @a"},
		{"a long path", "GET /" + strings.Repeat("a", 40_000) + " HTTP/1.1\r\nHost: a\r\n\r\n",
			"HTTP GET /" + strings.Repeat("a", 40_000) + " @a"},

		{"half a request", "GET / HTTP/1.1\r\nHost", "opaque: an incomplete request"},
		{"half a request after another", get + "GET", "HTTP GET / @a\nopaque: an incomplete request"},
		{"WebSocket", "GET /x HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n" + get,
			"HTTP GET /x @a\nopaque: WebSocket"},
		{"another upgrade", "GET /x HTTP/1.1\r\nHost: a\r\nUpgrade: TLS/1.0\r\n\r\n",
			"HTTP GET /x @a\nopaque: Upgrade: TLS/1.0"},
		{"several upgrades", "GET /x HTTP/1.1\r\nHost: a\r\nUpgrade: h2c, x\r\n\r\n",
			"HTTP GET /x @a\nopaque: an upgrade to another protocol"},
		{"CONNECT", get + "CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n\x16\x03", "HTTP GET / @a\nopaque: a request to a proxy"},
		{"an absolute target", "GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n", "opaque: a request to a proxy"},
		{"both lengths", "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
			"opaque: an ambiguous request of HTTP/1"},
		{"the same length twice", "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\ncontent-length: 1\r\n\r\na",
			"opaque: an ambiguous request of HTTP/1"},
		{"chunks in HTTP/1.0", "POST /x HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
			"opaque: an ambiguous request of HTTP/1"},
		{"two hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "opaque: a malformed request of HTTP/1"},
		{"another encoding", "POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
			"opaque: a malformed request of HTTP/1"},
		{"a folded header", "POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n chunked\r\n\r\n",
			"opaque: a malformed request of HTTP/1"},
		{"a space before the colon", "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length : 5\r\n\r\n",
			"opaque: a malformed request of HTTP/1"},
		{"a carriage return in a line", "GET /x HTTP/1.1\r\nHost: a\rContent-Length: 5\r\n\r\n",
			"opaque: a malformed request of HTTP/1"},
		{"a negative length", "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
			"opaque: a malformed request of HTTP/1"},
		{"a length with a sign", "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\na",
			"opaque: a malformed request of HTTP/1"},
		{"a chunk of a negative size", "POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n",
			"HTTP POST /x @a\nopaque: a malformed request of HTTP/1"},
		{"a bare line feed after chunks", "POST /x HTTP/1.1\nTransfer-Encoding: chunked\n\n0\r\n\n" + get,
			"HTTP POST /x @\nopaque: a malformed request of HTTP/1"},
		{"HTTP/0.9", "GET /\r\n", "opaque: an incomplete request"},
		{"a preface that nobody offered", get + http2.ClientPreface,
			"HTTP GET / @a\nopaque: a malformed request of HTTP/1"},
		{"a relative target", "GET x HTTP/1.1\r\nHost: a\r\n\r\n", "opaque: a malformed request of HTTP/1"},
		{"a fragment", "GET /x#y HTTP/1.1\r\nHost: a\r\n\r\n", "opaque: a malformed request of HTTP"},
		{"a path that is not UTF-8", "GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n", "opaque: a URL that is not UTF-8"},
		{"a path that is too long", "GET /" + strings.Repeat("a", 70_000) + " HTTP/1.1\r\nHost: a\r\n\r\n",
			"opaque: a URL longer than 64 KiB"},
		{"a header that is too long", "GET / HTTP/1.1\r\nA: " + strings.Repeat("a", 1<<20) + "\r\n\r\n",
			"opaque: a request with a header of more than 1 MiB"},
		{"TLS", "\x16\x03\x01", "opaque: TLS"},
		{"SSH", "SSH-2.0-OpenSSH\r\n", "opaque: another protocol than HTTP and Kafka"},
		{"SMTP", "ehlo a\r\n", "opaque: another protocol than HTTP and Kafka"},
	} {
		t.Run(c.reason, func(t *testing.T) {
			for _, n := range []int{1 << 30, 7, 1} {
				if n == 1 && len(c.text) > 1<<16 {
					continue // a piece costs two switches of goroutines
				}
				if diff := cmp.Diff(c.want, summary(send(cut(c.text, n)...))); diff != "" {
					t.Errorf("pieces of %d bytes (-want +got):\n%s", n, diff)
				}
			}
		})
	}
}

func TestHTTP1_SkippedBytes(t *testing.T) {
	const size = 400 << 20
	post := fmt.Sprintf("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n", size)
	chunked := fmt.Sprintf("POST /y HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n", size)
	for _, c := range []struct {
		reason string
		pieces []requests.Piece
		want   string
	}{
		{
			"bodies", []requests.Piece{
				{Data: []byte(post)}, {Skipped: size, Data: []byte(chunked)}, {Skipped: size, Data: []byte("\r\n0\r\n\r\n" + get)},
			},
			"HTTP GET / @a\nHTTP POST /x @a\nHTTP POST /y @a",
		},
		{"the last body", []requests.Piece{{Data: []byte(post)}, {Skipped: size, Ends: true}}, "HTTP POST /x @a"},
		{
			"more than the body", []requests.Piece{{Data: []byte(post)}, {Skipped: size + 1, Data: []byte(get)}},
			"HTTP POST /x @a\nopaque: a header that was not read whole",
		},
		{
			"in a header", []requests.Piece{{Data: []byte("GET / HTTP/1.1\r\nA: ")}, {Skipped: 3, Data: []byte("\r\n\r\n")}},
			"opaque: a header that was not read whole",
		},
		{
			"in the size of a chunk",
			[]requests.Piece{{Data: []byte(chunked[:len(chunked)-4])}, {Skipped: 2, Data: []byte("\r\n")}},
			"HTTP POST /y @a\nopaque: a malformed request of HTTP/1",
		},
		{"at the start", []requests.Piece{{Skipped: 3, Data: []byte(get)}}, "opaque: another protocol than HTTP and Kafka"},
	} {
		t.Run(c.reason, func(t *testing.T) {
			if diff := cmp.Diff(c.want, summary(send(c.pieces...))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestStreams_EndsAndReasons(t *testing.T) {
	for _, c := range []struct {
		reason string
		pieces []requests.Piece
		want   requests.Result
	}{
		{"nothing was sent", []requests.Piece{{}, {Ends: true}}, requests.Result{}},
		{"the kernel's reason", []requests.Piece{{Opaque: "TLS"}}, requests.Result{Opaque: "TLS"}},
		{"its reason in a header", []requests.Piece{{Data: []byte("GE")}, {Opaque: "lost"}},
			requests.Result{Opaque: "lost", Sent: true}},
		{"the first reason stays", []requests.Piece{{Data: []byte("\x16"), Opaque: "lost"}},
			requests.Result{Opaque: "TLS", Sent: true}},
		{"an end in a header", []requests.Piece{{Data: []byte("GE"), Ends: true}},
			requests.Result{Opaque: "an incomplete request", Sent: true}},
		{"replies are not sent by the client", []requests.Piece{{Data: []byte("x"), IsReply: true}}, requests.Result{}},
		{"what follows the end", []requests.Piece{{Ends: true}, {Data: []byte(get)}}, requests.Result{}},
	} {
		t.Run(c.reason, func(t *testing.T) {
			if diff := cmp.Diff(c.want, send(c.pieces...)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestStreams_TooManyRequests(t *testing.T) {
	client := newHTTP2Client()
	for i := range uint32(100_001) {
		client.headers(2*i+1, ":method", "GET", ":path", fmt.Sprintf("/%d", i))
	}
	if got := send(cut(client.String(), 1<<16)...); got.Opaque != "more than 100000 different requests" {
		t.Errorf("opaque: %q", got.Opaque)
	}
}

func TestStreams_ManyConnections(t *testing.T) {
	before := runtime.NumGoroutine()
	var s requests.Streams
	var senders sync.WaitGroup
	for i := range 50 {
		senders.Go(func() {
			for _, p := range cut(strings.Repeat(get, 20), 7) {
				p.Connection = uint64(i)
				s.Add(p)
			}
			s.Wait()
		})
	}
	senders.Wait()
	s.Wait()
	for i := range 50 {
		if got := summary(s.Result(uint64(i))); got != "HTTP GET / @a" {
			t.Errorf("connection %d: %s", i, got)
		}
	}
	s.Add(requests.Piece{Connection: 1, Data: []byte("GE")})
	s.Close()
	s.Close()
	s.Add(requests.Piece{Connection: 99, Data: []byte(get)})
	s.Wait()
	if got := s.Result(99); got.Sent {
		t.Error("a piece was parsed after Close")
	}
	// A goroutine still counts for a moment after its last statement.
	for deadline := time.Now().Add(10 * time.Second); runtime.NumGoroutine() > before; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines, %d before", runtime.NumGoroutine(), before)
		}
	}
}

// http2Client writes frames as a client does.
type http2Client struct {
	*http2.Framer
	bytes.Buffer
	fields  bytes.Buffer
	encoder *hpack.Encoder
}

func newHTTP2Client() *http2Client {
	c := new(http2Client)
	c.Framer = http2.NewFramer(&c.Buffer, nil)
	c.encoder = hpack.NewEncoder(&c.fields)
	c.Buffer.WriteString(http2.ClientPreface)
	_ = c.WriteSettings()
	return c
}

// block encodes names and values.
func (c *http2Client) block(fields ...string) []byte {
	c.fields.Reset()
	for i := 0; i < len(fields); i += 2 {
		_ = c.encoder.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
	return bytes.Clone(c.fields.Bytes())
}

func (c *http2Client) headers(stream uint32, fields ...string) {
	_ = c.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: c.block(fields...), EndHeaders: true})
}

func TestHTTP2_Requests(t *testing.T) {
	for _, c := range []struct {
		reason string
		write  func(*http2Client)
		want   string
	}{
		{"HTTP and gRPC", func(c *http2Client) {
			c.headers(1, ":method", "GET", ":scheme", "http", ":path", "/a?b", ":authority", "x")
			_ = c.WriteData(1, false, []byte("PRI * GET"))
			c.headers(3, ":method", "POST", ":scheme", "http", ":path", "/p.S/M", "host", "y",
				"content-type", "application/grpc+proto")
			c.headers(3, "trailer", "1")
			_ = c.WritePing(false, [8]byte{1})
			_ = c.WriteWindowUpdate(0, 100)
			_ = c.WriteRawFrame(0x77, 0, 0, []byte("unknown"))
			_ = c.WriteGoAway(0, 0, []byte("bye"))
		}, "HTTP GET /a?b @x\ngRPC POST /p.S/M @y"},
		{"the dynamic table, padding, priority, CONTINUATION", func(c *http2Client) {
			block := c.block(":method", "GET", ":scheme", "http", ":path", "/long", ":authority", "x")
			_ = c.WriteHeaders(http2.HeadersFrameParam{
				StreamID: 1, BlockFragment: block[:3], PadLength: 9, Priority: http2.PriorityParam{StreamDep: 5, Weight: 3},
			})
			_ = c.WriteContinuation(1, false, block[3:5])
			_ = c.WriteContinuation(1, true, block[5:])
			c.headers(3, ":method", "DELETE", ":scheme", "http", ":path", "/long", ":authority", "x")
		}, "HTTP DELETE /long @x\nHTTP GET /long @x"},
		{"gRPC-Web is HTTP", func(c *http2Client) {
			c.headers(1, ":method", "POST", ":scheme", "http", ":path", "/p.S/M", "content-type", "application/grpc-web")
		}, "HTTP POST /p.S/M @"},
		{"CONNECT", func(c *http2Client) { c.headers(1, ":method", "CONNECT", ":authority", "x:1") },
			"opaque: a request to a proxy"},
		{"WebSocket", func(c *http2Client) {
			c.headers(1, ":method", "CONNECT", ":protocol", "websocket", ":scheme", "http", ":path", "/", ":authority", "x")
		}, "opaque: WebSocket"},
		{"a stream of the server", func(c *http2Client) { c.headers(2, ":method", "GET", ":path", "/") },
			"opaque: malformed HTTP/2"},
		{"a request on an old stream", func(c *http2Client) {
			c.headers(3, ":method", "GET", ":path", "/")
			c.headers(1, ":method", "GET", ":path", "/b")
		}, "HTTP GET / @\nopaque: malformed HTTP/2"},
		{"no method", func(c *http2Client) { c.headers(1, ":path", "/") }, "opaque: a malformed request of HTTP"},
		{"a path twice", func(c *http2Client) { c.headers(1, ":method", "GET", ":path", "/", ":path", "/a") },
			"opaque: malformed HTTP/2"},
		{"an index that does not exist", func(c *http2Client) {
			_ = c.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: []byte{0xff, 0x7f}, EndHeaders: true})
		}, "opaque: malformed HTTP/2"},
		{"half a header", func(c *http2Client) { c.Write([]byte{0, 0, 9, 1}) }, "opaque: an incomplete request"},
		{"data in flight", func(c *http2Client) {
			c.headers(1, ":method", "GET", ":path", "/")
			c.Write([]byte{0, 0, 9, 0, 0, 0, 0, 0, 1, 5})
		}, "HTTP GET / @"},
		{"data of no stream", func(c *http2Client) { c.Write([]byte{0, 0, 1, 0, 0, 0, 0, 0, 0, 5}) },
			"opaque: malformed HTTP/2"},
	} {
		t.Run(c.reason, func(t *testing.T) {
			client := newHTTP2Client()
			c.write(client)
			for _, n := range []int{1 << 30, 7, 1} {
				if diff := cmp.Diff(c.want, summary(send(cut(client.String(), n)...))); diff != "" {
					t.Errorf("pieces of %d bytes (-want +got):\n%s", n, diff)
				}
			}
		})
	}
}

func TestHTTP2_SkippedData(t *testing.T) {
	client := newHTTP2Client()
	client.headers(1, ":method", "POST", ":scheme", "http", ":path", "/a")
	client.Write([]byte{0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 1})
	before := client.String()
	client.Reset()
	client.headers(3, ":method", "GET", ":scheme", "http", ":path", "/b")
	got := summary(send(requests.Piece{Data: []byte(before)},
		requests.Piece{Skipped: 1<<24 - 1, Data: client.Bytes()}))
	if want := "HTTP POST /a @\nHTTP GET /b @"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	got = summary(send(requests.Piece{Data: []byte(before)},
		requests.Piece{Skipped: 1 << 24, Data: client.Bytes()}))
	if !strings.Contains(got, "opaque: ") {
		t.Errorf("one byte more was skipped: %s", got)
	}
}

func TestHTTP1_UpgradesToH2C(t *testing.T) {
	client := newHTTP2Client()
	client.headers(3, ":method", "GET", ":scheme", "http", ":path", "/b")
	text := "GET /a HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\r\n" + client.String()
	if got, want := summary(send(cut(text, 7)...)), "HTTP GET /a @x\nHTTP GET /b @"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func FuzzPieces(f *testing.F) {
	f.Add(get+get, 3)
	f.Add("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n"+get, 5)
	f.Add("GET / HTTP/1.1\r\nUpgrade: h2c\r\n\r\n"+http2.ClientPreface, 7)
	client := newHTTP2Client()
	client.headers(1, ":method", "GET", ":scheme", "http", ":path", "/b")
	f.Add(client.String(), 1)
	f.Add("\x00\x00\x00\x10\x00\x03\x00\x01\x00\x00\x00\x07\x00\x02ab\x00\x00\x00\x00", 2)
	f.Fuzz(func(t *testing.T, text string, n int) {
		whole := send(requests.Piece{Data: []byte(text)})
		if diff := cmp.Diff(whole, send(cut(text, max(1, n))...)); diff != "" {
			t.Errorf("pieces of %d bytes (-whole +cut):\n%s", n, diff)
		}
	})
}

func FuzzHTTP1(f *testing.F) {
	f.Add(get + "POST /a HTTP/1.1\r\nHost: b\r\nContent-Length: 2\r\n\r\nab" + get)
	f.Add("PUT /?q HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nT: u\r\n\r\n" + get)
	f.Fuzz(func(t *testing.T, text string) {
		got := send(requests.Piece{Data: []byte(text), Ends: true})
		if got.Opaque != "" {
			return
		}
		want := make(map[flow.Request]bool)
		for r := bufio.NewReader(strings.NewReader(text)); ; {
			request, err := http.ReadRequest(r)
			if err != nil {
				break
			}
			if request.ProtoMajor != 1 || request.Header.Get("Upgrade") != "" {
				return
			}
			path, query, found := strings.Cut(request.RequestURI, "?")
			if found {
				query = "?" + query
			}
			want[flow.Request{
				Protocol: flow.HTTP, Method: request.Method, Host: request.Host, Path: path, Query: query,
			}] = true
			if _, err := io.Copy(io.Discard, request.Body); err != nil {
				break
			}
		}
		all := make(map[flow.Request]bool)
		for _, r := range got.Requests {
			if r.Protocol == flow.HTTP {
				all[r] = true
			}
		}
		if !strings.HasPrefix(text, "PRI ") && !strings.HasPrefix(text, "\x00") {
			if diff := cmp.Diff(want, all); diff != "" {
				t.Errorf("(-net/http +got):\n%s", diff)
			}
		}
	})
}
