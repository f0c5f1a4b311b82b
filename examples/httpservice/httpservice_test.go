package httpservice_test

import (
	"net/http/httptest"
	"testing"

	"github.com/netzero-dev/netzero/examples/httpservice"
	"github.com/netzero-dev/netzero/netzerotest"
)

func TestQuote(t *testing.T) {
	netzerotest.Record(t)
	startRatesd(t) // another process, which listens at 127.0.0.1:7070

	service := &httpservice.Service{
		Prices: "https://api.quotes.test",
		Rates:  "127.0.0.1:7070",
		// Discounts: "https://api.discounts.test",
	}
	response := httptest.NewRecorder()
	service.ServeHTTP(response, httptest.NewRequest("GET", "/quote?product=teapot&currency=JPY", nil))

	if got, want := response.Body.String(), "teapot: 3150 JPY\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
