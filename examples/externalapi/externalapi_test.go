package externalapi_test

import (
	"net/http"
	"testing"

	"github.com/netzero-dev/netzero/examples/externalapi"
	"github.com/netzero-dev/netzero/netzerotest"
)

// The same flows in two dialects: a NetworkPolicy lists names in an annotation, a CiliumNetworkPolicy has rules for
// them.
func TestPayOut(t *testing.T)       { payOut(t) }
func TestPayOutCilium(t *testing.T) { payOut(t, netzerotest.Cilium()) }

func payOut(t *testing.T, options ...netzerotest.Option) {
	requireLab(t) // your test does not need this line
	netzerotest.Record(t, options...)

	service := &externalapi.Service{
		Rates:    "https://api.rates.test",
		Payments: "https://api.payments.test:8443",
		Metadata: "http://169.254.169.254",
		Client:   &http.Client{Transport: &http.Transport{}}, // no connection of another test
	}
	receipt, err := service.PayOut(t.Context(), 100, "JPY")
	if err != nil {
		t.Fatal(err)
	}
	if want := "paid 100 at 175 with Bearer secret"; receipt != want {
		t.Errorf("got %q, want %q", receipt, want)
	}
}
