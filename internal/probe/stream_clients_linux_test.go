package probe

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/netzero-dev/netzero/internal/testenv"
)

// sentRequests sends requests from many goroutines, and returns them sorted: "POST /3/7 100". Each body has a length
// of its own; a third are sent in chunks, a third are empty.
func sentRequests(t *testing.T, client *http.Client, base string) []string {
	t.Helper()
	var mu sync.Mutex
	var sent []string
	var all sync.WaitGroup
	for i := range 16 {
		all.Go(func() {
			for j := range 20 {
				path, body := fmt.Sprintf("/%d/%d", i, j), strings.Repeat("b", (1+i*j%7)*1000)
				var reader io.Reader
				switch j % 3 {
				case 0:
					body = ""
				case 1:
					reader = strings.NewReader(body)
				default:
					reader = io.MultiReader(strings.NewReader(body)) // of unknown length
				}
				request, err := http.NewRequest("POST", base+path, reader)
				if err != nil {
					t.Error(err)
					return
				}
				response, err := client.Do(request)
				if err != nil {
					t.Error(err)
					return
				}
				_, err = io.Copy(io.Discard, response.Body)
				response.Body.Close()
				if err != nil || response.StatusCode != http.StatusOK {
					t.Errorf("%s: status %d, %v", path, response.StatusCode, err)
				}
				mu.Lock()
				sent = append(sent, fmt.Sprintf("POST %s %d", path, len(body)))
				mu.Unlock()
			}
		})
	}
	all.Wait()
	slices.Sort(sent)
	return sent
}

// discard answers each request after its body.
func discard(w http.ResponseWriter, r *http.Request) {
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	io.WriteString(w, strings.Repeat("answer", 100))
}

func TestStream_HTTPClients(t *testing.T) {
	testenv.Recorded(t, "requests of HTTP clients")
	r := newStreamRig(t, Sizes{})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	server := &http.Server{Handler: http.HandlerFunc(discard)}
	go server.Serve(l)
	defer server.Close()
	transport := &http.Transport{MaxIdleConnsPerHost: 16}
	sent := sentRequests(t, &http.Client{Transport: transport}, "http://"+l.Addr().String())
	transport.CloseIdleConnections()
	var got []string
	streams := r.to(l.Addr().(*net.TCPAddr).AddrPort().Port())
	for _, s := range streams {
		if s.opaque != 0 {
			t.Errorf("a stream is opaque: %d", s.opaque)
		}
		from := bufio.NewReader(bytes.NewReader(s.bytes))
		skipped := uint64(0)
		for {
			request, err := http.ReadRequest(from)
			if err == io.EOF {
				break
			}
			check(t, err)
			n, err := io.Copy(io.Discard, request.Body)
			check(t, err)
			skipped += uint64(n)
			got = append(got, fmt.Sprintf("%s %s %d", request.Method, request.URL.Path, n))
		}
		if skipped != s.skipped {
			t.Errorf("%d bytes are skipped, the bodies have %d", s.skipped, skipped)
		}
	}
	slices.Sort(got)
	if diff := cmp.Diff(sent, got); diff != "" {
		t.Errorf("requests (-sent +read):\n%s", diff)
	}
	if len(streams) == 0 || len(streams) == len(sent) {
		t.Errorf("%d connections: want some, and fewer than requests", len(streams))
	}
	r.mustLoseNothing()
}

func TestStream_HTTP2Clients(t *testing.T) {
	testenv.Recorded(t, "requests of gRPC clients")
	r := newStreamRig(t, Sizes{})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go new(http2.Server).ServeConn(c, &http2.ServeConnOpts{Handler: http.HandlerFunc(discard)})
		}
	}()
	transport := &http2.Transport{
		AllowHTTP: true,
		DialTLSContext: func(ctx context.Context, network, address string, _ *tls.Config) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, address)
		},
	}
	sent := sentRequests(t, &http.Client{Transport: transport}, "http://"+l.Addr().String())
	transport.CloseIdleConnections()
	var got []string
	for _, s := range r.to(l.Addr().(*net.TCPAddr).AddrPort().Port()) {
		if s.opaque != 0 {
			t.Errorf("a stream is opaque: %d", s.opaque)
		}
		requests, skipped := http2Requests(t, s.bytes)
		got = append(got, requests...)
		if skipped != s.skipped {
			t.Errorf("%d bytes are skipped, the bodies have %d", s.skipped, skipped)
		}
	}
	slices.Sort(got)
	if diff := cmp.Diff(sent, got); diff != "" {
		t.Errorf("requests (-sent +read):\n%s", diff)
	}
	r.mustLoseNothing()
}

// http2Requests returns the requests of a connection, and the length of all bodies.
func http2Requests(t *testing.T, stream []byte) (requests []string, bodies uint64) {
	t.Helper()
	rest, found := bytes.CutPrefix(stream, []byte(http2.ClientPreface))
	if !found {
		t.Fatalf("no preface: %q", stream[:min(24, len(stream))])
	}
	framer := http2.NewFramer(io.Discard, bytes.NewReader(rest))
	framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	head, length := make(map[uint32]string), make(map[uint32]int)
	for {
		switch f, err := framer.ReadFrame(); f := f.(type) {
		default:
			if errors.Is(err, io.EOF) {
				for id, request := range head {
					requests = append(requests, fmt.Sprintf("%s %d", request, length[id]))
				}
				return requests, bodies
			}
			check(t, err)
		case *http2.MetaHeadersFrame:
			head[f.StreamID] = f.PseudoValue("method") + " " + f.PseudoValue("path")
		case *http2.DataFrame:
			length[f.StreamID] += len(f.Data())
			bodies += uint64(f.Length)
		}
	}
}
