package requests

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httputil"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/http/httpguts"

	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// parseHTTP1 parses requests of HTTP/1 until the connection ends.
func (c *connection) parseHTTP1() error {
	offersH2C := false // the last request does
	for {
		if err := c.begin(); err != nil {
			return err
		}
		if offersH2C {
			if isPreface, err := c.isPreface(); err != nil {
				return err
			} else if isPreface {
				return c.parseHTTP2(1)
			}
		}
		head, err := c.readHead()
		if err != nil {
			return err
		}
		// Without a body, ReadRequest reads nothing but the head.
		request, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(head)))
		if err != nil || request.ProtoMajor != 1 {
			return opaque("a malformed request of HTTP/1")
		}
		length, isChunked, err := framing(head, request)
		if err != nil {
			return err
		}
		if request.Method == http.MethodConnect {
			return opaque(proxyRequest)
		}
		r, err := httpRequest(flow.HTTP, request.Method, request.Host, request.RequestURI)
		if err != nil {
			return err
		}
		if err := c.record(r); err != nil {
			return err
		}
		upgrade := request.Header.Values("Upgrade")
		if offersH2C = len(upgrade) == 1 && strings.EqualFold(upgrade[0], "h2c"); len(upgrade) > 0 && !offersH2C {
			return opaque(upgradeReason(upgrade))
		}
		c.inHead = false
		if isChunked {
			if err := c.discardChunks(); err != nil {
				return err
			}
		} else if err := c.discard(length); err != nil {
			return err
		}
	}
}

// isPreface reports whether HTTP/2 begins here.
func (c *connection) isPreface() (bool, error) {
	const start = "PRI "
	for n := 1; n <= len(start); n++ {
		text, err := c.r.Peek(n)
		if err != nil {
			return false, err
		}
		if text[n-1] != start[n-1] {
			return false, nil
		}
	}
	return true, nil
}

// readHead reads the lines up to the first empty one.
func (c *connection) readHead() ([]byte, error) {
	var head []byte
	lineStart := 0
	for {
		part, err := c.r.ReadSlice('\n')
		head = append(head, part...)
		if bytes.IndexByte(part, 0) >= 0 {
			return nil, opaque("a header that was not read whole")
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			if len(head) > maxHead {
				return nil, opaque("a request with a header of more than 1 MiB")
			}
			continue
		}
		if err != nil {
			return nil, err
		}
		line := head[lineStart:]
		if len(line) == 1 || string(line) == "\r\n" {
			return head, nil
		}
		// Servers disagree on folded lines and on carriage returns within lines.
		if line[0] == ' ' || line[0] == '\t' || bytes.IndexByte(bytes.TrimSuffix(line, []byte("\r\n")), '\r') >= 0 {
			return nil, opaque("a malformed request of HTTP/1")
		}
		lineStart = len(head)
	}
}

// framing returns how the body of a request ends. It refuses what servers understand in different ways.
func framing(head []byte, request *http.Request) (length uint64, isChunked bool, err error) {
	ambiguous := opaque("an ambiguous request of HTTP/1")
	var lengths, encodings, hosts int
	// net/http's server refuses such names after ReadRequest. It drops one of two lengths, so count the lines.
	for name := range request.Header {
		if !httpguts.ValidHeaderFieldName(name) {
			return 0, false, opaque("a malformed request of HTTP/1")
		}
	}
	for line := range bytes.Lines(head) {
		name, _, _ := bytes.Cut(line, []byte(":"))
		switch {
		case bytes.EqualFold(name, []byte("Content-Length")):
			lengths++
		case bytes.EqualFold(name, []byte("Transfer-Encoding")):
			encodings++
		case bytes.EqualFold(name, []byte("Host")):
			hosts++
		}
	}
	isChunked = len(request.TransferEncoding) == 1 && request.TransferEncoding[0] == "chunked"
	switch {
	case lengths+encodings > 1, hosts > 1, encodings == 1 && !isChunked, isChunked && !request.ProtoAtLeast(1, 1):
		return 0, false, ambiguous
	case isChunked:
		return 0, true, nil
	case request.ContentLength < 0:
		return 0, false, ambiguous
	}
	return uint64(request.ContentLength), false, nil
}

// discardChunks skips a chunked body and its trailers.
func (c *connection) discardChunks() error {
	malformed := opaque("a malformed request of HTTP/1")
	if _, err := io.Copy(io.Discard, httputil.NewChunkedReader(c.r)); err != nil {
		if isEOF(err) {
			return err
		}
		return c.reason(err, malformed)
	}
	c.head = maxHead
	c.inHead = true
	for {
		line, err := c.r.ReadSlice('\n')
		if err != nil {
			return c.reason(err, malformed)
		}
		if string(line) == "\r\n" {
			return nil
		}
		name, _, isField := bytes.Cut(line, []byte(":"))
		if !isField || !bytes.HasSuffix(line, []byte("\r\n")) || !httpguts.ValidHeaderFieldName(string(name)) ||
			bytes.IndexByte(line, 0) >= 0 {
			return malformed
		}
	}
}

// reason returns err if it says why, or if the connection ended; else otherwise.
func (c *connection) reason(err error, otherwise opaque) error {
	var why opaque
	if errors.As(err, &why) || isEOF(err) {
		return err
	}
	return otherwise
}

// httpRequest returns a request, or why what follows on its connection cannot be judged.
func httpRequest(protocol flow.RequestProtocol, method, host, uri string) (flow.Request, error) {
	path, query := uri, ""
	if i := strings.IndexByte(uri, '?'); i >= 0 {
		path, query = uri[:i], uri[i:]
	}
	switch {
	case len(uri) > maxURI:
		return flow.Request{}, opaque(longURI)
	case uri == "*" && method == http.MethodOptions:
	case !strings.HasPrefix(uri, "/") && strings.Contains(uri, "://"):
		return flow.Request{}, opaque(proxyRequest)
	case !strings.HasPrefix(uri, "/"), !httpguts.ValidHeaderFieldName(method):
		return flow.Request{}, opaque("a malformed request of HTTP")
	case strings.ContainsFunc(uri, func(r rune) bool { return r <= ' ' || r == 0x7f || r == '#' }):
		return flow.Request{}, opaque("a malformed request of HTTP")
	}
	if !utf8.ValidString(uri) || !utf8.ValidString(host) {
		return flow.Request{}, opaque("a URL that is not UTF-8")
	}
	return flow.Request{Protocol: protocol, Method: method, Host: host, Path: path, Query: query}, nil
}

// upgradeReason names the protocol to which a request would switch.
func upgradeReason(values []string) string {
	const maxName = 32
	name := values[0]
	switch {
	case len(values) == 1 && strings.EqualFold(name, "websocket"):
		return webSocket
	case len(values) == 1 && len(name) <= maxName && httpguts.ValidHeaderFieldName(strings.ReplaceAll(name, "/", "")):
		return "Upgrade: " + name
	}
	return "an upgrade to another protocol"
}
