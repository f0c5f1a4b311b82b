// Package billing is a checkout: it charges at billing over HTTP, and enters each payment in a ledger over gRPC.
//
// It stands for a service of yours. Its test runs it against a real nginx as billing, with two more callers: auditing
// reads invoices, and monitoring probes. The policies list what each of them may request. The service does not depend
// on netzero.
//
// The test runs on nginx:1. EXAMPLE_NGINX_IMAGE names another image: make test-examples sets it to that of make images.
package billing

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"google.golang.org/grpc"

	"github.com/netzero-dev/netzero/examples/billing/ledger"
)

// Checkout takes payments.
type Checkout struct {
	Billing string // URL of billing: "http://billing:8080"
	Client  *http.Client
	Ledger  *grpc.ClientConn
	// Thorough says that each payment is compared with its invoice and with the ledger's balance.
	Thorough bool
}

// Pay charges an order and enters it in the ledger.
func (c *Checkout) Pay(ctx context.Context, order string) error {
	if err := c.request(ctx, http.MethodPost, "/api/v1/charge?order="+url.QueryEscape(order)); err != nil {
		return fmt.Errorf("charge order %s: %w", order, err)
	}
	if err := ledger.Enter(ctx, c.Ledger, order); err != nil {
		return fmt.Errorf("enter order %s: %w", order, err)
	}
	if !c.Thorough {
		return nil
	}
	if err := c.request(ctx, http.MethodGet, "/api/v1/invoices/"+url.PathEscape(order)); err != nil {
		return fmt.Errorf("read invoice %s: %w", order, err)
	}
	if _, err := ledger.Balance(ctx, c.Ledger); err != nil {
		return fmt.Errorf("read balance: %w", err)
	}
	return nil
}

func (c *Checkout) request(ctx context.Context, method, path string) error {
	request, err := http.NewRequestWithContext(ctx, method, c.Billing+path, nil)
	if err != nil {
		return err
	}
	response, err := c.Client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode >= 400 {
		return fmt.Errorf("%s %s: %s", method, path, response.Status)
	}
	_, err = io.Copy(io.Discard, response.Body)
	return err
}
