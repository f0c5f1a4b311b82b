package netzerotest

import (
	"regexp"
	"testing"

	"github.com/netzero-dev/netzero/netzerotest/flow"
)

func TestPlace_InUsersFile(t *testing.T) {
	const tested, module = "example.com/shop/payments", "example.com/shop"
	for _, row := range []struct {
		reason         string
		function, file string
		want           string
	}{
		{"in the package", "example.com/shop/payments.TestPay", "/src/shop/payments/pay_test.go", "pay_test.go:31"},
		{"beside it", "example.com/shop/payments_test.TestPay", "/src/shop/payments/pay_test.go", "pay_test.go:31"},
		{"built with -trimpath", "example.com/shop/payments_test.TestPay", "example.com/shop/payments/pay_test.go", "pay_test.go:31"},
		{"in a closure", "example.com/shop/payments_test.TestPay.func1", "/src/shop/payments/pay_test.go", "pay_test.go:31"},
		{"in another package of the module", "example.com/shop/internal/testkit.Peers", "/src/shop/internal/testkit/peers.go", "internal/testkit/peers.go:31"},
		{"at the root of the module", "example.com/shop.Peers", "/src/shop/peers.go", "peers.go:31"},
		{"in another module", "example.org/kit.Peers", "/mod/example.org/kit@v1.0.0/peers.go", "example.org/kit/peers.go:31"},
		{"on Windows", "example.com/shop/payments.TestPay", `C:\src\shop\payments\pay_test.go`, "pay_test.go:31"},
	} {
		if got := userPlace(flow.Frame{Function: row.function, File: row.file, Line: 31}, tested, module); got != row.want {
			t.Errorf("%s: %q, want %q", row.reason, got, row.want)
		}
	}
}

func TestPlace_OfPeer(t *testing.T) {
	options := []Option{
		Peer("localhost:8080", "search"),
		Peer("localhost:8080", "search"), // a repetition
	}
	c, err := newConfig(options)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range c.peers {
		if !regexp.MustCompile(`^place_test\.go:\d+$`).MatchString(p.At) {
			t.Errorf("Peer is said to be at %q", p.At)
		}
	}
	_, err = newConfig(append(options, Peer("localhost:8080", "find")))
	if err == nil || !regexp.MustCompile(`"search" at place_test\.go:\d+ and "find" at place_test\.go:\d+`).MatchString(err.Error()) {
		t.Errorf("an address has two names, and the error is: %v", err)
	}
}
