package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
)

// serve answers every request over HTTP/1 and, without TLS, over HTTP/2. To gRPC it is a method that succeeds.
func (p *peer) serve(ctx context.Context, at []address) {
	for _, a := range at {
		listener, err := new(net.ListenConfig).Listen(ctx, a.network, a.hostPort)
		if err != nil {
			p.say("serve "+a.String(), "", err)
			continue
		}
		server := &http.Server{
			Handler: http.HandlerFunc(answerAny), ReadHeaderTimeout: patience, Protocols: protocols(true, true),
		}
		go func() { _ = server.Serve(listener) }()
		p.say("serve "+a.String(), listener.Addr().String(), nil)
	}
}

func protocols(http1, http2 bool) *http.Protocols {
	p := new(http.Protocols)
	p.SetHTTP1(http1)
	p.SetUnencryptedHTTP2(http2)
	return p
}

func answerAny(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	if !isGRPC(r.Header) {
		return
	}
	w.Header().Set("Content-Type", r.Header.Get("Content-Type"))
	w.Header().Set("Trailer", "Grpc-Status")
	_, _ = w.Write(emptyMessage)
	w.Header().Set("Grpc-Status", "0")
}

func isGRPC(h http.Header) bool { return strings.HasPrefix(h.Get("Content-Type"), grpcType) }

const grpcType = "application/grpc"

// emptyMessage is a message of gRPC: not compressed, of length 0.
var emptyMessage = []byte{0, 0, 0, 0, 0}

// parseRequest parses a method and its URLs.
func parseRequest(args []string) (action, error) {
	return func(ctx context.Context, p *peer) {
		client := http.Client{Transport: &http.Transport{Protocols: protocols(true, false)}, Timeout: patience}
		defer client.CloseIdleConnections()
		for _, url := range args[1:] {
			status, err := do(ctx, &client, args[0], url, nil)
			p.say("request "+args[0]+" "+url, status, err)
		}
	}, nil
}

// parseGRPC parses the URLs of methods: http://host:port/package.Service/Method.
func parseGRPC(urls []string) (action, error) {
	return func(ctx context.Context, p *peer) {
		client := http.Client{Transport: &http.Transport{Protocols: protocols(false, true)}, Timeout: patience}
		defer client.CloseIdleConnections()
		header := http.Header{"Content-Type": {grpcType}, "Te": {"trailers"}}
		for _, url := range urls {
			status, err := do(ctx, &client, http.MethodPost, url, header)
			p.say("grpc "+url, status, err)
		}
	}, nil
}

// do sends a request, and returns its status. With a header, it is a call of gRPC with an empty message.
func do(ctx context.Context, client *http.Client, method, url string, header http.Header) (string, error) {
	var body io.Reader
	if header != nil {
		body = strings.NewReader(string(emptyMessage))
	}
	r, err := http.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		return "", err
	}
	r.Header = header
	answer, err := client.Do(r)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	if _, err := io.Copy(io.Discard, answer.Body); err != nil {
		return "", err
	}
	if status := answer.Trailer.Get("Grpc-Status"); header != nil && status != "0" {
		return "", fmt.Errorf("the call has the status %q", status)
	}
	return answer.Status, nil
}
