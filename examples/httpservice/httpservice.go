// Package httpservice quotes prices: GET /quote?product=teapot&currency=JPY answers "teapot: 3150 JPY".
//
// It stands for a service of yours. It has two dependencies, a price list behind HTTPS and a server for exchange rates
// that uses lines of text over TCP, and a third that can be switched on. It does not depend on netzero.
package httpservice

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
)

// Service has the addresses of its dependencies.
type Service struct {
	Prices    string // base URL of the price list, in euros
	Rates     string // host:port of the rates server
	Discounts string // base URL of the discounts, in percent; "" for none
}

// ServeHTTP answers one request for a quote.
func (s *Service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	product, currency := r.FormValue("product"), r.FormValue("currency")
	price, err := s.quote(r.Context(), product, currency)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	fmt.Fprintf(w, "%s: %.0f %s\n", product, price, currency)
}

func (s *Service) quote(ctx context.Context, product, currency string) (float64, error) {
	price, err := get(ctx, s.Prices+"/"+product)
	if err != nil {
		return 0, fmt.Errorf("ask for price: %w", err)
	}
	if s.Discounts != "" {
		percent, err := get(ctx, s.Discounts+"/"+product)
		if err != nil {
			return 0, fmt.Errorf("ask for discount: %w", err)
		}
		price -= price * percent / 100
	}
	rate, err := ask(ctx, s.Rates, currency)
	if err != nil {
		return 0, fmt.Errorf("ask for rate: %w", err)
	}
	return price * rate, nil
}

// get reads a number over HTTP.
func get(ctx context.Context, url string) (float64, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, err
	}
	if response.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("GET %s: %s", url, response.Status)
	}
	return strconv.ParseFloat(strings.TrimSpace(string(body)), 64)
}

// ask sends a line over TCP, and reads a line with a number.
func ask(ctx context.Context, address, line string) (float64, error) {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	if _, err := fmt.Fprintln(conn, line); err != nil {
		return 0, err
	}
	answer, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		return 0, err
	}
	return strconv.ParseFloat(strings.TrimSpace(answer), 64)
}
