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

// Try opens the same flows as Open, and logs the error of each one, or that it passed: the server answered. It does not
// fail the test.
func Try(tb testing.TB) {
	tb.Helper()
	for _, word := range strings.Fields(os.Getenv("OPEN")) {
		result := "passed"
		if err := try(word); err != nil {
			result = err.Error()
		}
		tb.Logf("%s: %s", word, result)
	}
}

func try(word string) error {
	if strings.HasPrefix(word, "http") {
		return fetch(word)
	}
	network, address, _ := strings.Cut(word, "/")
	conn, err := net.DialTimeout(network, address, 20*time.Second)
	if err != nil {
		return err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := conn.Write(packet(network)); err != nil {
		return err
	}
	_, err = conn.Read(make([]byte, 100))
	return err
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
	if _, err := conn.Write(packet(network)); err != nil {
		tb.Fatal(err)
	}
}

func packet(network string) []byte {
	if network == "ip4:icmp" {
		return []byte{8, 0, 0xf7, 0xff, 0, 0, 0, 0} // an echo request, with its checksum (RFC 792)
	}
	return []byte("hello")
}

// Get fetches a URL over a connection of its own.
func Get(tb testing.TB, url string) {
	tb.Helper()
	if err := fetch(url); err != nil {
		tb.Fatal(err)
	}
}

func fetch(url string) error {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 20 * time.Second}
	answer, err := client.Get(url)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	_, err = io.Copy(io.Discard, answer.Body)
	return err
}
