// Package client opens the flows of the scripts' tests. Setup adds it to their module.
package client

import (
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

// Open opens the flows in the variable OPEN: "tcp/203.0.113.7:5432", "udp/203.0.113.7:53",
// "https://api.pay.test/".
func Open(tb testing.TB) {
	tb.Helper()
	for _, word := range strings.Fields(os.Getenv("OPEN")) {
		switch network, address, _ := strings.Cut(word, "/"); {
		case strings.HasPrefix(word, "https:"), strings.HasPrefix(word, "http:"):
			Get(tb, word)
		case strings.HasPrefix(network, "udp"), strings.HasPrefix(network, "ip"):
			Send(tb, network, address)
		default:
			Dial(network, address)
		}
	}
}

// Dial connects and closes. It may fail: an attempt is a flow too.
func Dial(network, address string) {
	conn, err := net.DialTimeout(network, address, 3*time.Second)
	if err == nil {
		conn.Close()
	}
}

// MustDial connects and closes. It may not fail.
func MustDial(tb testing.TB, network, address string) {
	tb.Helper()
	conn, err := net.DialTimeout(network, address, 20*time.Second)
	if err != nil {
		tb.Error(err)
		return
	}
	conn.Close()
}

// Send sends a datagram, or a packet, from a connected socket.
func Send(tb testing.TB, network, address string) {
	tb.Helper()
	conn, err := net.Dial(network, address)
	if err != nil {
		tb.Fatal(err)
	}
	defer conn.Close()
	packet := []byte("hello")
	if network == "ip4:icmp" {
		packet = []byte{8, 0, 0xf7, 0xff, 0, 0, 0, 0} // an echo request, with its checksum (RFC 792)
	}
	if _, err := conn.Write(packet); err != nil {
		tb.Fatal(err)
	}
}

// Get fetches a URL over a connection of its own.
func Get(tb testing.TB, url string) {
	tb.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 20 * time.Second}
	answer, err := client.Get(url)
	if err != nil {
		tb.Fatal(err)
	}
	defer answer.Body.Close()
	if _, err := io.Copy(io.Discard, answer.Body); err != nil {
		tb.Fatal(err)
	}
}
