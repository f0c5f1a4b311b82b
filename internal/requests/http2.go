package requests

import (
	"encoding/binary"
	"io"
	"net/http"
	"strings"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// parseHTTP2 parses a connection of HTTP/2, from its preface on. Streams up to the last one that is given are not new.
func (c *connection) parseHTTP2(last uint32) error {
	malformed := opaque("malformed HTTP/2")
	preface := make([]byte, len(http2.ClientPreface))
	if _, err := io.ReadFull(c.r, preface); err != nil {
		return err
	}
	if string(preface) != http2.ClientPreface {
		return malformed
	}
	framer := http2.NewFramer(io.Discard, c.r)
	framer.SetMaxReadFrameSize(1<<24 - 1)
	// The server's settings set the limits, and are not read.
	framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	framer.ReadMetaHeaders.SetAllowedMaxDynamicTableSize(16 << 20)
	framer.MaxHeaderListSize = maxHead
	for {
		if err := c.begin(); err != nil {
			return err
		}
		c.head = 1 << 26 // what a header list may take, compressed or padded, is checked by the framer
		const headerLength = 9
		header, err := c.r.Peek(headerLength)
		if err != nil {
			return err
		}
		if http2.FrameType(header[3]) == http2.FrameData {
			if binary.BigEndian.Uint32(header[5:])&(1<<31-1) == 0 {
				return malformed
			}
			length := binary.BigEndian.Uint32(header) >> 8
			c.inHead = false
			if err := c.discard(headerLength + uint64(length)); err != nil {
				return err
			}
			continue
		}
		frame, err := framer.ReadFrame()
		if err != nil {
			return c.reason(err, malformed)
		}
		if headers, isHeaders := frame.(*http2.MetaHeadersFrame); isHeaders {
			if err := c.http2Headers(headers, &last); err != nil {
				return err
			}
		}
	}
}

// http2Headers handles the headers or the trailers of a stream.
func (c *connection) http2Headers(f *http2.MetaHeadersFrame, last *uint32) error {
	malformed := opaque("malformed HTTP/2")
	if f.Truncated || f.StreamID%2 == 0 {
		return malformed
	}
	method := f.PseudoValue("method")
	if f.StreamID <= *last {
		if len(f.PseudoFields()) > 0 {
			return malformed
		}
		return nil // trailers
	}
	*last = f.StreamID
	if method == http.MethodConnect {
		if f.PseudoValue("protocol") == "websocket" {
			return opaque(webSocket)
		}
		return opaque(proxyRequest)
	}
	host := f.PseudoValue("authority")
	protocol := flow.HTTP
	for _, field := range f.RegularFields() {
		switch field.Name {
		case "host":
			if host == "" {
				host = field.Value
			}
		case "content-type":
			if isGRPC(field.Value) && method == http.MethodPost {
				protocol = flow.GRPC
			}
		}
	}
	uri := f.PseudoValue("path")
	if protocol == flow.GRPC && strings.Contains(uri, "?") {
		protocol = flow.HTTP
	}
	r, err := httpRequest(protocol, method, host, uri)
	if err != nil {
		return err
	}
	return c.record(r)
}

// isGRPC reports whether a content type is one of gRPC: "application/grpc", "application/grpc+proto".
func isGRPC(contentType string) bool {
	rest, found := strings.CutPrefix(contentType, "application/grpc")
	return found && (rest == "" || rest[0] == '+' || rest[0] == ';')
}
