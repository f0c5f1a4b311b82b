package gotest

import (
	"testing"

	"github.com/netzero-dev/netzero/netzerotest/flow"
)

func TestCallerPlace_InUsersFile(t *testing.T) {
	const tested, module = "example.com/shop/payments", "example.com/shop"
	const payTest = "/src/shop/payments/pay_test.go"
	for _, row := range []struct {
		reason         string
		function, file string
		want           string
	}{
		{"in the package", "example.com/shop/payments.TestPay", payTest, "pay_test.go:31"},
		{"in its external test package", "example.com/shop/payments_test.TestPay", payTest, "pay_test.go:31"},
		{
			"built with -trimpath", "example.com/shop/payments_test.TestPay", "example.com/shop/payments/pay_test.go",
			"pay_test.go:31",
		},
		{"in a closure", "example.com/shop/payments_test.TestPay.func1", payTest, "pay_test.go:31"},
		{
			"in another package of the module", "example.com/shop/internal/testkit.Peers",
			"/src/shop/internal/testkit/peers.go", "internal/testkit/peers.go:31",
		},
		{"at the root of the module", "example.com/shop.Peers", "/src/shop/peers.go", "peers.go:31"},
		{
			"in another module", "example.org/kit.Peers", "/mod/example.org/kit@v1.0.0/peers.go",
			"example.org/kit/peers.go:31",
		},
		{"on Windows", "example.com/shop/payments.TestPay", `C:\src\shop\payments\pay_test.go`, "pay_test.go:31"},
	} {
		got := place(flow.Frame{Function: row.function, File: row.file, Line: 31}, tested, module)
		if got != row.want {
			t.Errorf("%s: %q, want %q", row.reason, got, row.want)
		}
	}
}

func TestEndsProcess_CausesOfCleanup(t *testing.T) {
	const caller = "github.com/netzero-dev/netzero/internal/gotest.TestEndsProcess"
	ends := make(map[string]bool)
	t.Run("returns", func(t *testing.T) {
		t.Cleanup(func() { ends["returns"] = EndsProcess(t, caller) || IsUnwinding() })
	})
	t.Run("skips", func(t *testing.T) {
		t.Cleanup(func() { ends["skips"] = EndsProcess(t, caller) || !IsUnwinding() })
		t.Skip("the subject of this test")
	})
	t.Run("panics", func(t *testing.T) {
		defer func() { _ = recover() }()
		defer func() { ends["panics"] = !EndsProcess(t, caller) || !IsUnwinding() }()
		panic("the subject of this test")
	})
	for _, way := range []string{"returns", "skips", "panics"} {
		if wrong, ran := ends[way]; wrong || !ran {
			t.Errorf("a test that %s is taken for another one", way)
		}
	}
}
