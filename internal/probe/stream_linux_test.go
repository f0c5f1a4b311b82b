package probe

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// request returns an HTTP/1 request with a body of zeros.
func request(method, path string, body int) []byte {
	head := fmt.Sprintf("%s %s HTTP/1.1\r\nHost: billing\r\nContent-Length: %d\r\n\r\n", method, path, body)
	return append([]byte(head), make([]byte, body)...)
}

// chunked returns an HTTP/1 request with chunks of zeros and a trailer.
func chunked(path string, sizes ...int) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "POST %s HTTP/1.1\r\nHost: billing\r\nTransfer-Encoding: chunked\r\nTrailer: Digest\r\n\r\n", path)
	for _, size := range sizes {
		fmt.Fprintf(&b, "%x;extension=1\r\n%s\r\n", size, make([]byte, size))
	}
	b.WriteString("0\r\nDigest: none\r\n\r\n")
	return b.Bytes()
}

// http2Stream returns an HTTP/2 connection's bytes: one request with a body of zeros in frames for each size.
func http2Stream(t testing.TB, sizes ...int) []byte {
	t.Helper()
	var b, block bytes.Buffer
	b.WriteString(http2.ClientPreface)
	framer, encoder := http2.NewFramer(&b, nil), hpack.NewEncoder(&block)
	check(t, framer.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 20}))
	for i, size := range sizes {
		block.Reset()
		for _, field := range [][2]string{
			{":method", "POST"}, {":scheme", "http"}, {":authority", "billing"},
			{":path", fmt.Sprintf("/pkg.Service/Method%d", i)},
		} {
			check(t, encoder.WriteField(hpack.HeaderField{Name: field[0], Value: field[1]}))
		}
		id := uint32(2*i + 1)
		check(t, framer.WriteHeaders(http2.HeadersFrameParam{
			StreamID: id, BlockFragment: block.Bytes(), EndHeaders: true, EndStream: size == 0,
		}))
		for left := size; left > 0; left -= min(left, 16384) {
			check(t, framer.WriteData(id, left <= 16384, make([]byte, min(left, 16384))))
		}
		check(t, framer.WriteWindowUpdate(0, 1000))
	}
	return b.Bytes()
}

func TestStream_EveryByteIsDeliveredOrSkipped(t *testing.T) {
	r := newStreamRig(t, Sizes{})
	for _, row := range []struct {
		reason string
		sent   []byte
		most   int // bytes that are not skipped
	}{
		{"one request without a body", []byte("GET /api HTTP/1.1\r\nHost: billing\r\n\r\n"), 100},
		{"pipelined requests", bytes.Repeat([]byte("GET /api HTTP/1.1\r\nHost: billing\r\n\r\n"), 500), 1 << 20},
		{"bodies with a length", bytes.Repeat(request("POST", "/charge", 10_000), 20), 20 * 100},
		{"chunks", bytes.Repeat(chunked("/upload", 1, 100, 70_000, 3), 5), 5 * 300},
		{"many chunks of one byte", chunked("/upload", ones(30_000)...), 1 << 20},
		{"a path of 40 KB", request("GET", "/"+strings.Repeat("a", 40_000), 1000), 40_200},
		{"a continued header",
			[]byte("POST / HTTP/1.1\r\nContent-Length:\r\n 5\r\n\r\n\x00\x00\x00\x00\x00GET / HTTP/1.1\r\n\r\n"), 100},
		{"HTTP/2", http2Stream(t, 0, 1, 16384, 500_000, 0), 2000},
		{"many frames of HTTP/2", http2Stream(t, make([]int, 3000)...), 1 << 20},
		{"HTTP/2 after an upgrade", append([]byte("GET / HTTP/1.1\r\nUpgrade: h2c\r\n\r\n"), http2Stream(t, 5000)...), 1000},
		{"HTTP/2, a large frame", []byte(http2.ClientPreface + frame(4, "") + frame(0, string(make([]byte, 70_000))) +
			frame(1, "more") + frame(0, "") + frame(8, "1234")), 200},
		{"HTTP/2, tiny frames", []byte(http2.ClientPreface +
			strings.Repeat(frame(0, "\x00")+frame(1, "h"), 5000)), 20 * 5000},
		{"line feeds alone", []byte("GET / HTTP/1.1\nHost: a\n\nGET /b HTTP/1.1\n\n"), 100},
		{"empty lines between requests", []byte("GET / HTTP/1.1\r\n\r\n\r\n\nGET /b HTTP/1.1\r\n\r\n"), 100},
		{"a body that never ends", request("PUT", "/a", 5_000_000)[:300_000], 100},
	} {
		for _, size := range []int{1 << 20, 1448, 7, 1} {
			for _, address := range []string{"127.0.0.1:0", "[::1]:0"} {
				if len(row.sent)/size > 2000 {
					continue
				}
				t.Run(fmt.Sprintf("%s/%d/%s", row.reason, size, address), func(t *testing.T) {
					s := r.send(sink(t, "tcp", address), row.sent, size)
					s.mustBe(t, row.sent)
					if n := len(row.sent) - int(s.skipped); n > row.most {
						t.Errorf("%d of %d bytes are not skipped, want at most %d", n, len(row.sent), row.most)
					}
				})
			}
		}
	}
	r.mustLoseNothing()
}

// frame returns a frame of HTTP/2.
func frame(kind byte, payload string) string {
	n := len(payload)
	return string([]byte{byte(n >> 16), byte(n >> 8), byte(n), kind, 0, 0, 0, 0, 1}) + payload
}

func ones(n int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = 1
	}
	return all
}
